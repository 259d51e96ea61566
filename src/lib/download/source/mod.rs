//! Where bytes come from, and how they come.

pub(super) mod address;
pub(super) mod bucket;
pub mod client;
pub mod http;
pub(super) mod local;
pub mod open;
pub mod pace;
pub mod proxy;
pub mod remote;
pub mod secret;
pub mod store;
pub mod stream;
