//! The deal equals the seed's on every golden case, and keeps its promises on any other table.

mod events;
mod peer;
mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use incdec::clip::Split;
use incdec::lock::{Lock, Wait};
use incdec::parquet_file::{self, Provenance};
use incdec::tables::{AvailabilityRow, Change, ClipRow, ClipStatus, ScheduleEvent, ScheduleRow};
use incdec::tasks::availability::TaskLists;
use incdec::tasks::schedule::ScheduleCounts;
use incdec::tasks::{DealSettings, LabelSource, Scenario, Source, TasksConfig, run};
use incdec::taxonomy::Taxonomy;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::support;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Goldens {
    #[serde(rename = "note")]
    _note: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    pipeline: String,
    seed: u32,
    n_task: usize,
    train_sizes: Vec<usize>,
    validation_sizes: Vec<usize>,
    train_sha256: Vec<String>,
    validation_sha256: Vec<String>,
    train_first10: Vec<Vec<u32>>,
    subcategories: Option<Vec<BTreeMap<String, Vec<String>>>>,
    train_rows: Option<Vec<Vec<u32>>>,
    validation_rows: Option<Vec<Vec<u32>>>,
    subcategories_randomize: Option<String>,
}

/// Label tables in a folder of their own, with the published taxonomy and schedules.
struct LabelFolder(tempfile::TempDir);

impl LabelFolder {
    fn new(tables: [&str; 3]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let info = support::root().join("Kinetics/Info");
        for name in [
            "classes.csv",
            "subcategories_to_remove.csv",
            "subcategories_to_substitute.csv",
        ] {
            std::fs::copy(info.join(name), folder.path().join(name)).unwrap();
        }
        for (split, text) in Split::ALL.into_iter().zip(tables) {
            std::fs::write(folder.path().join(format!("{split}.csv")), text).unwrap();
        }
        Self(folder)
    }

    /// 100 training, 10 validation and 10 test clips of each published subcategory, in the taxonomy's order: the rows of
    /// the published tables.
    fn published() -> Self {
        let table = |prefix: char, clips: usize| {
            let mut text = String::from("label,youtube_id,time_start,time_end,split\n");
            let taxonomy =
                Taxonomy::read(&support::root().join("Kinetics/Info/classes.csv")).unwrap();
            for (k, (_, subcategory)) in taxonomy.subcategories().enumerate() {
                for i in 0..clips {
                    writeln!(text, "{subcategory},{prefix}{k}-{i},0,10,train").unwrap();
                }
            }
            text
        };
        Self::new([&table('a', 100), &table('b', 10), &table('c', 10)])
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

const HEADER: &str = "label,youtube_id,time_start,time_end,split\n";

fn schedule_file(scenario: Scenario) -> PathBuf {
    let name = match scenario {
        Scenario::Decremental => "subcategories_to_remove.csv",
        _ => "subcategories_to_substitute.csv",
    };
    support::root().join("Kinetics/Info").join(name)
}

fn plan_of(source: &Source, settings: &DealSettings, tasks: usize) -> TaskLists {
    let counts = settings.scenario.takes_schedule().then(|| {
        ScheduleCounts::read(&schedule_file(settings.scenario), &source.taxonomy).unwrap()
    });
    // With fewer tasks than rows the seed draws for every row all the same, and so does this.
    TaskLists::new(settings, &source.tables(), tasks, counts.as_ref())
}

fn check_case(name: &str, case: &Case, source: &Source) {
    let mut settings = DealSettings::published(case.pipeline.parse().unwrap(), case.seed);
    settings.randomize = match case.subcategories_randomize.as_deref() {
        None | Some("yes") => true,
        Some("no") => false,
        Some(other) => panic!("{name}: subcategories_randomize {other:?} is not understood"),
    };
    let plan = plan_of(source, &settings, case.n_task);
    let lists =
        |split| -> Vec<Vec<u32>> { (0..case.n_task).map(|t| plan.list(split, t)).collect() };
    let (train, validation) = (lists(Split::Train), lists(Split::Validation));
    let sizes = |lists: &[Vec<u32>]| lists.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&train), case.train_sizes, "{name}");
    assert_eq!(sizes(&validation), case.validation_sizes, "{name}");
    let first: Vec<&[u32]> = train.iter().map(|l| &l[..l.len().min(10)]).collect();
    assert_eq!(first, case.train_first10, "{name}");
    let hashes = |lists: &[Vec<u32>]| lists.iter().map(|l| hash(l)).collect::<Vec<_>>();
    assert_eq!(hashes(&train), case.train_sha256, "{name}");
    assert_eq!(hashes(&validation), case.validation_sha256, "{name}");
    if let Some(rows) = &case.train_rows {
        assert_eq!(&train, rows, "{name}");
    }
    if let Some(rows) = &case.validation_rows {
        assert_eq!(&validation, rows, "{name}");
    }
    if let Some(subcategories) = &case.subcategories {
        assert_eq!(
            &current_names(&plan, &source.taxonomy),
            subcategories,
            "{name}"
        );
    }
}

