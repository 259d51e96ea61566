//! What arrives and leaves at each task, in words.

use std::fmt;

use serde::Serialize;

use super::Scenario;
use crate::clip::Split;

/// What a run of the stage dealt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TasksSummary {
    /// The scenario.
    pub scenario: Scenario,
    /// The seed.
    pub seed: u32,
    /// One entry a task.
    pub tasks: Vec<TaskSummary>,
}

/// What one task holds and how it differs from the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TaskSummary {
    /// The clips of each split, in the order of [`Split::ALL`].
    pub splits: [SplitSummary; 3],
    /// Category and subcategory that are new in this task (from task 1 on).
    pub arrived: Vec<(String, String)>,
    /// Category and subcategory that are no longer there.
    pub removed: Vec<(String, String)>,
    /// Category and subcategory that were drawn but stayed, as the last of their category.
    pub refused: Vec<(String, String)>,
}

/// The clips of one split in one task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SplitSummary {
    /// Clips in the list.
    pub listed: usize,
    /// Of these, clips that the task before did not have (0 in task 0).
    pub arrived: usize,
    /// Clips that the task before had and this one has not.
    pub removed: usize,
    /// Clips in the list that have no frames and will be passed over.
    pub unusable: usize,
}

impl fmt::Display for TasksSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.tasks.len();
        let s = if tasks == 1 { "" } else { "s" };
        match self.scenario {
            Scenario::Events => writeln!(
                f,
                "events, {tasks} task{s}; nothing is drawn, so that --seed changes nothing"
            )?,
            scenario => writeln!(f, "{scenario}, seed {}, {tasks} task{s}", self.seed)?,
        }
        writeln!(
            f,
            "{:>4} {:>9} {:>9} {:>9} {:>11} {:>9} {:>9}",
            "task", "train", "arrived", "removed", "validation", "test", "unusable"
        )?;
        for (task, summary) in self.tasks.iter().enumerate() {
            let [train, validation, test] = &summary.splits;
            let unusable: usize = summary.splits.iter().map(|s| s.unusable).sum();
            writeln!(
                f,
                "{task:>4} {:>9} {:>9} {:>9} {:>11} {:>9} {unusable:>9}",
                train.listed, train.arrived, train.removed, validation.listed, test.listed
            )?;
        }
        for (task, summary) in self.tasks.iter().enumerate() {
            for (verb, subcategories) in [
                ("removes", &summary.removed),
                ("brings in", &summary.arrived),
                ("must keep (the last of its category)", &summary.refused),
            ] {
                if !subcategories.is_empty() {
                    writeln!(f, "task {task} {verb} {}", by_category(subcategories))?;
                }
            }
        }
        Ok(())
    }
}

/// `food: eating cake, tasting beer; phone: texting`.
fn by_category(subcategories: &[(String, String)]) -> String {
    let mut text = String::new();
    let mut last = "";
    for (category, subcategory) in subcategories {
        if category == last {
            text.push_str(", ");
        } else {
            if !last.is_empty() {
                text.push_str("; ");
            }
            text.push_str(category);
            text.push_str(": ");
            last = category;
        }
        text.push_str(subcategory);
    }
    text
}

impl TaskSummary {
    /// The clips of one split.
    #[must_use]
    pub fn of(&self, split: Split) -> &SplitSummary {
        &self.splits[split as usize]
    }
}
