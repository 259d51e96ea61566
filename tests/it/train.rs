//! The train stage on a toy data set: every approach under every scenario, what it trusts, resuming, equal bytes, the seed's
//! quirks, its output files, its command line, and the goldens of the approaches.

mod approaches;
mod audits;
mod events;
mod extend;
mod forget;
mod forgetting;
mod goldens;
mod heads;
mod nccl;
mod quirks;
mod ranks;
#[cfg(not(feature = "media"))]
mod ready_made;
mod record;
mod redo;
mod replay;
mod seed_files;
mod shadow_heads;
mod starts;
mod states;
mod status;
mod stops;
pub(crate) mod toy;
mod trouble;
mod unlearn;
mod unlearn_movinet;
mod withdrawal;
mod world;

use std::process::Stdio;
use std::time::{Duration, Instant};

use incdec::clip::Split;
use incdec::parquet_file;
use incdec::tables::{self, MetricRow};

use crate::support;

use toy::{CATEGORIES, Toy, assert_same_contents, contents, history, last, tensors, text};

#[test]
fn a_run_leaves_its_tables_and_a_second_one_does_nothing() {
    let toy = Toy::new();
    let run = toy.train("decremental", "finetune", "--profile --epochs 2");
    let names: Vec<String> = contents(&run).into_keys().collect();
    assert_eq!(
        names,
        [
            "availability.parquet",
            "checkpoints/task-0.safetensors",
            "checkpoints/task-1.safetensors",
            "history.parquet",
            "metrics.parquet",
            "model_card.md",
            "predictions.parquet",
            "progress.json",
            "run.json",
            "schedule.parquet",
            "seen.parquet",
            "settings.json",
            "tensorboard/events.out.tfevents.0.incdec",
        ]
    );
    let (categories, predictions) =
        tables::read_predictions(&run.join("predictions.parquet")).unwrap();
    assert_eq!(categories, CATEGORIES);
    // Two tasks with four clips to validate and four to test.
    assert_eq!(predictions.len(), 16);
    let metrics: Vec<MetricRow> = parquet_file::read(&run.join("metrics.parquet")).unwrap();
    let forgetting: Vec<_> = metrics
        .iter()
        .filter(|row| row.metric == "mean_ap" && row.split == Split::Test)
        .map(|row| (row.task, row.value.is_some(), row.forgetting.unwrap()))
        .collect();
    assert_eq!(forgetting[0], (0, true, 0.0));
    assert_eq!(history(&run, "loss", Split::Train).len(), 4);
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(summary["tasks"][0]["unusable_clips"], 1);
    let again = toy
        .command("decremental", "finetune", "--epochs 2")
        .output()
        .unwrap();
    assert!(again.status.success());
    assert!(
        text(&again.stdout).contains("nothing was done"),
        "{}",
        text(&again.stdout)
    );
}

#[test]
fn the_number_of_workers_changes_no_byte() {
    let toy = Toy::new();
    let flags = "--approach ewc --sampler imbalanced --accumulation 2";
    let runs = [1, 2, 5].map(|workers| {
        let name = format!("workers-{workers}");
        toy.train(
            "substitution",
            &name,
            &format!("{flags} --workers {workers}"),
        )
    });
    assert_same_contents(&runs[0], &runs[1]);
    assert_same_contents(&runs[0], &runs[2]);
}