/// The SHA-256 of the comma-joined rows.
fn hash(rows: &[u32]) -> String {
    let joined: Vec<String> = rows.iter().map(u32::to_string).collect();
    Sha256::digest(joined.join(","))
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

fn current_names(plan: &TaskLists, taxonomy: &Taxonomy) -> Vec<BTreeMap<String, Vec<String>>> {
    let tasks = plan.schedule().tasks.iter().take(plan.tasks());
    tasks
        .map(|task| {
            let categories = taxonomy.categories().iter().zip(&task.current);
            categories
                .map(|(category, current)| {
                    let names = current.iter().map(|&x| category.subcategories[x].clone());
                    (category.name.clone(), names.collect())
                })
                .collect()
        })
        .collect()
}

#[test]
fn every_published_split_is_dealt_exactly() {
    let labels = LabelFolder::published();
    let source = Source::read(&LabelSource::Labels(labels.path().to_owned())).unwrap();
    for file in support::goldens("splits_paper.json") {
        let goldens: Goldens = support::read_json(&file);
        assert!(!goldens.cases.is_empty());
        for case in goldens.cases {
            let name = format!("{} {} {}", file.display(), case.pipeline, case.seed);
            check_case(&name, &case, &source);
        }
    }
}

#[test]
fn interleaved_rows_and_uneven_counts_are_dealt_exactly_too() {
    for file in support::goldens("splits_shuffled.json") {
        let beside = |name: &str| std::fs::read_to_string(file.with_file_name(name)).unwrap();
        let labels = LabelFolder::new([
            &beside("labels_shuffled_train.csv"),
            &beside("labels_shuffled_validation.csv"),
            HEADER,
        ]);
        let source = Source::read(&LabelSource::Labels(labels.path().to_owned())).unwrap();
        let goldens: Goldens = support::read_json(&file);
        assert!(!goldens.cases.is_empty());
        for case in goldens.cases {
            let name = format!("{} {} {}", file.display(), case.pipeline, case.seed);
            check_case(&name, &case, &source);
        }
    }
}

/// The published tables themselves, where they are at hand: the clip ids of every list, not the rows alone.
#[test]
fn the_published_clip_ids_stand_in_the_tables_in_the_golden_order() {
    let labels = support::optional_data("labels");
    let generated = LabelFolder::published();
    let labels = labels.as_deref().unwrap_or(generated.path());
    let out = tempfile::tempdir().unwrap();
    let goldens: Goldens = support::read_json(&support::goldens("splits_paper.json")[0]);
    for case in goldens.cases.iter().filter(|c| c.train_rows.is_some()) {
        let scenario: Scenario = case.pipeline.parse().unwrap();
        let out = out.path().join(scenario.name());
        run(&config(labels, scenario, &out)).unwrap();
        let rows: Vec<AvailabilityRow> =
            parquet_file::read(&out.join("availability.parquet")).unwrap();
        let source = Source::read(&LabelSource::Labels(labels.to_owned())).unwrap();
        for (task, golden) in (0..).zip(case.train_rows.as_ref().unwrap()) {
            let ids = rows
                .iter()
                .filter(|r| r.task == task && r.split == Split::Train && r.position.is_some())
                .map(|r| &r.clip_id);
            let golden = golden
                .iter()
                .map(|&row| &source.clips[Split::Train as usize][row as usize].clip_id);
            assert!(ids.eq(golden), "{scenario}, task {task}");
        }
    }
}

fn config(labels: &Path, scenario: Scenario, out: &Path) -> TasksConfig {
    TasksConfig {
        clips: LabelSource::Labels(labels.to_owned()),
        without: None,
        deal: DealSettings::published(scenario, 0),
        events: None,
        schedule: scenario.takes_schedule().then(|| schedule_file(scenario)),
        tasks: None,
        out: out.to_owned(),
    }
}

/// Everybody else keeps the place that the published draw gives, however many clips are withdrawn.
#[test]
fn withdrawn_clips_move_nobody() {
    let labels = LabelFolder::published();
    let out = tempfile::tempdir().unwrap();
    let rows_of = |name: &str, scenario, without: Option<&Path>| {
        let folder = out.path().join(name);
        let config = TasksConfig {
            without: without.map(Path::to_owned),
            ..config(labels.path(), scenario, &folder)
        };
        run(&config).unwrap();
        let rows: Vec<AvailabilityRow> =
            parquet_file::read(&folder.join(AvailabilityRow::FILE)).unwrap();
        rows
    };
    let goldens: Goldens = support::read_json(&support::goldens("splits_paper.json")[0]);
    let scenarios: BTreeSet<String> = goldens.cases.iter().map(|c| c.pipeline.clone()).collect();
    let list = labels.path().join("withdrawn.csv");
    for scenario in scenarios {
        let scenario: Scenario = scenario.parse().unwrap();
        let published = rows_of("published", scenario, None);
        let mut clips: Vec<&str> = published.iter().map(|r| r.clip_id.as_str()).collect();
        clips.sort_unstable();
        clips.dedup();
        for count in [1, 37, 500] {
            let gone: BTreeSet<&str> = clips
                .iter()
                .step_by(clips.len() / count)
                .take(count)
                .copied()
                .collect();
            assert_eq!(gone.len(), count);
            let mut text = String::from("clip_id,withdrawn_on,request\n");
            for clip in &gone {
                writeln!(text, "{clip},2026-03-31,R-1").unwrap();
            }
            let expected: Vec<AvailabilityRow> = published
                .iter()
                .map(|row| AvailabilityRow {
                    usable: !gone.contains(row.clip_id.as_str()),
                    ..row.clone()
                })
                .collect();
            std::fs::write(&list, &text).unwrap();
            let withdrawn = rows_of("withdrawn", scenario, None);
            assert!(withdrawn == expected, "{scenario}, {count}");
            // The path reference says the same of the same clips, with or without them in the list.
            let without = labels.path().join("without.csv");
            std::fs::write(&without, &text).unwrap();
            std::fs::remove_file(&list).unwrap();
            assert!(rows_of("without", scenario, Some(&without)) == expected);
        }
    }
}

#[test]
fn the_published_sizes_follow() {
    let labels = LabelFolder::published();
    let out = tempfile::tempdir().unwrap();
    let sizes = |scenario| {
        let summary = run(&config(labels.path(), scenario, out.path())).unwrap();
        let of = |split: Split| -> Vec<usize> {
            summary.tasks.iter().map(|t| t.of(split).listed).collect()
        };
        assert_eq!(of(Split::Test), [370; 6]);
        (of(Split::Train), of(Split::Validation))
    };
    assert_eq!(sizes(Scenario::Substitution), (vec![1850; 6], vec![370; 6]));
    assert_eq!(
        sizes(Scenario::JointIncremental),
        (vec![1850, 2220, 2590, 2960, 3330, 3700], vec![370; 6])
    );
    assert_eq!(
        sizes(Scenario::IncrementalDecremental),
        (vec![1000, 1200, 1400, 1600, 1800, 2000], vec![200; 6])
    );
    assert_eq!(
        sizes(Scenario::Decremental),
        (
            vec![1850, 1920, 1820, 1680, 1080, 500],
            vec![370, 320, 260, 210, 120, 50]
        )
    );
}

#[test]
fn rows_tell_what_changed_and_are_sorted() {
    let labels = LabelFolder::published();
    // The four that draw.
    for scenario in Scenario::ALL[..4].iter().copied() {
        let out = tempfile::tempdir().unwrap();
        run(&config(labels.path(), scenario, out.path())).unwrap();
        let rows: Vec<AvailabilityRow> =
            parquet_file::read(&out.path().join("availability.parquet")).unwrap();
        let key = |r: &AvailabilityRow| {
            let position = r.position.unwrap_or(i32::MAX);
            (r.task, r.split, position, r.position.map_or(r.row, |_| 0))
        };
        assert!(rows.is_sorted_by(|a, b| key(a) < key(b)), "{scenario}");
        let mut before: [BTreeSet<i32>; 3] = Default::default();
        for task in 0..6 {
            for split in Split::ALL {
                let rows = rows.iter().filter(|r| r.task == task && r.split == split);
                let (gone, listed): (Vec<_>, Vec<_>) =
                    rows.partition(|r| r.change == Change::Removed);
                let now: BTreeSet<i32> = listed.iter().map(|r| r.row).collect();
                let before = &mut before[split as usize];
                assert_eq!(now.len(), listed.len(), "no clip twice in a list");
                let left: Vec<i32> = before.difference(&now).copied().collect();
                let removed: Vec<i32> = gone.iter().map(|r| r.row).collect();
                assert_eq!(removed, left);
                assert!(gone.iter().all(|r| r.position.is_none()));
                for (position, row) in (0..).zip(&listed) {
                    assert_eq!(row.position, Some(position));
                    let change = match task {
                        0 => Change::Initial,
                        _ if before.contains(&row.row) => Change::Kept,
                        _ => Change::Arrived,
                    };
                    assert_eq!(row.change, change);
                }
                *before = now;
            }
        }
    }
}

#[test]
fn the_schedule_lists_each_tasks_subcategories_in_their_order() {
    let labels = LabelFolder::published();
    let goldens: Goldens = support::read_json(&support::goldens("splits_paper.json")[0]);
    for case in goldens.cases.iter().filter(|c| c.seed == 0) {
        let Some(golden) = &case.subcategories else {
            continue;
        };
        let scenario: Scenario = case.pipeline.parse().unwrap();
        let out = tempfile::tempdir().unwrap();
        run(&config(labels.path(), scenario, out.path())).unwrap();
        let rows: Vec<ScheduleRow> =
            parquet_file::read(&out.path().join("schedule.parquet")).unwrap();
        for (task, categories) in (0..).zip(golden) {
            for (category, names) in categories {
                let rows: Vec<_> = rows
                    .iter()
                    .filter(|r| r.task == task && r.category == *category)
                    .collect();
                let listed = rows.iter().filter(|r| r.position.is_some());
                assert!(listed.clone().map(|r| &r.subcategory).eq(names));
                assert!((0..).zip(listed).all(|(k, r)| r.position == Some(k)));
                let removed = rows.iter().filter(|r| r.event == ScheduleEvent::Removed);
                assert!(removed.clone().all(|r| r.position.is_none()));
            }
        }
    }
}

#[test]
fn the_same_command_writes_the_same_bytes_and_sweeps_what_a_killed_run_left() {
    let labels = LabelFolder::published();
    let out = tempfile::tempdir().unwrap();
    let config = config(labels.path(), Scenario::Decremental, out.path());
    let bytes = || {
        run(&config).unwrap();
        ["availability.parquet", "schedule.parquet"]
            .map(|f| std::fs::read(out.path().join(f)).unwrap())
    };
    let first = bytes();
    std::fs::write(out.path().join(".incdec-left.tmp"), b"half").unwrap();
    assert!(first == bytes());
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 2);
}

