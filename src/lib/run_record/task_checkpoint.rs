//! Checkpoints inside a task: what their files are called, which are there, and whether one is as it was written.
//!
//! A checkpoint is a safetensors file whose header holds its own hash, [`SEAL`]: the BLAKE3 of the whole file with zeros in
//! the hash's place. So every bit of it is covered, and no libtorch is needed to look.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::CHECKPOINTS;
use crate::artifact::ArtifactError;
use crate::choice::choice;

/// The field of the header's metadata that holds the file's hash.
pub const SEAL: &str = "incdec.blake3";
/// Digits of a hash.
const HASH_DIGITS: usize = 64;
/// The header lies within the first bytes; a longer one is none of ours.
const MAX_HEADER_BYTES: usize = 1 << 24;
/// What file names end in.
const ENDING: &str = ".safetensors";

choice! {
    /// A part of a task, in the order of events.
    #[derive(PartialOrd, Ord)]
    pub enum Part: "part of a task" {
        /// The steps of an epoch.
        Training = "training",
        /// The validation set, after an epoch.
        Validation = "validation",
        /// The validation set, with the best weights.
        BestValidation = "best-validation",
        /// The test set, with the best weights.
        BestTest = "best-test",
        /// What the approach takes from the task for the next, such as a Fisher information.
        Closing = "closing",
    }
}

/// A place within a run, between two micro-batches. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The task, from 0.
    pub task: usize,
    /// The epoch within it, from 0; behind the epochs, the last one.
    pub epoch: u32,
    /// The part of the task.
    pub part: Part,
    /// Micro-batches of that part that are done.
    pub batches: usize,
}

impl Position {
    /// Where a task begins.
    #[must_use]
    pub fn start(task: usize) -> Self {
        Self {
            task,
            epoch: 0,
            part: Part::Training,
            batches: 0,
        }
    }

    /// Where the checkpoint lies within a run directory.
    #[must_use]
    pub fn file(&self) -> String {
        let Self {
            task,
            epoch,
            part,
            batches,
        } = self;
        format!("{CHECKPOINTS}/task-{task}-epoch-{epoch}-{part}-{batches}{ENDING}")
    }

    /// The position that a file of [`CHECKPOINTS`] is named by.
    fn of_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("task-")?.strip_suffix(ENDING)?;
        let (task, rest) = name.split_once("-epoch-")?;
        let (epoch, rest) = rest.split_once('-')?;
        let (part, batches) = rest.rsplit_once('-')?;
        Some(Self {
            task: task.parse().ok()?,
            epoch: epoch.parse().ok()?,
            part: Part::from_str(part).ok()?,
            batches: batches.parse().ok()?,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            task,
            epoch,
            part,
            batches,
        } = self;
        write!(
            f,
            "task {task}, epoch {epoch}, {part}, behind batch {batches}"
        )
    }
}

/// The checkpoints inside tasks that lie in a run directory, the earliest first.
///
/// # Errors
/// When their folder cannot be listed.
pub fn positions(run: &Path) -> Result<Vec<Position>, ArtifactError> {
    let folder = run.join(CHECKPOINTS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(ArtifactError::at("list", &folder)(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(ArtifactError::at("list", &folder))?
            .file_name();
        found.extend(Position::of_name(&name.to_string_lossy()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether a file is called as a checkpoint inside a task is.
#[must_use]
pub fn is_task_checkpoint(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    Position::of_name(&name.to_string_lossy()).is_some()
}

/// Removes the checkpoints inside tasks that are not `kept`.
///
/// # Errors
/// When one cannot be removed.
pub fn remove_positions(run: &Path, kept: impl Fn(Position) -> bool) -> Result<(), ArtifactError> {
    for position in positions(run)?.into_iter().filter(|p| !kept(*p)) {
        let path: PathBuf = run.join(position.file());
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(ArtifactError::at("remove", &path)(e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A hash that is still to be written.
#[must_use]
pub fn blank_seal() -> String {
    "0".repeat(HASH_DIGITS)
}

/// Where the digits of the hash stand in the first bytes of a file.
#[must_use]
pub fn seal_at(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let before = format!("\"{SEAL}\":\"");
    let head = &bytes[..bytes.len().min(MAX_HEADER_BYTES)];
    let at = head
        .windows(before.len())
        .position(|window| window == before.as_bytes())?
        + before.len();
    (at + HASH_DIGITS <= head.len()).then_some(at..at + HASH_DIGITS)
}

/// Whether a checkpoint's bytes are those that were written.
#[must_use]
pub fn is_sealed(bytes: &[u8]) -> bool {
    let Some(at) = seal_at(bytes) else {
        return false;
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..at.start]);
    hasher.update(blank_seal().as_bytes());
    hasher.update(&bytes[at.end..]);
    hasher.finalize().to_hex().as_bytes() == &bytes[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_known_by_its_file_and_by_nothing_else() {
        for part in Part::ALL {
            let position = Position {
                task: 3,
                epoch: 12,
                part,
                batches: 345,
            };
            let file = position.file();
            let name = file.strip_prefix("checkpoints/").unwrap();
            assert_eq!(Position::of_name(name), Some(position), "{name}");
        }
        for other in [
            "task-0.safetensors",
            "task-0-state.safetensors",
            "task-0-epoch-1-resting-3.safetensors",
            "task-0-epoch-1-training-.safetensors",
            "task-0-epoch-1-training-3",
        ] {
            assert_eq!(Position::of_name(other), None, "{other}");
        }
    }

    #[test]
    fn later_positions_are_greater() {
        let at = |epoch, part, batches| Position {
            task: 0,
            epoch,
            part,
            batches,
        };
        let in_order = [
            at(0, Part::Training, 2),
            at(0, Part::Training, 10),
            at(0, Part::Validation, 1),
            at(1, Part::Training, 0),
            at(1, Part::BestValidation, 0),
            at(1, Part::BestTest, 0),
            at(1, Part::Closing, 0),
        ];
        assert!(in_order.is_sorted());
    }
}
