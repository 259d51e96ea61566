//! The rows of the ledger, `downloads.parquet`: what became of every archive, every labelled clip
//! and every refused member.
//!
//! Its bytes depend on the source, its content, the label tables and the filters alone: no dates,
//! rates or attempts.

use std::collections::BTreeMap;
use std::path::Path;

use super::record::{ArchiveRecord, ArchiveState, ClipState, KeptClip, RefusedMember};
use crate::clip::ClipId;
use crate::download::error::DownloadError;
use crate::foreign::printable;
use crate::parquet_file::{self, Provenance, TableError};
use crate::tables::{Kind, LedgerRow};
use crate::taxonomy::is_usable_name;

/// How the rows of each version are read, the version that is written first. When it is raised, the
/// reader of the version before stays here and gives today's rows: what was fetched is never
/// fetched again for a new layout of the ledger.
const READERS: [Reader; 1] = [parquet_file::read::<LedgerRow>];

/// Reads a ledger of one version.
type Reader = fn(&Path) -> Result<Vec<LedgerRow>, TableError>;

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: Option<i64>) -> u64 {
    n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
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

/// The archive of an archive's row.
pub(super) fn archive_of(row: LedgerRow) -> ArchiveRecord {
    ArchiveRecord {
        path: row.archive.unwrap_or_default(),
        url: row.url.unwrap_or_default(),
        state: row.state.parse().unwrap_or_default(),
        first_class: row.subcategory,
        bytes: row.bytes.map(|n| unsigned(Some(n))),
        etag: row.etag,
        blake3: row.blake3,
        members_seen: unsigned(row.members_seen),
        members_kept: unsigned(row.members_kept),
        members_refused: unsigned(row.members_refused),
        reason: row.reason,
        ..ArchiveRecord::default()
    }
}

/// The member of a refused member's row.
pub(super) fn refused_of(row: LedgerRow) -> RefusedMember {
    RefusedMember {
        name: row.name,
        bytes: unsigned(row.bytes),
        reason: row.reason.unwrap_or_default(),
    }
}

/// The state of a clip's row. A reason of which nothing is known has the clip looked for again.
#[must_use]
pub fn clip_of(row: LedgerRow) -> ClipState {
    let clip = KeptClip {
        clip_id: row.name,
        bytes: unsigned(row.bytes),
        blake3: row.blake3.unwrap_or_default(),
        container: row.container.unwrap_or_default(),
    };
    match row.state.as_str() {
        "present" => ClipState::Present {
            archive: row.archive.unwrap_or_default(),
            clip,
        },
        "adopted" => ClipState::Adopted { clip },
        "frames" => ClipState::Frames,
        _ => ClipState::Missing {
            reason: row.reason.unwrap_or_default().parse().unwrap_or_default(),
        },
    }
}

fn clip_row(id: &str, subcategory: &str, state: ClipState) -> LedgerRow {
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
        ClipState::Frames => blank(Kind::Clip, id.to_owned(), "frames"),
        ClipState::Missing { reason } => LedgerRow {
            reason: Some(reason.name().to_owned()),
            ..blank(Kind::Clip, id.to_owned(), "missing")
        },
    };
    LedgerRow {
        subcategory: Some(subcategory.to_owned()),
        ..row
    }
}

/// Reads a ledger of any version that this program knows.
///
/// # Errors
/// When the file is absent, damaged or of another version, or a row names a clip that could lie
/// elsewhere than in its folder.
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

/// Publishes the ledger: archives, clips (id, subcategory, state) and refused members.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn publish_ledger<'a>(
    path: &Path,
    archives: &BTreeMap<String, ArchiveRecord>,
    clips: impl IntoIterator<Item = (&'a str, (&'a str, ClipState))>,
    provenance: &Provenance,
) -> Result<(), TableError> {
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
    rows.extend(clips.map(|(id, (subcategory, state))| clip_row(id, subcategory, state)));
    rows.sort_by(|a, b| (a.kind, &a.archive, &a.name).cmp(&(b.kind, &b.archive, &b.name)));
    parquet_file::write(path, &rows, provenance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::ledger::MissingReason;

    #[test]
    fn every_state_of_a_clip_survives_its_row_and_an_unknown_reason_is_looked_into() {
        let clip = KeptClip {
            clip_id: "a_000001_000011".into(),
            bytes: 7,
            blake3: "ab".into(),
            container: "ok".into(),
        };
        let archive = "train/a.tar.gz".to_owned();
        let mut states = vec![
            ClipState::Present {
                archive,
                clip: clip.clone(),
            },
            ClipState::Adopted { clip },
            ClipState::Frames,
        ];
        states.extend(MissingReason::ALL.map(|reason| ClipState::Missing { reason }));
        for state in states {
            let row = clip_row("a_000001_000011", "yawning", state.clone());
            assert_eq!(clip_of(row), state);
        }
        let published = "in none of the archives that could hold it";
        assert_eq!(MissingReason::InNoArchive.name(), published);
        let strange = LedgerRow {
            reason: Some("nobody knows".into()),
            ..blank(Kind::Clip, "a_000001_000011".into(), "missing")
        };
        let reason = MissingReason::ArchiveUnread;
        assert_eq!(clip_of(strange), ClipState::Missing { reason });
    }
}
