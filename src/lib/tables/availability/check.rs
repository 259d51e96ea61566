//! What the rows of `availability.parquet` must be, so that training can count on them.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::{Nonsense, RowFault};
use super::{AvailabilityRow, Change};
use crate::clip::Split;
use crate::taxonomy::Taxonomy;

/// Looks through the rows of an availability table: tasks 0, 1, 2, ..., in each the lists of train,
/// validation and test in this order, in each list the positions 0, 1, 2, ... and no clip twice,
/// and labels that are the classes of their categories: those of `taxonomy` or, without one, one
/// class for a category and one category for a class.
///
/// # Errors
/// With the first row that makes no sense.
pub fn check_availability(
    rows: &[AvailabilityRow],
    taxonomy: Option<&Taxonomy>,
) -> Result<(), RowFault> {
    let mut lists = Lists::default();
    let mut classes = Classes::new(taxonomy);
    for (number, row) in rows.iter().enumerate() {
        lists
            .take(row)
            .and_then(|()| classes.check(row))
            .map_err(|what| RowFault {
                row: number,
                task: row.task,
                split: row.split,
                clip_id: row.clip_id.clone(),
                what,
            })?;
    }
    Ok(())
}

/// The list that is being looked through.
#[derive(Default)]
struct Lists<'a> {
    /// Task and split of the list; none before the first.
    list: Option<(i32, Split)>,
    /// Clips of the list.
    clips: BTreeSet<&'a str>,
    /// The position that comes next.
    next: i32,
}

impl<'a> Lists<'a> {
    fn take(&mut self, row: &'a AvailabilityRow) -> Result<(), Nonsense> {
        if self.list != Some((row.task, row.split)) {
            self.begin(row)?;
        }
        let removed = row.change == Change::Removed;
        match row.position {
            Some(found) if found != self.next && !removed => {
                let expected = self.next;
                return Err(Nonsense::Position { found, expected });
            }
            Some(_) if !removed => self.next += 1,
            None if removed => {}
            _ => return Err(Nonsense::Presence { removed }),
        }
        if self.clips.insert(&row.clip_id) {
            Ok(())
        } else {
            Err(Nonsense::Doubled)
        }
    }

    /// Begins the list of `row`, which must come after the one before.
    fn begin(&mut self, row: &AvailabilityRow) -> Result<(), Nonsense> {
        let before = self.list.map(|(task, _)| task);
        let follows = before.map_or(row.task == 0, |before| {
            row.task == before || before.checked_add(1) == Some(row.task)
        });
        if !follows {
            let found = row.task;
            return Err(Nonsense::Task { found, before });
        }
        if let Some((task, split)) = self.list
            && task == row.task
            && row.split < split
        {
            return Err(Nonsense::Split { before: split });
        }
        self.list = Some((row.task, row.split));
        self.clips.clear();
        self.next = 0;
        Ok(())
    }
}

