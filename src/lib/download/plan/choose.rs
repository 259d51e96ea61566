//! What has to be fetched: which archives, by index, numbering and first headers.

use std::collections::{BTreeMap, BTreeSet};

use super::index::{annotated_classes, index, number};
use super::planned::{Plan, PlannedArchive, WantedClip};
use super::probe::probe_all;
use super::sources::{Dataset, Numbering};
use crate::download::error::DownloadError;
use crate::download::ledger::{ArchiveRecord, ArchiveState};
use crate::download::source::{Client, Facts};
use crate::foreign::printable;
use crate::parallel;

/// Plans the fetching of `wanted` (those that are not there yet), given what earlier runs found
/// out: an archive that they read is not read again for a clip that it did not hold, unless it has
/// changed since.
///
/// # Errors
/// When the index cannot be read.
pub(crate) fn plan(
    client: &Client,
    dataset: &Dataset,
    wanted: &BTreeMap<String, WantedClip>,
    known: &BTreeMap<String, ArchiveRecord>,
    parallel: usize,
) -> Result<Plan, DownloadError> {
    let mut candidates = Vec::new();
    let mut plan = Plan {
        numbered: true,
        ..Plan::default()
    };
    for clip in wanted.values() {
        *plan.classes.entry(clip.subcategory.clone()).or_default() += 1;
    }
    for (folder, clips) in by_folder(dataset, wanted) {
        let mut archives = index(client, dataset, folder)?;
        plan.indexed += archives.len();
        if dataset.numbering == Numbering::SortedClass {
            let classes = annotated_classes(client, dataset, folder)?;
            number(&mut archives, &classes);
            let by_class = ByClass {
                dataset,
                annotated: &classes,
                wanted: clips.values().map(|c| c.subcategory.as_str()).collect(),
            };
            let (chosen, numbered) = by_class.choose(client, archives, known, parallel);
            plan.numbered &= numbered;
            plan.probed.extend(chosen.iter().cloned());
            archives = chosen;
        }
        for archive in archives {
            let may_hold: Vec<&str> = clips
                .iter()
                .filter(|(_, clip)| archive.may_hold(&clip.subcategory))
                .map(|(id, _)| *id)
                .collect();
            if !may_hold.is_empty() {
                candidates.push((archive, may_hold));
            }
        }
    }
    let chosen = parallel::each(&candidates, parallel, |(archive, may_hold)| {
        choose(client, archive, may_hold, known.get(&archive.path))
    });
    plan.archives = chosen.into_iter().flatten().collect();
    plan.archives.sort_by(|a, b| a.path.cmp(&b.path));
    plan.archives.dedup_by(|a, b| a.path == b.path);
    Ok(plan)
}

type Clips<'a> = BTreeMap<&'a str, &'a WantedClip>;

/// The wanted clips of each archive folder; a clip whose table names no folder is looked for in
/// all.
fn by_folder<'a>(
    dataset: &'a Dataset,
    wanted: &'a BTreeMap<String, WantedClip>,
) -> BTreeMap<&'a str, Clips<'a>> {
    let mut folders: BTreeMap<&str, Clips<'a>> = BTreeMap::new();
    for (id, clip) in wanted {
        match dataset.folder(&clip.source_split) {
            Some(folder) => {
                folders.entry(folder).or_default().insert(id, clip);
            }
            None => {
                for folder in dataset.indexes.keys() {
                    folders.entry(folder).or_default().insert(id, clip);
                }
            }
        }
    }
    folders
}

/// The archive with what its source says of it, where one of the clips may be in it that is not known
/// to be absent from it.
fn choose(
    client: &Client,
    archive: &PlannedArchive,
    may_hold: &[&str],
    known: Option<&ArchiveRecord>,
) -> Option<PlannedArchive> {
    let facts = client.patiently(|| client.remote.facts(archive.link.reveal()));
    let facts = facts.unwrap_or_else(|error| {
        // Some servers know no HEAD; the GET will tell, or fail for good.
        tracing::debug!(%error, "size unknown");
        Facts::default()
    });
    let read = known.filter(|r| r.state == ArchiveState::Complete);
    let open = |record: &ArchiveRecord| {
        let absent = |id: &&&str| {
            record.sought.contains(**id) && !record.kept.iter().any(|k| k.clip_id == **id)
        };
        may_hold.len() - may_hold.iter().filter(absent).count()
    };
    let hash = || client.remote.content_hash(archive.link.reveal());
    let (clips, renewed) = match read {
        None => (may_hold.len(), true),
        Some(record) => match open(record) {
            0 if has_changed(record, &facts, hash) => (may_hold.len(), true),
            open => (open, false),
        },
    };
    (clips > 0).then(|| PlannedArchive {
        facts,
        clips,
        renewed,
        ..archive.clone()
    })
}

