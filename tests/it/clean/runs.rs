//! Run directories.

use std::fs;
use std::path::Path;

use incdec::clean::Stage;
use incdec::parquet_file::{self, Provenance};
use incdec::run_record::{
    Rows, RunHead, RunProgress, RunSummary, TaskOutcome, checkpoint_file, write_summary,
};
use incdec::tables::{AvailabilityRow, HistoryRow, MetricRow, TimingRow, write_predictions};

use super::{clean, left, write};

/// A run of one task.
fn trained(folder: &Path) {
    let none = Provenance::default();
    RunHead::default().write(folder).unwrap();
    parquet_file::write::<AvailabilityRow>(&folder.join("availability.parquet"), &[], &none)
        .unwrap();
    parquet_file::write::<HistoryRow>(&folder.join("history.parquet"), &[], &none).unwrap();
    parquet_file::write::<MetricRow>(&folder.join("metrics.parquet"), &[], &none).unwrap();
    parquet_file::write::<TimingRow>(&folder.join("timing.parquet"), &[], &none).unwrap();
    write_predictions(&folder.join("predictions.parquet"), &[], &[], &none).unwrap();
    write(&folder.join(checkpoint_file(0)), "weights");
    write(
        &folder.join("log.jsonl"),
        "{\"timestamp\":\"t\",\"level\":\"INFO\",\"target\":\"incdec\"}\n",
    );
    let mut progress = RunProgress {
        tasks: vec![TaskOutcome::default()],
        ..RunProgress::default()
    };
    let rows = Rows {
        history: &[],
        metrics: &[],
        categories: &[],
        predictions: &[],
    };
    progress.add_hashes(folder, &rows).unwrap();
    progress.write(folder).unwrap();
    write_summary(folder, &RunSummary::default()).unwrap();
    write(&folder.join(".made"), "");
}

#[test]
fn a_run_as_its_record_has_it_goes_whole() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    trained(&folder);
    let summary = clean(Stage::Train, &folder);
    assert_eq!(
        (summary.changed.len(), summary.unknown.len()),
        (0, 0),
        "{summary}"
    );
    assert!(!folder.exists(), "{:?}", left(&folder));
    let last = &summary.removed[summary.removed.len() - 2..];
    assert_eq!(
        last,
        [folder.join("settings.json"), folder.join("progress.json")]
    );
}

#[test]
fn of_a_run_edited_weights_documents_and_logs_stay_and_files_of_nobody() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    trained(&folder);
    fs::write(folder.join(checkpoint_file(0)), "tuned by hand").unwrap();
    fs::write(folder.join("run.json"), "{\"mean_ap\": 0.9}").unwrap();
    fs::write(folder.join("log.jsonl"), "what I saw\n").unwrap();
    write(&folder.join("report.html"), "<p>mine</p>");
    write(&folder.join("notes/today.txt"), "mine");
    let summary = clean(Stage::Train, &folder);
    assert_eq!(
        left(&folder),
        [
            "checkpoints/task-0.safetensors",
            "log.jsonl",
            "notes/today.txt",
            "report.html",
            "run.json",
        ]
    );
    assert_eq!(
        (summary.changed.len(), summary.unknown.len()),
        (4, 1),
        "{summary}"
    );
}
