//! Where the archives come from: an address, or a folder.
//!
//! - `open`: which kind of source a text names, and a client of it.
//! - `local`: a folder as a source; `unpacked`: a folder of clips as the archive that it was.
//! - `endings`: which names are those of archives.

mod endings;
mod local;
mod open;
mod unpacked;

pub(super) use endings::is_archive;
pub use open::{connect, open};
