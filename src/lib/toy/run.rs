//! Writes the miniature source in the official one's layout.
//!
//! ```text
//! train/k700_2020_train_path.txt      one archive URL a line, as officially published
//! train/k700_train_NNN.tar.gz         the NNN-th class in sorted order: <class>/<id>_<start>_<end>.mp4
//! annotations/train.csv val.csv test.csv
//! Info/classes.csv train.csv validation.csv test.csv subcategories_to_remove.csv subcategories_to_substitute.csv
//! toy.json                            the settings; written last
//! ```
//!
//! As in the published subset, the clips of all three label tables lie in the source's train
//! archives. Each archive also holds clips that no table names, and some classes are in no table at
//! all, so that a download has something to leave.

use std::fs;
use std::path::{Path, PathBuf};

use super::archives::{archive_name, write_archives};
use super::plan::plan;
use super::tables::{embedded_taxonomy, table_files, write_tables};
use super::{ToyConfig, ToyError, ToySummary};
use crate::artifact::{self, ArtifactError};
use crate::lock::{LOCK_FILE, Lock, Wait};

/// Name of the file that says that the source is complete, and with which settings.
const COMPLETE: &str = "toy.json";

/// Writes the source. A folder that has it already, with the same settings, is left alone.
///
/// # Errors
/// When a setting is out of its range, the folder holds something else, or a clip or file cannot be
/// written.
pub fn run(config: &ToyConfig) -> Result<ToySummary, ToyError> {
    config.check()?;
    let taxonomy = embedded_taxonomy()?;
    let archives = plan(config, &taxonomy);
    let clips = archives.iter().map(|a| a.clips.len()).sum();
    let labelled = archives
        .iter()
        .flat_map(|a| &a.clips)
        .filter(|c| c.split.is_some())
        .count();
    let settings = serde_json::json!({"format": "incdec.toy", "version": 1, "settings": config});
    let settings = settings.to_string();
    let complete = config.out.join(COMPLETE);
    // Archives, index and tables belong together: a second one waits for the first.
    let _lock = Lock::folder(&config.out, "incdec-toy", Wait::Yes)?;
    let summary = ToySummary {
        archives: archives.len(),
        clips,
        labelled,
        unchanged: fs::read_to_string(&complete).is_ok_and(|t| t == settings)
            && missing(&config.out, archives.len()).is_none(),
    };
    if summary.unchanged {
        return Ok(summary);
    }
    claim(&config.out)?;
    write_archives(config, &archives, clips)?;
    write_tables(config, &taxonomy, &archives)?;
    if let Some(path) = missing(&config.out, archives.len()) {
        return Err(ToyError::Gone { path });
    }
    artifact::publish(&complete, |w| w.write_all(settings.as_bytes()))?;
    Ok(summary)
}

/// A file of a complete source that is not there.
fn missing(out: &Path, archives: usize) -> Option<PathBuf> {
    let archives = (0..archives).map(|number| out.join("train").join(archive_name(number)));
    let tables = table_files().map(|name| out.join(name));
    archives.chain(tables).find(|path| !path.exists())
}

/// Makes sure that nothing but an earlier toy is overwritten, and takes away the mark of
/// completeness.
fn claim(out: &Path) -> Result<(), ToyError> {
    fs::create_dir_all(out).map_err(ArtifactError::at("create folder", out))?;
    let complete = out.join(COMPLETE);
    let entries = fs::read_dir(out).map_err(ArtifactError::at("list", out))?;
    let ours = ["train", "annotations", "Info", COMPLETE];
    for entry in entries {
        let entry = entry.map_err(ArtifactError::at("list", out))?;
        let name = entry.file_name();
        let begun = name.to_string_lossy().starts_with(".incdec-") || name == LOCK_FILE;
        if !ours.iter().any(|o| name == *o) && !begun {
            return Err(ToyError::Occupied {
                path: out.to_owned(),
            });
        }
    }
    artifact::sweep(out)?;
    for folder in ["train", "annotations", "Info"] {
        artifact::sweep(&out.join(folder))?;
    }
    match fs::remove_file(&complete) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(ArtifactError::at("remove", &complete)(e).into())
        }
        _ => Ok(()),
    }
}
