//! What is known from before: the ledger of the last run, and the clips on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::record::{ArchiveRecord, ArchiveState, ClipState, KeptClip, MissingReason, find_clip};
use super::table;
use crate::download::error::DownloadError;
use crate::download::plan::{Wanted, WantedClip};
use crate::tables::{Kind, LedgerRow};

/// What earlier runs found out.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The archives by path.
    pub(crate) archives: BTreeMap<String, ArchiveRecord>,
    /// Subcategories of the clips that the ledger has.
    pub(crate) subcategories: BTreeMap<String, String>,
    /// The clips of the ledger that no archive gave: adopted, as frames, or missing.
    pub(crate) others: BTreeMap<String, ClipState>,
}

impl Known {
    /// Reads the ledger, if there is one.
    pub(crate) fn read(ledger: &Path) -> Result<Self, DownloadError> {
        if !ledger.exists() {
            return Ok(Self::default());
        }
        Ok(Self::from_rows(table::read(ledger)?))
    }

    fn from_rows(rows: Vec<LedgerRow>) -> Self {
        let mut known = Self::default();
        // Archives come first, so every other row finds its own.
        for row in rows {
            match row.kind {
                Kind::Archive => {
                    let record = table::archive_of(row);
                    known.archives.insert(record.path.clone(), record);
                }
                Kind::Clip => known.add_clip(row),
                Kind::Refused => {
                    let path = row.archive.as_deref().unwrap_or_default();
                    if let Some(record) = known.archives.get_mut(path) {
                        record.refused.push(table::refused_of(row));
                    }
                }
            }
        }
        // Of a clip that was adopted nobody knows which archives hold it.
        let adopted = |id: &str| matches!(known.others.get(id), Some(ClipState::Adopted { .. }));
        let ids = known.subcategories.keys().filter(|id| !adopted(id));
        let sought: BTreeSet<String> = ids.cloned().collect();
        for record in known.archives.values_mut() {
            if record.state == ArchiveState::Complete {
                record.sought.clone_from(&sought);
            }
        }
        known
    }

    fn add_clip(&mut self, row: LedgerRow) {
        let id = row.name.clone();
        let subcategory = row.subcategory.clone().unwrap_or_default();
        self.subcategories.insert(id.clone(), subcategory);
        match table::clip_of(row) {
            ClipState::Present { archive, clip } => {
                if let Some(record) = self.archives.get_mut(&archive) {
                    record.kept.push(clip);
                }
            }
            other => {
                self.others.insert(id, other);
            }
        }
    }

    /// Adds what became of an archive, in a killed run or this one. Clips that an earlier reading
    /// of it kept stay its own where this one did not seek them or did not get to its end.
    pub(crate) fn add(&mut self, mut record: ArchiveRecord) {
        if let Some(before) = self.archives.remove(&record.path) {
            let read = record.state == ArchiveState::Complete;
            let replaced = read && before.blake3.is_some() && before.blake3 != record.blake3;
            if replaced {
                self.forget_missing(&record);
            }
            let others = before.kept.into_iter();
            let others: Vec<_> = others
                .filter(|k| !read || !record.sought.contains(&k.clip_id))
                .collect();
            record.members_kept += others.len() as u64;
            record.kept.extend(others);
            if read && !replaced {
                record.sought.extend(before.sought);
            }
        }
        self.archives.insert(record.path.clone(), record);
    }

    /// Drops what is known of missing clips that the archive may hold, now that it is another, and
    /// that were not looked for in it.
    fn forget_missing(&mut self, archive: &ArchiveRecord) {
        let (others, class) = (&mut self.others, archive.first_class.as_deref());
        self.subcategories.retain(|id, subcategory| {
            let missing = matches!(others.get(id), Some(ClipState::Missing { .. }));
            let may_hold = class.is_none_or(|class| class == subcategory);
            let forgotten = missing && may_hold && !archive.sought.contains(id);
            if forgotten {
                others.remove(id);
            }
            !forgotten
        });
    }

    /// Forgets which clips were looked for in which archive: they are all looked for again.
    pub(crate) fn forget_reading(&mut self) {
        for record in self.archives.values_mut() {
            record.sought.clear();
        }
    }

    /// Whether the archives that could hold the clip are known not to.
    pub(crate) fn is_absent(&self, clip: &str) -> bool {
        let reason = MissingReason::InNoArchive;
        self.others.get(clip) == Some(&ClipState::Missing { reason })
    }

    /// The archive that each clip on disk is from. That of an adopted clip has an empty path, which
    /// is before all others: no archive's copy takes its place.
    pub(crate) fn owners(&self, raw: &Path, wanted: &Wanted) -> BTreeMap<String, String> {
        let kept = self.kept().into_iter();
        let mut owners: BTreeMap<_, _> = kept
            .map(|(id, (archive, _))| (id.to_owned(), archive.to_owned()))
            .collect();
        let on_disk = self.on_disk(raw);
        owners.extend(wanted.clips.iter().filter_map(|(id, clip)| {
            match on_disk.clip(&clip.subcategory, id)? {
                ClipState::Adopted { .. } => Some((id.clone(), String::new())),
                _ => None,
            }
        }));
        owners
    }

    /// The wanted clips that are not on disk.
    pub(crate) fn open(&self, raw: &Path, wanted: &Wanted) -> BTreeMap<String, WantedClip> {
        let on_disk = self.on_disk(raw);
        let clips = wanted
            .clips
            .iter()
            .filter(|(id, clip)| on_disk.clip(&clip.subcategory, id).is_none());
        clips.map(|(id, clip)| (id.clone(), clip.clone())).collect()
    }

    /// Where each kept clip comes from: of several archives the first by path.
    pub(crate) fn kept(&self) -> BTreeMap<&str, (&str, &KeptClip)> {
        let mut kept = BTreeMap::new();
        for record in self.archives.values() {
            for clip in &record.kept {
                kept.entry(clip.clip_id.as_str())
                    .or_insert((record.path.as_str(), clip));
            }
        }
        kept
    }

    /// The clips that lie below `raw` as this says.
    pub(crate) fn on_disk<'a>(&'a self, raw: &'a Path) -> OnDisk<'a> {
        OnDisk {
            raw,
            kept: self.kept(),
            others: &self.others,
        }
    }
}

/// The clips on disk, as far as they are known.
pub(crate) struct OnDisk<'a> {
    raw: &'a Path,
    kept: BTreeMap<&'a str, (&'a str, &'a KeptClip)>,
    others: &'a BTreeMap<String, ClipState>,
}

impl OnDisk<'_> {
    /// The clip, where its file is there with the size that it should have.
    pub(crate) fn clip(&self, subcategory: &str, id: &str) -> Option<ClipState> {
        let is_there = |clip: &KeptClip| {
            find_clip(self.raw, subcategory, id, |m| m.len() == clip.bytes).is_some()
        };
        if let Some(ClipState::Adopted { clip }) = self.others.get(id)
            && is_there(clip)
        {
            return Some(ClipState::Adopted { clip: clip.clone() });
        }
        let (archive, clip) = self.kept.get(id)?;
        is_there(clip).then(|| ClipState::Present {
            archive: (*archive).to_owned(),
            clip: (*clip).clone(),
        })
    }
}
