//! Decoding single files completely, to see what is in them.

use std::fmt;
use std::path::{Path, PathBuf};

use super::clip::{damage, must_move};
use crate::foreign::printable;
use crate::media::MediaError;
use crate::media::limits::Limits;
use crate::media::video::Video;
use crate::tables::ClipStatus;

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeRow {
    /// The file.
    pub file: PathBuf,
    /// Frames that were decoded.
    pub frames: i64,
    /// `Ok`, `Partial` or `Failed`.
    pub status: ClipStatus,
    /// Why not `Ok`.
    pub reason: Option<String>,
}

impl fmt::Display for ProbeRow {
    /// A line of tab-separated values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            ClipStatus::Ok => "ok",
            ClipStatus::Partial => "partial",
            ClipStatus::Failed => "failed",
            ClipStatus::Missing => "missing",
            ClipStatus::Withdrawn => "withdrawn",
        };
        write!(
            f,
            "{}\t{}\t{status}\t{}",
            printable(&self.file.to_string_lossy()),
            self.frames,
            printable(self.reason.as_deref().unwrap_or_default())
        )
    }
}

/// Decodes every frame of a file.
#[must_use]
pub fn probe(file: &Path, limits: Limits) -> ProbeRow {
    let row = |frames, status, reason| ProbeRow {
        file: file.to_owned(),
        frames,
        status,
        reason,
    };
    if !file.exists() {
        return row(0, ClipStatus::Missing, Some("there is no such file".into()));
    }
    let mut video = match Video::open(file, limits) {
        Ok(video) => video,
        Err(e) => return row(0, ClipStatus::Failed, Some(e.to_string())),
    };
    let ended = loop {
        match video.next_frame(None) {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(e) => break Some(e.to_string()),
        }
    };
    let tally = video.tally();
    if tally.frames == 0 {
        let nothing = MediaError::NoFrames {
            packets: tally.packets,
            errors: tally.errors,
        };
        return row(
            0,
            ClipStatus::Failed,
            Some(ended.unwrap_or_else(|| nothing.to_string())),
        );
    }
    if let Err(picture) = must_move(video.facts(), tally) {
        return row(0, ClipStatus::Failed, Some(picture.to_string()));
    }
    match ended.or_else(|| damage(video.facts(), tally)) {
        None => row(tally.frames, ClipStatus::Ok, None),
        reason => row(tally.frames, ClipStatus::Partial, reason),
    }
}
