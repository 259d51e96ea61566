//! A toy data set for training: shards and two tasks a scenario, built directly, small enough for seconds.

mod erased;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use incdec::clip::Split;
use incdec::parquet_file::{self, Provenance};
use incdec::shard::{
    ClipHead, Codec, NewClip, ShardWriter, ShardWriterConfig, SourceFacts, write_index,
};
use incdec::tables::HistoryRow;
use incdec::tables::{AvailabilityRow, Change, ClipStatus, ScheduleEvent, ScheduleRow};
use incdec::tasks::Scenario;
use incdec::train::record::tensorboard;
use tempfile::TempDir;

use crate::event_file::{self, Logged};
use crate::support;

/// Side of the stored frames; the model sees a crop of [`CROP`].
const SIDE: usize = 68;
const CROP: &str = "64";
const FRAMES: usize = 4;
pub(crate) const CATEGORIES: [&str; 2] = ["food", "phone"];
pub(crate) const SUBCATEGORIES: [(usize, &str); 4] = [
    (0, "eating cake"),
    (0, "eating chips"),
    (1, "texting"),
    (1, "looking at phone"),
];

/// Shards, and two tasks for each scenario, of clips whose brightness tells the category.
pub(crate) struct Toy {
    pub(crate) folder: TempDir,
}

/// One clip of the toy's label tables.
#[derive(Clone)]
pub(crate) struct Labelled {
    pub(crate) split: Split,
    row: i32,
    pub(crate) clip_id: String,
    pub(crate) subcategory: usize,
}

impl Toy {
    pub(crate) fn new() -> Self {
        Self::lit(|class, t| {
            if class == 0 {
                40 + 30 * t
            } else {
                200 - 30 * t
            }
        })
    }

    /// A toy whose frames are as bright as `light` says of their class and number.
    pub(crate) fn lit(light: fn(usize, usize) -> usize) -> Self {
        let toy = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let clips = labelled();
        let mut writer = ShardWriter::new(
            &toy.shards(),
            Provenance::default(),
            ShardWriterConfig::default(),
        );
        let mut index = Vec::new();
        for clip in &clips {
            index.push(writer.push(&stored(clip, light)).unwrap());
        }
        writer.finish().unwrap();
        write_index(&toy.shards(), &index, &Provenance::default()).unwrap();
        for scenario in Scenario::ALL.map(Scenario::name) {
            write_tasks(&toy.tasks(scenario), scenario, &clips, 2);
        }
        write_tasks(&toy.tasks("three-tasks"), "substitution", &clips, 3);
        toy
    }

    pub(crate) fn shards(&self) -> PathBuf {
        self.folder.path().join("shards")
    }

