//! HTTP(S): rustls with the system's certificates, ranges that the answer must confirm, object
//! stores by the same means.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use ureq::config::Config;
use ureq::http::{Response, StatusCode, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::WithoutBody;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::Duration as MaybeNever;
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, Proxy, ProxyProtocol, RequestBuilder, Timeout};

use super::access::StoreConfig;
use super::address::{Address, Headers, Target};
use super::bucket::Method;
use super::error::StoreError;
use super::headers::{content_range, keeps_versions, number, tag, wait_asked_for};
use super::proxy::Proxies;
use super::remote::{Facts, Fault, Opened, Remote, RemoteError, Span};

/// Who we are, so that an operator can tell.
const USER_AGENT: &str = concat!(
    "incdec/",
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);
/// Time to reach a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Time from request to the end of the answer's headers: headers that drip in do not hold us for
/// longer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Redirects that are followed.
const MAX_REDIRECTS: u32 = 8;
/// Largest header section of an answer, redirects' included.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Pages of a bucket's listing; each names a thousand files.
const MAX_LISTING_PAGES: usize = 1000;
/// Largest page of a listing: a thousand of the longest names, and what stands around them.
const MAX_PAGE_BYTES: u64 = 8 << 20;
/// Most bytes that the names of a listing take together.
const MAX_LISTED_BYTES: usize = 64 << 20;

/// Settings of the connection.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Time without a byte, after which a connection counts as stalled. Default 30 s.
    pub stall: Duration,
    /// The way out. Default direct.
    pub proxies: Proxies,
    /// Object stores.
    pub store: StoreConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(30),
            proxies: Proxies::default(),
            store: StoreConfig::default(),
        }
    }
}

/// An address and the connections to it.
pub struct Http {
    address: Address,
    agent: Agent,
    stall: Duration,
}

impl Http {
    /// The files below `source`, a URL that begins with `http`, `https`, `s3`, `gs` or `az`.
    ///
    /// # Errors
    /// When the source or its proxy makes no sense, or credentials are missing.
    pub fn new(source: &str, config: &HttpConfig) -> Result<Self, StoreError> {
        let address = Address::parse(source, &config.store)?;
        let agent = Agent::config_builder()
            .user_agent(USER_AGENT)
            // A transfer coding of our archives would make positions meaningless.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .max_redirects(MAX_REDIRECTS)
            .max_response_header_size(MAX_HEADER_BYTES)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT.min(config.stall * 2)))
            .timeout_per_read(Some(config.stall))
            .tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::PlatformVerifier)
                    .build(),
            )
            .proxy(proxy(
                address.target(Method::Get, "").url.reveal(),
                &config.proxies,
            )?)
            .build();
        let agent = Agent::with_parts(agent, DefaultConnector::default(), SameThread::default());
        Ok(Self {
            address,
            agent,
            stall: config.stall,
        })
    }

    fn fault(&self, target: &Target, error: ureq::Error) -> RemoteError {
        let kind = match error {
            ureq::Error::Timeout(Timeout::PerRead | Timeout::RecvResponse | Timeout::RecvBody) => {
                Fault::Stalled {
                    least_bytes: 1,
                    seconds: self.stall.as_secs(),
                }
            }
            ureq::Error::Rustls(error) => Fault::Certificate(error.to_string()),
            ureq::Error::Io(error) => match error.get_ref().and_then(|e| e.downcast_ref()) {
                Some(rustls::Error::InvalidCertificate(why)) => Fault::Certificate(why.to_string()),
                _ => Fault::Connection(error.to_string()),
            },
            other => Fault::Connection(other.to_string()),
        };
        RemoteError {
            url: target.url.clone(),
            kind,
        }
    }

    /// Sends the bytes of the local file `from`.
    fn put(
        &self,
        path: &str,
        from: &Path,
        headers: Headers,
    ) -> Result<(Target, Response<Body>), RemoteError> {
        let target = self.address.target(Method::Put, path);
        let file = File::open(from).map_err(|e| RemoteError {
            url: from.display().to_string().into(),
            kind: Fault::Local(e),
        })?;
        let mut request = identified(&target, self.agent.put(target.url.reveal()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send(&file).map_err(|e| self.fault(&target, e))?;
        Ok((target, answer))
    }

    /// Sends a request and sees that it was granted.
    fn send(
        &self,
        target: &Target,
        request: RequestBuilder<WithoutBody>,
    ) -> Result<Response<Body>, RemoteError> {
        let request = identified(target, request);
        let answer = request.call().map_err(|e| self.fault(target, e))?;
        check_status(target, &answer)?;
        Ok(answer)
    }
}

/// The request with the token that says who asks, where there is one.
fn identified<B>(target: &Target, request: RequestBuilder<B>) -> RequestBuilder<B> {
    match &target.bearer {
        Some(token) => request.header("Authorization", format!("Bearer {}", token.reveal())),
        None => request,
    }
}

/// Looks hosts up in the thread that asks. With a time limit the library starts a thread for each
/// look-up, and panics where the system refuses one; the system's own look-up has limits enough.
#[derive(Debug, Default)]
struct SameThread(DefaultResolver);

impl Resolver for SameThread {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let after = MaybeNever::NotHappening;
        let timeout = NextTimeout { after, ..timeout };
        self.0.resolve(uri, config, timeout)
    }
}

