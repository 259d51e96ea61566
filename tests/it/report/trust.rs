//! What the report trusts: only files that are what their run wrote, and no run twice.

use std::fs;
use std::path::{Path, PathBuf};

use incdec::clip::Split;
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::parquet_file;
use incdec::report::{ReportConfig, SummaryRow, run};
use incdec::run_record::{RunHead, TaskOutcome};
use incdec::tables::AvailabilityRow;

use super::config;
use super::fake::{DECREMENTAL, FakeRun, write_progress};

/// Copies the folder `from` with everything in it.
fn copy(from: &Path, to: &Path) -> PathBuf {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
    to.to_owned()
}

#[test]
fn a_file_of_another_run_or_a_damaged_one_is_refused_by_its_name() {
    let root = tempfile::tempdir().unwrap();
    let ours = DECREMENTAL.write(root.path());
    let other = FakeRun {
        seed: 1,
        ..DECREMENTAL
    };
    let other = other.write(root.path());
    for name in [
        "settings.json",
        "progress.json",
        "run.json",
        "history.parquet",
        "metrics.parquet",
        "predictions.parquet",
        "timing.parquet",
        "availability.parquet",
        "schedule.parquet",
        "checkpoints/task-3.safetensors",
    ] {
        let refused = |bytes: Option<Vec<u8>>| {
            let folder = copy(&ours, &root.path().join("copy"));
            match bytes {
                Some(bytes) => fs::write(folder.join(name), bytes).unwrap(),
                None => fs::remove_file(folder.join(name)).unwrap(),
            }
            let error = run(&config(root.path(), vec![folder.clone()])).unwrap_err();
            fs::remove_dir_all(folder).unwrap();
            error
        };
        let mut damaged = fs::read(ours.join(name)).unwrap();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        // All fake weights are alike but for their task.
        let foreign = fs::read(other.join(name.replace("task-3", "task-2"))).unwrap();
        for bytes in [damaged, foreign] {
            // Times are outside the promise: only whose they are counts. And settings say which run the others are of.
            let error = match name {
                "timing.parquet" if bytes != fs::read(other.join(name)).unwrap() => continue,
                "settings.json" if bytes == fs::read(other.join(name)).unwrap() => {
                    let error = refused(Some(bytes)).to_string();
                    assert!(
                        error.contains("progress.json belongs to another run"),
                        "{error}"
                    );
                    continue;
                }
                _ => refused(Some(bytes)),
            };
            assert!(error.to_string().contains(name), "{name}: {error}");
            assert!(error.hint().is_some(), "{name}: {error}");
            assert_eq!(error.exit(), Exit::Failed);
        }
        if !["timing.parquet", "run.json", "progress.json"].contains(&name) {
            let error = refused(None).to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
    }
    assert!(!root.path().join("report.html").exists());
}

#[test]
fn a_complete_run_with_fewer_tasks_done_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    write_progress(&folder, vec![TaskOutcome::default(); 4]);
    let error = run(&config(root.path(), vec![folder])).unwrap_err();
    assert!(
        error.to_string().contains("4 of 6 tasks are done"),
        "{error}"
    );
}

#[test]
fn the_same_run_given_twice_counts_once_and_is_named() {
    let root = tempfile::tempdir().unwrap();
    let first = DECREMENTAL.write(root.path());
    let second = copy(&first, &root.path().join("elsewhere/again"));
    let seed = FakeRun {
        seed: 1,
        ..DECREMENTAL
    };
    let seed = seed.write(root.path());
    let config = config(root.path(), vec![first.clone(), second.clone(), seed]);
    run(&config).unwrap();
    let rows: Vec<SummaryRow> = parquet_file::read(config.table.as_ref().unwrap()).unwrap();
    assert!(rows.iter().all(|row| row.seeds == 2));
    let page = fs::read_to_string(&config.out).unwrap();
    let note = format!("{} is a copy of {}", second.display(), first.display());
    assert!(page.contains(&note), "{note}");
}

#[test]
fn one_run_on_two_machines_stands_side_by_side() {
    let root = tempfile::tempdir().unwrap();
    let (here, there) = (root.path().join("here"), root.path().join("there"));
    let mut runs = Vec::new();
    for seed in 0..2 {
        for (folder, threads) in [(&here, 1), (&there, 8)] {
            let run = FakeRun {
                seed,
                threads,
                ..DECREMENTAL
            };
            runs.push(run.write(folder));
        }
    }
    let config = config(root.path(), runs);
    let text = run(&config).unwrap().to_string();
    assert!(text.contains("finetune on 1 thread, native"), "{text}");
    assert!(text.contains("finetune on 8 threads, native"), "{text}");
    let rows: Vec<SummaryRow> = parquet_file::read(config.table.as_ref().unwrap()).unwrap();
    assert!(rows.iter().all(|row| row.seeds == 2));
    let page = fs::read_to_string(&config.out).unwrap();
    assert!(page.contains("computed on 8 threads, native instructions"));
}

