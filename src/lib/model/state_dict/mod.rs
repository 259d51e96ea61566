//! Named tensors in files: safetensors, read and written, and the archives of PyTorch's
//! `torch.save`, of which nothing is ever executed.

mod error;
mod kind;
mod names;
mod pytorch;
mod read;
mod safetensors;
mod tensors;

pub use self::safetensors::{Sealed, of_bytes, to_bytes, write as write_safetensors};
pub use error::StateDictError;
pub use names::{only_seed_names, seed_names};
pub use pytorch::write as write_pytorch;
pub use read::{Format, StateFile, read, read_named};
pub use tensors::StateDict;