/// The proxy on the way to `url`.
fn proxy(url: &str, proxies: &Proxies) -> Result<Option<Proxy>, StoreError> {
    let Some(text) = proxies.of(url) else {
        return Ok(None);
    };
    let refuse = |reason: &str| StoreError::Proxy {
        reason: reason.to_owned(),
    };
    let proxy = Proxy::new(text.reveal()).map_err(|e| refuse(&e.to_string()))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(Some(proxy)),
        other => Err(refuse(&format!("{other} is not spoken here"))),
    }
}

impl Remote for Http {
    fn facts(&self, path: &str) -> Result<Facts, RemoteError> {
        let target = self.address.target(Method::Head, path);
        let answer = self.send(&target, self.agent.head(target.url.reveal()))?;
        Ok(Facts {
            bytes: number(answer.headers(), "content-length"),
            tag: tag(answer.headers()),
            keeps_versions: keeps_versions(answer.headers()),
        })
    }

    fn open(&self, path: &str, span: Span<'_>) -> Result<Opened, RemoteError> {
        let target = self.address.target(Method::Get, path);
        let mut request = self.agent.get(target.url.reveal());
        let ranged = span.from > 0 || span.to.is_some();
        if ranged {
            let last = span
                .to
                .map_or_else(String::new, |to| to.saturating_sub(1).to_string());
            request = request.header("Range", format!("bytes={}-{last}", span.from));
            // A weak tag cannot vouch for single bytes; the answer's own tag is then compared.
            if let Some(tag) = span.if_tag.filter(|t| !t.starts_with("W/")) {
                request = request.header("If-Range", tag);
            }
        }
        let answer = self.send(&target, request)?;
        let protocol = |text: String| RemoteError {
            url: target.url.clone(),
            kind: Fault::Protocol(text),
        };
        let headers = answer.headers();
        let (tag, keeps_versions) = (tag(headers), keeps_versions(headers));
        let (start, bytes) = if answer.status() == StatusCode::PARTIAL_CONTENT {
            let text = headers
                .get(header::CONTENT_RANGE)
                .and_then(|v| v.to_str().ok())
                .ok_or_else(|| protocol("206 without Content-Range".into()))?;
            let (start, total) = content_range(text)
                .ok_or_else(|| protocol(format!("Content-Range {text:?} cannot be read")))?;
            if !ranged || start != span.from {
                return Err(protocol(format!(
                    "asked for byte {}, got {text:?}",
                    span.from
                )));
            }
            (start, total)
        } else {
            (0, number(headers, "content-length"))
        };
        let body = answer.into_body().into_with_config().limit(u64::MAX);
        Ok(Opened {
            body: Box::new(body.reader()) as Box<dyn Read + Send>,
            start,
            facts: Facts {
                bytes,
                tag,
                keeps_versions,
            },
        })
    }

