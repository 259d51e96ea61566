//! Checkpoints: a model's variables saved with the same bytes for the same weights, and loaded from
//! such files and from what PyTorch writes ([`super::state_dict`]), with every name that does not
//! fit listed.

mod error;
pub mod header;
mod load;
mod loaded;
mod place;
mod save;
mod snapshot;

pub use error::CheckpointError;
pub use load::{HEAD_PREFIX, load, load_own, read_foreign, read_own, read_own_whole};
pub use loaded::{LoadMode, Loaded, Misshapen};
pub use place::compare;
pub use save::{save, save_pytorch, write};
pub use snapshot::{Snapshot, restore, snapshot};
