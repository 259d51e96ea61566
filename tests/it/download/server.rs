//! A loopback server that misbehaves on purpose, one request after the other as a test asks for;
//! that lists itself as a bucket does, asks for credentials and speaks TLS where a test wants it
//! to.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::mischief::{Mischief, answer};

#[derive(Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Mischief for GETs of archives from byte 0 on or later (not for probes of the first bytes), or
    /// for all that a test names, in turn.
    queue: Mutex<VecDeque<Mischief>>,
    requests: Mutex<Vec<String>>,
    /// A text that the query or the Authorization header must have.
    key: Option<&'static str>,
    endless: Option<(&'static str, Vec<u8>)>,
    victims: Option<&'static str>,
    writes_left: Mutex<Option<usize>>,
    versions: bool,
    stop: AtomicBool,
}

/// How a server is to be reached.
#[derive(Default)]
pub(crate) struct Terms {
    /// A text that the query or the Authorization header of every request must have.
    pub(crate) key: Option<&'static str>,
    /// A path whose file begins with what the source has there and goes on with these bytes again
    /// and again.
    pub(crate) endless: Option<(&'static str, Vec<u8>)>,
    /// Mischief happens to GETs of files whose path has this in it, instead of those of archives.
    pub(crate) victims: Option<&'static str>,
    /// Every answer names the version of a file.
    pub(crate) versions: bool,
    /// The certificate to show; plain HTTP without one.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

/// The server; it stops when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self::start_on(files, Terms::default())
    }

    pub(crate) fn start_on(files: BTreeMap<String, Vec<u8>>, terms: Terms) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            files: Mutex::new(files),
            key: terms.key,
            endless: terms.endless,
            victims: terms.victims,
            versions: terms.versions,
            ..Shared::default()
        });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming() {
                    if shared.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else {
                        continue;
                    };
                    let tls = terms.tls.clone();
                    // A client that hangs up ends its connection's thread and nothing else.
                    std::thread::spawn(move || {
                        let socket = stream.try_clone().ok()?;
                        match tls {
                            None => converse(stream, &socket, &shared),
                            Some(config) => {
                                let session = rustls::ServerConnection::new(config).ok()?;
                                let stream = rustls::StreamOwned::new(session, stream);
                                converse(stream, &socket, &shared)
                            }
                        }
                    });
                }
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happens to the next whole-file requests, in turn; then all is well.
    pub(crate) fn plan(&self, mischief: impl IntoIterator<Item = Mischief>) {
        self.shared.queue.lock().unwrap().extend(mischief);
    }

    /// Puts and removes as many files as this and then refuses to, for a while as it says; all with
    /// `None`.
    pub(crate) fn grant_writes(&self, writes: Option<usize>) {
        *self.shared.writes_left.lock().unwrap() = writes;
    }

    /// The files as they are now.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.shared.files.lock().unwrap().clone()
    }

    /// Puts a file there behind everybody's back.
    pub(crate) fn smuggle(&self, path: &str, bytes: Vec<u8>) {
        let mut files = self.shared.files.lock().unwrap();
        files.insert(path.to_owned(), bytes);
    }

    /// Has these files and no others.
    pub(crate) fn replace(&self, files: BTreeMap<String, Vec<u8>>) {
        *self.shared.files.lock().unwrap() = files;
    }

    /// Mischief that no request has met yet.
    pub(crate) fn left(&self) -> usize {
        self.shared.queue.lock().unwrap().len()
    }

    /// The requests so far, as `METHOD path [range]`, without queries.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    query: String,
    pub(crate) range: Option<(usize, Option<usize>)>,
    pub(crate) if_range: Option<String>,
    authorization: String,
    only_new: bool,
    body: Vec<u8>,
    /// What else stands in the head of the answer.
    pub(crate) said: &'static str,
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let method = words.next()?.to_owned();
    let target = words.next()?.trim_start_matches('/');
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: unescaped(path)?,
        query: query.to_owned(),
        range: None,
        if_range: None,
        authorization: String::new(),
        only_new: false,
        body: Vec::new(),
        said: "",
    };
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let header = line.trim();
        if header.is_empty() {
            reader.read_exact(&mut request.body).ok()?;
            return Some(request);
        }
        let (name, value) = header.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let (from, to) = value.trim().strip_prefix("bytes=")?.split_once('-')?;
                let to = to.parse::<usize>().ok().map(|to| to + 1);
                request.range = Some((from.parse().ok()?, to));
            }
            "content-length" => request.body = vec![0; value.trim().parse().ok()?],
            "if-none-match" => request.only_new = value.trim() == "*",
            "if-range" => request.if_range = Some(value.trim().to_owned()),
            "authorization" => value.trim().clone_into(&mut request.authorization),
            "user-agent" => assert!(value.trim().starts_with("incdec/"), "{value}"),
            _ => {}
        }
    }
}

