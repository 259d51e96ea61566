//! A bucket of S3, or of a store that speaks its language: the URLs of its files, signed where
//! asked for, and its listing.

use std::time::Duration;

use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use super::access::StoreConfig;
use super::error::StoreError;
use super::secret::Link;

/// How long a signed address can be used to begin reading; each try signs anew.
const SIGNED_FOR: Duration = Duration::from_secs(3600);
/// The region where none is named, as in the tools of AWS.
const DEFAULT_REGION: &str = "us-east-1";

/// The question that a signature answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Head,
    Get,
    Put,
    Delete,
}

/// A bucket, and what paths in it begin with.
pub(crate) struct S3Bucket {
    bucket: Bucket,
    prefix: String,
    keys: Option<Credentials>,
}

impl S3Bucket {
    /// The bucket of `source`, which is `s3://bucket/prefix`.
    pub(crate) fn parse(
        source: &str,
        bucket: &str,
        prefix: &str,
        config: &StoreConfig,
    ) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Address {
            address: Link::from(source),
            reason,
        };
        let variables = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        let keys = config
            .keys("s3", variables, |k| k.s3.clone())?
            .map(|k| match k.token {
                Some(token) => Credentials::new_with_token(k.id, k.secret.reveal(), token.reveal()),
                None => Credentials::new(k.id, k.secret.reveal()),
            });
        let endpoint = match (&config.endpoint, &config.region) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some(region)) => Link::from(format!("https://s3.{region}.amazonaws.com")),
            (None, None) => Link::from("https://s3.amazonaws.com"),
        };
        // A name with a dot fits no certificate, and one with other letters no host name: these are
        // named in the path.
        let hostlike = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let style = if config.endpoint.is_none() && bucket.chars().all(hostlike) {
            UrlStyle::VirtualHost
        } else {
            UrlStyle::Path
        };
        let region = config.region.as_deref().unwrap_or(DEFAULT_REGION);
        let url = endpoint.reveal().parse();
        let url = url.map_err(|_| refuse(format!("its endpoint {endpoint} is no URL")))?;
        let bucket = Bucket::new(url, style, bucket.to_owned(), region.to_owned());
        Ok(Self {
            bucket: bucket
                .map_err(|_| refuse(format!("it is no bucket of the endpoint {endpoint}")))?,
            prefix: prefix.trim_matches('/').to_owned(),
            keys,
        })
    }

    /// What the file at `path` is asked for with.
    pub(crate) fn url(&self, method: Method, path: &str) -> Link {
        let key = if self.prefix.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.prefix)
        };
        let keys = self.keys.as_ref();
        let url = match method {
            Method::Head => self.bucket.head_object(keys, &key).sign(SIGNED_FOR),
            Method::Get => self.bucket.get_object(keys, &key).sign(SIGNED_FOR),
            Method::Put => self.bucket.put_object(keys, &key).sign(SIGNED_FOR),
            Method::Delete => self.bucket.delete_object(keys, &key).sign(SIGNED_FOR),
        };
        Link::new(url)
    }

    /// What the next page of the listing is asked for with.
    pub(crate) fn listing(&self, continuation: Option<&str>) -> Link {
        let mut list = self.bucket.list_objects_v2(self.keys.as_ref());
        if !self.prefix.is_empty() {
            list.with_prefix(format!("{}/", self.prefix));
        }
        if let Some(token) = continuation {
            list.with_continuation_token(token.to_owned());
        }
        Link::new(list.sign(SIGNED_FOR))
    }

    /// The paths of a page of the listing, and the token of the next page.
    pub(crate) fn listed(&self, page: &str) -> Result<(Vec<String>, Option<String>), String> {
        let page = ListObjectsV2::parse_response(page).map_err(|e| e.to_string())?;
        let below = |key: String| {
            let path = key.strip_prefix(self.prefix.as_str())?;
            Some(path.trim_start_matches('/').to_owned())
        };
        let keys = page.contents.into_iter().map(|object| object.key);
        Ok((
            keys.filter_map(below).collect(),
            page.next_continuation_token,
        ))
    }
}

impl std::fmt::Debug for S3Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let base = Link::from(self.bucket.base_url().as_str());
        f.debug_struct("S3Bucket")
            .field("base", &base)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lists_itself_page_by_page() {
        let config = StoreConfig::default();
        let bucket = S3Bucket::parse("s3://bucket/k", "bucket", "k", &config).unwrap();
        let first = bucket.listing(None).reveal().to_owned();
        assert!(
            first.contains("list-type=2") && first.contains("prefix=k%2F"),
            "{first}"
        );
        let page = r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <IsTruncated>true</IsTruncated><NextContinuationToken>more/</NextContinuationToken><EncodingType>url</EncodingType>
            <Contents><Key>k/train/a+b.tar.gz</Key><Size>3</Size></Contents></ListBucketResult>"#;
        let (paths, next) = bucket.listed(page).unwrap();
        assert_eq!(paths, ["train/a b.tar.gz"]);
        let second = bucket.listing(next.as_deref()).reveal().to_owned();
        assert!(second.contains("continuation-token=more%2F"), "{second}");
        assert!(bucket.listed("<html>").is_err());
    }
}