#[test]
fn a_killed_run_ends_with_the_bytes_of_an_uninterrupted_one() {
    let toy = Toy::new();
    let flags = "--approach ewc --epochs 3 --seed-outputs";
    let whole = toy.train("decremental", "whole", flags);
    let killed = toy.run("killed");
    // Once before anything is done, once after an epoch of the first task, once in the second task.
    let best_epochs = "logger/best_epoch_tasks.out";
    for stop_after in ["settings.json", best_epochs, "progress.json"] {
        let mut child = toy
            .command("decremental", "killed", flags)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        while !killed.join(stop_after).exists() {
            assert!(Instant::now() < deadline, "no {stop_after}");
            assert!(
                child.try_wait().unwrap().is_none(),
                "ended before it could be killed"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if stop_after == best_epochs {
            // The best epoch so far of the task under way; the other has not begun.
            let said = std::fs::read_to_string(killed.join(best_epochs)).unwrap();
            assert!(["0\n-1\n", "1\n-1\n"].contains(&said.as_str()), "{said}");
        }
    }
    // What a killed writer leaves behind is swept.
    for folder in ["", "checkpoints", "logger", "validation_logger"] {
        let folder = killed.join(folder);
        std::fs::write(folder.join(".incdec-x.tmp"), b"half").unwrap();
    }
    toy.train("decremental", "killed", flags);
    let (whole, mut resumed) = (contents(&whole), contents(&killed));
    // The seed's folder name and paths stand in its files.
    for name in ["parameters.csv", "summary.csv"] {
        let renamed = text(&resumed[name]).replace("killed", "whole");
        resumed.insert(name.to_owned(), renamed.into_bytes());
    }
    assert_eq!(
        whole.keys().collect::<Vec<_>>(),
        resumed.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &whole {
        assert!(*bytes == resumed[name], "{name} differs");
    }
}

#[test]
fn a_tiny_fit_learns_and_does_not_move_at_rate_zero() {
    let toy = Toy::new();
    let learns = toy.train(
        "joint-incremental",
        "learns",
        "--epochs 6 --lr-first-task 1e-3 --lr-first-task-head 1e-3 --stop-after-first-task --dropout 0",
    );
    let losses = history(&learns, "loss", Split::Train);
    assert!(last(&losses, 0) < 0.5 * losses[0].2, "{losses:?}");
    let still = toy.train(
        "joint-incremental",
        "still",
        "--lr-first-task 0 --lr-first-task-head 0 --lr-backbone 0 --lr-head 0",
    );
    let [first, second] =
        [0, 1].map(|task| tensors(&still.join(format!("checkpoints/task-{task}.safetensors"))));
    for (name, values) in &first {
        let statistic = name.contains("running_") || name.contains("num_batches");
        assert_eq!(*values != second[name], statistic, "{name}");
    }
}

#[test]
fn the_ways_of_computing_give_the_same_run_up_to_rounding() {
    let toy = Toy::new();
    let [reference, frames, fast] = ["reference", "frames", "fast"].map(|path| {
        let flags = format!("--model-path {path} --epochs 2 --dropout 0 --profile");
        history(
            &toy.train("substitution", path, &flags),
            "loss",
            Split::Train,
        )
    });
    for other in [&frames, &fast] {
        for (a, b) in reference.iter().zip(other) {
            assert!((a.2 - b.2).abs() < 1e-3, "{reference:?} {other:?}");
        }
    }
}

#[test]
fn bfloat16_is_refused_with_a_hint_where_the_processor_lacks_it() {
    let toy = Toy::new();
    let output = toy
        .command(
            "decremental",
            "bf16",
            "--precision bf16 --stop-after-first-task",
        )
        .output()
        .unwrap();
    let said = text(&output.stderr);
    if support::device() != tch::Device::Cpu || incdec::model::processor_has_bf16() {
        assert!(output.status.success(), "{said}");
        support::say("this device has bfloat16: its refusal is not tried");
        return;
    }
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("this processor has neither avx512_bf16 nor amx_bf16"),
        "{said}"
    );
    assert!(said.contains("hint: leave --precision bf16 out"), "{said}");
    assert!(!toy.run("bf16").join("settings.json").exists());
}

#[test]
fn a_run_directory_under_other_settings_is_refused_with_a_hint() {
    let toy = Toy::new();
    let run = toy.train("decremental", "one", "--stop-after-first-task");
    let before = contents(&run);
    let other = toy
        .command("decremental", "one", "--stop-after-first-task --seed 4")
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(1));
    let said = text(&other.stderr);
    assert!(said.contains("settings.seed: 0 there, 4 now"), "{said}");
    assert!(said.contains("hint: choose another --out"), "{said}");
    assert_eq!(before, contents(&run));
    let nonsense = toy
        .command("decremental", "two", "--size 96")
        .output()
        .unwrap();
    assert_eq!(nonsense.status.code(), Some(2));
    assert!(
        text(&nonsense.stderr).contains("--size: 96 pixels cannot be cropped from frames of 68")
    );
    let unknown = toy
        .command("decremental", "two", "--approach icarl")
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    let strange = toy.folder.path().join("strange");
    std::fs::create_dir(&strange).unwrap();
    std::fs::write(strange.join("thesis.tex"), "").unwrap();
    let refused = toy
        .command("decremental", "../strange", "")
        .output()
        .unwrap();
    assert!(text(&refused.stderr).contains("is not empty and holds no run"));
}
