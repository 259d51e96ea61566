//! Why an address cannot be asked for anything.

use super::secret::Link;
use crate::exit::Exit;
use crate::hint::Hint;

/// Why an address cannot be asked for anything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The address makes no sense, or its scheme is not known or not built in.
    #[error("source {address}: {reason}")]
    Address {
        /// What was given.
        address: Link,
        /// Why it cannot be used.
        reason: String,
    },
    /// Requests were to be signed, and nothing to sign them with was given.
    #[error("--signed needs credentials for {scheme}://, and {variables} are not set")]
    Credentials {
        /// The object store's scheme.
        scheme: &'static str,
        /// The environment variables that hold them.
        variables: &'static str,
    },
    /// The proxy that the environment names is of no use.
    #[error("the proxy cannot be used: {reason}")]
    Proxy {
        /// Why not; without the proxy's URL, which may hold a password.
        reason: String,
    },
}

impl Hint for StoreError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Address { .. } => {
                "give --source a folder, or a URL that begins with https://, http://, file://, s3://, gs:// or az://"
            }
            Self::Credentials { .. } => {
                "export them, or leave --signed out where the bucket is public"
            }
            Self::Proxy { .. } => {
                "HTTPS_PROXY and HTTP_PROXY take http:// and https:// URLs; NO_PROXY lists hosts that are reached directly"
            }
        };
        Some(text.to_owned())
    }

    fn exit(&self) -> Exit {
        Exit::Failed
    }
}