#[test]
fn a_manifest_deals_the_same_and_knows_the_clips_without_frames() {
    let labels = LabelFolder::published();
    let source = Source::read(&LabelSource::Labels(labels.path().to_owned())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("clips.parquet");
    let rows: Vec<ClipRow> = Split::ALL
        .into_iter()
        .flat_map(|split| {
            (0..)
                .zip(&source.clips[split as usize])
                .map(move |c| (split, c))
        })
        .map(|(split, (row, clip))| {
            let category = &source.taxonomy.categories()[clip.class];
            let is_stored = row % 100 != 3;
            ClipRow {
                clip_id: clip.clip_id.clone(),
                group: clip.group.clone(),
                youtube_id: clip.group.clone(),
                time_start_s: Some(0),
                time_end_s: Some(10),
                split,
                source_split: "train".into(),
                row,
                category: category.name.clone(),
                label: i32::try_from(clip.class).unwrap(),
                subcategory: category.subcategories[clip.subcategory].clone(),
                shard: is_stored.then(|| format!("{split}-00000.arrow")),
                shard_row: is_stored.then_some(row.into()),
                status: [ClipStatus::Missing, ClipStatus::Ok][usize::from(is_stored)],
            }
        })
        .collect();
    let settings = serde_json::json!({"taxonomy": source.taxonomy.to_json()});
    parquet_file::write(&manifest, &rows, &Provenance::of(&settings)).unwrap();
    let rows_of = |clips: LabelSource, name: &str| {
        let out = folder.path().join(name);
        let mut config = config(labels.path(), Scenario::Substitution, &out);
        config.clips = clips;
        let summary = run(&config).unwrap();
        let rows: Vec<AvailabilityRow> =
            parquet_file::read(&out.join("availability.parquet")).unwrap();
        (summary, rows)
    };
    let (_, mut by_labels) = rows_of(LabelSource::Labels(labels.path().to_owned()), "labels");
    let (summary, by_manifest) = rows_of(LabelSource::Manifest(manifest.clone()), "manifest");
    assert!(summary.tasks[0].of(Split::Train).unusable > 0);
    for row in &mut by_labels {
        row.usable = row.row % 100 != 3;
    }
    assert!(by_labels == by_manifest);

    // A manifest that contradicts itself is refused, and one whose clips lie elsewhere than in its shards.
    let mut config = config(labels.path(), Scenario::Substitution, folder.path());
    config.clips = LabelSource::Manifest(manifest.clone());
    let refused = |change: &dyn Fn(&mut Vec<ClipRow>), words: &str| {
        let mut wrong = rows.clone();
        change(&mut wrong);
        parquet_file::write(&manifest, &wrong, &Provenance::of(&settings)).unwrap();
        let error = run(&config).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(&|rows| rows[5].row = 7, "row 7 of train");
    refused(&|rows| rows[5].clip_id = rows[4].clip_id.clone(), "twice");
    refused(
        &|rows| rows[5].clip_id = "../clip_000000_000010".into(),
        "no clip's id",
    );
    for shard in [
        "../train-00000.arrow",
        "/train-00000.arrow",
        "a/b",
        "..",
        "",
    ] {
        refused(
            &|rows| rows[5].shard = Some(shard.into()),
            "is no shard's name",
        );
    }
    refused(&|rows| rows[5].shard = None, "no place in a shard");
    refused(&|rows| rows[5].shard_row = Some(-1), "no place in a shard");
    refused(&|rows| rows[3].shard = rows[5].shard.clone(), "no frames");
}

#[test]
fn each_unusable_setting_or_schedule_is_refused_with_a_hint() {
    use incdec::hint::Hint;
    let labels = LabelFolder::published();
    let out = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut TasksConfig)| {
        let mut config = config(labels.path(), Scenario::Decremental, out.path());
        change(&mut config);
        let error = run(&config).unwrap_err();
        format!("{error} | {}", error.hint().unwrap())
    };
    let schedule = |text: &str| {
        let file = labels.path().join("schedule.csv");
        std::fs::write(&file, text).unwrap();
        refused(&|c| c.schedule = Some(file.clone()))
    };
    let columns = "food,phone,smoking,fatigue,selfcare\n";
    for (text, expected) in [
        (
            refused(&|c| c.schedule = None),
            "needs a schedule | give it with --schedule",
        ),
        (
            refused(&|c| c.tasks = Some(5)),
            "6 rows, but there are 5 tasks | leave out --tasks",
        ),
        (refused(&|c| c.tasks = Some(0)), "0 tasks"),
        (refused(&|c| c.tasks = Some(10_001)), "10001 tasks"),
        (
            refused(&|c| c.deal.initial_split = 0.5),
            "initial split 0.5",
        ),
        (
            refused(&|c| c.deal.initial_split = f64::NAN),
            "initial split NaN",
        ),
        (
            refused(&|c| {
                c.deal.scenario = Scenario::Substitution;
                c.deal.arrivals = false;
            }),
            "consists of arrivals",
        ),
        (
            schedule("food,phone,smoking,fatigue\n0,0,0,0\n"),
            "\"selfcare\" is missing",
        ),
        (
            schedule("food,food,phone,smoking,fatigue,selfcare\n0,0,0,0,0,0\n"),
            "\"food\" occurs twice",
        ),
        (
            schedule(&format!("sports,{columns}0,0,0,0,0,0\n")),
            "\"sports\" is no category",
        ),
        (
            schedule(&format!("{columns}0,0,-1,0,0\n")),
            "line 2: smoking is \"-1\"",
        ),
        (
            schedule(&format!("{columns}0,0,100001,0,0\n")),
            "smoking is \"100001\"",
        ),
        (schedule(&format!("{columns}0,0\n")), "schedule.csv"),
        (schedule(columns), "0 tasks"),
    ] {
        assert!(text.contains(expected), "{text}: {expected}");
    }
}

#[test]
fn the_command_tells_what_arrives_and_leaves() {
    let labels = LabelFolder::published();
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::cargo_bin("incdec-tasks").unwrap();
    command
        .args(["--scenario", "decremental", "--seed", "0", "--labels"])
        .arg(labels.path())
        .arg("--schedule")
        .arg(schedule_file(Scenario::Decremental))
        .arg("--out")
        .arg(out.path());
    let output = command.assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    assert!(text.starts_with("decremental, seed 0, 6 tasks\n"), "{text}");
    assert!(text.contains("\n   5       500"), "{text}");
    assert!(text.contains("task 1 removes "), "{text}");
    // No source of clips at all is a usage error.
    let mut command = Command::cargo_bin("incdec-tasks").unwrap();
    command.arg("--out").arg(out.path()).assert().code(2);
}

#[test]
fn two_deals_into_one_folder_leave_the_tables_of_one() {
    let (folder, labels) = (tempfile::tempdir().unwrap(), LabelFolder::published());
    let out = folder.path().join("tasks");
    let held = Lock::folder(&out, "another", Wait::No).unwrap();
    let config = TasksConfig {
        clips: LabelSource::Labels(labels.path().to_owned()),
        without: None,
        deal: DealSettings::published(Scenario::Substitution, 0),
        events: None,
        schedule: None,
        tasks: Some(2),
        out: out.clone(),
    };
    let waiting = std::thread::spawn(move || run(&config).map(drop));
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(!out.join("schedule.parquet").exists());
    drop(held);
    waiting.join().unwrap().unwrap();
    assert!(out.join("availability.parquet").exists());
}
