//! The archives that PyTorch's `torch.save` writes since version 1.6: a ZIP file of stored entries,
//! `<root>/data.pkl` beside `<root>/data/<key>` for each storage.
//! (Format: `torch/serialization.py`, `_save`.)

mod archive;
mod pickle;
mod read;
mod view;
mod write;

pub(super) use archive::is_archive;
pub(super) use read::read;
pub use write::write;
