//! What has to be fetched: which archives, by index, numbering and first headers.

use std::collections::{BTreeMap, BTreeSet};

use super::index::{annotated_classes, index, number};
use super::planned::{Plan, PlannedArchive, WantedClip};
use super::probe::probe_all;
use super::sources::{Dataset, Numbering};
use crate::download::error::DownloadError;
use crate::download::ledger::{ArchiveRecord, ArchiveState};
use crate::download::source::Client;
use crate::foreign::printable;
use crate::parallel;

/// Plans the fetching of `wanted` (those that are not there yet), given what earlier runs found
/// out.
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
            let open = open_clips(&archive, &clips, known);
            if open > 0 {
                plan.archives.push(PlannedArchive {
                    clips: open,
                    ..archive
                });
            }
        }
    }
    let facts = parallel::each(&plan.archives, parallel, |archive| {
        client.patiently(|| client.remote.facts(archive.link.reveal()))
    });
    for (archive, facts) in plan.archives.iter_mut().zip(facts) {
        match facts {
            Ok(facts) => archive.facts = facts,
            // Some servers know no HEAD; the GET will tell, or fail for good.
            Err(error) => tracing::debug!(%error, "size unknown"),
        }
    }
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

/// How many of the clips may be in the archive and are not known to be absent from it.
fn open_clips(
    archive: &PlannedArchive,
    clips: &Clips<'_>,
    known: &BTreeMap<String, ArchiveRecord>,
) -> usize {
    let read = known
        .get(&archive.path)
        .filter(|r| r.state == ArchiveState::Complete);
    clips
        .iter()
        .filter(|(_, clip)| {
            archive
                .class
                .as_ref()
                .is_none_or(|c| *c == clip.subcategory)
        })
        .filter(|(id, _)| {
            !read.is_some_and(|r| {
                r.sought.contains(**id) && !r.kept.iter().any(|k| k.clip_id == **id)
            })
        })
        .count()
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
                archive
                    .first_class
                    .take_if(|c| !self.is_class(c, &archive.path));
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

    /// Whether the folder that a first header names is a class, and not one that somebody packed
    /// the archive in.
    fn is_class(&self, folder: &str, path: &str) -> bool {
        if self.wanted.contains(folder) {
            return true;
        }
        if !self.annotated.is_empty() {
            return self.annotated.contains_key(folder);
        }
        let file_name = path.rsplit('/').next().unwrap_or_default();
        let stem = file_name.split('.').next().unwrap_or_default();
        folder != stem && self.dataset.folder(folder).is_none()
    }
}