#[test]
fn two_outcomes_of_one_run_are_no_two_seeds() {
    let root = tempfile::tempdir().unwrap();
    let other = FakeRun {
        skill: 0.3,
        ..DECREMENTAL
    };
    let runs = vec![
        DECREMENTAL.write(&root.path().join("a")),
        other.write(&root.path().join("b")),
    ];
    let config = config(root.path(), runs);
    run(&config).unwrap();
    let rows: Vec<SummaryRow> = parquet_file::read(config.table.as_ref().unwrap()).unwrap();
    assert!(rows.iter().all(|row| row.seeds == 1));
    assert!(rows.iter().any(|row| row.approach == "finetune, outcome 2"));
}

#[test]
fn clips_that_were_passed_over_are_counted_and_named() {
    let root = tempfile::tempdir().unwrap();
    let skipping = FakeRun {
        skipped: &["a_000000_000010", "b_000000_000010"],
        ..DECREMENTAL
    };
    let config = config(root.path(), vec![skipping.write(root.path())]);
    run(&config).unwrap();
    let page = fs::read_to_string(&config.out).unwrap();
    assert!(page.contains("2 clips of decremental-finetune-0 could not be read"));
    assert!(page.contains("a_000000_000010, b_000000_000010"));
}

#[test]
fn a_run_that_was_judged_with_clips_withdrawn_since_is_marked() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    let mut config = config(root.path(), vec![folder.clone()]);
    let page = |config: &ReportConfig| {
        run(config).unwrap();
        fs::read_to_string(&config.out).unwrap()
    };
    assert!(!page(&config).contains("withdrawn since"));
    // Still in the predictions: the list knows.
    let list = root.path().join("withdrawn.csv");
    let (_, rows) = incdec::tables::read_predictions(&folder.join("predictions.parquet")).unwrap();
    let line = format!("{},2026-03-31,R-1\n", rows[0].clip_id);
    fs::write(&list, format!("clip_id,withdrawn_on,request\n{line}")).unwrap();
    config.withdrawn = Some(list);
    let marked = page(&config);
    assert!(
        marked.contains("was judged with 1 clips that have been withdrawn since"),
        "{marked}"
    );
    assert!(marked.contains("The predictions of 1 of them are still in it"));
    // Erased: the run's record knows.
    config.withdrawn = None;
    let mut progress = incdec::run_record::read_progress(&folder).unwrap().unwrap();
    progress.erasures.push(incdec::run_record::RunErasure {
        number: 1,
        judged: 3,
        ..Default::default()
    });
    progress.write(&folder).unwrap();
    let marked = page(&config);
    assert!(marked.contains("was judged with 3 clips that have been withdrawn since"));
    assert!(!marked.contains("are still in it"));
}

#[test]
fn the_chart_of_availability_marks_withdrawn_clips_where_there_are_some() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    let listed: Vec<AvailabilityRow> =
        parquet_file::read(&folder.join("availability.parquet")).unwrap();
    let first = |split| listed.iter().find(move |row| row.split == split).unwrap();
    let list = root.path().join("withdrawn.csv");
    let marked = |clip: &str| {
        let line = format!("clip_id,withdrawn_on,request\n{clip},2026-03-31,R-1\n");
        fs::write(&list, line).unwrap();
        let mut config = config(root.path(), vec![folder.clone()]);
        config.withdrawn = Some(list.clone());
        run(&config).unwrap();
        let page = fs::read_to_string(&config.out).unwrap();
        (
            page.contains("in the list, and withdrawn"),
            page.contains(" withdrawn 1"),
        )
    };
    // The chart and its numbers are about training clips.
    assert_eq!(marked(&first(Split::Train).clip_id), (true, true));
    assert_eq!(marked(&first(Split::Test).clip_id), (false, false));
}

#[test]
fn nothing_is_swept_in_a_run_directory_but_where_the_page_is() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    let draft = folder.join(".incdec-x.tmp");
    fs::write(&draft, b"half").unwrap();
    let mut config = config(root.path(), vec![folder.clone()]);
    config.table = Some(folder.join("report.parquet"));
    run(&config).unwrap();
    assert!(draft.exists());
    config.out = folder.join("report.html");
    run(&config).unwrap();
    assert!(!draft.exists());
}

#[test]
fn a_run_of_a_version_before_is_read_without_hashes() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    let plain = |name: &str, fields: &[&str]| {
        let path = folder.join(name);
        let mut value: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for field in fields.iter().chain(&["blake3", "run_id"]) {
            value.as_object_mut().unwrap().remove(*field);
        }
        if let Some(tasks) = value["tasks"].as_array_mut() {
            for task in tasks {
                task.as_object_mut().unwrap().remove("hashes");
            }
        }
        fs::write(&path, value.to_string()).unwrap();
    };
    let id = RunHead::read(&folder).unwrap().unwrap().id();
    plain("settings.json", &["machine"]);
    plain("progress.json", &["files"]);
    plain("run.json", &[]);
    assert_eq!(RunHead::read(&folder).unwrap().unwrap().id(), id);
    let config = config(root.path(), vec![folder]);
    run(&config).unwrap();
    let page = fs::read_to_string(&config.out).unwrap();
    assert!(page.contains("computed on a machine that was not recorded"));
}
