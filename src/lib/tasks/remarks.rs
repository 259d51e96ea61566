//! What will trouble the training of a deal, said when it is dealt.

use super::{Scenario, Source, SplitSummary, TasksSummary};
use crate::clip::Split;
use crate::foreign::first_of;
use crate::labels::table_file;

/// Most names that a remark lists; the rest is counted.
const MAX_NAMED: usize = 5;

/// What is wrong with the tables or the tasks, in words; nothing where all is well. `arrivals` says
/// whether clips are to arrive at all.
pub(super) fn remarks(source: &Source, summary: &TasksSummary, arrivals: bool) -> Vec<String> {
    let mut remarks = Vec::new();
    for split in Split::ALL {
        if source.clips[split as usize].is_empty() {
            remarks.push(format!("{} has no clips", table_file(split)));
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
    remarks.extend(standstill(source, summary, arrivals));
    remarks
}

/// That tasks change nothing, where some do: what a scenario is for does not happen there.
fn standstill(source: &Source, summary: &TasksSummary, arrivals: bool) -> Option<String> {
    let clips = source.clips[Split::Train as usize].len();
    let later: Vec<(usize, &SplitSummary)> = summary
        .tasks
        .iter()
        .enumerate()
        .skip(1)
        .map(|(task, of)| (task, of.of(Split::Train)))
        .collect();
    if clips == 0 || later.is_empty() {
        return None;
    }
    let still = later
        .iter()
        .filter(|(_, train)| train.arrived + train.removed == 0);
    let still: Vec<String> = still.map(|(task, _)| task.to_string()).collect();
    let (scenario, tasks) = (summary.scenario, summary.tasks.len());
    let remedy = match scenario {
        // Nothing is dealt out: the table alone says what happens when.
        Scenario::Events => {
            "the table of events has no row that takes or brings a training clip there: add one, or move the later ones forward".to_owned()
        }
        _ => format!("{clips} training clips are few for {tasks} tasks: label more, or ask for fewer with --tasks"),
    };
    if still.len() == later.len() {
        return Some(format!(
            "{scenario} changes nothing: no training clip arrives or leaves in any task; {remedy}"
        ));
    }
    if !still.is_empty() {
        let named = first_of(&still, MAX_NAMED);
        return Some(format!(
            "tasks in which no training clip arrives or leaves: {named}; {remedy}"
        ));
    }
    let arrives = later.iter().any(|(_, train)| train.arrived > 0);
    (arrivals && scenario == Scenario::Decremental && !arrives).then(|| {
        format!("no training clip arrives in any task, as each subcategory has too few to deal out; {remedy}")
    })
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
    use crate::tasks::{LabelledClip, TaskSummary};
    use crate::taxonomy::Taxonomy;

    /// Clips as (class, subcategory) of train, validation, test.
    fn source(clips: [&[(usize, usize)]; 3]) -> Source {
        let pairs = [("food", "cake"), ("food", "chips"), ("phone", "texting")];
        let pairs = pairs.map(|(a, b)| (a.to_owned(), b.to_owned()));
        let clip = |(n, &(class, subcategory)): (usize, &(usize, usize))| LabelledClip {
            clip_id: n.to_string(),
            group: None,
            class,
            subcategory,
            usable: true,
        };
        Source {
            taxonomy: Taxonomy::from_pairs(Path::new("classes.csv"), pairs).unwrap(),
            clips: clips.map(|clips| clips.iter().enumerate().map(clip).collect()),
            files: Vec::new(),
        }
    }

    /// What is said of such clips where the tasks' lists have these sizes.
    fn said(clips: [&[(usize, usize)]; 3], tasks: &[[usize; 3]]) -> Vec<String> {
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
        remarks(&source(clips), &summary, true)
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
                "substitution changes nothing: no training clip arrives or leaves in any task; 3 training clips are few for 4 tasks: \
                 label more, or ask for fewer with --tasks"
            ]
        );
    }

    #[test]
    fn tasks_that_change_nothing_are_said_at_once() {
        let whole: &[_] = &[(0, 0), (0, 1), (1, 0)];
        let said = |scenario, changes: &[(usize, usize)]| {
            let tasks: Vec<TaskSummary> = changes
                .iter()
                .map(|&(arrived, removed)| {
                    let train = SplitSummary {
                        listed: 3,
                        arrived,
                        removed,
                        ..SplitSummary::default()
                    };
                    TaskSummary {
                        splits: [train, train, train],
                        ..TaskSummary::default()
                    }
                })
                .collect();
            let summary = TasksSummary {
                scenario,
                seed: 0,
                tasks,
            };
            remarks(&source([whole, whole, whole]), &summary, true)
        };
        let substitution = Scenario::Substitution;
        assert!(said(substitution, &[(0, 0), (1, 1), (1, 1)]).is_empty());
        assert!(said(substitution, &[(0, 0)]).is_empty(), "one task");
        let all = said(substitution, &[(0, 0), (0, 0), (0, 0)]);
        assert!(
            all[0].starts_with("substitution changes nothing"),
            "{all:?}"
        );
        let some = said(substitution, &[(0, 0), (1, 1), (0, 0)]);
        assert!(some[0].starts_with("tasks in which no training clip arrives or leaves: 2;"));
        // Events are not dealt out: neither labels nor --tasks help.
        for (changes, begin) in [
            (&[(0, 0), (0, 0), (0, 0)][..], "events changes nothing"),
            (
                &[(0, 0), (0, 0), (0, 1)],
                "tasks in which no training clip arrives or leaves: 1;",
            ),
        ] {
            let told = said(Scenario::Events, changes);
            assert!(told[0].starts_with(begin), "{told:?}");
            assert!(
                told[0].contains("the table of events has no row"),
                "{told:?}"
            );
            assert!(!told[0].contains("--tasks") && !told[0].contains("label more"));
        }
        let leaving = said(Scenario::Decremental, &[(0, 0), (0, 1), (0, 1)]);
        assert!(leaving[0].starts_with("no training clip arrives in any task"));
    }
}