    pub(crate) fn tasks(&self, scenario: &str) -> PathBuf {
        self.folder.path().join("tasks").join(scenario)
    }

    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.folder.path().join("runs").join(name)
    }

    /// The command that trains `scenario` into the run directory `name`, small and quick.
    pub(crate) fn command(&self, scenario: &str, name: &str, flags: &str) -> Command {
        let mut command = Command::new(support::binary("incdec-train"));
        command.arg("--availability").arg(self.tasks(scenario));
        command.arg("--shards").arg(self.shards());
        command.arg("--out").arg(self.run(name));
        let resize = SIDE.to_string();
        let frames = FRAMES.to_string();
        let device = support::device_choice().to_string();
        command.args([
            "--frames",
            &frames,
            "--resize",
            &resize,
            "--size",
            CROP,
            "--device",
            &device,
            "--threads",
            "1",
        ]);
        command.args(flags.split_whitespace());
        if !flags.contains("--epochs") {
            command.args(["--epochs", "1"]);
        }
        command.env("OMP_NUM_THREADS", "1");
        command
    }

    /// Trains, and gives the run directory.
    pub(crate) fn train(&self, scenario: &str, name: &str, flags: &str) -> PathBuf {
        let output = self.command(scenario, name, flags).output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        self.run(name)
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Three training clips, one validation clip and one test clip of each subcategory.
pub(crate) fn labelled() -> Vec<Labelled> {
    let mut clips = Vec::new();
    for (split, each) in [(Split::Train, 3), (Split::Validation, 1), (Split::Test, 1)] {
        for subcategory in 0..SUBCATEGORIES.len() {
            for i in 0..each {
                let row = i32::try_from(subcategory * each + i).unwrap();
                let clip_id = format!("{}{subcategory}{i}_000000_000010", &split.name()[..2]);
                clips.push(Labelled {
                    split,
                    row,
                    clip_id,
                    subcategory,
                });
            }
        }
    }
    clips
}

/// Frames whose brightness says the category, rising or falling in time, with a texture of the subcategory's.
fn stored(clip: &Labelled, light: fn(usize, usize) -> usize) -> NewClip {
    let class = SUBCATEGORIES[clip.subcategory].0;
    let frame = |t: usize| -> Vec<u8> {
        (0..SIDE * SIDE * 3)
            .map(|i| {
                let (pixel, colour) = (i / 3, i % 3);
                let texture = (pixel * (2 + clip.subcategory) + clip.row as usize * 7) % 23;
                u8::try_from(light(class, t) + texture + 5 * colour).unwrap()
            })
            .collect()
    };
    NewClip {
        clip_id: clip.clip_id.clone(),
        split: clip.split,
        label_row: 0,
        frames: (0..FRAMES).map(frame).collect(),
        head: ClipHead {
            codec: Codec::Raw,
            height: SIDE as u32,
            width: SIDE as u32,
            fps: 5.0,
            source: SourceFacts::default(),
            status: ClipStatus::Ok,
            error: None,
        },
    }
}

/// Whether a clip is in a task's list.
fn listed(scenario: &str, task: i32, clip: &Labelled) -> bool {
    if clip.split != Split::Train {
        return true;
    }
    let third = clip.row % 3;
    let second_half = clip.subcategory % 2 == 1;
    match (scenario, task) {
        ("substitution" | "joint-incremental", 0) => third < 2,
        ("substitution", _) => third > 0,
        ("decremental", 1..) => !(second_half && clip.subcategory == 3),
        ("incremental-decremental", 0) => clip.subcategory != 3,
        ("incremental-decremental", _) => clip.subcategory != 2,
        _ => true,
    }
}

fn write_tasks(folder: &Path, scenario: &str, clips: &[Labelled], tasks: i32) {
    let mut rows = Vec::new();
    for task in 0..tasks {
        for split in Split::ALL {
            let mut position = 0;
            for clip in clips.iter().filter(|clip| clip.split == split) {
                let before = task > 0 && listed(scenario, task - 1, clip);
                let change = match (listed(scenario, task, clip), task, before) {
                    (true, 0, _) => Change::Initial,
                    (true, _, true) => Change::Kept,
                    (true, _, false) => Change::Arrived,
                    (false, _, true) => Change::Removed,
                    (false, _, false) => continue,
                };
                let (label, subcategory) = SUBCATEGORIES[clip.subcategory];
                let present = change != Change::Removed;
                rows.push(AvailabilityRow {
                    task,
                    split,
                    position: present.then_some(position),
                    row: clip.row,
                    clip_id: clip.clip_id.clone(),
                    group: None,
                    category: CATEGORIES[label].to_owned(),
                    label: i32::try_from(label).unwrap(),
                    subcategory: subcategory.to_owned(),
                    change,
                    // One clip without frames, as every real data set has.
                    usable: !(split == Split::Train && clip.row == 5),
                });
                position += i32::from(present);
            }
        }
    }
    let taxonomy: Vec<_> = CATEGORIES
        .iter()
        .enumerate()
        .map(|(class, name)| {
            let all: Vec<_> = SUBCATEGORIES
                .iter()
                .filter(|s| s.0 == class)
                .map(|s| s.1)
                .collect();
            serde_json::json!([name, all])
        })
        .collect();
    let provenance = Provenance::of(&serde_json::json!({
        "scenario": scenario, "seed": 3, "taxonomy": taxonomy, "train_class_counts": [6, 6],
    }));
    parquet_file::write(&folder.join("availability.parquet"), &rows, &provenance).unwrap();
    let mut schedule = Vec::new();
    for task in 0..tasks {
        for (i, (class, subcategory)) in SUBCATEGORIES.iter().enumerate() {
            let gone = scenario == "decremental" && task == 1 && i == 3;
            schedule.push(ScheduleRow {
                task,
                category: CATEGORIES[*class].to_owned(),
                subcategory: (*subcategory).to_owned(),
                position: (!gone).then_some(i32::try_from(i % 2).unwrap()),
                event: if gone {
                    ScheduleEvent::Removed
                } else {
                    ScheduleEvent::Kept
                },
            });
        }
    }
    parquet_file::write(&folder.join("schedule.parquet"), &schedule, &provenance).unwrap();
}

/// Files that hold times.
const TIMED: [&str; 5] = [
    "log.jsonl",
    "timing.parquet",
    "avg_time.csv",
    "stdout-",
    "stderr-",
];

/// Every published file of a run but log and timing, with its bytes; events hold times, so of them only the values.
pub(crate) fn contents(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(run) {
        let entry = entry.unwrap();
        let name = entry
            .path()
            .strip_prefix(run)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if !entry.file_type().is_file()
            || TIMED.iter().any(|timed| name.starts_with(timed))
            // Tasks that a rollback trained again have a folder, and times, of their own.
            || TIMED.contains(&&*entry.file_name().to_string_lossy())
        {
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        let bytes = if name.contains("tfevents") {
            format!("{:?}", event_file::read(&bytes)).into_bytes()
        } else {
            bytes
        };
        files.insert(name, bytes);
    }
    files
}

pub(crate) fn assert_same_contents(a: &Path, b: &Path) {
    let (a, b) = (contents(a), contents(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(bytes == &b[name], "{name} differs");
    }
}

/// Task, epoch and value of one metric of a split, by its name in `history.parquet`.
pub(crate) fn history(run: &Path, metric: &str, split: Split) -> Vec<(i32, i32, f64)> {
    parquet_file::read::<HistoryRow>(&run.join("history.parquet"))
        .unwrap()
        .into_iter()
        .filter(|row| row.metric == metric && row.split == split)
        .map(|row| (row.task, row.epoch, row.value.unwrap()))
        .collect()
}

/// The value of the last epoch of `task`.
pub(crate) fn last(values: &[(i32, i32, f64)], task: i32) -> f64 {
    values.iter().rev().find(|v| v.0 == task).unwrap().2
}

/// Tag, step and value of everything in a run's event file.
pub(crate) fn events(run: &Path) -> Vec<(String, i64, Logged)> {
    event_file::read(&std::fs::read(run.join("tensorboard").join(tensorboard::FILE)).unwrap())
}

/// The tensors of a safetensors file as bytes, by name.
pub(crate) fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| (name.to_owned(), view.data().to_vec()))
        .collect()
}

/// The wanted tensors of a run's checkpoint after `task`, by name.
pub(crate) fn parameters(
    run: &Path,
    task: usize,
    wanted: impl Fn(&str) -> bool,
) -> BTreeMap<String, Vec<u8>> {
    let mut all = tensors(&run.join(format!("checkpoints/task-{task}.safetensors")));
    all.retain(|name, _| wanted(name));
    assert!(!all.is_empty());
    all
}

/// What a run's summary says.
pub(crate) fn summary(run: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap()
}
