//! A folder over HTTP on loopback: GET and HEAD, ranges, If-Range, entity tags made of the content.
//!
//! It exists so that a demo's download is a real one; it listens on 127.0.0.1 alone. A server has a
//! token, drawn when it starts, so that whoever started it can [`ask`] whether it is this one that
//! answers at an address.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tiny_http::{Header, Method, Request, Response, StatusCode};

use super::ToyError;
use crate::artifact::hash_file;

/// Requests answered at a time; more wait in the system's queue.
const WORKERS: usize = 8;
/// Hexadecimal digits of an entity tag.
const TAG_DIGITS: usize = 32;
/// Where a server tells its token; no file of a folder can have the name.
const TOKEN_PATH: &str = "/.incdec-token";
/// How long a server is waited for, at most, when it is asked for its token.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest answer that is read for a token, in bytes.
const MAX_ANSWER_BYTES: u64 = 4096;

/// Entity tags by file, with the length they were made for.
type Tags = Arc<Mutex<HashMap<PathBuf, (u64, String)>>>;

/// A running server. Dropped, it stops.
pub struct Server {
    http: Arc<tiny_http::Server>,
    address: SocketAddr,
    token: Arc<str>,
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves `root` on 127.0.0.1; port 0 takes any free one.
    ///
    /// # Errors
    /// When `root` is no folder or the port is taken.
    pub fn start(root: &Path, port: u16) -> Result<Self, ToyError> {
        if !root.is_dir() {
            return Err(ToyError::NoFolder {
                path: root.to_owned(),
            });
        }
        let refused = |message: String| ToyError::Serve { port, message };
        let http = tiny_http::Server::http((Ipv4Addr::LOCALHOST, port))
            .map_err(|e| refused(e.to_string()))?;
        let address = http
            .server_addr()
            .to_ip()
            .ok_or_else(|| refused("no address".into()))?;
        let http = Arc::new(http);
        // It only has to differ from every other server's; the keys of a new hasher do.
        let token: Arc<str> = format!("{:016x}", RandomState::new().hash_one(address)).into();
        let tags = Tags::default();
        let workers = (0..WORKERS)
            .map(|_| {
                let (http, root, tags) = (Arc::clone(&http), root.to_owned(), Arc::clone(&tags));
                let token = Arc::clone(&token);
                std::thread::spawn(move || {
                    while let Ok(request) = http.recv() {
                        answer(request, &root, &tags, &token);
                    }
                })
            })
            .collect();
        Ok(Self {
            http,
            address,
            token,
            workers,
        })
    }

    /// The base URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What tells this server from any other: [`ask`] takes it.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        for worker in self.workers.drain(..) {
            // A worker ends only by a panic, which has been printed; the others go on.
            let _ = worker.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Each call wakes one worker, whose receive then fails.
        for _ in &self.workers {
            self.http.unblock();
        }
    }
}

/// Makes sure that the server with `token` answers at `url`, an address of this machine.
///
/// # Errors
/// When nothing answers there, or something else does.
pub fn ask(url: &str, token: &str) -> Result<(), ToyError> {
    let stranger = |message: String| ToyError::Stranger {
        url: url.to_owned(),
        message,
    };
    let address: SocketAddr = url
        .strip_prefix("http://")
        .and_then(|address| address.trim_end_matches('/').parse().ok())
        .filter(|address: &SocketAddr| address.ip().is_loopback())
        .ok_or_else(|| stranger("it is no http://127.0.0.1:port".into()))?;
    let answer = answer_at(address).map_err(|e| stranger(e.to_string()))?;
    match answer.split_once("\r\n\r\n") {
        Some((_, body)) if body.trim() == token => Ok(()),
        _ => Err(stranger("something else answers".into())),
    }
}

