//! The run directory as a record: damage and foreign files are refused by name, and a run that was stopped anywhere goes on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use incdec::artifact::hash_file;
use incdec::clip::Split;
use incdec::parquet_file::{self, Table};
use incdec::random;
use incdec::run_record::{RunHead, RunProgress, RunRecord, checkpoint_file, state_file};
use incdec::tables::{
    HistoryRow, MetricRow, PREDICTIONS, TimingRow, read_predictions, write_predictions,
};
use incdec::train::record::tensorboard;
use rand::RngExt;

use crate::support;

use super::toy::{Toy, contents, history, text};

/// Two tasks with state between them.
const EWC: &str = "--approach ewc";
/// Flips of one bit that are tried in each file.
const FLIPS: usize = 30;

/// The files of a finished run of [`EWC`] that hold what the run promises.
const PROMISED: [&str; 12] = [
    "settings.json",
    "progress.json",
    "run.json",
    "availability.parquet",
    "schedule.parquet",
    "history.parquet",
    "metrics.parquet",
    "predictions.parquet",
    "checkpoints/task-0.safetensors",
    "checkpoints/task-1.safetensors",
    "checkpoints/task-0-state.safetensors",
    "checkpoints/task-1-state.safetensors",
];

/// Everything that a reader gets from a run directory.
fn read(folder: &Path) -> Result<String, String> {
    let record = RunRecord::read(folder).map_err(|e| e.to_string())?.unwrap();
    let mut text = format!("{:?} {:?}", record.head, record.progress);
    if let Some(summary) = record.summary {
        text += &format!("{summary:?}");
    }
    let rows = (record.history, record.metrics, record.predictions);
    Ok(format!("{text} {rows:?}"))
}

/// `folder` as it was when `done` of its tasks were done, without tables.
fn documents_of(folder: &Path, done: usize) -> RunProgress {
    let mut progress = RunRecord::read(folder).unwrap().unwrap().progress;
    progress.tasks.truncate(done);
    progress.tensorboard_bytes = 0;
    progress
}

/// Stops the finished run in `folder` behind its first task.
pub(super) fn stop_after_first_task(folder: &Path) {
    let progress = documents_of(folder, 1);
    fs::remove_file(folder.join("run.json")).unwrap();
    progress.write(folder).unwrap();
}

fn copy(from: &Path, to: &Path, name: &str) {
    let target = to.join(name);
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(from.join(name), target).unwrap();
}

/// What training `name` ends with, and what it says.
fn train(toy: &Toy, scenario: &str, name: &str, flags: &str) -> (Option<i32>, String) {
    let output = toy.command(scenario, name, flags).output().unwrap();
    (output.status.code(), text(&output.stderr))
}

