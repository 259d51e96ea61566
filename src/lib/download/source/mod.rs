//! Where bytes come from, and how they come.
//!
//! - `remote`: a source as a trait, and what can fail; `http` and `local` implement it, and
//!   `open` chooses between them; `unpacked`: a folder of clips as the archive that it was.
//! - `address`, `bucket`, `store`: the URLs of files on the web and in object stores; `proxy`:
//!   the way there; `secret`: what of an address may be shown.
//! - `client`: what the readers of a run share; `pace`: retries, waits and the rate limit;
//!   `stream`: one file, resumed where a connection broke.

mod address;
mod bucket;
mod client;
mod http;
mod local;
mod open;
mod pace;
mod proxy;
mod remote;
mod secret;
mod store;
mod stream;
mod unpacked;

pub(super) use address::escaped_name;
pub use client::Client;
pub use http::HttpConfig;
pub use open::{connect, open};
pub use pace::{Meter, RetryConfig};
pub use proxy::Proxies;
pub(crate) use remote::fault_in;
pub(super) use remote::is_archive;
pub use remote::{Facts, Fault, Opened, Remote, RemoteError, Span};
pub(super) use secret::sentence;
pub use secret::{Link, Secret};
pub use store::{Access, Keys, S3Keys, StoreConfig};
pub(crate) use stream::Stream;
pub(super) use stream::{limited, read_small};