/// What is answered at `address` for the token.
fn answer_at(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    let request =
        format!("GET {TOKEN_PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn answer(request: Request, root: &Path, tags: &Tags, token: &str) {
    if request.url() == TOKEN_PATH {
        let _ = request.respond(Response::from_string(token));
        return;
    }
    // A client that hung up is its own business.
    let _ = match respond(&request, root, tags) {
        Ok((status, headers, body, length)) => {
            let mut response = Response::new(status, headers, body, Some(length), None);
            // Fixed lengths at any size: a client that resumes needs to know where the file ends.
            response = response.with_chunked_threshold(usize::MAX);
            request.respond(response)
        }
        Err(code) => request.respond(Response::empty(code)),
    };
}

type Answer = (StatusCode, Vec<Header>, std::io::Take<File>, usize);

fn respond(request: &Request, root: &Path, tags: &Tags) -> Result<Answer, u16> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return Err(405);
    }
    let path = locate(root, request.url()).ok_or(404_u16)?;
    let mut file = File::open(&path).map_err(|_| 404_u16)?;
    let metadata = file.metadata().map_err(|_| 404_u16)?;
    if !metadata.is_file() {
        return Err(404);
    }
    let length = metadata.len();
    let tag = tag_of(&path, length, tags).ok_or(500_u16)?;
    let value = |name: &'static str| {
        request
            .headers()
            .iter()
            .find(|h| h.field.equiv(name))
            .map(|h| h.value.as_str())
    };
    let wanted = value("Range").filter(|_| value("If-Range").is_none_or(|v| v == tag));
    let range = match wanted.and_then(|text| parse_range(text, length)) {
        Some(Range::Beyond) => return Err(416),
        Some(Range::Part(start, end)) => Some((start, end)),
        None => None,
    };
    let (start, end) = range.unwrap_or((0, length));
    file.seek(SeekFrom::Start(start)).map_err(|_| 500_u16)?;
    let mut headers = vec![header("ETag", &tag)?, header("Accept-Ranges", "bytes")?];
    if range.is_some() {
        // `end` is exclusive here, inclusive on the wire.
        let text = format!("bytes {start}-{}/{length}", end.saturating_sub(1));
        headers.push(header("Content-Range", &text)?);
    }
    let status = StatusCode(if range.is_some() { 206 } else { 200 });
    let count = end - start;
    Ok((
        status,
        headers,
        file.take(count),
        usize::try_from(count).map_err(|_| 500_u16)?,
    ))
}

fn header(name: &str, value: &str) -> Result<Header, u16> {
    Header::from_bytes(name, value).map_err(|()| 500)
}

/// The file below `root` that a URL's path names, if it leads nowhere else.
fn locate(root: &Path, url: &str) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next()?;
    let relative = Path::new(path.strip_prefix('/')?);
    relative
        .components()
        .all(|c| matches!(c, Component::Normal(_)))
        .then(|| root.join(relative))
}

fn tag_of(path: &Path, length: u64, tags: &Tags) -> Option<String> {
    if let Ok(tags) = tags.lock()
        && let Some((known, tag)) = tags.get(path)
        && *known == length
    {
        return Some(tag.clone());
    }
    let tag = format!("\"{}\"", &hash_file(path).ok()?[..TAG_DIGITS]);
    if let Ok(mut tags) = tags.lock() {
        tags.insert(path.to_owned(), (length, tag.clone()));
    }
    Some(tag)
}

/// A range request as far as it goes here.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From the first position, inclusive, to the second, exclusive.
    Part(u64, u64),
    /// It starts behind the end.
    Beyond,
}

/// Reads `bytes=a-b`, `bytes=a-` and `bytes=-n`. Anything else, several ranges too, asks for the
/// whole file.
fn parse_range(text: &str, length: u64) -> Option<Range> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let count: u64 = last.parse().ok()?;
        return Some(if count == 0 {
            Range::Beyond
        } else {
            Range::Part(length.saturating_sub(count), length)
        });
    }
    let start: u64 = first.parse().ok()?;
    let end = if last.is_empty() {
        length
    } else {
        last.parse::<u64>().ok()?.saturating_add(1).min(length)
    };
    Some(if start >= length {
        Range::Beyond
    } else if end <= start {
        return None;
    } else {
        Range::Part(start, end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_has_them() {
        assert_eq!(parse_range("bytes=2-4", 10), Some(Range::Part(2, 5)));
        assert_eq!(parse_range("bytes=2-", 10), Some(Range::Part(2, 10)));
        assert_eq!(parse_range("bytes=-3", 10), Some(Range::Part(7, 10)));
        assert_eq!(parse_range("bytes=2-99", 10), Some(Range::Part(2, 10)));
        assert_eq!(parse_range("bytes=10-", 10), Some(Range::Beyond));
        for whole in ["bytes=4-2", "bytes=0-1,4-5", "lines=1-2", "bytes=x-"] {
            assert_eq!(parse_range(whole, 10), None, "{whole}");
        }
    }

    #[test]
    fn no_url_leaves_the_folder() {
        let root = Path::new("/srv");
        assert_eq!(locate(root, "/a/b.txt?x"), Some("/srv/a/b.txt".into()));
        for outside in ["/../etc/passwd", "//etc/passwd", "/a/../../b", "a"] {
            assert_eq!(locate(root, outside), None, "{outside}");
        }
    }
}
