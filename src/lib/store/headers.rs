//! What the headers of an answer say. Pure.

use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, header};

/// The longest wait that a server can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// What `Retry-After` asks for, in seconds or as a date; a moment that is past asks for nothing.
pub(super) fn wait_asked_for(text: &str, now: SystemTime) -> Option<Duration> {
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

/// A number of bytes.
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The entity tag.
pub(super) fn tag(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(header::ETAG)?.to_str().ok()?.to_owned())
}

/// Whether an answer names the version of a file; of a bucket that keeps none it is `null`.
pub(super) fn keeps_versions(headers: &HeaderMap) -> bool {
    let mut versions = ["x-amz-version-id", "x-ms-version-id"]
        .into_iter()
        .filter_map(|name| headers.get(name));
    versions.any(|version| version != "null")
}

/// The first position and the total of `bytes 2-4/10`; the total may be `*`.
pub(super) fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
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
}
