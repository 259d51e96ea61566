//! What lies in a run directory between two starts.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::Command;

use incdec::artifact::hash_file;
use incdec::random;
use incdec::run_record::{Part, Position, RunHead, RunProgress, is_sealed_checkpoint, positions};
use incdec::train::approach::{Approach, Step};
use incdec::train::learner::Learner;
use incdec::train::settings::ApproachName;
use incdec::train::watch::Watchman;
use incdec::train::{self, Settings, TrainConfig};
use rand::RngExt;
use tch::Tensor;

use super::super::extend::assert_same_values;
use super::super::record::stop_after_first_task;
use super::super::toy::{Toy, assert_same_contents, contents, text};
use super::signals::{send, started};
use super::{Errand, How, Script, small, wait_until};
use crate::support;

#[test]
fn the_same_position_has_the_same_bytes_whenever_and_wherever_it_is_reached() {
    let toy = Toy::new();
    let settings = Settings {
        approach: ApproachName::Ewc,
        ..small()
    };
    let [one, other] = [1, 3].map(|workers| {
        let mut errand = Errand::new(&toy, &format!("workers-{workers}"), &settings);
        errand.workers = workers;
        // In the second task.
        errand.stop = Some((30, How::Order));
        errand.succeed();
        positions(&errand.out).unwrap().into_iter().map(move |p| {
            let bytes = fs::read(errand.out.join(p.file())).unwrap();
            assert!(is_sealed_checkpoint(&bytes));
            (p, bytes)
        })
    });
    let (one, other): (Vec<_>, Vec<_>) = (one.collect(), other.collect());
    assert!(!one.is_empty());
    assert!(one == other);
}

/// A run that was stopped in its first task, with two checkpoints.
fn with_two_checkpoints(toy: &Toy, flags: &str) -> Vec<Position> {
    let run = toy.run("stopped");
    let mut child = started(toy, "substitution", flags);
    wait_until(&mut child, || positions(&run).unwrap().len() == 2);
    send(&child, rustix::process::Signal::TERM);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    positions(&run).unwrap()
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
    let toy = Toy::new();
    let flags = "--approach lwf --epochs 6 --batch-size 2";
    let whole = toy.train("substitution", "whole", flags);
    let kept = with_two_checkpoints(&toy, flags);
    assert_eq!(kept.len(), 2, "{kept:?}");
    let run = toy.run("stopped");
    let newest = kept[1].file();
    let bytes = fs::read(run.join(&newest)).unwrap();
    assert!(is_sealed_checkpoint(&bytes));
    let header = text(&bytes[8..20_000.min(bytes.len())]);
    let folder = toy.folder.path().display().to_string();
    assert!(!header.contains(&folder) && !header.contains("thread"));
    let mut rng = random::stream(0, "flips", &[]);
    let mut flipped = bytes.clone();
    for _ in 0..30 {
        flipped.clone_from(&bytes);
        flipped[rng.random_range(0..bytes.len())] ^= 1 << rng.random_range(0..8);
        assert!(!is_sealed_checkpoint(&flipped));
    }
    fs::write(run.join(&newest), &flipped).unwrap();
    let output = toy
        .command("substitution", "stopped", flags)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&newest) && said.contains("damaged"), "{said}");
    assert!(said.contains(&format!("going on in {}", kept[0])), "{said}");
    assert_same_contents(&whole, &run);
}

#[test]
fn a_run_with_a_checkpoint_is_not_replaced_by_another_and_clean_takes_it_away() {
    let toy = Toy::new();
    with_two_checkpoints(&toy, "--epochs 40 --batch-size 2");
    let run = toy.run("stopped");
    // As if the first epoch had not ended yet.
    fs::remove_file(run.join("history.parquet")).unwrap();
    let mut other = toy.command("substitution", "stopped", "--epochs 40 --seed 9");
    let output = other.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("settings.seed: 0 there, 9 now"));
    let clean = Command::new(support::binary("incdec-clean"))
        .arg("train")
        .arg(&run)
        .output()
        .unwrap();
    support::say(&text(&clean.stderr));
    assert!(
        positions(&run).unwrap().is_empty(),
        "{}",
        text(&clean.stdout)
    );
}

