//! The flags of what is read behind an address: which store, who asks, how patiently.

use std::time::Duration;

use clap::Args;
use incdec::store::{Access, HttpConfig, Link, RetryConfig, StoreConfig};

use super::environment;

/// Who asks an object store, and how patiently.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgs {
    /// Address of the object store, where it is not the public one: of MinIO, Ceph, another cloud.
    #[arg(long, value_name = "URL")]
    endpoint: Option<Link>,
    /// Region of an s3:// bucket.
    #[arg(long)]
    region: Option<String>,
    /// Ask the object store with the credentials in the environment, for buckets that are not
    /// public.
    #[arg(long)]
    signed: bool,
    /// Tries in a row that gain less than a kilobyte before a file is given up.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    tries: u16,
    /// Seconds before a second try; doubles up to a minute.
    #[arg(long, default_value = "0.5", value_parser = seconds, value_name = "SECONDS")]
    first_wait: Duration,
    /// Seconds without a byte after which a connection counts as stalled.
    #[arg(long, default_value = "30", value_parser = seconds, value_name = "SECONDS")]
    stall: Duration,
}

impl StoreArgs {
    /// How failures are retried.
    pub(crate) fn retry(&self) -> RetryConfig {
        RetryConfig {
            tries: self.tries.into(),
            first_wait: self.first_wait,
        }
    }

    /// The connection, with what the environment says of proxies and credentials.
    pub(crate) fn http(&self) -> HttpConfig {
        let region = self.region.clone();
        HttpConfig {
            stall: self.stall,
            proxies: environment::proxies(),
            store: StoreConfig {
                endpoint: self.endpoint.clone(),
                region: if self.signed {
                    region.or_else(environment::region)
                } else {
                    region
                },
                access: if self.signed {
                    Access::Signed(environment::keys())
                } else {
                    Access::Anonymous
                },
            },
        }
    }
}

/// A finite number.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err("expected a finite number".to_owned())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match number(text)? {
        s if (0.001..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("expected 0.001 to 86400 seconds".to_owned()),
    }
}
