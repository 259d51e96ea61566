//! Files behind an address: how bytes come from HTTP and object stores, and how failures are
//! retried.
//!
//! - `remote`: a source of files as a trait, and what can fail; `http` implements it, and `headers`
//!   understands its answers.
//! - `address`, `bucket`, `access`, `escape`: the URLs of files on the web and in object stores; `proxy`:
//!   the way there; `secret`: what of an address may be shown.
//! - `client`: what the readers of a run share; `pace`: retries, waits and the rate limit;
//!   `stream`: one file, resumed where a connection broke.
//!
//! Nothing else opens outward sockets.

mod access;
mod address;
mod bucket;
mod client;
mod error;
mod escape;
mod headers;
mod http;
mod pace;
mod proxy;
mod remote;
mod secret;
mod stream;

pub use access::{Access, Keys, S3Keys, StoreConfig};
pub use client::Client;
pub use error::StoreError;
pub(crate) use escape::{escaped_name, unescaped};
pub use http::{Http, HttpConfig};
pub use pace::{Meter, RetryConfig};
pub use proxy::Proxies;
pub(crate) use remote::fault_in;
pub use remote::{Facts, Fault, Opened, Remote, RemoteError, Span};
pub(crate) use secret::sentence;
pub use secret::{Link, Secret};
pub(crate) use stream::{Stream, limited, read_pieces, read_range, read_small};
