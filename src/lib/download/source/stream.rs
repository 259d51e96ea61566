//! One remote file as one unbroken stream: what fails on the way is resumed where it stopped.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::client::Client;
use super::pace::Patience;
use super::remote::{Facts, Fault, Opened, RemoteError, Span, fault_in};
use super::secret::Link;

/// Fewer bytes than this in a whole stall time count as a stall, so that a trickle does not hold a
/// place for hours; and a connection that gave fewer before it broke counts as one that gave
/// nothing.
const LEAST_BYTES_PER_STALL_TIME: u64 = 1024;
/// Bytes thrown away at a time where a source ignores ranges and starts anew.
const SKIP_BYTES: usize = 64 * 1024;

/// A remote file from its start, of at most `limit_bytes`.
#[must_use]
pub(crate) fn limited<'a>(
    client: &'a Client,
    path: &'a str,
    limit_bytes: u64,
) -> AtMost<'a, Stream<'a>> {
    AtMost::new(
        Stream::new(client, path, Facts::default()),
        path,
        limit_bytes,
    )
}

/// Reads a small file whole.
///
/// # Errors
/// When it cannot be fetched or is larger than `limit_bytes`.
pub(crate) fn read_small(
    client: &Client,
    path: &str,
    limit_bytes: u64,
) -> Result<Vec<u8>, RemoteError> {
    let mut bytes = Vec::new();
    match limited(client, path, limit_bytes).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(fault_in(error).unwrap_or_else(|e| RemoteError {
            url: path.into(),
            kind: Fault::Local(e),
        })),
    }
}

/// A reader that ends in an error where there are more bytes than a file may have.
pub(crate) struct AtMost<'a, R> {
    inner: R,
    path: &'a str,
    limit_bytes: u64,
    left: u64,
}

impl<'a, R: Read> AtMost<'a, R> {
    /// At most `limit_bytes` of `inner`; `path` only names the file in errors.
    #[must_use]
    pub(crate) fn new(inner: R, path: &'a str, limit_bytes: u64) -> Self {
        Self {
            inner,
            path,
            limit_bytes,
            left: limit_bytes,
        }
    }
}

impl<R: Read> Read for AtMost<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            io::Error::other(RemoteError {
                url: self.path.into(),
                kind: Fault::TooLarge {
                    limit_bytes: self.limit_bytes,
                },
            })
        })?;
        Ok(n)
    }
}

/// The bytes of one remote file, from its first to its last.
pub(crate) struct Stream<'a> {
    client: &'a Client,
    path: &'a str,
    position: u64,
    facts: Facts,
    body: Option<Box<dyn Read + Send>>,
    patience: Patience,
    /// Bytes since the last failure.
    gained: u64,
    window: Window,
}

/// Bytes and reading time since the last look at the speed.
#[derive(Default)]
struct Window {
    bytes: u64,
    time: Duration,
}

impl<'a> Stream<'a> {
    /// Nothing is requested before the first read. `facts` is what the plan knows, to notice a
    /// change.
    #[must_use]
    pub(crate) fn new(client: &'a Client, path: &'a str, facts: Facts) -> Self {
        Self {
            client,
            path,
            position: 0,
            facts,
            body: None,
            patience: Patience::new(client.retry),
            gained: 0,
            window: Window::default(),
        }
    }

    /// The same from a byte on: what stands before it is there already.
    #[must_use]
    pub(crate) fn starting_at(mut self, position: u64) -> Self {
        self.position = position;
        self
    }

    /// Size and tag as far as the source has given them.
    #[must_use]
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    fn error(&self, kind: Fault) -> RemoteError {
        RemoteError {
            url: self.path.into(),
            kind,
        }
    }

    fn connect(&mut self) -> Result<(), RemoteError> {
        let opened = self.client.remote.open(
            self.path,
            Span {
                from: self.position,
                to: None,
                if_tag: self.facts.tag.as_deref(),
            },
        )?;
        self.note(&opened.facts)?;
        self.skip_to_position(opened)
    }

