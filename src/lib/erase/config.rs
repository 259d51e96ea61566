//! Settings: where things lie, and which clips are meant.

use std::path::{self, Path, PathBuf};

use super::held::Place;
use super::names;
use crate::artifact::ArtifactError;
use crate::choice::choice;
use crate::lock::Wait;
use crate::manifest;
use crate::part::PartsPlace;
use crate::shard::{self, ShardStore};

/// Where the pipeline's files lie. A place that does not exist holds nothing; one that was named by
/// hand and does not exist was not searched.
#[derive(Clone, Debug)]
pub struct Places {
    /// The data folder: the ledger of withdrawals, and the download's ledger.
    pub data: PathBuf,
    /// The folder of label tables, with the list.
    pub labels: PathBuf,
    /// The folder of clips.
    pub raw: PathBuf,
    /// The folder of frame folders, where there is one.
    pub frame_folders: Option<PathBuf>,
    /// The folder of kept archives, where there is one.
    pub archives: Option<PathBuf>,
    /// The folder of shards.
    pub shards: PathBuf,
    /// Folders into which shards of object stores are fetched.
    pub caches: Vec<PathBuf>,
    /// Shards in object stores. Their caches are not used.
    pub stores: Vec<ShardStore>,
    /// The manifest.
    pub manifest: PathBuf,
    /// The folder of tasks.
    pub tasks: PathBuf,
    /// The folder of feature tables.
    pub features: PathBuf,
    /// Folders of runs, of audits, and of their reports.
    pub runs: Vec<PathBuf>,
}

impl Places {
    /// The places below a data folder, as the Makefile has them.
    #[must_use]
    pub fn below(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            labels: data.join("Info"),
            raw: data.join("raw"),
            frame_folders: None,
            archives: None,
            shards: data.join("shards"),
            caches: Vec::new(),
            stores: Vec::new(),
            manifest: data.join("manifests/clips.parquet"),
            tasks: data.join("tasks"),
            features: data.join("features"),
            runs: vec![data.join("runs"), data.join("audit")],
        }
    }

    /// The same places as paths that do not depend on the current folder: a name that the ledger
    /// keeps must mean the same file later.
    ///
    /// # Errors
    /// When a path is empty, or there is no current folder.
    pub(super) fn absolute(&self) -> Result<Self, ArtifactError> {
        let whole =
            |path: &PathBuf| path::absolute(path).map_err(ArtifactError::at("look for", path));
        let all = |paths: &[PathBuf]| paths.iter().map(whole).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            data: whole(&self.data)?,
            labels: whole(&self.labels)?,
            raw: whole(&self.raw)?,
            frame_folders: self.frame_folders.as_ref().map(whole).transpose()?,
            archives: self.archives.as_ref().map(whole).transpose()?,
            shards: whole(&self.shards)?,
            caches: all(&self.caches)?,
            stores: self.stores.clone(),
            manifest: whole(&self.manifest)?,
            tasks: whole(&self.tasks)?,
            features: whole(&self.features)?,
            runs: all(&self.runs)?,
        })
    }

    /// A path as tables and messages name it: below the data folder without that folder. A byte that
    /// belongs to no text stands as two digits behind two slashes.
    #[must_use]
    pub fn name_of(&self, path: &Path) -> String {
        names::name_of(path.strip_prefix(&self.data).unwrap_or(path))
    }

    /// Where parts lie that were never merged and go as a whole where they hold a clip: of decoding and
    /// of the manifest. (Those of a download are clips and archives, each of which is a file of its own.)
    pub(super) fn parts(&self) -> [(Place, PartsPlace); 2] {
        [
            (Place::Shards, shard::parts_place(&self.shards)),
            (Place::Manifest, manifest::parts_place(&self.manifest)),
        ]
    }

    /// The folder in which apply makes what it sends to stores.
    pub(super) fn scratch(&self) -> PathBuf {
        self.data.join(".incdec-store")
    }

    /// The path that a name of [`Places::name_of`] stands for.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.data.join(names::path_of(name))
    }
}

/// What chooses clips. Several together choose all that any of them chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// These ids.
    Ids(Vec<String>),
    /// The ids that a file names.
    Clips(PathBuf),
    /// All clips of a source: of a group of the label tables, else of a YouTube id.
    Source(String),
    /// All clips of a subcategory.
    Subcategory(String),
    /// Stored clips that no label table names.
    Unlabelled,
    /// The clips that have left the lists of an availability table by a task and do not come back.
    Departed {
        /// The table.
        availability: PathBuf,
        /// The task, from 0.
        task: i32,
    },
}

choice! {
    /// What becomes of kept archives that hold a clip.
    #[derive(Default)]
    pub enum Archives: "what becomes of kept archives" {
        /// Nothing is erased while an archive holds a clip.
        #[default]
        Refuse = "refuse",
        /// Archives that hold a clip are deleted, with all the other clips in them.
        Delete = "delete",
    }
}

/// A request to erase clips.
#[derive(Clone, Debug)]
pub struct EraseConfig {
    /// Where things lie.
    pub places: Places,
    /// What chooses the clips; at least one.
    pub selectors: Vec<Selector>,
    /// The request, under a name of the requester's choice.
    pub request: String,
    /// Why, as it is to stand in the list; default nothing.
    pub reason: Option<String>,
    /// What becomes of kept archives. Default refuse.
    pub archives: Archives,
    /// What to do while another program works in one of the places. Default: name it and end.
    pub wait: Wait,
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ids(ids) => f.write_str(&ids.join(" ")),
            Self::Clips(file) => write!(f, "--clips {}", file.display()),
            Self::Source(id) => write!(f, "--source {id}"),
            Self::Subcategory(name) => write!(f, "--subcategory {name}"),
            Self::Unlabelled => f.write_str("--unlabelled"),
            Self::Departed { availability, task } => {
                write!(f, "--departed {} --task {task}", availability.display())
            }
        }
    }
}

/// The selectors as they were given.
pub(super) fn said(selectors: &[Selector]) -> String {
    let all: Vec<String> = selectors.iter().map(ToString::to_string).collect();
    all.join(" ")
}
