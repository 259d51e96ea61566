//! `model_card.md`: what the models of a run are, for people: how they came about, what they can do
//! and what they are not for.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::{RunHead, RunSummary};
use crate::artifact::ArtifactError;
use crate::card;
use crate::foreign::printable;

/// The card's file name, in the run directory.
pub const MODEL_CARD_FILE: &str = "model_card.md";

const USE: &str = "\
Made for research on models whose training data arrive and are withdrawn. Its figures hold for the
test clips of this run alone. A model whose training clips have been withdrawn may still reveal
something about them: nothing here says that it has forgotten them.";

/// Publishes the card of the run in `folder`.
///
/// # Errors
/// When the disk refuses.
pub(super) fn write(
    folder: &Path,
    head: &RunHead,
    summary: &RunSummary,
) -> Result<(), ArtifactError> {
    card::publish(&folder.join(MODEL_CARD_FILE), &text(head, summary))
}

fn text(head: &RunHead, summary: &RunSummary) -> String {
    let setting = |name: &str| match head.settings.get(name) {
        Some(Value::String(text)) => printable(text).into_owned(),
        Some(value) => value.to_string(),
        None => "-".to_owned(),
    };
    let mut text = format!(
        "# Model card: {scenario}, {approach}, seed {seed}\n\n\
         MoViNet {variant} (geometry {geometry}) on {frames} frames of {size}x{size} pixels, trained task after task; \
         `checkpoints/task-<t>.safetensors` are the weights after task t. It gives a probability for each of: {categories}.\n\n\
         {USE}\n",
        scenario = printable(&summary.scenario),
        approach = printable(&summary.approach),
        seed = summary.seed,
        variant = setting("variant"),
        geometry = setting("geometry"),
        frames = setting("frames"),
        size = setting("size"),
        categories = names(&summary.categories),
    );
    if !summary.erasures.is_empty() {
        text += "\nClips of this run have been withdrawn since it was trained: `incdec-erase plan --runs` lists the checkpoints that saw them.\n";
    }
    let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    let rows = summary.tasks.iter().map(|task| {
        [
            task.task.to_string(),
            task.epochs.to_string(),
            figure(task.figures.mean_ap),
            figure(task.figures.mean_ap_forgetting),
            figure(task.figures.accuracy),
        ]
    });
    let head_line = ["task", "epochs", "mAP", "forgetting of mAP", "accuracy"];
    // Writing into a string cannot fail.
    let _ = write!(
        text,
        "\n## On the test set\n\n{}",
        card::table(head_line, rows)
    );
    let settings = head.extended_settings();
    let rows = settings
        .keys()
        .map(|name| [format!("`{}`", printable(name)), setting(name)]);
    let _ = write!(
        text,
        "\n## Settings\n\n{}",
        card::table(["setting", "value"], rows)
    );
    let inputs = head.inputs.iter();
    let rows = inputs.map(|(name, hash)| {
        [
            printable(name).into_owned(),
            format!("`{}`", printable(hash)),
        ]
    });
    let _ = write!(
        text,
        "\n## Made from\n\nRun `{}`. {}\n\n{}",
        head.id(),
        machine(summary),
        card::table(["input", "BLAKE3"], rows)
    );
    text
}

/// The names, made fit to be shown, separated by commas.
fn names(categories: &[String]) -> String {
    let names = categories.iter().map(|name| printable(name).into_owned());
    names.collect::<Vec<_>>().join(", ")
}

/// What the run was computed on and by.
fn machine(summary: &RunSummary) -> String {
    let Some(machine) = &summary.machine else {
        return "Nothing is known of the machine that it was computed on.".to_owned();
    };
    let commit = summary.commit.as_ref();
    let commit = commit.map(|commit| format!(", commit {commit}"));
    format!("Computed on {machine}{}.", commit.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_record::{Machine, TaskFigures};

    #[test]
    fn the_card_says_what_settings_figures_and_machine_say() {
        let head = RunHead {
            settings: serde_json::Map::from_iter([("variant".to_owned(), "A0".into())]),
            inputs: [("index.parquet".to_owned(), "ab12".to_owned())].into(),
            ..RunHead::default()
        };
        let mut task = TaskFigures::default();
        task.figures.mean_ap = Some(0.8125);
        let summary = RunSummary {
            scenario: "decremental".into(),
            approach: "ewc".into(),
            categories: vec!["food".into(), "phone".into()],
            tasks: vec![task],
            machine: Some(Machine {
                threads: 2,
                ..Machine::default()
            }),
            commit: Some("0123abc".into()),
            ..RunSummary::default()
        };
        let text = text(&head, &summary);
        for said in [
            "# Model card: decremental, ewc, seed 0",
            "MoViNet A0",
            "food, phone",
            "| 0 | 0 | 0.8125 | - | - |",
            "| `variant` | A0 |",
            "`ab12`",
            "2 threads",
            "commit 0123abc",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(!text.contains("withdrawn since"));
    }
}
