//! A run that goes beyond what it was begun for has the values of one that was begun with the longer settings.

use std::fs;
use std::path::Path;

use incdec::run_record::{RunHead, RunRecord};

use super::record::stop_after_first_task;
use super::toy::{Toy, contents, events, summary, tensors, text};

/// Everything but what says under which settings it was made: rows, weights and events.
pub(super) fn assert_same_values(longer: &Path, extended: &Path) {
    let [a, b] = [longer, extended].map(|run| RunRecord::read(run).unwrap().unwrap());
    assert!(a.history == b.history && a.metrics == b.metrics && a.predictions == b.predictions);
    assert_eq!(a.progress.tensorboard_bytes, b.progress.tensorboard_bytes);
    assert_eq!(summary(longer)["tasks"], summary(extended)["tasks"]);
    for task in 0..a.progress.tasks.len() {
        let weights =
            |run: &Path| tensors(&run.join(format!("checkpoints/task-{task}.safetensors")));
        assert!(weights(longer) == weights(extended), "task {task}");
    }
    assert!(events(longer) == events(extended));
}

/// What a training that is refused says; nothing of the run has changed.
fn refused(toy: &Toy, name: &str, flags: &str) -> String {
    let before = toy.run(name).exists().then(|| contents(&toy.run(name)));
    let output = toy.command("substitution", name, flags).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot be extended by --extend-"), "{said}");
    assert!(
        said.contains("or train with the longer settings into another --out"),
        "{said}"
    );
    if let Some(before) = before {
        assert!(contents(&toy.run(name)) == before);
    }
    said
}

#[test]
fn the_tasks_that_were_left_out_follow() {
    let toy = Toy::new();
    let flags = "--approach ewc";
    let whole = toy.train("substitution", "whole", flags);
    let cut = "--approach ewc --stop-after-first-task";
    let run = toy.train("substitution", "run", cut);
    let id = RunHead::read(&run).unwrap().unwrap().id();
    toy.train("substitution", "run", "--approach ewc --extend-tasks");
    assert_same_values(&whole, &run);
    let head = RunHead::read(&run).unwrap().unwrap();
    assert_eq!((head.id(), head.tasks, head.extension.tasks), (id, 2, true));
    // It stays so, whether it is asked for again or not.
    let before = contents(&run);
    for same in [cut, "--approach ewc --extend-tasks"] {
        toy.train("substitution", "run", same);
        assert!(contents(&run) == before);
    }
    let said = refused(&toy, "whole", "--approach ewc --extend-tasks");
    assert!(
        said.contains("--stop-after-first-task did not cut that run short"),
        "{said}"
    );
    let said = refused(&toy, "absent", "--extend-tasks");
    assert!(said.contains("there is no run in it"), "{said}");
}

#[test]
fn a_last_task_that_is_done_is_trained_anew_with_more_epochs() {
    let toy = Toy::new();
    let cut = "--stop-after-first-task --epochs";
    let longer = toy.train("substitution", "longer", &format!("{cut} 4"));
    let run = toy.train("substitution", "run", &format!("{cut} 2"));
    toy.train("substitution", "run", &format!("{cut} 2 --extend-epochs 4"));
    assert_same_values(&longer, &run);
    assert_eq!(summary(&run)["tasks"][0]["epochs"], 4);
    let before = contents(&run);
    for same in ["", " --extend-epochs 4"] {
        toy.train("substitution", "run", &format!("{cut} 2{same}"));
        assert!(contents(&run) == before);
    }
    let said = refused(&toy, "run", &format!("{cut} 2 --extend-epochs 3"));
    assert!(said.contains("its tasks have 4 epochs already"), "{said}");
    let said = refused(&toy, "run", "--epochs 2 --extend-tasks");
    assert!(
        said.contains("more epochs than those left out would get"),
        "{said}"
    );
}

#[test]
fn more_epochs_are_refused_where_more_than_the_last_task_would_change() {
    let toy = Toy::new();
    let run = toy.train("substitution", "run", "--epochs 2");
    let said = refused(&toy, "run", "--epochs 2 --extend-epochs 3");
    assert!(
        said.contains("task 0 ended with its last epoch: it would change, too"),
        "{said}"
    );
    stop_after_first_task(&run);
    let said = refused(&toy, "run", "--epochs 2 --extend-epochs 3");
    assert!(said.contains("task 0 ended with its last epoch"), "{said}");
    // A rate of zero never makes anything better, so that every task ends early.
    let early = "--lr-first-task 0 --lr-first-task-head 0 --lr-backbone 0 --lr-head 0 --early-stop 1 --epochs";
    let run = toy.train("substitution", "early", &format!("{early} 3"));
    let ended = &summary(&run)["tasks"][1]["ended_by"];
    assert_eq!(ended, "early stop");
    let said = refused(&toy, "early", &format!("{early} 3 --extend-epochs 5"));
    assert!(
        said.contains("its last task ended by itself (early stop)"),
        "{said}"
    );
}

#[test]
fn an_extension_of_another_run_changes_nothing() {
    let toy = Toy::new();
    let run = toy.train("substitution", "run", "--stop-after-first-task");
    let before = contents(&run);
    for other in [
        "--extend-tasks --seed 4",
        "--stop-after-first-task --extend-epochs 3 --seed 4",
    ] {
        let output = toy.command("substitution", "run", other).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("settings.seed: 0 there, 4 now (--seed)"),
            "{said}"
        );
        assert!(contents(&run) == before);
    }
    // What lies there and is damaged is not touched, either.
    let weights = run.join("checkpoints/task-0.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let output = toy
        .command("substitution", "run", "--extend-tasks")
        .output()
        .unwrap();
    assert!(text(&output.stderr).contains("task-0.safetensors"));
    assert!(run.join("run.json").exists());
}