#[test]
fn every_changed_bit_is_refused_by_name_or_changes_nothing() {
    let toy = Toy::new();
    let run = toy.train("decremental", "run", EWC);
    let whole = read(&run).unwrap();
    let mut unnoticed = BTreeMap::new();
    for (number, name) in PROMISED.into_iter().enumerate() {
        let path = run.join(name);
        let bytes = fs::read(&path).unwrap();
        let mut rng = random::stream(0, "flips", &[number as u64]);
        for _ in 0..FLIPS {
            let mut flipped = bytes.clone();
            let at = rng.random_range(0..bytes.len());
            flipped[at] ^= 1 << rng.random_range(0..8);
            fs::write(&path, &flipped).unwrap();
            match read(&run) {
                Err(error) => assert!(error.contains(name), "{name}, byte {at}: {error}"),
                Ok(read) => {
                    assert!(read == whole, "{name}, byte {at}");
                    *unnoticed.entry(name).or_insert(0) += 1;
                }
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
    // Only of tables some bytes say nothing about the rows: the rest is hashed whole.
    for (name, count) in &unnoticed {
        let table = name.ends_with(".parquet") || name.ends_with(".json");
        assert!(table && *count < FLIPS / 2, "{unnoticed:?}");
    }

    // The three who read a run ask the same question.
    let name = "checkpoints/task-1.safetensors";
    let mut bytes = fs::read(run.join(name)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(run.join(name), &bytes).unwrap();
    let (status, said) = train(&toy, "decremental", "run", EWC);
    assert_eq!(status, Some(1));
    assert!(said.contains(name) && said.contains("hint: "), "{said}");
    bytes[last] ^= 1;
    fs::write(run.join(name), &bytes).unwrap();
    stop_after_first_task(&run);
    for name in [
        "checkpoints/task-0.safetensors",
        "checkpoints/task-0-state.safetensors",
    ] {
        let bytes = fs::read(run.join(name)).unwrap();
        fs::write(run.join(name), [&bytes[..bytes.len() - 1], b"?"].concat()).unwrap();
        let (status, said) = train(&toy, "decremental", "run", EWC);
        assert_eq!(status, Some(1));
        assert!(said.contains(name), "{said}");
        fs::write(run.join(name), bytes).unwrap();
    }
}

/// A run directory that grows as training lets it grow, file by file.
struct Growing<'a> {
    whole: &'a Path,
    folder: PathBuf,
}

impl Growing<'_> {
    /// Publishes the rows of `T` up to `task` of the whole run.
    fn rows<T: Table>(&self, name: &str, is_there: impl Fn(&T) -> bool) {
        let path = self.whole.join(name);
        let mut rows: Vec<T> = parquet_file::read(&path).unwrap();
        rows.retain(is_there);
        let provenance = parquet_file::provenance(&path, &T::FORMAT).unwrap();
        parquet_file::write(&self.folder.join(name), &rows, &provenance).unwrap();
    }

    fn publish(&self, name: &str, task: usize) {
        let upto = |of: i32| usize::try_from(of).unwrap() <= task;
        match name {
            "history.parquet" => self.rows(name, |row: &HistoryRow| upto(row.task)),
            "metrics.parquet" => self.rows(name, |row: &MetricRow| upto(row.task)),
            "timing.parquet" => self.rows(name, |row: &TimingRow| upto(row.task)),
            "predictions.parquet" => {
                let path = self.whole.join(name);
                let (categories, mut rows) = read_predictions(&path).unwrap();
                rows.retain(|row| upto(row.task));
                let provenance = parquet_file::provenance(&path, &PREDICTIONS).unwrap();
                write_predictions(&self.folder.join(name), &categories, &rows, &provenance)
                    .unwrap();
            }
            "progress.json" => documents_of(self.whole, task + 1)
                .write(&self.folder)
                .unwrap(),
            _ => copy(self.whole, &self.folder, name),
        }
    }
}

#[test]
fn a_run_stopped_between_any_two_publications_goes_on_to_the_same_end() {
    let toy = Toy::new();
    let whole = toy.train("decremental", "whole", EWC);
    let mut steps = vec![
        ("settings.json".to_owned(), 0),
        ("availability.parquet".to_owned(), 0),
        ("schedule.parquet".to_owned(), 0),
    ];
    for task in 0..2 {
        let names = [
            "history.parquet".to_owned(),
            checkpoint_file(task),
            state_file(task),
            "history.parquet".to_owned(),
            "metrics.parquet".to_owned(),
            "predictions.parquet".to_owned(),
            "timing.parquet".to_owned(),
            "progress.json".to_owned(),
        ];
        steps.extend(names.map(|name| (name, task)));
    }
    let expected = contents(&whole);
    for stopped in 1..=steps.len() {
        let name = format!("stopped-{stopped}");
        let growing = Growing {
            whole: &whole,
            folder: toy.run(&name),
        };
        for (name, task) in &steps[..stopped] {
            growing.publish(name, *task);
        }
        let (status, said) = train(&toy, "decremental", &name, EWC);
        assert_eq!(
            status,
            Some(0),
            "stopped behind {:?}: {said}",
            steps[stopped - 1]
        );
        for (file, bytes) in contents(&growing.folder) {
            // How long the event file was at the end of task 0 is not known here.
            if !file.contains("tfevents") && file != "progress.json" {
                assert!(
                    bytes == expected[&file],
                    "stopped behind {:?}: {file}",
                    steps[stopped - 1]
                );
            }
        }
        fs::remove_dir_all(&growing.folder).unwrap();
    }
}

#[test]
fn weights_of_another_seed_or_task_are_refused_even_where_no_hash_is_known() {
    let toy = Toy::new();
    let run = toy.train("decremental", "run", EWC);
    let other = toy.train(
        "decremental",
        "other",
        "--approach ewc --seed 1 --stop-after-first-task",
    );
    stop_after_first_task(&run);
    // As a version before left it: without a hash of any file.
    let mut progress = documents_of(&run, 1);
    progress.files.clear();
    progress.tasks[0].hashes = None;
    progress.write(&run).unwrap();
    for name in [
        "checkpoints/task-0.safetensors",
        "checkpoints/task-0-state.safetensors",
    ] {
        let ours = fs::read(run.join(name)).unwrap();
        for foreign in [other.join(name), run.join(name.replace("task-0", "task-1"))] {
            fs::copy(foreign, run.join(name)).unwrap();
            let (status, said) = train(&toy, "decremental", "run", EWC);
            assert_eq!(status, Some(1));
            let wanted = format!("{name} is of another run or task: incdec.");
            assert!(said.contains(&wanted), "{said}");
        }
        fs::write(run.join(name), ours).unwrap();
    }
    // A state with other shapes under a header of ours.
    let name = "checkpoints/task-0-state.safetensors";
    let metadata = incdec::model::state_dict::read(&run.join(name))
        .unwrap()
        .metadata;
    let tensors = incdec::model::state_dict::read(&run.join("checkpoints/task-0.safetensors"));
    incdec::model::checkpoint::write(&run.join(name), &tensors.unwrap().tensors, &metadata)
        .unwrap();
    let (status, said) = train(&toy, "decremental", "run", EWC);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("does not fit this model") && said.contains(name),
        "{said}"
    );
}

#[test]
fn a_directory_of_a_version_before_goes_on_and_gets_its_hashes() {
    let toy = Toy::new();
    let run = toy.train("decremental", "run", EWC);
    let whole = contents(&run);
    stop_after_first_task(&run);
    for name in ["settings.json", "progress.json"] {
        let path = run.join(name);
        let mut value: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let fields = value.as_object_mut().unwrap();
        for new in ["blake3", "run_id", "machine", "files"] {
            fields.remove(new);
        }
        if name == "progress.json" {
            value["tasks"][0].as_object_mut().unwrap().remove("hashes");
        }
        fs::write(&path, value.to_string()).unwrap();
    }
    let (status, said) = train(&toy, "decremental", "run", EWC);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("was written before run directories were hashed"),
        "{said}"
    );
    for (name, bytes) in contents(&run) {
        if !name.contains("tfevents") && name != "progress.json" {
            assert!(bytes == whole[&name], "{name}");
        }
    }
    let progress = RunRecord::read(&run).unwrap().unwrap().progress;
    let first = progress.tasks[0].hashes.as_ref().unwrap();
    let weights = checkpoint_file(0);
    assert_eq!(
        first.files[&weights],
        hash_file(&run.join(&weights)).unwrap()
    );
    assert_eq!(
        progress.files["settings.json"],
        hash_file(&run.join("settings.json")).unwrap()
    );
}

