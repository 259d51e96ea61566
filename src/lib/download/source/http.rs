//! HTTP(S): rustls with the system's certificates, ranges that the answer must confirm, object
//! stores by the same means.

use std::io::Read;
use std::time::{Duration, SystemTime};

use ureq::config::Config;
use ureq::http::{HeaderMap, Response, StatusCode, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::WithoutBody;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::Duration as MaybeNever;
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, Proxy, ProxyProtocol, RequestBuilder, Timeout};

use super::address::{Address, Target};
use super::bucket::Method;
use super::proxy::Proxies;
use super::remote::{Facts, Fault, Opened, Remote, RemoteError, Span, is_archive};
use super::store::StoreConfig;
use crate::download::error::DownloadError;

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
/// The longest wait that a server can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
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
pub(crate) struct Http {
    address: Address,
    agent: Agent,
    stall: Duration,
}

impl Http {
    /// The files below `source`, a URL that begins with `http`, `https`, `s3`, `gs` or `az`.
    ///
    /// # Errors
    /// When the source or its proxy makes no sense, or credentials are missing.
    pub(crate) fn new(source: &str, config: &HttpConfig) -> Result<Self, DownloadError> {
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

    /// Sends a request and sees that it was granted.
    fn send(
        &self,
        target: &Target,
        request: RequestBuilder<WithoutBody>,
    ) -> Result<Response<Body>, RemoteError> {
        let request = match &target.bearer {
            Some(token) => request.header("Authorization", format!("Bearer {}", token.reveal())),
            None => request,
        };
        let answer = request.call().map_err(|e| self.fault(target, e))?;
        check_status(target, &answer)?;
        Ok(answer)
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
fn proxy(url: &str, proxies: &Proxies) -> Result<Option<Proxy>, DownloadError> {
    let Some(text) = proxies.of(url) else {
        return Ok(None);
    };
    let refuse = |reason: &str| DownloadError::Proxy {
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
        let tag = tag(headers);
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
            facts: Facts { bytes, tag },
        })
    }

    fn list(&self) -> Result<Option<Vec<String>>, RemoteError> {
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
            let archives = paths.into_iter().filter(|path| is_archive(path));
            found.extend(archives.inspect(|path| found_bytes += path.len()));
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

fn check_status(target: &Target, answer: &Response<Body>) -> Result<(), RemoteError> {
    let status = answer.status();
    if status == StatusCode::OK || status == StatusCode::PARTIAL_CONTENT {
        return Ok(());
    }
    let retry_after = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|v| wait_asked_for(v.to_str().ok()?, SystemTime::now()));
    Err(RemoteError {
        url: target.url.clone(),
        kind: Fault::Status {
            code: status.as_u16(),
            retry_after,
        },
    })
}

/// What `Retry-After` asks for, in seconds or as a date; a moment that is past asks for nothing.
fn wait_asked_for(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // A number that has no room here is longer than any wait.
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        until.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn tag(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(header::ETAG)?.to_str().ok()?.to_owned())
}

/// The first position and the total of `bytes 2-4/10`; the total may be `*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.trim().parse().ok()?;
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((start, total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::source::secret::Secret;

    #[test]
    fn content_ranges_are_understood() {
        assert_eq!(content_range("bytes 2-4/10"), Some((2, Some(10))));
        assert_eq!(content_range("bytes 2-4/*"), Some((2, None)));
        assert_eq!(content_range("bytes */10"), None);
    }

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_as_a_date() {
        // 12 November 1994, 8:49:37, in seconds since 1970, less 90.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_630_177 - 90);
        let wait = |text: &str| wait_asked_for(text, now).map(|w| w.as_secs());
        assert_eq!(wait(" 7 "), Some(7));
        assert_eq!(wait("86400"), Some(300));
        assert_eq!(wait("1000000000"), Some(300));
        assert_eq!(wait(&"9".repeat(40)), Some(300));
        assert_eq!(wait("Sat, 12 Nov 1994 08:49:37 GMT"), Some(90));
        assert_eq!(wait("Saturday, 12-Nov-94 08:49:37 GMT"), Some(90));
        assert_eq!(wait("Fri, 11 Nov 1994 08:49:37 GMT"), Some(0));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_its_password() {
        for text in ["socks5://me:hush@proxy.org:1080", "::::"] {
            let proxies = Proxies {
                https: Some(Secret::new(text)),
                ..Proxies::default()
            };
            let error = proxy("https://a.org", &proxies).unwrap_err();
            assert!(matches!(error, DownloadError::Proxy { .. }), "{text}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }
}