/// Which category each class is.
enum Classes<'a> {
    /// As the table's settings have them.
    Recorded(&'a Taxonomy),
    /// As the rows so far have them: categories by class.
    Found(BTreeMap<i32, &'a str>),
}

impl<'a> Classes<'a> {
    fn new(taxonomy: Option<&'a Taxonomy>) -> Self {
        taxonomy.map_or_else(|| Self::Found(BTreeMap::new()), Self::Recorded)
    }

    fn check(&mut self, row: &'a AvailabilityRow) -> Result<(), Nonsense> {
        let wrong_label = || Nonsense::Label {
            label: row.label,
            category: row.category.clone(),
        };
        let class = usize::try_from(row.label).map_err(|_| wrong_label())?;
        let taxonomy = match self {
            Self::Recorded(taxonomy) => taxonomy,
            Self::Found(found) => {
                let known = found.entry(row.label).or_insert(&row.category);
                let same = *known == row.category;
                return same.then_some(()).ok_or_else(wrong_label);
            }
        };
        let category = taxonomy.categories().get(class);
        if category.is_none_or(|category| category.name != row.category) {
            return Err(wrong_label());
        }
        match taxonomy.place(&row.subcategory) {
            Some(place) if place.class == class => Ok(()),
            _ => Err(Nonsense::Subcategory {
                category: row.category.clone(),
                subcategory: row.subcategory.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::AvailabilityError;
    use super::*;
    use crate::exit::Exit;
    use crate::hint::Hint;

    fn row(task: i32, split: Split, position: i32) -> AvailabilityRow {
        AvailabilityRow {
            task,
            split,
            position: Some(position),
            row: position,
            clip_id: format!("{split}{position}_000000_000010"),
            group: None,
            category: "food".into(),
            label: 0,
            subcategory: "eating cake".into(),
            change: Change::Kept,
            usable: true,
        }
    }

    fn taxonomy() -> Taxonomy {
        let pairs = [("food", "eating cake"), ("phone", "texting")];
        let pairs = pairs.map(|(category, name)| (category.to_owned(), name.to_owned()));
        Taxonomy::from_pairs(Path::new("classes.csv"), pairs).unwrap()
    }

    /// Two tasks with three lists of three clips; in task 1 one more has left.
    fn table() -> Vec<AvailabilityRow> {
        let mut rows = Vec::new();
        for task in 0..2 {
            for split in Split::ALL {
                rows.extend((0..3).map(|position| row(task, split, position)));
            }
        }
        rows.push(AvailabilityRow {
            position: None,
            change: Change::Removed,
            ..row(1, Split::Test, 3)
        });
        rows
    }

    /// What is wrong with row `at` after a change.
    fn fault(at: usize, change: impl FnOnce(&mut Vec<AvailabilityRow>)) -> Nonsense {
        let mut rows = table();
        change(&mut rows);
        let fault = check_availability(&rows, Some(&taxonomy())).unwrap_err();
        assert_eq!(fault.row, at, "{fault}");
        fault.what
    }

    #[test]
    fn a_table_as_the_tasks_stage_writes_it_is_taken() {
        check_availability(&table(), Some(&taxonomy())).unwrap();
        check_availability(&table(), None).unwrap();
        check_availability(&[], None).unwrap();
    }

    #[test]
    fn tasks_count_from_0_without_gaps() {
        let found = |found, before| Nonsense::Task { found, before };
        assert_eq!(fault(0, |rows| rows[0].task = -1), found(-1, None));
        assert_eq!(fault(0, |rows| drop(rows.drain(..9))), found(1, None));
        let gap = |rows: &mut Vec<AvailabilityRow>| rows[9..].iter_mut().for_each(|r| r.task = 2);
        assert_eq!(fault(9, gap), found(2, Some(0)));
        let back = |rows: &mut Vec<AvailabilityRow>| rows.push(row(0, Split::Train, 0));
        assert_eq!(fault(19, back), found(0, Some(1)));
    }

    #[test]
    fn lists_stand_in_order_and_count_their_positions() {
        let swapped = |rows: &mut Vec<AvailabilityRow>| rows[..6].rotate_left(3);
        let before = Split::Validation;
        assert_eq!(fault(3, swapped), Nonsense::Split { before });
        let found = |found, expected| Nonsense::Position { found, expected };
        assert_eq!(fault(1, |rows| rows[1].position = Some(0)), found(0, 1));
        assert_eq!(fault(1, |rows| rows.swap(1, 2)), found(2, 1));
        assert_eq!(fault(1, |rows| drop(rows.remove(1))), found(2, 1));
        assert_eq!(fault(0, |rows| rows[0].position = Some(-1)), found(-1, 0));
    }

    #[test]
    fn a_position_is_what_being_in_the_list_means() {
        let removed = false;
        let without = |rows: &mut Vec<AvailabilityRow>| rows[2].position = None;
        assert_eq!(fault(2, without), Nonsense::Presence { removed });
        let removed = true;
        let left = |rows: &mut Vec<AvailabilityRow>| rows[2].change = Change::Removed;
        assert_eq!(fault(2, left), Nonsense::Presence { removed });
    }

    #[test]
    fn a_clip_stands_in_a_list_once() {
        let twice = |rows: &mut Vec<AvailabilityRow>| rows[2].clip_id = rows[0].clip_id.clone();
        assert_eq!(fault(2, twice), Nonsense::Doubled);
        let left_too = |rows: &mut Vec<AvailabilityRow>| {
            rows[18].clip_id = rows[15].clip_id.clone();
        };
        assert_eq!(fault(18, left_too), Nonsense::Doubled);
    }

    #[test]
    fn labels_are_the_classes_of_their_categories() {
        let label = |label, category: &str| Nonsense::Label {
            label,
            category: category.into(),
        };
        assert_eq!(fault(4, |rows| rows[4].label = 2), label(2, "food"));
        assert_eq!(fault(4, |rows| rows[4].label = -1), label(-1, "food"));
        assert_eq!(fault(4, |rows| rows[4].label = 1), label(1, "food"));
        let stranger = |rows: &mut Vec<AvailabilityRow>| rows[4].subcategory = "texting".into();
        assert!(matches!(fault(4, stranger), Nonsense::Subcategory { .. }));
        // Without names, a class is one category.
        let mut rows = table();
        rows[4].category = "phone".into();
        let what = check_availability(&rows, None).unwrap_err().what;
        assert_eq!(what, label(0, "phone"));
    }

    #[test]
    fn an_error_names_the_row_the_task_and_the_clip_and_steers_no_terminal() {
        let mut rows = table();
        rows[10].clip_id = "\u{1b}[2Jx".into();
        rows[10].position = Some(7);
        let error = AvailabilityError::Row {
            path: "tasks/availability.parquet".into(),
            fault: check_availability(&rows, Some(&taxonomy())).unwrap_err(),
        };
        assert_eq!(
            error.to_string(),
            "tasks/availability.parquet: row 10 (task 1, train, clip \\u{1b}[2Jx): position 7, expected 1: positions count \
             from 0, each once, in order"
        );
        assert_eq!(error.exit(), Exit::Hopeless);
        assert!(error.hint().unwrap().contains("make tasks"));
    }
}
