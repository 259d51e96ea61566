//! Looking for clips everywhere. Nothing is believed that an index says: every folder is walked,
//! every table and every shard is read.

mod again;
mod copies;
mod files;
mod links;
mod store;
mod stored;
mod table;
mod weights;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::EraseError;
use super::config::Places;
use super::held::{Action, HeldRow, Place, What};
use super::ids::Ids;
use super::stores::Stores;
use crate::clip::Split;
use crate::foreign::printable;
use crate::labels::{Labels, table_file};
use crate::tables::LedgerRow;
use crate::taxonomy::Taxonomy;
use crate::withdrawn::WITHDRAWN_FILE;

pub(super) use files::{folder_hash, has_text, without_lines};
pub(super) use stored::frames_hash;

/// How closely is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// By names: of files, rows, members of archives, and in texts.
    Names,
    /// By content, too: every byte is read, and compared with the hashes of what was erased.
    Content,
}

/// The hashes of what was erased, each with its clip.
pub(super) type Erased = BTreeMap<String, String>;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What is held, sorted.
    pub(super) held: Vec<HeldRow>,
    /// Places that could not be searched, each with the reason.
    pub(super) unsearched: Vec<(PathBuf, String)>,
    /// What no setting brings into reach, each with the reason.
    pub(super) beyond: Vec<(PathBuf, String)>,
    /// Bytes that were read, as far as they were read for their content.
    pub(super) bytes_read: u64,
}

/// A search under way.
pub(super) struct Search<'a> {
    places: &'a Places,
    ids: &'a Ids,
    depth: Depth,
    erased: &'a Erased,
    /// Label tables and list, which may name any clip.
    tables: Vec<PathBuf>,
    /// The folders of the parts of a decoding or a manifest that go as a whole.
    parts: Vec<PathBuf>,
    found: Found,
}

impl<'a> Search<'a> {
    /// Looks for the clips in all places.
    ///
    /// # Errors
    /// When the label tables cannot be read. Whatever else cannot be read is named in the result.
    pub(super) fn everywhere(
        places: &'a Places,
        stores: &Stores,
        ids: &'a Ids,
        depth: Depth,
        erased: &'a Erased,
    ) -> Result<Found, EraseError> {
        let mut search = Self::new(places, ids, depth, erased)?;
        search.label_rows()?;
        search.files_of(Place::Labels, &places.labels);
        search.folder(Place::Raw, &places.raw);
        if let Some(folder) = &places.frame_folders {
            search.folder(Place::FrameFolders, folder);
        }
        if let Some(folder) = &places.archives {
            search.folder(Place::Archives, folder);
        }
        search.files_of(Place::Data, &places.data);
        search.folder(Place::Shards, &places.shards);
        for cache in &places.caches {
            search.folder(Place::Cache, cache);
        }
        for (address, store) in stores.each() {
            search.store(address, store);
        }
        if let Some(folder) = places.manifest.parent() {
            search.folder(Place::Manifest, folder);
        }
        search.folder(Place::Tasks, &places.tasks);
        search.folder(Place::Features, &places.features);
        for folder in &places.runs {
            search.folder(Place::Runs, folder);
        }
        search.found.held.sort_by(HeldRow::order);
        Ok(search.found)
    }

    fn new(
        places: &'a Places,
        ids: &'a Ids,
        depth: Depth,
        erased: &'a Erased,
    ) -> Result<Self, EraseError> {
        let mut parts = Vec::new();
        for (_, place) in places.parts() {
            parts.extend(place.folders()?);
            parts.push(place.merged().to_owned());
        }
        let others = [Taxonomy::FILE, WITHDRAWN_FILE].map(str::to_owned);
        let tables = Split::ALL.map(table_file).into_iter().chain(others);
        Ok(Self {
            places,
            ids,
            depth,
            erased,
            tables: tables.map(|name| places.labels.join(name)).collect(),
            parts,
            found: Found::default(),
        })
    }

    /// The rows of the label tables: they stay.
    fn label_rows(&mut self) -> Result<(), EraseError> {
        let labels = Labels::read(&self.places.labels)?;
        for (split, row, label) in labels.iter() {
            let id = label.clip.to_string();
            if self.ids.contains(&id) {
                let file = self.places.labels.join(table_file(split));
                let note = Some(format!("row {row}, {}", printable(&label.subcategory)));
                let (place, what) = (Place::Labels, What::Label);
                self.hold(place, &file, &id, what, 0, Action::Keep, note);
            }
        }
        Ok(())
    }

    /// Looks at the files right below a folder.
    fn files_of(&mut self, place: Place, folder: &Path) {
        if !folder.exists() {
            return;
        }
        let walk = WalkDir::new(folder).max_depth(1).follow_links(true);
        for entry in walk.sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    let is_ledger = entry.file_name() == LedgerRow::FILE;
                    let place = match place {
                        Place::Data if is_ledger => Place::Downloads,
                        place => place,
                    };
                    self.file(place, folder, entry.path());
                }
                Ok(_) => {}
                Err(e) => self.not_walked(place, folder, &e),
            }
        }
    }

    /// What could not be walked: a link that leads nowhere may be held all the same.
    fn not_walked(&mut self, place: Place, root: &Path, error: &walkdir::Error) {
        let path = error.path().unwrap_or(root).to_owned();
        if !self.dangling(place, root, &path) {
            self.unsearched(&path, &error.to_string());
        }
    }

    /// Looks through everything below a folder. A folder that is not there holds nothing, but for
    /// one that a person named.
    fn folder(&mut self, place: Place, root: &Path) {
        if !root.exists() {
            if !root.starts_with(&self.places.data) {
                self.unsearched(root, "it does not exist");
            }
            return;
        }
        let walk = WalkDir::new(root).follow_links(true).sort_by_file_name();
        let mut frame_folders = BTreeSet::new();
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    match self.frame_folder(place, root, entry.path()) {
                        Some(found) => {
                            frame_folders.insert(found);
                        }
                        None => self.file(place, root, entry.path()),
                    }
                }
                Ok(_) => {}
                Err(e) => self.not_walked(place, root, &e),
            }
        }
        for folder in frame_folders {
            self.frames(place, root, &folder);
        }
    }

    /// Notes what is held.
    #[allow(clippy::too_many_arguments)] // The columns of a plan.
    fn hold(
        &mut self,
        place: Place,
        file: &Path,
        clip_id: &str,
        what: What,
        bytes: u64,
        action: Action,
        note: Option<String>,
    ) {
        // What was fetched is fetched again, and a part is done again.
        let is_made_again = place == Place::Cache || self.is_of_part(file);
        let action = match action {
            Action::Rewrite if is_made_again => Action::Rebuild,
            action => action,
        };
        self.found.held.push(HeldRow {
            place,
            file: self.places.name_of(file),
            clip_id: clip_id.to_owned(),
            what,
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            action,
            note,
        });
    }

    /// Whether a file lies in a part that goes as a whole.
    fn is_of_part(&self, file: &Path) -> bool {
        self.parts.iter().any(|part| file.starts_with(part))
    }

    fn unsearched(&mut self, path: &Path, reason: &str) {
        self.found
            .unsearched
            .push((path.to_owned(), reason.to_owned()));
    }
}
