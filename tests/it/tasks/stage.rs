//! The stage as it is run: its tables, its refusals, what it says.

use assert_cmd::Command;
use incdec::clip::Split;
use incdec::lock::{Lock, Wait};
use incdec::parquet_file::{self, Provenance};
use incdec::tables::{AvailabilityRow, ClipRow, ClipStatus};
use incdec::tasks::{DealSettings, LabelSource, Scenario, Source, TasksConfig, run};

use super::{LabelFolder, config, schedule_file};

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
