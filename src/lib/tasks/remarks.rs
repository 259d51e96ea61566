//! What will trouble the training of a deal, said when it is dealt.

use super::{Source, TasksSummary};
use crate::clip::Split;
use crate::foreign::first_of;

/// Most names that a remark lists; the rest is counted.
const MAX_NAMED: usize = 5;

/// What is wrong with the tables or the tasks, in words; nothing where all is well.
pub(super) fn remarks(source: &Source, summary: &TasksSummary) -> Vec<String> {
    let mut remarks = Vec::new();
    for split in Split::ALL {
        if source.clips[split as usize].is_empty() {
            remarks.push(format!("{split}.csv has no clips"));
            continue;
        }
        let lists = summary.tasks.iter().map(|task| task.of(split).listed);
        let empty = lists.enumerate().filter(|(_, listed)| *listed == 0);
        let empty: Vec<String> = empty.map(|(task, _)| task.to_string()).collect();
        if !empty.is_empty() {
            let tasks = first_of(&empty, MAX_NAMED);
            remarks.push(format!(
                "tasks without {split} clips: {tasks}; training ends there"
            ));
        }
    }
    for split in [Split::Train, Split::Test] {
        let classes = classes_without(source, split);
        if !classes.is_empty() && !source.clips[split as usize].is_empty() {
            remarks.push(format!(
                "categories without {split} clips: {}",
                first_of(&classes, MAX_NAMED)
            ));
        }
        let subcategories = subcategories_without(source, split);
        if !subcategories.is_empty() && !source.clips[split as usize].is_empty() {
            remarks.push(format!(
                "subcategories without {split} clips: {}",
                first_of(&subcategories, MAX_NAMED)
            ));
        }
    }
    let (tasks, clips) = (
        summary.tasks.len(),
        source.clips[Split::Train as usize].len(),
    );
    if tasks > clips {
        remarks.push(format!(
            "{tasks} tasks, but only {clips} training clips: some tasks change nothing"
        ));
    }
    remarks
}

/// The categories without clips in a split.
fn classes_without(source: &Source, split: Split) -> Vec<String> {
    let mut counts = vec![0; source.taxonomy.classes()];
    for clip in &source.clips[split as usize] {
        counts[clip.class] += 1;
    }
    let categories = source.taxonomy.categories().iter().zip(counts);
    let empty = categories.filter(|(_, count)| *count == 0);
    empty.map(|(category, _)| category.name.clone()).collect()
}

/// The subcategories without clips in a split, of categories that have some.
fn subcategories_without(source: &Source, split: Split) -> Vec<String> {
    let categories = source.taxonomy.categories();
    let mut counts: Vec<Vec<usize>> = categories
        .iter()
        .map(|c| vec![0; c.subcategories.len()])
        .collect();
    for clip in &source.clips[split as usize] {
        counts[clip.class][clip.subcategory] += 1;
    }
    let mut empty = Vec::new();
    for (category, counts) in categories.iter().zip(counts) {
        if counts.iter().all(|count| *count == 0) {
            continue;
        }
        let without = category
            .subcategories
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count == 0);
        empty.extend(without.map(|(name, _)| name.clone()));
    }
    empty
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tasks::{LabelledClip, Scenario, SplitSummary, TaskSummary};
    use crate::taxonomy::Taxonomy;

    /// Clips as (class, subcategory) of train, validation, test, and the sizes of each task's lists.
    fn said(clips: [&[(usize, usize)]; 3], tasks: &[[usize; 3]]) -> Vec<String> {
        let pairs = [("food", "cake"), ("food", "chips"), ("phone", "texting")];
        let pairs = pairs.map(|(a, b)| (a.to_owned(), b.to_owned()));
        let clip = |(n, &(class, subcategory)): (usize, &(usize, usize))| LabelledClip {
            clip_id: n.to_string(),
            group: None,
            class,
            subcategory,
            usable: true,
        };
        let source = Source {
            taxonomy: Taxonomy::from_pairs(Path::new("classes.csv"), pairs).unwrap(),
            clips: clips.map(|clips| clips.iter().enumerate().map(clip).collect()),
            files: Vec::new(),
        };
        let listed = |listed| SplitSummary {
            listed,
            ..SplitSummary::default()
        };
        let tasks = tasks.iter().map(|sizes| TaskSummary {
            splits: sizes.map(listed),
            ..TaskSummary::default()
        });
        let summary = TasksSummary {
            scenario: Scenario::Substitution,
            seed: 0,
            tasks: tasks.collect(),
        };
        remarks(&source, &summary)
    }

    #[test]
    fn what_training_would_stumble_over_is_said_and_nothing_of_whole_tables() {
        let whole: &[_] = &[(0, 0), (0, 1), (1, 0)];
        assert!(said([whole, whole, whole], &[[3, 3, 3]]).is_empty());
        assert_eq!(
            said([whole, &[], whole], &[[3, 0, 3]]),
            ["validation.csv has no clips"]
        );
        assert_eq!(
            said([whole, whole, &[(0, 0)]], &[[3, 3, 1]]),
            [
                "categories without test clips: phone",
                "subcategories without test clips: chips"
            ]
        );
        assert_eq!(
            said(
                [whole, whole, whole],
                &[[0, 3, 3], [3, 3, 3], [0, 3, 3], [3, 3, 3]]
            ),
            [
                "tasks without train clips: 0, 2; training ends there",
                "4 tasks, but only 3 training clips: some tasks change nothing"
            ]
        );
    }
}
