//! The feature table, and heads on it that go through the same run as every approach.

mod withdrawn;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use incdec::clip::Split;
use incdec::run_record::RunRecord;
use incdec::signals::Signal;
use incdec::tables::{FeatureRow, MetricRow, read_features};
use incdec::train::settings::ApproachName;
use incdec::train::watch::{Moment, Order, Watch, Watchman};
use incdec::train::{self, TrainConfig, TrainError, approach};
use serde_json::Value;

use super::toy::{Toy, assert_same_contents, contents, tensors, text};
use crate::support;

/// Bytes of a checkpoint to take features of: a task of an ordinary run.
fn backbone(toy: &Toy) -> PathBuf {
    let run = toy.train("decremental", "backbone", "--stop-after-first-task");
    run.join("checkpoints/task-0.safetensors")
}

fn features(toy: &Toy, checkpoint: &Path, out: &Path, flags: &str) -> Output {
    Command::new(support::binary("incdec-features"))
        .arg("--checkpoint")
        .arg(checkpoint)
        .arg("--shards")
        .arg(toy.shards())
        .arg("--out")
        .arg(out)
        .args(flags.split_whitespace())
        .args(["--device", "cpu", "--threads", "1"])
        .output()
        .unwrap()
}

/// What the stage says it came to.
fn summary(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A toy with its feature table.
fn with_table() -> (Toy, PathBuf) {
    let toy = Toy::new();
    let table = toy.folder.path().join("features.parquet");
    summary(&features(&toy, &backbone(&toy), &table, "--json"));
    (toy, table)
}

#[test]
fn features_are_those_of_the_network_and_only_what_changed_is_computed_again() {
    let (toy, table) = with_table();
    let checkpoint = toy.run("backbone").join("checkpoints/task-0.safetensors");
    let (provenance, rows) = read_features(&table).unwrap();
    // Three, one and one clips of four subcategories.
    assert_eq!(rows.len(), 20);
    assert_eq!(rows[0].feature.len(), 2048);
    assert!(provenance.inputs.contains_key("checkpoint"));
    assert_eq!(provenance.settings["frames"], 4);
    let whole = fs::read(&table).unwrap();

    let again = summary(&features(&toy, &checkpoint, &table, "--json"));
    assert_eq!(
        (&again["computed"], &again["kept"]),
        (&0.into(), &20.into())
    );
    assert_eq!(fs::read(&table).unwrap(), whole);

    // A row that is lost and one of other bytes come back, to the bit.
    let mut kept: Vec<FeatureRow> = rows[1..].to_vec();
    kept[3].content = "of other bytes".to_owned();
    let kept: Vec<&FeatureRow> = kept.iter().collect();
    incdec::tables::write_features(&table, &kept, &provenance).unwrap();
    let mended = summary(&features(&toy, &checkpoint, &table, "--json --workers 0"));
    assert_eq!(
        (&mended["computed"], &mended["dropped"]),
        (&2.into(), &1.into())
    );
    assert_eq!(fs::read(&table).unwrap(), whole);
    assert!(mended["clips_per_second"].as_f64().unwrap() > 0.0);

    // Another checkpoint has other features.
    let other = toy.train("decremental", "other", "--stop-after-first-task --seed 3");
    let other = other.join("checkpoints/task-0.safetensors");
    let anew = summary(&features(&toy, &other, &table, "--json"));
    assert_eq!((&anew["computed"], &anew["kept"]), (&20.into(), &0.into()));
}

#[test]
fn what_the_checkpoint_says_of_its_frames_is_not_said_otherwise() {
    let (toy, table) = with_table();
    let checkpoint = toy.run("backbone").join("checkpoints/task-0.safetensors");
    let refused = features(&toy, &checkpoint, &table, "--frames 8");
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("says its own in its header"));
    let absent = features(&toy, Path::new("absent.safetensors"), &table, "");
    assert_eq!(absent.status.code(), Some(1));
}

#[test]
#[cfg_attr(not(feature = "media"), ignore = "a bundle has no python with numpy")]
fn numpy_reads_the_feature_table() {
    let (_toy, table) = with_table();
    read_by_python(&table, &support::python(), false);
}

#[test]
#[ignore = "needs PyTorch: INCDEC_PYTORCH names its python"]
fn pytorch_reads_the_feature_table() {
    let (_toy, table) = with_table();
    let python = std::env::var_os("INCDEC_PYTORCH").unwrap();
    read_by_python(&table, Path::new(&python), true);
}

