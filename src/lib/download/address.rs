//! Where a file lies on the web: plain addresses and those of object stores, signed where asked for. Pure but for the clock
//! that a signature needs.
//!
//! | source | asked for at | with `--signed` |
//! |---|---|---|
//! | `https://host/prefix` | itself | as it is |
//! | `s3://bucket/prefix` | `https://bucket.s3.amazonaws.com/prefix` | query signed with AWS signature version 4 |
//! | `gs://bucket/prefix` | `https://storage.googleapis.com/bucket/prefix` | a bearer token |
//! | `az://account/container/prefix` | `https://account.blob.core.windows.net/container/prefix` | a shared access signature |
//!
//! An `--endpoint` takes the place of the store's public address, with bucket (or account and container) in the path: MinIO,
//! Ceph, the stores of other clouds, emulators.

use std::time::Duration;

use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use super::DownloadError;
use super::secret::Secret;
use super::store::StoreConfig;

/// How long a signed address can be used to begin reading; each try signs anew.
const SIGNED_FOR: Duration = Duration::from_secs(3600);
/// The region where none is named, as in the tools of AWS.
const DEFAULT_REGION: &str = "us-east-1";

/// What a file is asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The URL to request, signature and all. Never shown.
    pub(super) url: String,
    /// The URL as messages may show it.
    pub(super) shown: String,
    /// The bearer token to send along.
    pub(super) bearer: Option<Secret>,
}

/// The question that a signature answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Head,
    Get,
}

/// The place that paths are below of.
#[derive(Debug)]
pub(super) enum Address {
    /// URLs are put together from text.
    Plain {
        base: String,
        query: Option<Secret>,
        bearer: Option<Secret>,
    },
    /// URLs are those of an S3 bucket.
    S3 {
        bucket: Bucket,
        prefix: String,
        keys: Option<Credentials>,
    },
}

impl Address {
    /// Reads `http://`, `https://`, `s3://`, `gs://` and `az://`.
    pub(super) fn parse(source: &str, config: &StoreConfig) -> Result<Self, DownloadError> {
        let refuse = |reason: &str| DownloadError::Source {
            source_text: source.to_owned(),
            reason: reason.to_owned(),
        };
        let (scheme, rest) = source
            .split_once("://")
            .ok_or_else(|| refuse("is no URL"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(refuse("names no host or bucket"));
        }
        let endpoint = config.endpoint.as_deref().map(|e| e.trim_end_matches('/'));
        let plain = |base: String, query, bearer| Self::Plain {
            base: base.trim_end_matches('/').to_owned(),
            query,
            bearer,
        };
        match scheme {
            "http" | "https" => {
                // A query of the base's own, a signature mostly, goes behind every path.
                let (base, query) = source.split_once('?').unwrap_or((source, ""));
                let query = (!query.is_empty()).then(|| Secret::new(query));
                Ok(plain(base.to_owned(), query, None))
            }
            "s3" => Self::s3(bucket, prefix, config).map_err(|e| match e {
                S3Fault::Keys(error) => error,
                S3Fault::Address(reason) => refuse(&reason),
            }),
            "gs" => {
                let bearer =
                    config.keys("gs", "GOOGLE_OAUTH_ACCESS_TOKEN", |k| k.google.clone())?;
                let host = endpoint.unwrap_or("https://storage.googleapis.com");
                Ok(plain(format!("{host}/{bucket}/{prefix}"), None, bearer))
            }
            "az" if prefix.is_empty() => Err(refuse("names no container behind its account")),
            "az" => {
                let query = config.keys("az", "AZURE_STORAGE_SAS_TOKEN", |k| k.azure.clone())?;
                let query = query.map(|q| Secret::new(q.reveal().trim_start_matches('?')));
                let base = match endpoint {
                    Some(endpoint) => format!("{endpoint}/{bucket}/{prefix}"),
                    None => format!("https://{bucket}.blob.core.windows.net/{prefix}"),
                };
                Ok(plain(base, query, None))
            }
            other => Err(refuse(&format!("{other}:// is not known"))),
        }
    }

    fn s3(bucket: &str, prefix: &str, config: &StoreConfig) -> Result<Self, S3Fault> {
        let variables = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        let keys = config
            .keys("s3", variables, |k| k.s3.clone())
            .map_err(S3Fault::Keys)?
            .map(|k| match k.token {
                Some(token) => Credentials::new_with_token(k.id, k.secret.reveal(), token.reveal()),
                None => Credentials::new(k.id, k.secret.reveal()),
            });
        let endpoint = match (&config.endpoint, &config.region) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some(region)) => format!("https://s3.{region}.amazonaws.com"),
            (None, None) => "https://s3.amazonaws.com".to_owned(),
        };
        // A name with a dot fits no certificate, and one with other letters no host name: these are named in the path.
        let hostlike = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let style = if config.endpoint.is_none() && bucket.chars().all(hostlike) {
            UrlStyle::VirtualHost
        } else {
            UrlStyle::Path
        };
        let region = config.region.as_deref().unwrap_or(DEFAULT_REGION);
        let url = endpoint
            .parse()
            .map_err(|_| S3Fault::Address(format!("its endpoint {endpoint:?} is no URL")))?;
        let bucket =
            Bucket::new(url, style, bucket.to_owned(), region.to_owned()).map_err(|_| {
                S3Fault::Address(format!(
                    "{bucket:?} is no bucket of the endpoint {endpoint:?}"
                ))
            })?;
        Ok(Self::S3 {
            bucket,
            prefix: prefix.trim_matches('/').to_owned(),
            keys,
        })
    }

    /// What the file at `path` is asked for with.
    pub(super) fn target(&self, method: Method, path: &str) -> Target {
        // An index may name archives that lie elsewhere; no credentials of ours go there.
        if path.contains("://") {
            return Target {
                url: path.to_owned(),
                shown: path.to_owned(),
                bearer: None,
            };
        }
        match self {
            Self::Plain {
                base,
                query,
                bearer,
            } => {
                let shown = format!("{base}/{path}").replace(' ', "%20");
                let url = match query {
                    Some(query) => format!("{shown}?{}", query.reveal()),
                    None => shown.clone(),
                };
                Target {
                    url,
                    shown,
                    bearer: bearer.clone(),
                }
            }
            Self::S3 {
                bucket,
                prefix,
                keys,
            } => {
                let key = if prefix.is_empty() {
                    path.to_owned()
                } else {
                    format!("{prefix}/{path}")
                };
                let url = match method {
                    Method::Head => bucket.head_object(keys.as_ref(), &key).sign(SIGNED_FOR),
                    Method::Get => bucket.get_object(keys.as_ref(), &key).sign(SIGNED_FOR),
                };
                Target {
                    url: url.into(),
                    shown: bucket.object_url(&key).into(),
                    bearer: None,
                }
            }
        }
    }

    /// What the next page of the listing is asked for with; `None` where this address cannot list.
    pub(super) fn listing(&self, continuation: Option<&str>) -> Option<Target> {
        let Self::S3 {
            bucket,
            prefix,
            keys,
        } = self
        else {
            return None;
        };
        let mut list = bucket.list_objects_v2(keys.as_ref());
        if !prefix.is_empty() {
            list.with_prefix(format!("{prefix}/"));
        }
        if let Some(token) = continuation {
            list.with_continuation_token(token.to_owned());
        }
        Some(Target {
            url: list.sign(SIGNED_FOR).into(),
            shown: bucket.base_url().to_string(),
            bearer: None,
        })
    }

    /// The paths of a page of the listing, and the token of the next page.
    pub(super) fn listed(&self, page: &str) -> Result<(Vec<String>, Option<String>), String> {
        let Self::S3 { prefix, .. } = self else {
            return Ok((Vec::new(), None));
        };
        let page = ListObjectsV2::parse_response(page).map_err(|e| e.to_string())?;
        let below = |key: String| {
            let path = key.strip_prefix(prefix.as_str())?;
            Some(path.trim_start_matches('/').to_owned())
        };
        let keys = page.contents.into_iter().map(|object| object.key);
        Ok((
            keys.filter_map(below).collect(),
            page.next_continuation_token,
        ))
    }
}

