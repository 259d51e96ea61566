//! `model_card.md`: what the models of a run are, for people: how they came about, what they can do
//! and what they are not for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::{RunHead, RunRecordError, RunSummary, TaskFigures};
use crate::card;
use crate::clip::Split;
use crate::foreign::printable;
use crate::parquet_file;
use crate::tables::MetricRow;

/// The card's file name, in the run directory.
pub const MODEL_CARD_FILE: &str = "model_card.md";

const USE: &str = "\
Made for research on models whose training data arrive and are withdrawn. Its figures hold for the
test clips of this run alone. A model whose training clips have been withdrawn may still reveal
something about them: nothing here says that it has forgotten them.";

/// What every figure of the populations is called in `metrics.parquet`, before the population's name.
const AVERAGE: &str = "continual_average_";
const FORGETTING: &str = "continual_forgetting_";

/// Publishes the card of the run in `folder`, whose `metrics.parquet` has been published.
///
/// # Errors
/// When the metrics cannot be read, or the disk refuses.
pub(super) fn write(
    folder: &Path,
    head: &RunHead,
    summary: &RunSummary,
) -> Result<(), RunRecordError> {
    let metrics = folder.join(MetricRow::FILE);
    let metrics: Vec<MetricRow> = if metrics.exists() {
        parquet_file::read(&metrics)?
    } else {
        Vec::new()
    };
    let text = text(head, summary, &Populations::of(&metrics));
    Ok(card::publish(&folder.join(MODEL_CARD_FILE), &text)?)
}

/// The figures of what is available, was withdrawn and is yet to come, by task and name.
#[derive(Default)]
struct Populations<'a>(BTreeMap<(i32, &'a str), f64>);

impl<'a> Populations<'a> {
    fn of(metrics: &'a [MetricRow]) -> Self {
        let rows = metrics.iter().filter(|row| row.split == Split::Test);
        let figure = |row: &'a MetricRow| Some(((row.task, row.metric.as_str()), row.value?));
        Self(rows.filter_map(figure).collect())
    }

    /// Whether a subcategory was withdrawn, or yet to come, in some task: then one forgetting over all
    /// clips would count as lost what was to be lost.
    fn is_changing(&self) -> bool {
        let away = ["withdrawn", "not_yet"].map(|of| format!("{AVERAGE}{of}"));
        self.0
            .keys()
            .any(|(_, name)| away.iter().any(|away| away == name))
    }

    fn figure(&self, task: usize, before: &str, population: &str) -> Option<f64> {
        let name = format!("{before}{population}");
        let task = i32::try_from(task).ok()?;
        self.0.get(&(task, name.as_str())).copied()
    }
}

/// The figures of each task on the test set.
fn figures(tasks: &[TaskFigures], populations: &Populations<'_>) -> String {
    let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    if populations.is_changing() {
        let head = [
            "task",
            "epochs",
            "mAP of all clips",
            "AP of what is available",
            "its forgetting",
            "AP of what was withdrawn",
            "its forgetting (wanted)",
            "AP of what has not arrived",
            "accuracy",
        ];
        let rows = tasks.iter().map(|task| {
            let of = |before, population| text(populations.figure(task.task, before, population));
            [
                task.task.to_string(),
                task.epochs.to_string(),
                text(task.figures.mean_ap),
                of(AVERAGE, "available"),
                of(FORGETTING, "available"),
                of(AVERAGE, "withdrawn"),
                of(FORGETTING, "withdrawn"),
                of(AVERAGE, "not_yet"),
                text(task.figures.accuracy),
            ]
        });
        return card::table(head, rows);
    }
    let rows = tasks.iter().map(|task| {
        [
            task.task.to_string(),
            task.epochs.to_string(),
            text(task.figures.mean_ap),
            text(task.figures.mean_ap_forgetting),
            text(task.figures.accuracy),
        ]
    });
    let head = ["task", "epochs", "mAP", "forgetting of mAP", "accuracy"];
    card::table(head, rows)
}

fn text(head: &RunHead, summary: &RunSummary, populations: &Populations<'_>) -> String {
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
    // Writing into a string cannot fail.
    let _ = write!(
        text,
        "\n## On the test set\n\n{}",
        figures(&summary.tasks, populations)
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
        let said_of = |metrics: &[MetricRow]| text(&head, &summary, &Populations::of(metrics));
        let text = said_of(&[]);
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
        // Where a subcategory left, no one forgetting over all clips stands there.
        let figure = |metric: &str, value| MetricRow {
            task: 0,
            split: Split::Test,
            metric: metric.to_owned(),
            category: None,
            subcategory: None,
            value,
            forgetting: None,
        };
        let available = figure("continual_average_available", Some(0.5));
        assert_eq!(said_of(std::slice::from_ref(&available)), text);
        let withdrawn = [
            available,
            figure("continual_average_withdrawn", Some(0.25)),
            figure("continual_forgetting_withdrawn", Some(0.375)),
        ];
        let text = said_of(&withdrawn);
        let row = "| 0 | 0 | 0.8125 | 0.5000 | - | 0.2500 | 0.3750 | - | - |";
        assert!(text.contains(row), "{text}");
        assert!(!text.contains("forgetting of mAP"), "{text}");
    }
}
