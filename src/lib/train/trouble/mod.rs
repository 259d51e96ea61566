//! Trouble explained: what led to a loss that is no number, what memory was wanted for, what room a
//! run needs on its disk, and what became of a shard.

mod divergence;
mod memory;
mod shard;
mod space;

pub use divergence::Divergence;
pub(super) use divergence::{Watch, finite};
pub use memory::{Shortage, is_shortage};
pub(super) use memory::{Work, explained, peak_bytes};
pub(super) use shard::explained as explained_shard;
pub(super) use space::Need;
