//! What the stage did, and whether too many clips have no frames.

use std::fmt;

use serde::Serialize;

use super::DecodeError;
use crate::exit::Exit;
use crate::part::Part;
use crate::shard::{Cause, IndexRow};
use crate::tables::ClipStatus;

/// What the stage did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DecodeSummary {
    /// Labelled clips that have not been withdrawn.
    pub clips: usize,
    /// Clips whose frames are all there.
    pub ok: usize,
    /// Clips with some frames.
    pub partial: usize,
    /// Clips without frames.
    pub failures: FailureCounts,
    /// Clips that this run decoded, or tried to.
    pub decoded: usize,
    /// Shards that this run wrote.
    pub shards: usize,
    /// Stored frames of all clips.
    pub frames: i64,
    /// Labelled clips that have been withdrawn; no other number counts them.
    pub withdrawn: usize,
    /// Whether nothing was to be done.
    pub up_to_date: bool,
    /// The part that was done, whose clips alone these numbers count; none where it was all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// How many parts were merged; none where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<u32>,
}

/// Labelled clips without frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FailureCounts {
    /// Those without a file.
    pub missing: usize,
    /// Those whose file gives no frame.
    pub damaged: usize,
    /// Those that the machine kept from being decoded, and those of which an earlier version of
    /// this program did not say whose fault it was.
    pub not_decoded: usize,
}

impl FailureCounts {
    pub(super) fn of<'a>(rows: impl IntoIterator<Item = &'a IndexRow>) -> Self {
        let mut failures = Self::default();
        for row in rows {
            failures.add(row);
        }
        failures
    }

    /// Counts a clip, where it has no frames.
    pub(super) fn add(&mut self, row: &IndexRow) {
        match (row.status, row.cause) {
            (ClipStatus::Missing, _) => self.missing += 1,
            (ClipStatus::Failed, Some(Cause::Damaged)) => self.damaged += 1,
            (ClipStatus::Failed, _) => self.not_decoded += 1,
            (ClipStatus::Ok | ClipStatus::Partial | ClipStatus::Withdrawn, _) => {}
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> usize {
        self.missing + self.failed()
    }

    /// Those that have a file.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.damaged + self.not_decoded
    }

    /// Whether these are more than the share `max_failed` of `clips`.
    pub(super) fn exceed(&self, clips: usize, max_failed: f64) -> bool {
        is_above(self.all(), clips, max_failed)
    }

    /// How a run ends that has more failures than allowed. Damage beyond the limit stays; what the
    /// machine refused may be had another time, where that is enough or is the most; else files
    /// must be fetched.
    pub(super) fn exit(&self, clips: usize, max_failed: f64) -> Exit {
        let is_above = |count| is_above(count, clips, max_failed);
        if is_above(self.damaged) {
            Exit::Hopeless
        } else if is_above(self.not_decoded) || !is_above(self.missing + self.damaged) {
            Exit::TryAgain
        } else {
            Exit::Failed
        }
    }
}

#[allow(clippy::cast_precision_loss)] // Clip counts, far below 2^52.
fn is_above(count: usize, clips: usize, share: f64) -> bool {
    // Compared as counts: 0.2 of 10 clips lets 2 go, whatever 0.2 is in binary.
    count as f64 > share * clips as f64 + 1e-9
}

impl DecodeSummary {
    /// What the rows of the index say.
    pub(super) fn of(rows: &[&IndexRow]) -> Self {
        let count = |status| rows.iter().filter(|r| r.status == status).count();
        Self {
            clips: rows.len(),
            ok: count(ClipStatus::Ok),
            partial: count(ClipStatus::Partial),
            failures: FailureCounts::of(rows.iter().copied()),
            frames: rows.iter().map(|r| i64::from(r.frames)).sum(),
            ..Self::default()
        }
    }

    /// Refuses more failures than the share `max_failed` of the clips.
    pub(super) fn check_failures(&self, max_failed: f64) -> Result<(), DecodeError> {
        if self.failures.exceed(self.clips, max_failed) {
            return Err(DecodeError::TooManyFailed {
                clips: self.clips,
                failures: self.failures,
                max_failed,
            });
        }
        Ok(())
    }
}

impl fmt::Display for DecodeSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FailureCounts {
            missing,
            not_decoded,
            ..
        } = self.failures;
        let failed = self.failures.failed();
        if let Some(part) = self.part {
            write!(f, "part {part}: ")?;
        }
        write!(
            f,
            "{} clips: {} ok, {} partial, {failed} failed, {missing} missing; {} frames stored",
            self.clips, self.ok, self.partial, self.frames
        )?;
        if self.withdrawn > 0 {
            write!(f, "; {} more have been withdrawn", self.withdrawn)?;
        }
        if let Some(parts) = self.merged {
            write!(f, "; {parts} parts merged, with {} new shards", self.shards)?;
        } else if self.up_to_date {
            write!(f, "; nothing to do, all of them are up to date")?;
        } else {
            let (decoded, shards) = (self.decoded, self.shards);
            write!(f, "; {decoded} decoded now into {shards} new shards")?;
        }
        if not_decoded > 0 {
            write!(
                f,
                "; {not_decoded} of the failed were not decoded for reasons of this machine: `make decode RETRY=1` (--retry) tries them again"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_says_whether_another_try_can_help() {
        let exit = |missing, damaged, not_decoded| {
            FailureCounts {
                missing,
                damaged,
                not_decoded,
            }
            .exit(100, 0.1)
        };
        assert_eq!(exit(0, 11, 0), Exit::Hopeless);
        assert_eq!(exit(20, 11, 20), Exit::Hopeless);
        assert_eq!(exit(0, 0, 11), Exit::TryAgain);
        assert_eq!(
            exit(5, 5, 1),
            Exit::TryAgain,
            "without that one it would do"
        );
        assert_eq!(exit(11, 0, 0), Exit::Failed);
        assert_eq!(
            exit(11, 5, 5),
            Exit::Failed,
            "files are missing first of all"
        );
    }
}
