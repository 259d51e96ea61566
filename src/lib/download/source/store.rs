//! Settings of object stores: where they are and who asks.

use super::secret::{Link, Secret};
use crate::download::error::DownloadError;

/// Settings of object stores.
#[derive(Clone, Debug, Default)]
pub struct StoreConfig {
    /// The store's address, where it is not the public one. Default none.
    pub endpoint: Option<Link>,
    /// Region of an S3 bucket. Default `us-east-1`, whose address finds buckets of every region.
    pub region: Option<String>,
    /// Who asks. Default nobody in particular, as public buckets allow.
    pub access: Access,
}

/// Who asks an object store.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Nobody in particular: requests are not signed.
    #[default]
    Anonymous,
    /// The holder of these credentials.
    Signed(Keys),
}

/// Credentials of the object stores, those of the store in use at least.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Of S3 and what speaks its language.
    pub s3: Option<S3Keys>,
    /// A bearer token of Google Cloud Storage.
    pub google: Option<Secret>,
    /// A shared access signature of Azure: the query `sv=...&sig=...`.
    pub azure: Option<Secret>,
}

/// An access key of S3.
#[derive(Clone, Debug)]
pub struct S3Keys {
    /// The key's id.
    pub id: String,
    /// The key itself.
    pub secret: Secret,
    /// The token of a temporary key.
    pub token: Option<Secret>,
}

impl StoreConfig {
    /// The credentials that `choose` takes, where requests are to be signed; `variables` is where
    /// they were looked for.
    pub(crate) fn keys<T>(
        &self,
        scheme: &'static str,
        variables: &'static str,
        choose: impl Fn(&Keys) -> Option<T>,
    ) -> Result<Option<T>, DownloadError> {
        match &self.access {
            Access::Anonymous => Ok(None),
            Access::Signed(keys) => match choose(keys) {
                Some(found) => Ok(Some(found)),
                None => Err(DownloadError::Credentials { scheme, variables }),
            },
        }
    }
}
