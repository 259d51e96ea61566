//! What a run of the download stage came to.

use std::fmt;

use serde::Serialize;

use indicatif::HumanBytes;

use super::ledger::ArchiveRecord;
use crate::part::Part;

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DownloadSummary {
    /// Clips asked for.
    pub wanted: usize,
    /// Clips on disk, from this run or before.
    pub present: usize,
    /// Clips that exist as frame folders.
    pub frames: usize,
    /// Clips that are nowhere; in a plan, those to look for.
    pub missing: usize,
    /// Of the missing, those whose archive could not be read this time and may be read another
    /// time.
    pub unread: usize,
    /// Clips asked for that have been withdrawn; no other number counts them.
    pub withdrawn: usize,
    /// In a plan, the clips that earlier runs looked for everywhere and did not find.
    pub absent: usize,
    /// Clips fetched by this run.
    pub fetched: usize,
    /// Clips that this run took as they lay on disk.
    pub adopted: usize,
    /// Archives read to their end by this run.
    pub archives: usize,
    /// Archives that were passed over, as they are absent or damaged at their source.
    pub passed_over: usize,
    /// Members refused by this run.
    pub refused: u64,
    /// Bytes that came over the wire.
    pub wire_bytes: u64,
    /// Bytes of the archives read.
    pub archive_bytes: u64,
    /// The part that was done; its clips stay aside until all parts are merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// How many parts were merged; none where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<u32>,
}

impl DownloadSummary {
    /// Counts an archive that was read to its end. Which of its clips were open the caller knows.
    pub(super) fn add(&mut self, record: &ArchiveRecord) {
        self.archives += 1;
        self.refused += record.members_refused;
        let bytes = record.bytes.unwrap_or(0);
        self.archive_bytes = self.archive_bytes.saturating_add(bytes);
    }
}

impl fmt::Display for DownloadSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(part) = self.part {
            write!(
                f,
                "part {part} of {} clips wanted: {} fetched now, to be merged; ",
                self.wanted, self.fetched
            )?;
        } else {
            write!(
                f,
                "{} clips wanted: {} present ({} fetched now), {} as frames, {} missing; ",
                self.wanted, self.present, self.fetched, self.frames, self.missing,
            )?;
        }
        if let Some(parts) = self.merged {
            write!(f, "{parts} parts merged; ")?;
        }
        if self.withdrawn > 0 {
            write!(f, "{} more withdrawn; ", self.withdrawn)?;
        }
        if self.adopted > 0 {
            write!(f, "{} adopted as they lay there; ", self.adopted)?;
        }
        write!(f, "{} archives read, ", self.archives)?;
        if self.passed_over > 0 {
            let passed_over = self.passed_over;
            write!(
                f,
                "{passed_over} passed over (absent or damaged at their source), "
            )?;
        }
        write!(
            f,
            "{} members refused, {} over the wire for {} of archives",
            self.refused,
            HumanBytes(self.wire_bytes),
            HumanBytes(self.archive_bytes)
        )
    }
}
