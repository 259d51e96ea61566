//! All parts of a stage's work, where each has its folder, and why they cannot be made one.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Part;
use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::lock::{self, Lock, LockError, Wait};
use crate::parquet_file::Provenance;

/// The folders of parts in `folder`, and what else lies there. An absent folder has neither.
///
/// # Errors
/// When the folder cannot be listed.
pub fn folders(folder: &Path) -> Result<(Vec<Part>, Vec<PathBuf>), ArtifactError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
        Err(e) => return Err(ArtifactError::at("list", folder)(e)),
    };
    let (mut parts, mut others) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry.map_err(ArtifactError::at("list", folder))?;
        match Part::of_folder(&entry.file_name().to_string_lossy()) {
            Some(part) if entry.path().is_dir() => parts.push(part),
            _ => others.push(entry.path()),
        }
    }
    parts.sort_unstable();
    others.sort_unstable();
    Ok((parts, others))
}

/// All `parts` parts that `folder` holds, or none where it holds nothing.
///
/// # Errors
/// When one is missing, one of another number of parts is there, or something else lies among them.
pub fn gather(folder: &Path, parts: u32) -> Result<Vec<Part>, PartsError> {
    let (found, others) = folders(folder)?;
    if let Some(path) = others.into_iter().next() {
        return Err(PartsError::Stranger { path });
    }
    let folder = || folder.to_owned();
    if let Some(&found) = found.iter().find(|part| part.count() != parts) {
        let folder = folder();
        return Err(PartsError::Mixed {
            folder,
            found,
            parts,
        });
    }
    let mut missing = Part::all(parts).filter(|part| !found.contains(part));
    match missing.next() {
        Some(first) if !found.is_empty() => Err(PartsError::Missing {
            folder: folder(),
            missing: 1 + missing.count(),
            parts,
            first,
        }),
        _ => Ok(found),
    }
}

/// Locks the folder of a part, where nobody writes into one of the folders `beside` it that the part reads and will be
/// merged into. Who merges takes their locks and then looks at those of the parts, so that one of the two sees the other.
///
/// # Errors
/// When another program works on this part, or writes into one of the folders.
pub fn enter(
    folder: &Path,
    holder: &str,
    wait: Wait,
    beside: &[&Path],
) -> Result<Lock, PartsError> {
    let lock = Lock::folder(folder, holder, wait)?;
    for path in beside {
        if let Some(holder) = lock::holder(path)? {
            drop(lock);
            // Of a part that was never begun nothing stays.
            let _ = fs::remove_dir(folder);
            return Err(PartsError::Busy {
                path: (*path).to_owned(),
                holder,
            });
        }
    }
    Ok(lock)
}

/// The names of the settings and inputs that differ, sorted.
#[must_use]
pub fn difference(a: &Provenance, b: &Provenance) -> Vec<String> {
    let settings = a.settings.keys().chain(b.settings.keys());
    let settings = settings.filter(|name| a.settings.get(*name) != b.settings.get(*name));
    let inputs = a.inputs.keys().chain(b.inputs.keys());
    let inputs = inputs.filter(|name| a.inputs.get(*name) != b.inputs.get(*name));
    let names: BTreeSet<&String> = settings.chain(inputs).collect();
    names.into_iter().cloned().collect()
}

/// What all parts were made from; none where there are no parts.
///
/// # Errors
/// When two of them were not made from the same.
pub fn alike<'a>(
    parts: impl IntoIterator<Item = (Part, &'a Provenance)>,
) -> Result<Option<&'a Provenance>, PartsError> {
    let mut parts = parts.into_iter();
    let Some((first, made_from)) = parts.next() else {
        return Ok(None);
    };
    for (second, other) in parts {
        let what = difference(made_from, other);
        if !what.is_empty() {
            return Err(PartsError::Different {
                first,
                second,
                what,
            });
        }
    }
    Ok(Some(made_from))
}

/// Holds what parts were made from against what they would be made from now.
///
/// # Errors
/// When these differ.
pub fn unchanged(parts: &Provenance, now: &Provenance) -> Result<(), PartsError> {
    let what = difference(parts, now);
    if what.is_empty() {
        Ok(())
    } else {
        Err(PartsError::Changed { what })
    }
}

