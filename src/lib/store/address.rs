//! Where a file lies on the web: plain addresses and those of object stores, signed where asked
//! for. Pure but for the clock that a signature needs.
//!
//! | source | asked for at | with `--signed` |
//! |---|---|---|
//! | `https://host/prefix` | itself | as it is |
//! | `s3://bucket/prefix` | `https://bucket.s3.amazonaws.com/prefix` | query signed with AWS signature version 4 |
//! | `gs://bucket/prefix` | `https://storage.googleapis.com/bucket/prefix` | a bearer token |
//! | `az://account/container/prefix` | `https://account.blob.core.windows.net/container/prefix` | a shared access signature |
//!
//! An `--endpoint` takes the place of the store's public address, with bucket (or account and
//! container) in the path: MinIO, Ceph, the stores of other clouds, emulators.

use super::access::StoreConfig;
use super::bucket::{Method, S3Bucket};
use super::error::StoreError;
use super::escape::{escaped, unescaped};
use super::secret::{Link, Secret};

/// What a file is asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The URL to request, signature and all.
    pub(crate) url: Link,
    /// The bearer token to send along.
    pub(crate) bearer: Option<Secret>,
}

/// Names and values of headers.
pub(crate) type Headers = &'static [(&'static str, &'static str)];

/// What files are sent with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    /// One that is only to be made where there is none of its name.
    pub(crate) create: Headers,
    /// One that takes the place of what is there.
    pub(crate) replace: Headers,
}

/// To S3, and to what else goes by HTTP's own words.
const SENDING: Sending = Sending {
    create: &[("If-None-Match", "*")],
    replace: &[],
};
/// To Google Cloud Storage.
const SENDING_GOOGLE: Sending = Sending {
    create: &[("x-goog-if-generation-match", "0")],
    replace: &[],
};
/// To Azure, which wants to know the kind of file, too.
const SENDING_AZURE: Sending = Sending {
    create: &[("If-None-Match", "*"), ("x-ms-blob-type", "BlockBlob")],
    replace: &[("x-ms-blob-type", "BlockBlob")],
};

/// The place that paths are below of.
#[derive(Debug)]
pub(crate) enum Address {
    /// URLs are put together from text.
    Plain {
        base: Link,
        query: Option<Secret>,
        bearer: Option<Secret>,
        sending: Sending,
    },
    /// URLs are those of an S3 bucket.
    S3(S3Bucket),
}

impl Address {
    /// Reads `http://`, `https://`, `s3://`, `gs://` and `az://`.
    pub(crate) fn parse(source: &str, config: &StoreConfig) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Address {
            address: Link::from(source),
            reason,
        };
        let (scheme, rest) = source
            .split_once("://")
            .ok_or_else(|| refuse("is no URL".into()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(refuse("names no host or bucket".into()));
        }
        if !matches!(scheme, "http" | "https") && (rest.contains('?') || bucket.contains('@')) {
            let credentials = "names a bucket, which takes no user and no query: --signed asks with the credentials in the environment";
            return Err(refuse(credentials.into()));
        }
        let endpoint = config.endpoint.as_ref();
        let endpoint = endpoint.map(|e| e.reveal().trim_end_matches('/'));
        let plain = |base: &str, query, bearer, sending| Self::Plain {
            base: Link::from(base.trim_end_matches('/')),
            query,
            bearer,
            sending,
        };
        match scheme {
            "http" | "https" => {
                // A query of the base's own, a signature mostly, goes behind every path.
                let (base, query) = source.split_once('?').unwrap_or((source, ""));
                let query = (!query.is_empty()).then(|| Secret::new(query));
                Ok(plain(base, query, None, SENDING))
            }
            "s3" => Ok(Self::S3(S3Bucket::parse(source, bucket, prefix, config)?)),
            "gs" => {
                let bearer =
                    config.keys("gs", "GOOGLE_OAUTH_ACCESS_TOKEN", |k| k.google.clone())?;
                let host = endpoint.unwrap_or("https://storage.googleapis.com");
                let base = format!("{host}/{bucket}/{prefix}");
                Ok(plain(&base, None, bearer, SENDING_GOOGLE))
            }
            "az" if prefix.is_empty() => {
                Err(refuse("names no container behind its account".into()))
            }
            "az" => {
                let query = config.keys("az", "AZURE_STORAGE_SAS_TOKEN", |k| k.azure.clone())?;
                let query = query.map(|q| Secret::new(q.reveal().trim_start_matches('?')));
                let base = match endpoint {
                    Some(endpoint) => format!("{endpoint}/{bucket}/{prefix}"),
                    None => format!("https://{bucket}.blob.core.windows.net/{prefix}"),
                };
                Ok(plain(&base, query, None, SENDING_AZURE))
            }
            other => Err(refuse(format!("{other}:// is not known"))),
        }
    }