fn read_by_python(table: &Path, python: &Path, torch: bool) {
    let mut command = Command::new(python);
    command.arg(support::root().join("tests/peers/read_features.py"));
    command.arg(table).args(torch.then_some("--torch"));
    let said = summary(&command.output().unwrap());
    let (_, rows) = read_features(table).unwrap();
    let ids: Vec<&str> = rows.iter().map(|row| &row.clip_id[..]).collect();
    assert_eq!(said["clips"], Value::from(ids));
    assert_eq!(said["shape"], serde_json::json!([20, 2048]));
    assert_eq!(said["type"], "float32");
    for sums in ["sums", "torch_sums"].iter().take(1 + usize::from(torch)) {
        for (row, sum) in rows.iter().zip(said[*sums].as_array().unwrap()) {
            let ours: f64 = row.feature.iter().map(|f| f64::from(*f)).sum();
            assert!((sum.as_f64().unwrap() - ours).abs() < 1e-6);
        }
    }
}

#[test]
fn every_head_goes_through_every_scenario_and_leaves_the_tables_of_every_run() {
    let (toy, table) = with_table();
    for approach in ["ridge", "sisa", "head-finetune"] {
        for scenario in ["substitution", "decremental"] {
            let flags = format!("--approach {approach} --features {}", table.display());
            let run = toy.train(scenario, &format!("{approach}-{scenario}"), &flags);
            let names: Vec<String> = contents(&run).into_keys().collect();
            for file in ["metrics.parquet", "predictions.parquet", "run.json"] {
                assert!(names.iter().any(|name| name == file), "{names:?}");
            }
            let settings = fs::read_to_string(run.join("settings.json")).unwrap();
            assert!(settings.contains("\"features\": \""), "{settings}");
            let page = toy.folder.path().join("page.html");
            let report = Command::new(support::binary("incdec-report"))
                .arg("--out")
                .arg(&page)
                .arg(&run)
                .output()
                .unwrap();
            assert!(report.status.success(), "{}", text(&report.stderr));
            assert!(fs::read_to_string(&page).unwrap().contains(approach));
        }
    }
}

#[test]
fn an_exact_head_that_subtracts_what_left_is_the_refit_without_it() {
    let (toy, table) = with_table();
    for approach in ["ridge", "ranpac"] {
        let flags = format!("--approach {approach} --features {}", table.display());
        let followed = toy.train("decremental", &format!("{approach}-followed"), &flags);
        let refit = format!("{flags} --from-scratch");
        let refit = toy.train("decremental", &format!("{approach}-refit"), &refit);
        let weights = |run: &Path, task: usize| {
            let tensors = tensors(&run.join(format!("checkpoints/task-{task}.safetensors")));
            let bytes = tensors["heads.weight"].chunks_exact(8);
            let values = bytes.map(|b| f64::from_le_bytes(b.try_into().unwrap()));
            values.collect::<Vec<f64>>()
        };
        let [ours, theirs] = [&followed, &refit].map(|run| weights(run, 1));
        let largest = theirs.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
        assert!(largest > 0.0);
        for (a, b) in ours.iter().zip(&theirs) {
            assert!(
                (a - b).abs() <= 1e-9 * largest,
                "{approach}: {a} {b} of {largest}"
            );
        }
        assert_ne!(ours, weights(&followed, 0), "{approach}: something left");
        // They say the same of every clip that is tested.
        let [ours, theirs] = [&followed, &refit].map(|run| {
            let record = RunRecord::read(run).unwrap().unwrap();
            let rows = record.predictions.into_iter().filter(|row| row.task == 1);
            rows.map(|row| (row.clip_id, row.prediction))
                .collect::<Vec<_>>()
        });
        assert_eq!(ours, theirs, "{approach}");
    }
}

/// Ends a run when its first task is done.
struct AfterOneTask;

impl Watch for AfterOneTask {
    fn look(&mut self, moment: Moment) -> Order {
        if moment == Moment::BetweenTasks {
            Order::Stop(Signal::Terminate)
        } else {
            Order::GoOn
        }
    }
}