#[test]
fn a_last_task_that_was_stopped_behind_its_epochs_goes_back_for_more() {
    let toy = Toy::new();
    let settings = |epochs| Settings {
        epochs,
        stop_after_first_task: true,
        ..small()
    };
    let longer = Errand::new(&toy, "longer", &settings(3));
    longer.succeed();
    let whole = Errand::new(&toy, "whole", &settings(2));
    whole.succeed();
    let moments = whole.moments();
    let publishing = moments.iter().position(|m| m == "Publishing").unwrap();
    let mut errand = Errand::new(&toy, "stopped", &settings(2));
    errand.stop = Some((publishing, How::Order));
    errand.succeed();
    let newest = *positions(&errand.out).unwrap().last().unwrap();
    assert_eq!(newest.part, Part::Closing);
    errand.stop = None;
    errand.extend.epochs = Some(3);
    errand.succeed();
    assert_same_values(&longer.out, &errand.out);
}

/// Makes `run` one whose settings.json says otherwise.
fn change_head(run: &Path, change: impl FnOnce(&mut RunHead)) {
    let mut head = RunHead::read(run).unwrap().unwrap();
    change(&mut head);
    head.write(run).unwrap();
    let path = run.join("progress.json");
    let mut progress: RunProgress = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let hash = hash_file(&run.join("settings.json")).unwrap();
    progress.files.insert("settings.json".into(), hash);
    progress.write(run).unwrap();
}

#[test]
fn an_unfinished_run_of_the_version_before_is_refused_and_a_complete_one_left_as_it_is() {
    let toy = Toy::new();
    let run = toy.train("substitution", "old", "");
    change_head(&run, |head| head.version = 1);
    let before = contents(&run);
    toy.train("substitution", "old", "");
    assert!(before == contents(&run));
    stop_after_first_task(&run);
    let output = toy.command("substitution", "old", "").output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("was begun under version 1 of run directories"),
        "{said}"
    );
    assert!(said.contains("hint: choose another --out"), "{said}");
}

#[test]
fn an_unfinished_run_of_another_kind_of_device_is_refused_by_name() {
    let toy = Toy::new();
    let run = toy.train("substitution", "run", "");
    stop_after_first_task(&run);
    change_head(&run, |head| {
        head.machine.as_mut().unwrap().device = "abacus".into();
    });
    let output = toy.command("substitution", "run", "").output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("machine.device: \"abacus\" there, \"") && said.contains(" now (--device)"),
        "{said}"
    );
    assert!(
        said.contains("hint: go on with that many --threads, that --device"),
        "{said}"
    );
}

/// Adds nothing for some steps, and then what is no number.
struct Poison(Cell<usize>);

impl Approach for Poison {
    fn penalty(&self, _learner: &Learner, step: &Step<'_>) -> Option<Tensor> {
        self.0.set(self.0.get().saturating_sub(1));
        let value = if self.0.get() == 0 { f64::NAN } else { 0.0 };
        Some(step.output.logits.sum(tch::Kind::Float) * value)
    }
}

#[test]
fn a_loss_that_is_no_number_names_the_last_good_checkpoint_of_its_task() {
    let toy = Toy::new();
    let mut config = TrainConfig::new(toy.tasks("substitution"), toy.shards(), toy.run("run"));
    config.device = support::device_choice();
    config.settings = small();
    let mut script = Script {
        stop: None,
        moments: Vec::new(),
        watchman: Watchman::new(config.checkpoint_every),
    };
    // In the second epoch, which has as many steps as the first.
    let poison = Box::new(Poison(Cell::new(8)));
    let error = train::run_watched(&config, poison, &mut script).unwrap_err();
    let newest = positions(&config.out).unwrap().last().unwrap().file();
    let said = error.to_string();
    assert!(said.starts_with("task 0, epoch 1: "), "{said}");
    let named = format!("last good weights: {}", config.out.join(newest).display());
    assert!(said.contains(&named), "{said}");
}

#[test]
fn what_an_ended_task_left_is_removed() {
    let toy = Toy::new();
    let run = toy.train("substitution", "run", "");
    let left = Position::start(0);
    fs::write(run.join(left.file()), "left").unwrap();
    toy.train("substitution", "run", "");
    assert!(positions(&run).unwrap().is_empty());
}