/// Whether an archive is another than the one that was read: by its tag, or by its size, or by its
/// content where the source can tell that. Of one of which nothing is known it is not assumed.
fn has_changed(
    record: &ArchiveRecord,
    facts: &Facts,
    content_hash: impl FnOnce() -> Option<String>,
) -> bool {
    if let (Some(was), Some(is)) = (&record.etag, &facts.tag) {
        return was != is;
    }
    if let (Some(was), Some(is)) = (record.bytes, facts.bytes)
        && was != is
    {
        return true;
    }
    let known = record.blake3.as_ref();
    known.is_some_and(|was| content_hash().is_some_and(|is| is != *was))
}

/// How archives are chosen that can hold a wanted class, where each archive holds one.
struct ByClass<'a> {
    dataset: &'a Dataset,
    /// The classes of the official annotations; none where the source lacks them.
    annotated: &'a BTreeMap<String, usize>,
    wanted: BTreeSet<&'a str>,
}

impl ByClass<'_> {
    /// The archives that may hold a wanted class by their numbers, or all where the numbers cannot
    /// be trusted; each with what its first header says. And whether the numbers can be trusted.
    fn choose(
        &self,
        client: &Client,
        archives: Vec<PlannedArchive>,
        known: &BTreeMap<String, ArchiveRecord>,
        parallel: usize,
    ) -> (Vec<PlannedArchive>, bool) {
        let probe = |archives| {
            let mut probed = probe_all(client, archives, known, parallel);
            for archive in &mut probed {
                let folder = archive.first_class.take();
                archive.first_class = folder.and_then(|f| self.class(f, &archive.path));
            }
            probed
        };
        if archives.iter().any(|a| a.class.is_some()) {
            let may_hold = |a: &&PlannedArchive| {
                let class = a.class.as_deref();
                class.is_none_or(|c| self.wanted.contains(c))
            };
            let probed = probe(archives.iter().filter(may_hold).cloned().collect());
            let contradicted = probed
                .iter()
                .find(|a| a.first_class.is_some() && a.class.is_some() && a.first_class != a.class);
            match contradicted {
                None => return (probed, true),
                Some(a) => tracing::warn!(
                    archive = %printable(&a.path),
                    by_number = %printable(a.class.as_deref().unwrap_or_default()),
                    by_header = a.first_class.as_deref().unwrap_or_default(),
                    "archive numbers do not tell the class here: reading the first header of all {}",
                    archives.len()
                ),
            }
        }
        let mut probed = probe(archives);
        for archive in &mut probed {
            archive.class.clone_from(&archive.first_class);
        }
        (probed, false)
    }

    /// The class that the folder in a first header stands for, where it is one and not a folder that
    /// somebody packed the archive in. Many write classes with underscores for spaces.
    fn class(&self, folder: String, path: &str) -> Option<String> {
        let spaced = folder.replace('_', " ");
        let annotated = self.annotated.keys().map(String::as_str);
        let mut known = self.wanted.iter().copied().chain(annotated);
        if self.wanted.contains(folder.as_str()) || self.annotated.contains_key(&folder) {
            return Some(folder);
        }
        if let Some(class) = known.find(|class| class.replace('_', " ") == spaced) {
            return Some(class.to_owned());
        }
        let file_name = path.rsplit('/').next().unwrap_or_default();
        let stem = file_name.split('.').next().unwrap_or_default();
        let is_class =
            self.annotated.is_empty() && folder != stem && self.dataset.folder(&folder).is_none();
        is_class.then_some(folder)
    }
}
