//! Training again instead of changing weights: rollback and retrain, and tasks taken over from a run
//! of another method.

use std::fs;
use std::path::Path;
use std::process::Command;

use incdec::artifact::hash_file;
use incdec::parquet_file;
use incdec::run_record::{RunRecord, checkpoint_file, rollback_folder, state_file, unlearned_file};
use incdec::tables::{Availability, AvailabilityRow, ScheduleRow};

use super::toy::{Toy, tensors, text};
use crate::support;

/// Deals `scenario` once more, as if what is not in the lists of `task` had never been there.
fn deal_path(toy: &Toy, scenario: &str, task: usize) {
    let (from, to) = (toy.tasks(scenario), toy.tasks("path"));
    fs::create_dir_all(&to).unwrap();
    let mut tasks = Availability::read(&from.join(AvailabilityRow::FILE)).unwrap();
    assert!(!tasks.keep_list_of(task).is_empty());
    let table = to.join(AvailabilityRow::FILE);
    parquet_file::write(&table, &tasks.rows, &tasks.provenance).unwrap();
    fs::copy(from.join(ScheduleRow::FILE), to.join(ScheduleRow::FILE)).unwrap();
}

/// Every tensor of a task's weights and of the approach's state after it.
fn assert_same_weights(ours: &Path, theirs: &Path, task: usize) {
    for name in [checkpoint_file(task), state_file(task)] {
        let (a, b) = (ours.join(&name), theirs.join(&name));
        assert_eq!(a.exists(), b.exists(), "{name}");
        if a.exists() {
            assert!(tensors(&a) == tensors(&b), "{}: {name}", ours.display());
        }
    }
}

#[test]
fn rollback_is_the_run_in_which_what_left_was_never_there() {
    let toy = Toy::new();
    deal_path(&toy, "three-tasks", 1);
    for (approach, more) in [
        ("finetune", "--sampler imbalanced"),
        ("ewc", "--sampler imbalanced"),
        ("lwf", ""),
        ("fd", ""),
        ("der++", "--batch-size 4"),
    ] {
        let flags = format!("--approach {approach} --epochs 2 {more}");
        let path = toy.train("path", &format!("{approach}-path"), &flags);
        let flags = format!("{flags} --unlearn rollback");
        let run = toy.train("three-tasks", approach, &flags);
        let again = run.join(rollback_folder(1));
        assert_same_weights(&again, &path, 0);
        let unlearned = tensors(&run.join(unlearned_file(1)));
        assert!(unlearned == tensors(&path.join(checkpoint_file(0))));
        for task in [1, 2] {
            assert_same_weights(&run, &path, task);
        }
        let [ours, theirs] = [&run, &path].map(|run| RunRecord::read(run).unwrap().unwrap());
        let later = |record: &RunRecord| {
            let (history, said) = (record.history.iter(), record.predictions.iter());
            let history: Vec<_> = history.filter(|row| row.task > 0).cloned().collect();
            let said: Vec<_> = said.filter(|row| row.task > 0).cloned().collect();
            (history, said)
        };
        assert!(later(&ours) == later(&theirs), "{approach}");
        // What was trained with the clips is another model, and the weights say where they are from.
        assert!(tensors(&run.join(checkpoint_file(0))) != unlearned);
        let bytes = fs::read(run.join(checkpoint_file(1))).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let parents = header.metadata().as_ref().unwrap()["incdec.parents"].clone();
        let hash = hash_file(&again.join(checkpoint_file(0))).unwrap();
        assert!(parents.contains("rolled back") && parents.contains(&hash));
    }
}

#[test]
fn retraining_is_the_task_of_a_run_from_scratch() {
    let toy = Toy::new();
    let run = toy.train("decremental", "retrain", "--approach lwf --unlearn retrain");
    let scratch = toy.train("decremental", "scratch", "--approach lwf --from-scratch");
    let weights = |run: &Path| tensors(&run.join(checkpoint_file(1)));
    assert!(weights(&run) == weights(&scratch));
}

#[test]
fn methods_share_the_tasks_before_the_first_that_withdraws() {
    let toy = Toy::new();
    let none = toy.train("decremental", "none", "--epochs 2");
    let flags = "--epochs 2 --unlearn neggrad-plus";
    let alone = toy.train("decremental", "alone", flags);
    let shared = format!("{flags} --from-run {}", none.display());
    let shared = toy.train("decremental", "shared", &shared);
    for task in [0, 1] {
        assert_same_weights(&shared, &alone, task);
    }
    let [ours, theirs] = [&shared, &alone].map(|run| RunRecord::read(run).unwrap().unwrap());
    assert!(ours.history == theirs.history && ours.metrics == theirs.metrics);
    let refused = toy.command(
        "decremental",
        "refused",
        &format!("--epochs 3 --unlearn scrub --from-run {}", none.display()),
    );
    let output = { refused }.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("it is another run"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn cleaning_takes_what_was_trained_again_with_the_run() {
    let toy = Toy::new();
    let run = toy.train("three-tasks", "rollback", "--unlearn rollback");
    assert!(run.join(rollback_folder(1)).is_dir());
    let output = Command::new(support::binary("incdec-clean"))
        .args(["train"])
        .arg(&run)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!run.exists(), "{}", text(&output.stdout));
}
