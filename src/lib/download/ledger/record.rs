//! What is known of an archive, and what became of a clip.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::choice::choice;

/// The endings of clips' files, those of the official archives first: a clip keeps that of the kind
/// of file that it came as.
pub const CLIP_ENDINGS: [&str; 6] = ["mp4", "mkv", "webm", "avi", "mov", "m4v"];

/// Where a clip lies below the folder of the clips: the first of its possible files that is there,
/// or that of the official archives where none is.
#[must_use]
pub fn clip_path(raw: &Path, subcategory: &str, id: &str) -> PathBuf {
    find_clip(raw, subcategory, id, |_| true).unwrap_or_else(|| {
        raw.join(subcategory)
            .join(format!("{id}.{}", CLIP_ENDINGS[0]))
    })
}

/// The clip's file of which `is_it` holds, if there is one.
pub(crate) fn find_clip(
    raw: &Path,
    subcategory: &str,
    id: &str,
    is_it: impl Fn(&Metadata) -> bool,
) -> Option<PathBuf> {
    let folder = raw.join(subcategory);
    let mut paths = CLIP_ENDINGS
        .iter()
        .map(|e| folder.join(format!("{id}.{e}")));
    paths.find(|path| path.metadata().is_ok_and(|m| m.is_file() && is_it(&m)))
}

choice! {
    /// How far an archive has come; the later, the worse.
    #[derive(Default, PartialOrd, Ord)]
    pub enum ArchiveState: "state of an archive" {
        /// Only its first header was read.
        #[default]
        Probed = "probed",
        /// Read to its end, checksum and all.
        Complete = "complete",
        /// Not at its source, however often it was asked for.
        Absent = "absent",
        /// Read several times and never sound; nothing of it was kept.
        Damaged = "damaged",
        /// Of a kind that is not read: no archive, or one that is packed in another way.
        Foreign = "not readable",
        /// Given up; nothing of it was kept.
        Failed = "failed",
    }
}

choice! {
    /// Why a labelled clip is missing; the texts are those of the ledger.
    #[derive(Default)]
    pub enum MissingReason: "reason" {
        /// The archives that could hold it were read and do not: another run need not look again.
        InNoArchive = "in none of the archives that could hold it",
        /// Its archive may be read another time.
        #[default]
        ArchiveUnread = "the archive that may hold it could not be read",
        /// Its archive is not there.
        ArchiveAbsent = "the archive that may hold it is not at its source",
        /// Its archive is not sound.
        ArchiveDamaged = "the archive that may hold it is damaged at its source",
        /// Its archive is of a kind that is not read.
        ArchiveForeign = "the archive that may hold it is of a kind that is not read",
    }
}

/// A clip that an archive held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptClip {
    /// The clip's id.
    pub clip_id: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its BLAKE3 hash in hexadecimal.
    pub blake3: String,
    /// `ok`, or what is wrong with its container.
    pub container: String,
}

/// A member that was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedMember {
    /// The member's name, made printable.
    pub name: String,
    /// Bytes it claims to have.
    pub bytes: u64,
    /// Why it was refused.
    pub reason: String,
}

/// What is known of an archive. While a run lasts each finished one is a JSON file; then they
/// become the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRecord {
    /// Path below the source.
    pub path: String,
    /// URL as the index has it.
    pub url: String,
    /// How far it has come.
    pub state: ArchiveState,
    /// The class that its first header names; none in a flat archive of unknown clips.
    pub first_class: Option<String>,
    /// Size in bytes.
    pub bytes: Option<u64>,
    /// Entity tag.
    pub etag: Option<String>,
    /// BLAKE3 of the compressed bytes.
    pub blake3: Option<String>,
    /// Members of all kinds.
    pub members_seen: u64,
    /// Members refused.
    pub members_refused: u64,
    /// Members kept, those of which another archive's copy stays on disk too.
    pub members_kept: u64,
    /// Clips on disk that are from it.
    pub kept: Vec<KeptClip>,
    /// Members refused, as far as they are listed.
    pub refused: Vec<RefusedMember>,
    /// Clips that were looked for in it.
    pub sought: BTreeSet<String>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// What became of a labelled clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClipState {
    /// On disk, from this archive.
    Present {
        /// The archive's path.
        archive: String,
        /// What was kept.
        clip: KeptClip,
    },
    /// On disk, taken as it lay there.
    Adopted {
        /// What was found.
        clip: KeptClip,
    },
    /// Its frames are in a folder that the user named.
    Frames,
    /// Nowhere.
    Missing {
        /// Why.
        reason: MissingReason,
    },
}
