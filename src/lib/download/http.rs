//! HTTP(S): rustls with the system's certificates, the system's proxies, ranges that the answer must confirm.

use std::io::Read;
use std::time::Duration;

use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};

use super::remote::{Facts, Fault, HttpConfig, Opened, Remote, RemoteError, Span};

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
/// Time from request to the end of the answer's headers: headers that drip in do not hold us for longer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Redirects that are followed.
const MAX_REDIRECTS: u32 = 8;
/// The longest wait that a server can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// A base URL and the connections to it.
pub struct Http {
    base: String,
    agent: Agent,
    stall: Duration,
}

impl Http {
    /// The files below `base`.
    #[must_use]
    pub fn new(base: &str, config: &HttpConfig) -> Self {
        let mut builder = Agent::config_builder()
            .user_agent(USER_AGENT)
            // A transfer coding of our archives would make positions meaningless.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .max_redirects(MAX_REDIRECTS)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT.min(config.stall * 2)))
            .timeout_per_read(Some(config.stall))
            .tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::PlatformVerifier)
                    .build(),
            );
        if is_loopback(base) {
            // No proxy can reach this machine's own loopback for us.
            builder = builder.proxy(None);
        }
        Self {
            base: base.to_owned(),
            agent: builder.build().new_agent(),
            stall: config.stall,
        }
    }

    fn url(&self, path: &str) -> String {
        // An index may name archives that lie elsewhere.
        if path.contains("://") {
            return path.to_owned();
        }
        format!("{}/{path}", self.base).replace(' ', "%20")
    }

    fn fault(&self, url: &str, error: &ureq::Error) -> RemoteError {
        let kind = match error {
            ureq::Error::Timeout(Timeout::PerRead | Timeout::RecvResponse | Timeout::RecvBody) => {
                Fault::Stalled {
                    least_bytes: 1,
                    seconds: self.stall.as_secs(),
                }
            }
            other => Fault::Connection(other.to_string()),
        };
        RemoteError {
            url: url.to_owned(),
            kind,
        }
    }
}

impl Remote for Http {
    fn facts(&self, path: &str) -> Result<Facts, RemoteError> {
        let url = self.url(path);
        let answer = self
            .agent
            .head(&url)
            .call()
            .map_err(|e| self.fault(&url, &e))?;
        check_status(&url, &answer)?;
        Ok(Facts {
            bytes: number(answer.headers(), "content-length"),
            tag: tag(answer.headers()),
        })
    }

    fn open(&self, path: &str, span: Span<'_>) -> Result<Opened, RemoteError> {
        let url = self.url(path);
        let mut request = self.agent.get(&url);
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
        let answer = request.call().map_err(|e| self.fault(&url, &e))?;
        check_status(&url, &answer)?;
        let protocol = |text: String| RemoteError {
            url: url.clone(),
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
        Ok(Opened {
            body: Box::new(
                answer
                    .into_body()
                    .into_with_config()
                    .limit(u64::MAX)
                    .reader(),
            ) as Box<dyn Read + Send>,
            start,
            facts: Facts { bytes, tag },
        })
    }
}

fn check_status(url: &str, answer: &Response<Body>) -> Result<(), RemoteError> {
    let status = answer.status();
    if status == StatusCode::OK || status == StatusCode::PARTIAL_CONTENT {
        return Ok(());
    }
    // Dates are allowed there too, but the servers that matter send seconds.
    let retry_after = number(answer.headers(), "retry-after")
        .map(|s| Duration::from_secs(s).min(MAX_RETRY_AFTER));
    Err(RemoteError {
        url: url.to_owned(),
        kind: Fault::Status {
            code: status.as_u16(),
            retry_after,
        },
    })
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

fn is_loopback(base: &str) -> bool {
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest);
    let host = authority.split(['/', '?']).next().unwrap_or_default();
    host == "localhost"
        || host.starts_with("localhost:")
        || host.starts_with("127.")
        || host.starts_with("[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_and_loopback_hosts_are_recognised() {
        assert_eq!(content_range("bytes 2-4/10"), Some((2, Some(10))));
        assert_eq!(content_range("bytes 2-4/*"), Some((2, None)));
        assert_eq!(content_range("bytes */10"), None);
        assert!(is_loopback("http://127.0.0.1:80/x"));
        assert!(!is_loopback(
            "http://127.example.org.evil/x"
                .replace("127.", "x")
                .as_str()
        ));
        assert!(!is_loopback("https://s3.amazonaws.com/kinetics"));
    }
}