    fn create(&self, path: &str, from: &Path) -> Result<bool, RemoteError> {
        let (target, answer) = self.put(path, from, self.address.sending().create)?;
        match answer.status() {
            status if is_done(status) => Ok(true),
            // There is one; or somebody makes one at this moment.
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(false),
            _ => Err(refusal(&target, &answer)),
        }
    }

    fn replace(&self, path: &str, from: &Path) -> Result<(), RemoteError> {
        let (target, answer) = self.put(path, from, self.address.sending().replace)?;
        if is_done(answer.status()) {
            return Ok(());
        }
        Err(refusal(&target, &answer))
    }

    fn remove(&self, path: &str) -> Result<(), RemoteError> {
        let target = self.address.target(Method::Delete, path);
        let request = identified(&target, self.agent.delete(target.url.reveal()));
        let answer = request.call().map_err(|e| self.fault(&target, e))?;
        match answer.status() {
            status if is_done(status) => Ok(()),
            StatusCode::ACCEPTED | StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            _ => Err(refusal(&target, &answer)),
        }
    }

    fn list(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Option<Vec<String>>, RemoteError> {
        let Some(bucket) = self.address.bucket() else {
            return Ok(None);
        };
        let (mut found, mut found_bytes) = (Vec::new(), 0);
        let mut continuation = None;
        for _ in 0..MAX_LISTING_PAGES {
            let target = Target {
                url: bucket.listing(continuation.as_deref()),
                bearer: None,
            };
            let answer = self.send(&target, self.agent.get(target.url.reveal()))?;
            let body = answer.into_body().into_with_config().limit(MAX_PAGE_BYTES);
            let page = body.read_to_string().map_err(|e| self.fault(&target, e))?;
            let (paths, next) = bucket.listed(&page).map_err(|e| RemoteError {
                url: target.url.clone(),
                kind: Fault::Protocol(format!("no listing of a bucket: {e}")),
            })?;
            let paths = paths.into_iter().filter(|path| wanted(path));
            found.extend(paths.inspect(|path| found_bytes += path.len()));
            continuation = next;
            if found_bytes > MAX_LISTED_BYTES {
                break;
            }
            if continuation.is_none() {
                found.sort_unstable();
                return Ok(Some(found));
            }
        }
        Err(RemoteError {
            url: bucket.listing(None),
            kind: Fault::Protocol(format!(
                "a listing of more than {MAX_LISTING_PAGES} pages or {MAX_LISTED_BYTES} bytes of names"
            )),
        })
    }
}

/// Whether what was sent or removed is so.
fn is_done(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT
    )
}

fn check_status(target: &Target, answer: &Response<Body>) -> Result<(), RemoteError> {
    let status = answer.status();
    if status == StatusCode::OK || status == StatusCode::PARTIAL_CONTENT {
        return Ok(());
    }
    Err(refusal(target, answer))
}

/// What a server says that does not do what it was asked for.
fn refusal(target: &Target, answer: &Response<Body>) -> RemoteError {
    let retry_after = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|v| wait_asked_for(v.to_str().ok()?, SystemTime::now()));
    RemoteError {
        url: target.url.clone(),
        kind: Fault::Status {
            code: answer.status().as_u16(),
            retry_after,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::secret::Secret;

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_its_password() {
        for text in ["socks5://me:hush@proxy.org:1080", "::::"] {
            let proxies = Proxies {
                https: Some(Secret::new(text)),
                ..Proxies::default()
            };
            let error = proxy("https://a.org", &proxies).unwrap_err();
            assert!(matches!(error, StoreError::Proxy { .. }), "{text}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }
}