#[test]
fn a_head_that_was_stopped_ends_with_the_bytes_of_an_uninterrupted_one() {
    let (toy, table) = with_table();
    for approach in [ApproachName::Ridge, ApproachName::Sisa] {
        let run = |name: &str, watch: &mut dyn Watch| {
            let (tasks, out) = (toy.tasks("decremental"), toy.run(name));
            let mut config = TrainConfig::new(tasks, toy.shards(), out);
            config.features = Some(table.clone());
            config.threads = Some(1);
            config.settings.approach = approach;
            config.settings.epochs = 2;
            // Other tests of this process draw from the same generator of libtorch.
            config.settings.dropout = 0.0;
            train::run_watched(&config, approach::make(&config.settings), watch)
        };
        let [whole, stopped] = ["whole", "stopped"].map(|end| format!("{approach}-{end}"));
        run(&whole, &mut Watchman::new(0)).unwrap();
        let ended = run(&stopped, &mut AfterOneTask);
        assert!(
            matches!(ended, Err(TrainError::Stopped { .. })),
            "{ended:?}"
        );
        assert!(!toy.run(&stopped).join("run.json").exists());
        run(&stopped, &mut Watchman::new(0)).unwrap();
        assert_same_contents(&toy.run(&whole), &toy.run(&stopped));
    }
}

#[test]
fn settings_without_meaning_are_refused_by_their_flag() {
    let (toy, table) = with_table();
    let table = table.display();
    for (flags, said) in [
        (
            "--approach ridge".to_owned(),
            "--features: --approach ridge needs a feature table",
        ),
        (
            format!("--features {table}"),
            "--features: belongs to --approach ridge",
        ),
        (
            format!("--approach ridge --features {table} --unlearn scrub"),
            "--unlearn: --approach ridge unlearns by itself",
        ),
        (
            format!("--approach sisa --features {table} --from-scratch"),
            "--from-scratch: sisa trains again by itself",
        ),
        (
            format!("--approach sisa --features {table} --scheduler multi-step"),
            "--scheduler: --approach sisa trains at a fixed rate",
        ),
    ] {
        let output = toy
            .command("decremental", "refused", &flags)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags}");
        assert!(
            text(&output.stderr).contains(said),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn a_table_that_lacks_a_clip_is_refused_with_a_hint() {
    let (toy, table) = with_table();
    let (provenance, rows) = read_features(&table).unwrap();
    let kept: Vec<&FeatureRow> = rows[1..].iter().collect();
    incdec::tables::write_features(&table, &kept, &provenance).unwrap();
    let flags = format!("--approach ridge --features {}", table.display());
    let output = toy
        .command("decremental", "lacks", &flags)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("has no feature of the frames that are stored"),
        "{said}"
    );
    assert!(said.contains("`make features`"), "{said}");
}

#[test]
fn the_tables_hold_what_the_tasks_come_to_by_population() {
    let (toy, table) = with_table();
    let flags = format!("--approach ridge --features {}", table.display());
    let run = toy.train("decremental", "continual", &flags);
    let rows: Vec<MetricRow> = incdec::parquet_file::read(&run.join(MetricRow::FILE)).unwrap();
    let ap = |task: i32, subcategory: &str| {
        let is = |row: &&MetricRow| {
            row.task == task
                && row.split == Split::Test
                && row.metric == "ap_per_subcategory"
                && row.subcategory.as_deref() == Some(subcategory)
        };
        rows.iter().find(is).unwrap().value.unwrap()
    };
    let figure = |task: i32, metric: &str| {
        let is = |row: &&MetricRow| row.task == task && row.metric == metric;
        let found: Vec<_> = rows.iter().filter(is).collect();
        assert_eq!(found.len(), 1, "{metric}");
        found[0].value
    };
    // Task 1 has lost one subcategory and kept three.
    let (gone, kept) = (
        "looking at phone",
        ["eating cake", "eating chips", "texting"],
    );
    assert_eq!(figure(1, "continual_average_withdrawn"), Some(ap(1, gone)));
    let mean = kept.iter().map(|name| ap(1, name)).sum::<f64>() / 3.0;
    assert!((figure(1, "continual_average_available").unwrap() - mean).abs() < 1e-12);
    let forgotten = ap(0, gone) - ap(1, gone);
    assert_eq!(figure(1, "continual_forgetting_withdrawn"), Some(forgotten));
    assert_eq!(figure(1, "continual_average_not_yet"), None);
    assert_eq!(figure(0, "continual_bwt"), None);
    assert!(figure(1, "continual_bwt").is_some());
    assert_eq!(figure(1, "continual_fwt"), None);
}