/// The name that an escaped path stands for.
fn unescaped(path: &str) -> Option<String> {
    let mut parts = path.split('%');
    let mut name = parts.next()?.as_bytes().to_vec();
    for part in parts {
        name.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        name.extend(part[2..].bytes());
    }
    String::from_utf8(name).ok()
}

fn converse(stream: impl Read + Write, socket: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream);
    while let Some(mut request) = read_request(&mut reader) {
        if shared.versions {
            request.said = "x-amz-version-id: 3\r\n";
        }
        // A server that has gone answers on no connection that is still open.
        if shared.stop.load(Ordering::Relaxed) {
            return None;
        }
        let range = request.range.map_or(String::new(), |(a, b)| {
            format!(" {a}-{}", b.map_or(String::new(), |b| b.to_string()))
        });
        let text = format!("{} {}{range}", request.method, request.path);
        shared.requests.lock().unwrap().push(text);
        let probe = request.range.is_some_and(|(_, to)| to.is_some());
        let is_victim = match shared.victims {
            None => request.path.ends_with(".tar.gz") && !probe,
            Some(part) => request.path.contains(part),
        };
        let mischief = (is_victim && request.method == "GET")
            .then(|| shared.queue.lock().unwrap().pop_front())
            .flatten()
            .unwrap_or(Mischief::Behave);
        if let Mischief::Replace(bytes) = &mischief {
            let mut files = shared.files.lock().unwrap();
            files.insert(request.path.clone(), bytes.clone());
        }
        let stream = reader.get_mut();
        let opens = |key| request.query.contains(key) || request.authorization.contains(key);
        if shared.key.is_some_and(|key| !opens(key)) {
            let text = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(text.as_bytes()).ok()?;
            continue;
        }
        if let Some(status) = write(shared, &request) {
            let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(text.as_bytes()).ok()?;
            continue;
        }
        let files = shared.files.lock().unwrap();
        let body = if request.query.contains("list-type=2") {
            Some(listing(&files, &request))
        } else {
            files.get(&request.path).cloned()
        };
        drop(files);
        if let Some((path, again)) = &shared.endless
            && *path == request.path
            && request.method == "GET"
        {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
            stream.write_all(&body?).ok()?;
            while !shared.stop.load(Ordering::Relaxed) {
                stream.write_all(again).ok()?;
            }
            return None;
        }
        answer(stream, socket, &request, body, &mischief)?;
    }
    None
}

/// Puts or removes a file, as far as that is granted; the status of the answer. None for other
/// requests.
fn write(shared: &Shared, request: &Request) -> Option<&'static str> {
    if !["PUT", "DELETE"].contains(&request.method.as_str()) {
        return None;
    }
    let mut left = shared.writes_left.lock().unwrap();
    if *left == Some(0) {
        return Some("503 Service Unavailable");
    }
    let mut files = shared.files.lock().unwrap();
    if request.only_new && files.contains_key(&request.path) {
        return Some("412 Precondition Failed");
    }
    *left = left.map(|writes| writes - 1);
    if request.method == "PUT" {
        files.insert(request.path.clone(), request.body.clone());
        return Some("200 OK");
    }
    files.remove(&request.path);
    Some("204 No Content")
}

/// A page of two files of the bucket that the path names, in the words of S3.
fn listing(files: &BTreeMap<String, Vec<u8>>, request: &Request) -> Vec<u8> {
    let value = |name: &str| {
        let mut pairs = request.query.split('&').filter_map(|p| p.split_once('='));
        let value = pairs.find(|(key, _)| *key == name).map_or("", |(_, v)| v);
        value.replace("%2F", "/")
    };
    let (prefix, after) = (value("prefix"), value("continuation-token"));
    let bucket = request.path.trim_end_matches('/');
    let keys = files.keys().filter_map(|f| f.strip_prefix(bucket));
    let keys = keys.map(|key| key.trim_start_matches('/'));
    let rest: Vec<&str> = keys
        .filter(|key| key.starts_with(&prefix) && **key > *after)
        .collect();
    let page = &rest[..rest.len().min(2)];
    let contents: String = page
        .iter()
        .map(|key| format!("<Contents><Key>{key}</Key></Contents>"))
        .collect();
    let next = match page.last() {
        Some(last) if rest.len() > 2 => {
            format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"
            )
        }
        _ => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    let space = "http://s3.amazonaws.com/doc/2006-03-01/";
    format!("<ListBucketResult xmlns=\"{space}\">{next}{contents}</ListBucketResult>").into_bytes()
}
