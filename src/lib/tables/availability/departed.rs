//! Lists in which what has departed was never there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Availability, AvailabilityRow};
use crate::artifact::{self, ArtifactError};
use crate::clip::Split;
use crate::parquet_file::{self, TableError};
use crate::tables::ScheduleRow;

impl Availability {
    /// Takes the usability of every train and validation clip that is not in the list of `task`
    /// from all rows, as `incdec-tasks --without` does; every row keeps its place. Test lists stay
    /// whole. Gives the clips that some row had usable, and none has now: what has departed by
    /// `task`, and what only comes later.
    pub fn keep_list_of(&mut self, task: usize) -> BTreeSet<String> {
        let listed = |row: &AvailabilityRow| {
            usize::try_from(row.task) == Ok(task) && row.position.is_some() && row.usable
        };
        let here = self.rows.iter().filter(|row| listed(row));
        let here: BTreeSet<(Split, String)> =
            here.map(|row| (row.split, row.clip_id.clone())).collect();
        let mut gone = BTreeSet::new();
        for row in &mut self.rows {
            let stays =
                row.split == Split::Test || here.contains(&(row.split, row.clip_id.clone()));
            if row.usable && !stays {
                row.usable = false;
                gone.insert(row.clip_id.clone());
            }
        }
        gone
    }

    /// Takes `clips` from the lists of task `at` and of all behind it; every row keeps its place.
    pub fn leave(&mut self, clips: &BTreeSet<String>, at: usize) {
        for row in &mut self.rows {
            let is_later = usize::try_from(row.task).is_ok_and(|task| task >= at);
            row.usable &= !(is_later && clips.contains(&row.clip_id));
        }
    }

    /// Publishes the table in the folder `to`, which is made if it is missing, and beside it the
    /// schedule of the folder `dealt`, where there is one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn publish(&self, to: &Path, dealt: &Path) -> Result<(), TableError> {
        fs::create_dir_all(to).map_err(ArtifactError::at("create folder", to))?;
        parquet_file::write(
            &to.join(AvailabilityRow::FILE),
            &self.rows,
            &self.provenance,
        )?;
        let schedule = dealt.join(ScheduleRow::FILE);
        if schedule.exists() {
            let bytes = fs::read(&schedule).map_err(ArtifactError::at("read", &schedule))?;
            artifact::publish_if_changed(&to.join(ScheduleRow::FILE), &bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet_file::Provenance;
    use crate::tables::Change;
    use crate::taxonomy::{Category, Taxonomy};

    fn row(task: i32, split: Split, clip: &str) -> AvailabilityRow {
        AvailabilityRow {
            task,
            split,
            position: Some(0),
            row: 0,
            clip_id: clip.to_owned(),
            group: None,
            category: "c".to_owned(),
            label: 0,
            subcategory: "s".to_owned(),
            change: Change::Initial,
            usable: true,
        }
    }

    fn availability() -> Availability {
        let category = Category {
            name: "c".to_owned(),
            subcategories: vec!["s".to_owned()],
        };
        Availability {
            rows: vec![
                row(0, Split::Train, "left"),
                row(0, Split::Train, "stays"),
                row(0, Split::Validation, "chosen by"),
                row(0, Split::Test, "tested"),
                row(1, Split::Train, "stays"),
                row(1, Split::Train, "arrived"),
            ],
            taxonomy: Taxonomy::new(Path::new("labels"), vec![category]).unwrap(),
            provenance: Provenance::default(),
        }
    }

    fn usable(availability: &Availability) -> Vec<(i32, &str)> {
        let usable = availability.rows.iter().filter(|row| row.usable);
        usable.map(|row| (row.task, &row.clip_id[..])).collect()
    }

    #[test]
    fn what_leaves_at_a_task_is_there_before() {
        let mut availability = availability();
        let clips = ["stays", "unknown"].map(str::to_owned);
        availability.leave(&BTreeSet::from(clips), 1);
        let left = [
            (0, "left"),
            (0, "stays"),
            (0, "chosen by"),
            (0, "tested"),
            (1, "arrived"),
        ];
        assert_eq!(usable(&availability), left);
    }

    #[test]
    fn what_is_not_in_the_list_was_never_there_and_test_clips_stay() {
        let mut availability = availability();
        let gone = availability.keep_list_of(1);
        assert_eq!(gone.into_iter().collect::<Vec<_>>(), ["chosen by", "left"]);
        let left = [(0, "stays"), (0, "tested"), (1, "stays"), (1, "arrived")];
        assert_eq!(usable(&availability), left);
    }
}