/// Why a part cannot begin, or all of them cannot be made one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// A folder cannot be listed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Another program works on the part.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Another program writes into the folder that the part will be merged into.
    #[error("{path}, which this part will be merged into, is in use by {holder}")]
    Busy {
        /// The folder.
        path: PathBuf,
        /// Who writes, in its own words.
        holder: String,
    },
    /// There is nothing to merge, and nothing that was merged before.
    #[error(
        "{folder} holds no part, and what was merged before is not of these labels and settings"
    )]
    NoParts {
        /// The folder of the parts.
        folder: PathBuf,
        /// How many were to be there.
        parts: u32,
    },
    /// Some parts are not there.
    #[error("{folder}: {missing} of {parts} parts are missing, the first is {first}")]
    Missing {
        /// The folder of the parts.
        folder: PathBuf,
        /// How many are missing.
        missing: usize,
        /// How many were to be there.
        parts: u32,
        /// The first of the missing.
        first: Part,
    },
    /// A part of another number of parts lies there.
    #[error("{folder} holds part {found}, and {parts} parts are to be merged")]
    Mixed {
        /// The folder of the parts.
        folder: PathBuf,
        /// The part.
        found: Part,
        /// How many were to be there.
        parts: u32,
    },
    /// Something else lies among the parts, and would be removed with them.
    #[error("{path} lies among the parts and is none")]
    Stranger {
        /// The file or folder.
        path: PathBuf,
    },
    /// A part was begun and is not done.
    #[error("part {part} is not done")]
    Unfinished {
        /// The part.
        part: Part,
    },
    /// Two parts were not made from the same.
    #[error("parts {first} and {second} were made from different {}", what.join(", "))]
    Different {
        /// One part.
        first: Part,
        /// The other.
        second: Part,
        /// The settings and input files that differ.
        what: Vec<String>,
    },
    /// The parts were made from something else than what is there now, or was named for merging.
    #[error("the parts were made from other settings or files than those of this merge: {} differ", what.join(", "))]
    Changed {
        /// The settings and input files that differ.
        what: Vec<String>,
    },
}

impl Hint for PartsError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Artifact(e) => return e.hint(),
            Self::Lock(e) => return e.hint(),
            Self::Busy { .. } => "let it end and run the same command again".into(),
            Self::NoParts { parts, .. } => {
                format!("run the parts first, with --part 0/{parts} and so on")
            }
            Self::Missing { first, .. } | Self::Unfinished { part: first } => {
                format!("run this part, with --part {first} and the settings of the others")
            }
            Self::Mixed { found, .. } => format!(
                "merge with --parts {}, or remove the folders of the parts that are not wanted",
                found.count()
            ),
            Self::Stranger { .. } => "take it away".into(),
            Self::Different { second, .. } => {
                format!("run part {second}, or the others, again with the same settings")
            }
            Self::Changed { .. } => {
                "run all parts again: each sees what has changed and does what is not done".into()
            }
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Busy { .. } => Exit::TryAgain,
            _ => Exit::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_are_there_or_none_or_the_reason_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let gather = || gather(folder.path(), 2);
        assert_eq!(gather().unwrap(), []);
        fs::create_dir(at("1-of-2")).unwrap();
        let missing = gather().unwrap_err();
        assert!(
            matches!(&missing, PartsError::Missing { missing: 1, first, .. } if first.to_string() == "0/2")
        );
        assert!(missing.hint().unwrap().contains("--part 0/2"));
        fs::create_dir(at("0-of-2")).unwrap();
        assert_eq!(gather().unwrap().len(), 2);
        fs::create_dir(at("0-of-3")).unwrap();
        assert!(matches!(gather(), Err(PartsError::Mixed { .. })));
        fs::write(at("notes"), "mine").unwrap();
        assert!(matches!(gather(), Err(PartsError::Stranger { .. })));
    }

    #[test]
    fn what_differs_is_named() {
        let a = Provenance::of(&serde_json::json!({ "fps": 5, "quality": 90 }));
        let mut b = Provenance::of(&serde_json::json!({ "fps": 6, "quality": 90 }));
        b.inputs.insert("train.csv".into(), "0".into());
        assert_eq!(difference(&a, &b), ["fps", "train.csv"]);
        assert!(difference(&a, &a.clone()).is_empty());
    }
}