#[test]
fn a_run_goes_on_only_on_the_machine_that_it_began_on() {
    let toy = Toy::new();
    let run = toy.train("decremental", "run", "--instructions avx2");
    let whole = contents(&run);
    let machine = RunHead::read(&run).unwrap().unwrap().machine.unwrap();
    assert_eq!(
        (machine.threads, machine.instructions.as_str()),
        (1, "avx2")
    );
    assert_eq!(machine.libtorch_instructions, "AVX2");
    assert_eq!(machine.fused_instructions, "avx2");
    assert_eq!(machine.incdec, env!("CARGO_PKG_VERSION"));
    // Complete, it is looked at anywhere.
    assert_eq!(train(&toy, "decremental", "run", "--threads 2").0, Some(0));
    stop_after_first_task(&run);
    let (status, said) = train(&toy, "decremental", "run", "--threads 2");
    assert_eq!(status, Some(1));
    assert!(said.contains("machine.threads: 1 there, 2 now"), "{said}");
    assert!(
        said.contains("machine.instructions: \"avx2\" there, \"native\" now"),
        "{said}"
    );
    assert!(
        said.contains("hint: go on with that many --threads"),
        "{said}"
    );
    // Without --threads it takes those that it began with, whatever the environment says.
    let mut command = Command::new(support::binary("incdec-train"));
    let given = toy.command("decremental", "run", "--instructions avx2");
    let given: Vec<_> = given.get_args().map(|a| a.to_str().unwrap()).collect();
    let at = given.iter().position(|a| *a == "--threads").unwrap();
    command.args(&given[..at]).args(&given[at + 2..]);
    let output = command
        .env("OMP_NUM_THREADS", "2")
        .env("ATEN_CPU_CAPABILITY", "default")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (name, bytes) in contents(&run) {
        if !name.contains("tfevents") && name != "progress.json" {
            assert!(bytes == whole[&name], "{name}");
        }
    }
}

#[test]
fn the_machine_stands_in_settings_alone() {
    let toy = Toy::new();
    let flags = "--stop-after-first-task --workers";
    let [one, two] = ["1", "3"].map(|n| toy.train("decremental", n, &format!("{flags} {n}")));
    let head = |run: &Path| fs::read(run.join("settings.json")).unwrap();
    assert!(head(&one) == head(&two), "workers are no part of it");
    let mut command = toy.command("decremental", "plain", "--stop-after-first-task");
    let output = command
        .env("ATEN_CPU_CAPABILITY", "default")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let plain = toy.run("plain");
    let [here, there] = [&one, &plain].map(|run| RunHead::read(run).unwrap().unwrap());
    assert_eq!(there.machine.as_ref().unwrap().fused_instructions, "plain");
    assert_ne!(here.machine, there.machine);
    assert_eq!(here.run_id, there.run_id);
    for name in ["history.parquet", "metrics.parquet", "predictions.parquet"] {
        let of = |run: &Path| match name {
            "predictions.parquet" => parquet_file::provenance(&run.join(name), &PREDICTIONS),
            "metrics.parquet" => parquet_file::provenance(&run.join(name), &MetricRow::FORMAT),
            _ => parquet_file::provenance(&run.join(name), &HistoryRow::FORMAT),
        };
        assert_eq!(of(&one).unwrap(), of(&plain).unwrap());
    }
    let header = |run: &Path| {
        let file = run.join(checkpoint_file(0));
        incdec::model::state_dict::read(&file).unwrap().metadata
    };
    assert_eq!(header(&one), header(&plain));
    assert_eq!(header(&one)["incdec.run_id"], here.run_id);
    assert_eq!(history(&one, "loss", Split::Train).len(), 1);
    assert!(one.join("tensorboard").join(tensorboard::FILE).exists());
}
