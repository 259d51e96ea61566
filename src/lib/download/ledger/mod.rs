//! What became of archives, clips and refused members, before and after a run.
//!
//! - `record`: what is known of an archive and of a clip; `table`: the rows of `downloads.parquet`,
//!   written from that and read back.
//! - `workplace`: the locks of a run, and its unfinished work; `known`: what earlier runs found
//!   out.
//! - `closing`: what a run says in the end of clips and failed archives.
//! - `adopt`: clips on disk that no ledger knows, taken as they are; `verify`: the clips on disk against the ledger.

pub(super) mod adopt;
pub(super) mod closing;
pub(super) mod known;
mod record;
mod table;
mod verify;
pub(super) mod workplace;

pub use crate::tables::{Kind, LedgerRow};
pub(super) use record::find_clip;
pub use record::{
    ArchiveRecord, ArchiveState, CLIP_ENDINGS, ClipState, KeptClip, MissingReason, RefusedMember,
    clip_path,
};
pub(super) use table::publish_ledger;
pub use table::{clip_of, read};
pub use verify::{Damage, Findings, mend, verify};
pub use workplace::parts_folder;
