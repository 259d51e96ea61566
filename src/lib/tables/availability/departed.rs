//! Lists in which what has departed was never there.

use std::collections::BTreeSet;

use super::{Availability, AvailabilityRow};
use crate::clip::Split;

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
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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

    #[test]
    fn what_is_not_in_the_list_was_never_there_and_test_clips_stay() {
        let category = Category {
            name: "c".to_owned(),
            subcategories: vec!["s".to_owned()],
        };
        let mut availability = Availability {
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
        };
        let gone = availability.keep_list_of(1);
        assert_eq!(gone.into_iter().collect::<Vec<_>>(), ["chosen by", "left"]);
        let usable = availability.rows.iter().filter(|row| row.usable);
        let usable: Vec<&str> = usable.map(|row| &row.clip_id[..]).collect();
        assert_eq!(usable, ["stays", "tested", "stays", "arrived"]);
    }
}
