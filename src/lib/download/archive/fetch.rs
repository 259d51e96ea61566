//! One archive: from the socket through gunzip and tar to clips under their names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use super::extract::{ExtractError, Tally, extract};
use super::naming::{Naming, sync};
use super::packing::{BEGIN_BYTES, Packing, Unpacked, packing};
use super::staging::Staging;
use super::unzip::unzip;
use super::watched;
use crate::artifact::ArtifactError;
use crate::clip::ClipId;
use crate::download::config::DownloadConfig;
use crate::download::ledger::workplace::Workplace;
use crate::download::ledger::{ArchiveRecord, ArchiveState};
use crate::download::plan::{PlannedArchive, WantedClip};
use crate::download::source::{Client, Facts, Fault, Stream};
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;
use crate::progress::Progress;

/// Times that an archive is read from its start, where it changes on the way, fails its checksum or
/// is not there.
const READS: usize = 3;

/// Bytes of a ZIP file that are copied at a time.
const COPY_BYTES: usize = 64 * 1024;

/// What the workers of a run share.
pub(crate) struct Work<'a> {
    pub(crate) config: &'a DownloadConfig,
    pub(crate) client: &'a Client,
    pub(crate) workplace: &'a Workplace,
    /// All clips that are asked for, present or not.
    pub(crate) wanted: &'a BTreeMap<String, WantedClip>,
    /// Gives clips their names; none in a part, whose clips stay staged.
    pub(crate) naming: Option<Naming<'a>>,
    pub(crate) progress: &'a Progress,
    /// Called for each clip.
    pub(crate) on_clip: &'a (dyn Fn() + Sync),
}

/// What became of an archive.
pub(crate) struct Outcome {
    pub(crate) record: ArchiveRecord,
    /// Of one that was not read to its end: what another try may come to.
    pub(crate) exit: Exit,
}

impl Work<'_> {
    /// Fetches one archive and writes its record down. A failure of the source is part of the
    /// record; a failure of the disk ends the run.
    pub(crate) fn fetch(&self, planned: &PlannedArchive) -> Result<Outcome, ArtifactError> {
        let result = self.read_until_sound(planned);
        if result.is_err() {
            self.client.cancel();
        }
        result
    }

    fn read_until_sound(&self, planned: &PlannedArchive) -> Result<Outcome, ArtifactError> {
        let mut record = ArchiveRecord {
            path: planned.path.clone(),
            url: planned.url.clone(),
            state: ArchiveState::Failed,
            first_class: planned.first_class.clone(),
            ..ArchiveRecord::default()
        };
        let mut exit = Exit::Hopeless;
        let shown = printable(&planned.path);
        for read in 1..=READS {
            // A second reading trusts nothing that was said before.
            let facts = if read == 1 {
                planned.facts.clone()
            } else {
                Facts::default()
            };
            let reason = match self.read_once(planned, facts) {
                Ok((tally, facts, hash)) => {
                    record.bytes = facts.bytes;
                    record.etag = facts.tag;
                    record.blake3 = Some(hash);
                    let record = self.publish(record, tally)?;
                    let exit = Exit::Done;
                    return Ok(Outcome { record, exit });
                }
                Err(ExtractError::Artifact(error)) => return Err(error),
                Err(ExtractError::Damaged(reason)) => {
                    record.state = ArchiveState::Damaged;
                    exit = Exit::Hopeless;
                    printable(&reason).into_owned()
                }
                Err(ExtractError::Foreign(reason)) => {
                    record.state = ArchiveState::Foreign;
                    exit = Exit::Hopeless;
                    record.reason = Some(reason.to_owned());
                    break;
                }
                Err(ExtractError::Remote(error)) if error.kind.is_absence() => {
                    record.state = ArchiveState::Absent;
                    exit = Exit::Hopeless;
                    self.client.wait(self.client.retry.first_wait);
                    error.kind.to_string()
                }
                Err(ExtractError::Remote(error)) => {
                    record.state = ArchiveState::Failed;
                    exit = error.exit();
                    record.reason = Some(error.kind.to_string());
                    if !matches!(error.kind, Fault::Changed { .. }) {
                        break;
                    }
                    error.kind.to_string()
                }
            };
            if read < READS {
                tracing::warn!(
                    archive = %shown,
                    reason,
                    "reading the archive from its start again"
                );
            }
            record.reason = Some(reason);
        }
        let reason = record.reason.as_deref().unwrap_or_default();
        tracing::error!(archive = %shown, reason, "archive given up");
        Ok(Outcome { record, exit })
    }

    fn read_once(
        &self,
        planned: &PlannedArchive,
        facts: Facts,
    ) -> Result<(Tally, Facts, String), ExtractError> {
        let staging = self.workplace.staging(&planned.path)?;
        let wants = |clip: &ClipId| self.wanted.contains_key(&clip.to_string());
        let on_keep = || (self.on_clip)();
        let mut keeper = Staging::new(&staging, wants, &on_keep);
        let stream = Stream::new(self.client, planned.link.reveal(), facts);
        let copy = self.config.keep_archives.as_deref();
        let copy = copy.map(|folder| watched::place(folder, &planned.path));
        let mut watched = watched::Watched::new(stream, self.progress, copy)?;
        let mut begin = Vec::new();
        (&mut watched)
            .take(BEGIN_BYTES as u64)
            .read_to_end(&mut begin)?;
        let packing = packing(&begin).map_err(ExtractError::Foreign)?;
        let whole = Cursor::new(begin).chain(watched);
        let mut archive = Unpacked::new(whole, packing)?;
        let tally = if packing == Packing::Zip {
            let mut file = tempfile::tempfile_in(&staging)
                .map_err(ArtifactError::at("create a file in", &staging))?;
            copy_to(&mut file, &mut archive, &staging)?;
            unzip(file, &mut keeper)?
        } else {
            extract(&mut archive, &mut keeper)?
        };
        let (hash, whole) = archive
            .finish()
            .ok_or_else(|| ExtractError::Damaged("the archive ended in an error".into()))?;
        let stream = whole.into_inner().1.finish()?;
        Ok((tally, stream.facts().clone(), hash))
    }

    /// Gives the staged clips their names, where that is to be done, and says what the archive is.
    fn publish(&self, record: ArchiveRecord, tally: Tally) -> Result<ArchiveRecord, ArtifactError> {
        let record = ArchiveRecord {
            state: ArchiveState::Complete,
            reason: None,
            first_class: record.first_class.or(tally.first_class),
            members_seen: tally.seen,
            members_kept: tally.kept.len() as u64,
            members_refused: tally.refused_count,
            refused: tally.refused,
            kept: tally.kept,
            sought: self.wanted.keys().cloned().collect(),
            ..record
        };
        let staging = self.workplace.staging_path(&record.path);
        match &self.naming {
            Some(naming) => naming.take_in(&record, &staging)?,
            None => sync(&staging)?,
        }
        Ok(record)
    }
}

/// Copies what `from` gives into a file of the folder `place`, and goes back to its beginning.
fn copy_to(file: &mut File, from: &mut impl Read, place: &Path) -> Result<(), ExtractError> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        file.write_all(&buffer[..n])
            .map_err(ArtifactError::at("write to", place))?;
    }
    Ok(file
        .rewind()
        .map_err(ArtifactError::at("read again", place))?)
}
