//! `seen.parquet`: which clips a run has seen.

use std::collections::BTreeMap;
use std::path::Path;

use super::RunProgress;
use crate::clip::Split;
use crate::parquet_file::{self, TableError};
use crate::tables::{AvailabilityRow, SeenRow, Use};

/// What the run in `folder` has seen in its done tasks: what its own table says, and its lists. A
/// run of a version before has no table; of one from which clips were erased the lists say less
/// than the table.
///
/// # Errors
/// When a table cannot be read.
pub fn seen_by(folder: &Path, progress: &RunProgress) -> Result<Vec<SeenRow>, TableError> {
    let (own, lists) = (
        folder.join(SeenRow::FILE),
        folder.join(AvailabilityRow::FILE),
    );
    let mut rows: BTreeMap<(String, Use), SeenRow> = BTreeMap::new();
    if own.exists() {
        let known: Vec<SeenRow> = parquet_file::read(&own)?;
        // A run that was killed as it ended a task has written this table, and not yet that the
        // task is done.
        let done = i32::try_from(progress.tasks.len()).unwrap_or(i32::MAX);
        let known = known.into_iter().filter(|row| row.first_task < done);
        rows.extend(known.map(|row| ((row.clip_id.clone(), row.r#use), row)));
    }
    if lists.exists() {
        let lists: Vec<AvailabilityRow> = parquet_file::read_any(&lists)?;
        let epochs: Vec<u32> = progress.tasks.iter().map(|task| task.epochs).collect();
        let listed = seen(&lists, &epochs);
        rows.extend(
            listed
                .into_iter()
                .map(|row| ((row.clip_id.clone(), row.r#use), row)),
        );
    }
    Ok(rows.into_values().collect())
}

/// What a run has seen whose done tasks had these numbers of epochs, by the lists of its tasks: the
/// usable clips of the training and validation lists of a done task that was not passed over. Nothing is chosen or trained by the
/// test lists.
#[must_use]
pub fn seen(availability: &[AvailabilityRow], epochs: &[u32]) -> Vec<SeenRow> {
    let mut seen: BTreeMap<(&str, Use), SeenRow> = BTreeMap::new();
    for row in availability {
        let r#use = match row.split {
            Split::Train => Use::Train,
            Split::Validation => Use::Validation,
            Split::Test => continue,
        };
        let task = usize::try_from(row.task).ok();
        let Some(passes) = task.and_then(|task| epochs.get(task)).filter(|n| **n > 0) else {
            continue;
        };
        if row.position.is_none() || !row.usable {
            continue;
        }
        let found = seen
            .entry((&row.clip_id, r#use))
            .or_insert_with(|| SeenRow {
                clip_id: row.clip_id.clone(),
                r#use,
                first_task: row.task,
                last_task: row.task,
                passes: 0,
            });
        found.first_task = found.first_task.min(row.task);
        found.last_task = found.last_task.max(row.task);
        found.passes += i64::from(*passes);
    }
    seen.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Change;

    #[test]
    fn a_clip_is_seen_by_the_done_tasks_whose_lists_have_it() {
        let row = |task, split, clip: &str, usable| AvailabilityRow {
            task,
            split,
            position: Some(0),
            row: 0,
            clip_id: clip.into(),
            category: String::new(),
            label: 0,
            subcategory: String::new(),
            group: None,
            change: Change::Kept,
            usable,
        };
        let gone = AvailabilityRow {
            position: None,
            ..row(1, Split::Train, "left", true)
        };
        let rows = [
            row(0, Split::Train, "left", true),
            gone,
            row(0, Split::Validation, "valid", true),
            row(1, Split::Validation, "valid", true),
            row(1, Split::Train, "without frames", false),
            row(1, Split::Test, "tested", true),
            row(2, Split::Train, "later", true),
        ];
        let seen = seen(&rows, &[5, 3]);
        let told: Vec<_> = seen
            .iter()
            .map(|r| {
                (
                    r.clip_id.as_str(),
                    r.r#use,
                    r.first_task,
                    r.last_task,
                    r.passes,
                )
            })
            .collect();
        let expected = [
            ("left", Use::Train, 0, 0, 5),
            ("valid", Use::Validation, 0, 1, 8),
        ];
        assert_eq!(told, expected);
    }
}
