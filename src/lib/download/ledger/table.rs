//! The ledger, `downloads.parquet`: what became of every archive, every labelled clip and every refused member.
//!
//! Its bytes depend on the source's content, the label tables and the filters alone: no dates, rates or attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::DownloadError;
use crate::choice::choice;
use crate::clip::ClipId;
use crate::foreign::printable;
use crate::parquet_file::{self, Provenance, TableError};
pub use crate::tables::{Kind, LedgerRow};
use crate::taxonomy::is_usable_name;

/// How the rows of each version are read, the version that is written first. When it is raised, the reader of the version
/// before stays here and gives today's rows: what was fetched is never fetched again for a new layout of the ledger.
const READERS: [Reader; 1] = [parquet_file::read::<LedgerRow>];

/// Reads a ledger of one version.
type Reader = fn(&Path) -> Result<Vec<LedgerRow>, TableError>;

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
        /// Given up; nothing of it was kept.
        Failed = "failed",
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

/// What is known of an archive. While a run lasts each finished one is a JSON file; then they become the ledger.
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
        reason: String,
    },
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A row of which nothing else is known.
fn blank(kind: Kind, name: String, state: &str) -> LedgerRow {
    LedgerRow {
        kind,
        archive: None,
        name,
        state: state.to_owned(),
        url: None,
        subcategory: None,
        bytes: None,
        etag: None,
        blake3: None,
        members_seen: None,
        members_kept: None,
        members_refused: None,
        container: None,
        reason: None,
    }
}

fn archive_row(archive: &ArchiveRecord) -> LedgerRow {
    let name = archive.path.rsplit('/').next().unwrap_or_default();
    let read = archive.state == ArchiveState::Complete;
    LedgerRow {
        archive: Some(archive.path.clone()),
        url: Some(archive.url.clone()),
        subcategory: archive.first_class.clone(),
        bytes: archive.bytes.map(signed),
        etag: archive.etag.clone(),
        blake3: archive.blake3.clone(),
        members_seen: read.then(|| signed(archive.members_seen)),
        members_kept: read.then(|| signed(archive.members_kept)),
        members_refused: read.then(|| signed(archive.members_refused)),
        reason: archive.reason.clone(),
        ..blank(Kind::Archive, name.to_owned(), archive.state.name())
    }
}

fn clip_row(id: String, subcategory: &str, state: ClipState) -> LedgerRow {
    let on_disk = |name, archive, clip: KeptClip| LedgerRow {
        archive,
        bytes: Some(signed(clip.bytes)),
        blake3: Some(clip.blake3),
        container: Some(clip.container),
        ..blank(Kind::Clip, clip.clip_id, name)
    };
    let row = match state {
        ClipState::Present { archive, clip } => on_disk("present", Some(archive), clip),
        ClipState::Adopted { clip } => on_disk("adopted", None, clip),
        ClipState::Frames => blank(Kind::Clip, id, "frames"),
        ClipState::Missing { reason } => LedgerRow {
            reason: Some(reason),
            ..blank(Kind::Clip, id, "missing")
        },
    };
    LedgerRow {
        subcategory: Some(subcategory.to_owned()),
        ..row
    }
}

/// The ledger's rows: archives, clips (id, subcategory, state), refused members.
#[must_use]
pub fn rows<'a>(
    archives: &BTreeMap<String, ArchiveRecord>,
    clips: impl IntoIterator<Item = (String, &'a str, ClipState)>,
) -> Vec<LedgerRow> {
    let mut rows = Vec::new();
    for archive in archives.values() {
        rows.push(archive_row(archive));
        rows.extend(archive.refused.iter().map(|member| LedgerRow {
            archive: Some(archive.path.clone()),
            bytes: Some(signed(member.bytes)),
            reason: Some(member.reason.clone()),
            ..blank(Kind::Refused, member.name.clone(), "refused")
        }));
    }
    let clips = clips.into_iter();
    rows.extend(clips.map(|(id, subcategory, state)| clip_row(id, subcategory, state)));
    rows.sort_by(|a, b| (a.kind, &a.archive, &a.name).cmp(&(b.kind, &b.archive, &b.name)));
    rows
}

/// Reads a ledger of any version that this program knows.
///
/// # Errors
/// When the file is absent, damaged or of another version, or a row names a clip that could lie elsewhere than in its folder.
pub fn read(path: &Path) -> Result<Vec<LedgerRow>, DownloadError> {
    let mut readers = READERS.iter().map(|read| read(path));
    // The first reader's refusal is the one to tell, where no other knows the version either.
    let newest = readers.next().unwrap_or_else(|| Ok(Vec::new()));
    let rows = match newest {
        Err(TableError::Version { .. }) => readers.find_map(Result::ok).map_or(newest, Ok),
        newest => newest,
    }?;
    for row in rows.iter().filter(|row| row.kind == Kind::Clip) {
        let subcategory = row.subcategory.as_deref().unwrap_or_default();
        if row.name.parse::<ClipId>().is_err() || !is_usable_name(subcategory) {
            return Err(DownloadError::LedgerRow {
                path: path.to_owned(),
                name: printable(&format!("{subcategory}/{}", row.name)).into_owned(),
            });
        }
    }
    Ok(rows)
}

/// Publishes the ledger.
///
/// # Errors
/// When the disk refuses.
pub fn write(
    path: &Path,
    rows: &[LedgerRow],
    provenance: &Provenance,
) -> Result<(), DownloadError> {
    Ok(parquet_file::write(path, rows, provenance)?)
}
