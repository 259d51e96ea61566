//! Which proxy leads to a server, by the rules that `curl` and its kin follow. Pure: the binary
//! reads the environment.

use super::secret::Secret;

/// Proxies by scheme, and the hosts that are reached without one.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For `http://`. Secret, as its URL may hold a password. Default none.
    pub http: Option<Secret>,
    /// For `https://`. Default none.
    pub https: Option<Secret>,
    /// Hosts reached directly, separated by commas: `example.org` with all below it, `.example.org`
    /// those below it alone, `*` all.
    pub exempt: String,
}

impl Proxies {
    /// The proxy for this URL, if there is one. No proxy can reach this machine's own loopback for
    /// us.
    #[must_use]
    pub fn of(&self, url: &str) -> Option<&Secret> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, a)| a);
        let host = host_of(authority);
        if is_loopback(host) || self.exempt.split(',').any(|e| covers(e, host, authority)) {
            return None;
        }
        match scheme {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        }
    }
}

/// The host of `host:port` or `[address]:port`.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|a| a.is_loopback())
}

/// Whether an entry of the exempt list means this host (or, with a port, this host and port).
fn covers(entry: &str, host: &str, authority: &str) -> bool {
    let entry = entry.trim().to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    if entry.is_empty() {
        return false;
    }
    if entry == "*" || entry == host || entry == authority.to_ascii_lowercase() {
        return true;
    }
    let suffix = entry.trim_start_matches('*').trim_start_matches('.');
    host.strip_suffix(suffix).is_some_and(|h| h.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(exempt: &str) -> Proxies {
        Proxies {
            http: Some(Secret::new("http://plain:1")),
            https: Some(Secret::new("http://user:word@secure:2")),
            exempt: exempt.into(),
        }
    }

    #[test]
    fn the_scheme_chooses_and_loopback_goes_without() {
        let of = |url: &str| {
            let proxies = proxies("");
            proxies.of(url).map(|s| s.reveal().to_owned())
        };
        assert_eq!(of("http://a.org/x").as_deref(), Some("http://plain:1"));
        assert!(of("https://a.org").unwrap().ends_with("secure:2"));
        for here in [
            "http://127.0.0.1:80/x",
            "http://localhost",
            "https://[::1]:4/x",
        ] {
            assert_eq!(of(here), None, "{here}");
        }
        assert!(of("http://127.example.org/x").is_some());
    }

    #[test]
    fn exempt_hosts_are_reached_directly() {
        for (exempt, url, direct) in [
            ("a.org", "https://a.org/x", true),
            ("a.org", "https://b.a.org:443/x", true),
            ("a.org", "https://ba.org/x", false),
            (".a.org", "https://a.org/x", false),
            (".a.org", "https://b.a.org/x", true),
            ("*.a.org", "https://b.a.org/x", true),
            ("c.org, A.org:8443", "https://a.org:8443/x", true),
            ("a.org:8443", "https://a.org/x", false),
            ("*", "https://a.org/x", true),
            (",", "https://a.org/x", false),
        ] {
            assert_eq!(proxies(exempt).of(url).is_none(), direct, "{exempt}: {url}");
        }
    }

    #[test]
    fn no_message_shows_a_password() {
        assert!(!format!("{:?}", proxies("")).contains("word"));
    }
}
