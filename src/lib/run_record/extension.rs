//! By what a run goes beyond the settings that it was begun under.

use serde::{Deserialize, Serialize};

/// By what a run goes beyond the settings that it was begun under. Settings and id stay as they
/// were: what is done already was made under them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extension {
    /// Most epochs of the last task, in place of the setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u32>,
    /// Whether the tasks follow that `--stop-after-first-task` left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tasks: bool,
}

impl Extension {
    /// Whether the run keeps to its settings.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Most epochs of `task` of so many `tasks`, where the settings say `epochs`.
    #[must_use]
    pub fn epochs_of(&self, task: usize, tasks: usize, epochs: u32) -> u32 {
        let of_last = self.epochs.filter(|_| task + 1 == tasks);
        of_last.unwrap_or(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_task_has_other_epochs() {
        let extension = Extension {
            epochs: Some(9),
            tasks: false,
        };
        assert_eq!(
            [0, 1, 2].map(|task| extension.epochs_of(task, 3, 4)),
            [4, 4, 9]
        );
        assert_eq!(Extension::default().epochs_of(2, 3, 4), 4);
    }

    #[test]
    fn what_is_not_extended_is_not_written() {
        let none = serde_json::to_string(&Extension::default()).unwrap();
        assert_eq!(none, "{}");
        let read: Extension = serde_json::from_str(r#"{"epochs":5}"#).unwrap();
        assert!(!read.is_none() && !read.tasks);
    }
}
