//! What the loopback server does to one request: nothing, or something that servers and networks
//! do, out of malice or not.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use super::server::Request;

/// What happens to one request for an archive's bytes.
#[derive(Clone, Debug)]
pub(crate) enum Mischief {
    /// The connection is reset after this many body bytes.
    ResetAfter(usize),
    /// The connection ends in good order after this many body bytes.
    EndAfter(usize),
    /// Status 503, with Retry-After in seconds where given.
    Busy(Option<u64>),
    /// Status 503, with Retry-After as a date this many seconds ahead.
    BusyUntil(u64),
    /// Nothing more comes after this many body bytes, and the connection stays open.
    StallAfter(usize),
    /// One body byte in a while, for ever.
    Drip,
    /// One byte of the headers in a while, for ever.
    DripHead,
    /// The Content-Length is off by this much.
    WrongLength(i64),
    /// Range is ignored, and the connection is reset after this many body bytes.
    IgnoreRangeAndResetAfter(usize),
    /// Range is ignored.
    IgnoreRange,
    /// The byte at this position of the file is flipped.
    Corrupt(usize),
    /// This many bytes from this position of the file on are zeros.
    Blank(usize, usize),
    /// Redirected to itself for ever.
    RedirectLoop,
    /// Redirected to this place.
    RedirectTo(String),
    /// This status and nothing else.
    Status(u16),
    /// A header section of this many bytes.
    HugeHead(usize),
    /// A Content-Length of more bytes than anything has.
    AbsurdLength,
    /// From now on the file is another one, tag and all.
    Replace(Vec<u8>),
    /// All is well.
    Behave,
}

fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", &blake3::hash(bytes).to_hex()[..16])
}

pub(crate) fn answer(
    stream: &mut impl Write,
    socket: &TcpStream,
    request: &Request,
    body: Option<Vec<u8>>,
    mischief: &Mischief,
) -> Option<()> {
    let Some(mut body) = body else {
        let text = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        return stream.write_all(text.as_bytes()).ok();
    };
    match mischief {
        Mischief::Busy(after) => {
            let after = after.map_or(String::new(), |s| format!("Retry-After: {s}\r\n"));
            let text = format!("HTTP/1.1 503 Busy\r\n{after}Content-Length: 0\r\n\r\n");
            return stream.write_all(text.as_bytes()).ok();
        }
        Mischief::BusyUntil(seconds) => {
            let until = SystemTime::now() + Duration::from_secs(*seconds);
            let until = httpdate::fmt_http_date(until);
            let text =
                format!("HTTP/1.1 503 Busy\r\nRetry-After: {until}\r\nContent-Length: 0\r\n\r\n");
            return stream.write_all(text.as_bytes()).ok();
        }
        Mischief::RedirectTo(place) => {
            let text =
                format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n");
            return stream.write_all(text.as_bytes()).ok();
        }
        Mischief::Status(status) => {
            let text = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
            return stream.write_all(text.as_bytes()).ok();
        }
        Mischief::HugeHead(bytes) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").ok()?;
            for n in 0..bytes / 100 {
                let line = format!("X-{n:08}: {}\r\n", "z".repeat(86));
                stream.write_all(line.as_bytes()).ok()?;
            }
            return stream.write_all(b"Content-Length: 0\r\n\r\n").ok();
        }
        Mischief::AbsurdLength => {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", u64::MAX);
            stream.write_all(text.as_bytes()).ok()?;
            return None;
        }
        Mischief::DripHead => {
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: ".iter().chain([&b'z'; 400]) {
                stream.write_all(&[*byte]).ok()?;
                std::thread::sleep(Duration::from_millis(20));
            }
            return None;
        }
        Mischief::RedirectLoop => {
            let text = format!(
                "HTTP/1.1 302 Found\r\nLocation: /{}\r\nContent-Length: 0\r\n\r\n",
                request.path
            );
            return stream.write_all(text.as_bytes()).ok();
        }
        _ => {}
    }
    let (tag, total) = (tag(&body), body.len());
    if let Mischief::Corrupt(at) = *mischief {
        let at = at % total;
        body[at] ^= 0x10;
    }
    if let Mischief::Blank(at, count) = *mischief {
        let at = at % total;
        let end = (at + count).min(total);
        body[at..end].fill(0);
    }
    let deaf = matches!(
        mischief,
        Mischief::IgnoreRange | Mischief::IgnoreRangeAndResetAfter(_)
    );
    let range = request
        .range
        .filter(|_| !deaf && request.if_range.as_ref().is_none_or(|t| *t == tag));
    let (from, to) = match range {
        Some((from, _)) if from >= total => {
            let text = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n";
            return stream.write_all(text.as_bytes()).ok();
        }
        Some((from, to)) => (from, to.unwrap_or(total).min(total)),
        None => (0, total),
    };
    let mut length = i64::try_from(to - from).unwrap();
    if let Mischief::WrongLength(by) = *mischief {
        length += by;
    }
    let said = request.said;
    let mut head = format!("ETag: {tag}\r\nContent-Length: {length}\r\n{said}");
    head = if range.is_some() {
        let last = to - 1;
        format!("HTTP/1.1 206 Partial\r\nContent-Range: bytes {from}-{last}/{total}\r\n{head}\r\n")
    } else {
        format!("HTTP/1.1 200 OK\r\n{head}\r\n")
    };
    stream.write_all(head.as_bytes()).ok()?;
    if request.method == "HEAD" {
        return Some(());
    }
    send(stream, socket, &body[from..to], mischief)
}

/// Sends the body as far as the mischief lets it; `None` where the connection ends.
fn send(
    stream: &mut impl Write,
    socket: &TcpStream,
    body: &[u8],
    mischief: &Mischief,
) -> Option<()> {
    let part = |n: usize| &body[..n.min(body.len())];
    match *mischief {
        Mischief::ResetAfter(n) | Mischief::IgnoreRangeAndResetAfter(n) => {
            stream.write_all(part(n)).ok()?;
            let _ = stream.flush();
            // What was sent arrives first; then the reset.
            std::thread::sleep(Duration::from_millis(5));
            let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
            None
        }
        Mischief::EndAfter(n) => {
            stream.write_all(part(n)).ok()?;
            None
        }
        Mischief::StallAfter(n) => {
            stream.write_all(part(n)).ok()?;
            std::thread::sleep(Duration::from_secs(3));
            None
        }
        Mischief::Drip => {
            for byte in body {
                stream.write_all(&[*byte]).ok()?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Some(())
        }
        Mischief::WrongLength(_) => {
            stream.write_all(body).ok()?;
            None
        }
        _ => stream.write_all(body).ok(),
    }
}