    /// Compares what the source says now with what it said before.
    fn note(&mut self, now: &Facts) -> Result<(), RemoteError> {
        if let (Some(was), Some(is)) = (&self.facts.tag, &now.tag)
            && was != is
        {
            return Err(self.error(Fault::Changed {
                was: was.clone(),
                is: is.clone(),
            }));
        }
        if let (Some(was), Some(is)) = (self.facts.bytes, now.bytes)
            && was != is
        {
            return Err(self.error(Fault::Changed {
                was: format!("{was} bytes"),
                is: format!("{is} bytes"),
            }));
        }
        self.facts.tag = self.facts.tag.take().or_else(|| now.tag.clone());
        self.facts.bytes = self.facts.bytes.or(now.bytes);
        Ok(())
    }

    /// Throws away what is known already where the source began anew.
    fn skip_to_position(&mut self, opened: Opened) -> Result<(), RemoteError> {
        let mut body = opened.body;
        let mut at = opened.start;
        if at < self.position {
            tracing::debug!(
                path = %Link::from(self.path),
                "the source ignores ranges: reading again from the start"
            );
        }
        let mut buffer = vec![0; if at < self.position { SKIP_BYTES } else { 0 }];
        while at < self.position {
            let most =
                usize::try_from(self.position - at).map_or(SKIP_BYTES, |n| n.min(SKIP_BYTES));
            let n = self.read_body(&mut body, &mut buffer[..most])?;
            if n == 0 {
                return Err(self.error(Fault::Ended {
                    at,
                    total: self.position,
                }));
            }
            at += n as u64;
        }
        self.body = Some(body);
        Ok(())
    }

    /// One read, counted, limited and watched for speed.
    fn read_body(
        &mut self,
        body: &mut Box<dyn Read + Send>,
        buffer: &mut [u8],
    ) -> Result<usize, RemoteError> {
        let began = Instant::now();
        let n = body.read(buffer).map_err(|e| {
            let stalled = e.kind() == io::ErrorKind::TimedOut;
            self.error(if stalled {
                self.stalled(1)
            } else {
                Fault::Connection(e.to_string())
            })
        })?;
        self.client.meter.pass(n as u64);
        self.window.bytes += n as u64;
        self.window.time += began.elapsed();
        if self.window.bytes >= LEAST_BYTES_PER_STALL_TIME {
            self.window = Window::default();
        } else if self.window.time > self.client.stall && n > 0 {
            self.window = Window::default();
            return Err(self.error(self.stalled(LEAST_BYTES_PER_STALL_TIME)));
        }
        Ok(n)
    }

    fn stalled(&self, least_bytes: u64) -> Fault {
        Fault::Stalled {
            least_bytes,
            seconds: self.client.stall.as_secs(),
        }
    }

    /// One try to read; reconnects first where there is no connection.
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, RemoteError> {
        if self.body.is_none() {
            if self.facts.bytes == Some(self.position) && self.position > 0 {
                return Ok(0);
            }
            self.connect()?;
        }
        let Some(mut body) = self.body.take() else {
            return Ok(0);
        };
        let n = self.read_body(&mut body, buffer)?;
        if n == 0 {
            return match self.facts.bytes {
                Some(total) if self.position < total => Err(self.error(Fault::Ended {
                    at: self.position,
                    total,
                })),
                _ => Ok(0),
            };
        }
        self.body = Some(body);
        self.position += n as u64;
        Ok(n)
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.client.is_cancelled() {
                return Err(io::Error::other(
                    self.error(Fault::Connection("called off".into())),
                ));
            }
            let error = match self.try_read(buffer) {
                Ok(n) => {
                    self.gained += n as u64;
                    if self.gained >= LEAST_BYTES_PER_STALL_TIME {
                        self.patience.reset();
                    }
                    return Ok(n);
                }
                Err(error) => error,
            };
            self.body = None;
            self.gained = 0;
            let Some(wait) = self.patience.after(&error.kind) else {
                return Err(io::Error::other(error));
            };
            tracing::debug!(path = %Link::from(self.path), at = self.position, "resuming");
            if !self.client.wait_after(&error, wait) {
                return Err(io::Error::other(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_no_further() {
        let read = |limit| {
            let mut bytes = Vec::new();
            let read = AtMost::new(&b"12345"[..], "a", limit).read_to_end(&mut bytes);
            read.map_err(|e| fault_in(e).unwrap().kind)
        };
        assert_eq!(read(5).unwrap(), 5);
        assert!(matches!(read(4), Err(Fault::TooLarge { limit_bytes: 4 })));
    }
}
