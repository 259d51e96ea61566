//! Texts that prove who asks, kept out of every message, log and table: what of an address may be
//! shown is decided here.

use std::fmt;

use serde::Deserialize;

use crate::foreign::printable;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// A password, token or signed query. Shown as `***`, whoever prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// A URL, or a path below one, that may hold secrets: a user with a password, a signature behind
/// `?`. Whoever prints it shows it without them, and without what could steer a terminal.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Link(String);

impl Link {
    /// Wraps the address.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self(address.into())
    }

    /// The address itself, for the one place that asks for it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The address without its secrets, as the ledger keeps it.
    #[must_use]
    pub fn bare(&self) -> String {
        let (scheme, rest) = match self.0.find("://") {
            Some(at) => self.0.split_at(at + 3),
            None => ("", self.0.as_str()),
        };
        // A folder may have a `#` in its name.
        let ends: &[char] = if scheme.is_empty() {
            &['?']
        } else {
            &['?', '#']
        };
        let rest = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        match authority.rsplit_once('@') {
            // A folder may have an `@` in its name, too.
            Some((user, host)) if !scheme.is_empty() || user.contains(':') => {
                format!("{scheme}{host}{path}")
            }
            // The beginning of a password with a letter that no URL may have in it: host and
            // password cannot be told apart.
            None if !scheme.is_empty() && !ends_in_port(authority) => format!("{scheme}{HIDDEN}"),
            _ => format!("{scheme}{rest}"),
        }
    }
}

/// Whether a host has no colon behind it, or a port.
fn ends_in_port(host: &str) -> bool {
    let host = host.rsplit(']').next().unwrap_or_default();
    host.split_once(':')
        .is_none_or(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.bare()))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T: Into<String>> From<T> for Link {
    fn from(address: T) -> Self {
        Self::new(address)
    }
}

/// What a server or a library says, fit to be shown: the addresses in it lose their secrets.
#[must_use]
pub(crate) fn sentence(text: &str) -> String {
    let words: Vec<String> = text.split(' ').map(|w| Link::from(w).bare()).collect();
    printable(&words.join(" ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_opens_it() {
        for (address, shown) in [
            ("https://host/k", "https://host/k"),
            ("https://host:8443/a b/k", "https://host:8443/a b/k"),
            ("http://[::1]:80/k", "http://[::1]:80/k"),
            ("https://host/k?X-Amz-Signature=hush", "https://host/k"),
            ("https://me:hush@host/k@2x?sig=hush", "https://host/k@2x"),
            ("https://me:hu@sh@host", "https://host"),
            ("https://me:hu/sh@host/k", "https://***"),
            ("https://me:hu?sh@host/k", "https://***"),
            ("https://host/k#hush", "https://host/k"),
            ("s3://bucket/k", "s3://bucket/k"),
            ("me:hush@host/k?hush", "host/k"),
            ("train/a.tar.gz?token=hush", "train/a.tar.gz"),
            ("/data/C#/me@home/k", "/data/C#/me@home/k"),
            ("a\u{1b}[2J", "a\\u{1b}[2J"),
        ] {
            let link = Link::new(address);
            assert_eq!(link.to_string(), shown);
            assert_eq!(format!("{link:?}"), shown);
            assert_eq!(link.reveal(), address);
        }
        assert_eq!(format!("{:?}", Secret::new("hush")), "***");
    }

    #[test]
    fn sentences_keep_their_words_and_lose_their_secrets() {
        assert_eq!(
            sentence("bad uri: https://a:hush@b/c?sig=hush found"),
            "bad uri: https://b/c found"
        );
        assert_eq!(sentence("moved to /k?sig=hush\r\n"), "moved to /k");
        assert_eq!(sentence("what\u{1b}?"), "what\\u{1b}");
    }
}
