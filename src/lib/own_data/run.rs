//! From the folder to the tables.

use std::collections::BTreeSet;

use super::names::{self, Assignment};
use super::scan::{Found, Scan, scan};
use super::summary::Outcome;
use super::tables::{Row, texts};
use super::{OwnDataConfig, OwnDataError, OwnDataSummary, SubcategoryCounts, group, list, split};
use crate::artifact::{self, ArtifactError};
use crate::lock::{Lock, Wait};

/// Makes label tables of a folder's clips and, unless they are only to be described, publishes them.
///
/// # Errors
/// When folder, list or taxonomy are unusable, clips have no label or no group, or other tables are there already.
pub fn run(config: &OwnDataConfig) -> Result<OwnDataSummary, OwnDataError> {
    let Scan {
        clips,
        passed_over,
        unusable,
    } = scan(&config.clips)?;
    let found = clips.len();
    let (clips, labels) = labelled(config, clips)?;
    if clips.is_empty() {
        let path = config.list.as_ref().unwrap_or(&config.clips);
        return Err(OwnDataError::NoClips { path: path.clone() });
    }
    let ids: Vec<&str> = clips.iter().map(|clip| clip.id.as_str()).collect();
    let names = named(config, &ids, labels.as_deref())?;
    let groups = match &config.group_by {
        Some(by) => Some(group::groups(by, &ids)?),
        None => None,
    };
    let of_clip = |i: usize| groups.as_ref().map_or(ids[i], |groups| groups[i].as_str());
    let dealt: Vec<(usize, &str)> = names
        .of_clips
        .iter()
        .enumerate()
        .map(|(i, place)| (*place, of_clip(i)))
        .collect();
    let splits = split::deal(&dealt, names.pairs.len(), config.shares, config.seed);
    let rows: Vec<Row<'_>> = (0..ids.len())
        .map(|i| Row {
            split: splits[i],
            place: names.of_clips[i],
            clip: ids[i],
            group: groups.as_ref().map(|groups| groups[i].as_str()),
        })
        .collect();
    let texts = texts(&names.pairs, &rows)?;
    let outcome = if config.dry_run {
        Outcome::Described
    } else {
        publish(config, &texts)?
    };
    Ok(OwnDataSummary {
        subcategories: counts(&names, &rows, &dealt),
        groups: groups.map(|groups| groups.into_iter().collect::<BTreeSet<_>>().len()),
        renamed: names.renamed,
        passed_over,
        unusable,
        unlisted: found - ids.len(),
        outcome,
    })
}

/// The clips that are taken, with the labels that a list gives them.
#[allow(clippy::type_complexity)] // Two lists of one length; the second only where there is a list.
fn labelled(
    config: &OwnDataConfig,
    clips: Vec<Found>,
) -> Result<(Vec<Found>, Option<Vec<String>>), OwnDataError> {
    let Some(path) = &config.list else {
        return Ok((clips, None));
    };
    let (clips, labels) = list::read(path, &config.clips, &clips)?.into_iter().unzip();
    Ok((clips, Some(labels)))
}

fn named(
    config: &OwnDataConfig,
    ids: &[&str],
    labels: Option<&[String]>,
) -> Result<Assignment, OwnDataError> {
    let taxonomy = config.taxonomy.as_deref();
    match (labels, taxonomy) {
        (Some(labels), _) => {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            names::by_labels(&labels, taxonomy)
        }
        (None, Some(_)) => names::by_labels(&names::folder_labels(ids)?, taxonomy),
        (None, None) => names::by_folders(ids),
    }
}

fn counts(names: &Assignment, rows: &[Row<'_>], dealt: &[(usize, &str)]) -> Vec<SubcategoryCounts> {
    let mut groups = vec![BTreeSet::new(); names.pairs.len()];
    let mut clips = vec![[0; 3]; names.pairs.len()];
    for (row, (place, group)) in rows.iter().zip(dealt) {
        clips[*place][row.split as usize] += 1;
        groups[*place].insert(*group);
    }
    let pairs = names.pairs.iter().zip(clips).zip(groups);
    pairs
        .map(
            |(((category, subcategory), clips), groups)| SubcategoryCounts {
                category: category.clone(),
                subcategory: subcategory.clone(),
                clips,
                groups: groups.len(),
            },
        )
        .collect()
}

/// Publishes the tables, unless that would replace others.
fn publish(config: &OwnDataConfig, texts: &[(String, Vec<u8>)]) -> Result<Outcome, OwnDataError> {
    let _lock = Lock::folder(&config.out, "incdec-own-data", Wait::No)?;
    artifact::sweep(&config.out)?;
    for (name, text) in texts {
        let path = config.out.join(name);
        let there = path.exists().then(|| std::fs::read(&path));
        let there = there
            .transpose()
            .map_err(ArtifactError::at("read", &path))?;
        if !config.force && there.is_some_and(|there| there != *text) {
            return Err(OwnDataError::Exists { path });
        }
    }
    let mut is_new = false;
    for (name, text) in texts {
        is_new |= artifact::publish_if_changed(&config.out.join(name), text)?;
    }
    Ok(if is_new {
        Outcome::Written
    } else {
        Outcome::Unchanged
    })
}