/// Why an S3 address cannot be made.
enum S3Fault {
    Keys(DownloadError),
    Address(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::store::{Access, Keys, S3Keys};

    fn url(source: &str, config: &StoreConfig) -> String {
        let address = Address::parse(source, config).unwrap();
        address.target(Method::Get, "train/a b.tar.gz").url
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
        for source in ["az://account", "s3://", "gs:///x", "gopher://x", "s3:x"] {
            let error = Address::parse(source, &StoreConfig::default()).unwrap_err();
            assert!(
                matches!(error, DownloadError::Source { .. }),
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
        assert_eq!(target.shown, base);
        let query = target.url.strip_prefix(base).unwrap();
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
        assert!(target.url.ends_with("/box/a?sv=1&sig=x") && target.shown.ends_with("/box/a"));
        for address in [&s3, &google, &azure] {
            let elsewhere = address.target(Method::Get, "https://else.org/a");
            assert_eq!(elsewhere.url, "https://else.org/a");
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
            assert!(
                matches!(error, DownloadError::Credentials { .. }),
                "{error}"
            );
        }
        // A plain URL needs none.
        assert!(Address::parse("https://host", &config).is_ok());
    }

    #[test]
    fn a_bucket_lists_itself_page_by_page() {
        let address = Address::parse("s3://bucket/k", &StoreConfig::default()).unwrap();
        let first = address.listing(None).unwrap().url;
        assert!(
            first.contains("list-type=2") && first.contains("prefix=k%2F"),
            "{first}"
        );
        let page = r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <IsTruncated>true</IsTruncated><NextContinuationToken>more/</NextContinuationToken><EncodingType>url</EncodingType>
            <Contents><Key>k/train/a+b.tar.gz</Key><Size>3</Size></Contents></ListBucketResult>"#;
        let (paths, next) = address.listed(page).unwrap();
        assert_eq!(paths, ["train/a b.tar.gz"]);
        let second = address.listing(next.as_deref()).unwrap().url;
        assert!(second.contains("continuation-token=more%2F"), "{second}");
        assert!(address.listed("<html>").is_err());
        let plain = Address::parse("https://host", &StoreConfig::default()).unwrap();
        assert!(plain.listing(None).is_none());
    }
}