    /// What the file at `path` is asked for with.
    pub(crate) fn target(&self, method: Method, path: &str) -> Target {
        // An index may name archives that lie elsewhere; no credentials of ours go there.
        if path.contains("://") {
            return Target {
                url: Link::from(escaped(path)),
                bearer: None,
            };
        }
        match self {
            Self::Plain {
                base,
                query,
                bearer,
                ..
            } => {
                let base = base.reveal().replace(' ', "%20");
                let mut url = format!("{base}/{}", escaped(path));
                if let Some(query) = query {
                    url = format!("{url}?{}", query.reveal());
                }
                Target {
                    url: Link::from(url),
                    bearer: bearer.clone(),
                }
            }
            Self::S3(bucket) => Target {
                url: bucket.url(method, unescaped(path).as_deref().unwrap_or(path)),
                bearer: None,
            },
        }
    }

    /// What files are sent with.
    pub(crate) fn sending(&self) -> Sending {
        match self {
            Self::Plain { sending, .. } => *sending,
            Self::S3(_) => SENDING,
        }
    }

    /// The bucket that can list itself, where it is one.
    pub(crate) fn bucket(&self) -> Option<&S3Bucket> {
        match self {
            Self::Plain { .. } => None,
            Self::S3(bucket) => Some(bucket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::access::{Access, Keys, S3Keys};

    fn url(source: &str, config: &StoreConfig) -> String {
        let address = Address::parse(source, config).unwrap();
        address
            .target(Method::Get, "train/a b.tar.gz")
            .url
            .reveal()
            .to_owned()
    }

    fn signed() -> StoreConfig {
        StoreConfig {
            region: Some("eu-west-1".into()),
            access: Access::Signed(Keys {
                s3: Some(S3Keys {
                    id: "AKIDEXAMPLE".into(),
                    secret: Secret::new("hush"),
                    token: Some(Secret::new("for/now")),
                }),
                google: Some(Secret::new("ya29")),
                azure: Some(Secret::new("?sv=1&sig=x")),
            }),
            ..StoreConfig::default()
        }
    }

    #[test]
    fn public_buckets_are_read_at_their_public_addresses() {
        let config = StoreConfig::default();
        for (source, expected) in [
            ("https://host/k", "https://host/k/train/a%20b.tar.gz"),
            (
                "https://host/k?sig=1",
                "https://host/k/train/a%20b.tar.gz?sig=1",
            ),
            (
                "s3://kinetics/700_2020",
                "https://kinetics.s3.amazonaws.com/700_2020/train/a%20b.tar.gz",
            ),
            (
                "s3://a.b/c",
                "https://s3.amazonaws.com/a.b/c/train/a%20b.tar.gz",
            ),
            (
                "s3://bucket",
                "https://bucket.s3.amazonaws.com/train/a%20b.tar.gz",
            ),
            (
                "gs://bucket",
                "https://storage.googleapis.com/bucket/train/a%20b.tar.gz",
            ),
            (
                "az://account/box/x",
                "https://account.blob.core.windows.net/box/x/train/a%20b.tar.gz",
            ),
        ] {
            assert_eq!(url(source, &config), expected);
        }
    }

    #[test]
    fn names_that_no_url_can_hold_are_escaped_once() {
        let config = StoreConfig::default();
        for (path, escaped) in [
            ("train/a#1.tar.gz", "train/a%231.tar.gz"),
            ("train/für.tar.gz", "train/f%C3%BCr.tar.gz"),
            ("train/a%20b 100%.tar.gz", "train/a%20b%20100%25.tar.gz"),
            ("train/what%3F.tar.gz", "train/what%3F.tar.gz"),
            ("train/a.tar.gz?sig=x%2F", "train/a.tar.gz?sig=x%2F"),
        ] {
            for (source, base) in [
                ("https://host/k", "https://host/k"),
                ("gs://b", "https://storage.googleapis.com/b"),
            ] {
                let address = Address::parse(source, &config).unwrap();
                let url = address.target(Method::Get, path).url;
                assert_eq!(url.reveal(), format!("{base}/{escaped}"));
            }
            let elsewhere = format!("https://else/{path}");
            let address = Address::parse("https://host", &config).unwrap();
            let url = address.target(Method::Get, &elsewhere).url;
            assert_eq!(url.reveal(), format!("https://else/{escaped}"));
        }
        let bucket = Address::parse("s3://b", &config).unwrap();
        let url = bucket.target(Method::Get, "a%20b%3F#.tar.gz").url;
        assert!(
            url.reveal().ends_with("/a%20b%3F%23.tar.gz"),
            "{}",
            url.reveal()
        );
    }

    #[test]
    fn an_endpoint_takes_the_place_of_the_public_address() {
        let config = StoreConfig {
            endpoint: Some("http://127.0.0.1:9000/".into()),
            ..StoreConfig::default()
        };
        let path = "train/a%20b.tar.gz";
        for (source, base) in [
            ("s3://kinetics/x", "kinetics/x"),
            ("gs://bucket/x", "bucket/x"),
            ("az://account/box", "account/box"),
        ] {
            assert_eq!(
                url(source, &config),
                format!("http://127.0.0.1:9000/{base}/{path}")
            );
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for source in [
            "az://account",
            "s3://",
            "gs:///x",
            "gopher://x",
            "s3:x",
            "s3://bucket/k?sig=x",
            "gs://me:word@bucket",
        ] {
            let error = Address::parse(source, &StoreConfig::default()).unwrap_err();
            assert!(
                matches!(error, StoreError::Address { .. }),
                "{source}: {error}"
            );
        }
        let config = StoreConfig {
            endpoint: Some("minio:9000".into()),
            ..StoreConfig::default()
        };
        assert!(Address::parse("s3://bucket", &config).is_err());
    }

    #[test]
    fn signed_requests_carry_a_signature_that_no_message_shows() {
        let config = signed();
        let s3 = Address::parse("s3://private/k", &config).unwrap();
        let target = s3.target(Method::Get, "a.tar.gz");
        let base = "https://private.s3.eu-west-1.amazonaws.com/k/a.tar.gz";
        assert_eq!(target.url.to_string(), base);
        let query = target.url.reveal().strip_prefix(base).unwrap();
        for part in [
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=AKIDEXAMPLE%2F",
            "eu-west-1%2Fs3%2Faws4_request",
            "X-Amz-Security-Token=for%2Fnow",
            "X-Amz-Signature=",
        ] {
            assert!(query.contains(part), "{part}: {query}");
        }
        assert!(!query.contains("hush"));
        // The signature answers for the method, too.
        assert_ne!(s3.target(Method::Head, "a.tar.gz").url, target.url);
        let google = Address::parse("gs://private", &config).unwrap();
        let target = google.target(Method::Get, "a");
        assert_eq!(target.bearer.unwrap().reveal(), "ya29");
        let azure = Address::parse("az://account/box", &config).unwrap();
        let target = azure.target(Method::Get, "a");
        assert!(target.url.reveal().ends_with("/box/a?sv=1&sig=x"));
        assert!(target.url.to_string().ends_with("/box/a"));
        for address in [&s3, &google, &azure] {
            let elsewhere = address.target(Method::Get, "https://else.org/a");
            assert_eq!(elsewhere.url, Link::from("https://else.org/a"));
            assert_eq!(elsewhere.bearer, None);
        }
        let debug = format!("{config:?} {s3:?} {google:?} {azure:?}");
        for secret in ["hush", "for/now", "ya29", "sig=x"] {
            assert!(!debug.contains(secret), "{debug}");
        }
    }

    #[test]
    fn signing_without_credentials_is_an_error_that_names_them() {
        let config = StoreConfig {
            access: Access::Signed(Keys::default()),
            ..StoreConfig::default()
        };
        for source in ["s3://bucket", "gs://bucket", "az://account/box"] {
            let error = Address::parse(source, &config).unwrap_err();
            assert!(matches!(error, StoreError::Credentials { .. }), "{error}");
        }
        // A plain URL needs none.
        assert!(Address::parse("https://host", &config).is_ok());
    }
}
