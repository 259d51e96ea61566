//! Rolling back equals a run in which the clips were never there.

use std::path::Path;

use incdec::artifact::hash_file;
use incdec::run_record::{RunRecord, checkpoint_file};

use super::{ARRIVES, TEST, VALIDATION, weights, withdraw};
use crate::train::toy::{Toy, text};

/// Every tensor of every task, and every row of history, metrics and predictions.
pub(super) fn assert_same_run(ours: &Path, theirs: &Path) {
    let read = |folder: &Path| RunRecord::read(folder).unwrap().unwrap();
    let (a, b) = (read(ours), read(theirs));
    assert!(a.summary.is_some() && b.summary.is_some());
    assert!(a.history == b.history, "history");
    assert!(a.metrics == b.metrics, "metrics");
    assert!(a.predictions == b.predictions, "predictions");
    for task in 0..a.progress.tasks.len() {
        for name in [checkpoint_file(task), incdec::run_record::state_file(task)] {
            assert_eq!(
                ours.join(&name).exists(),
                theirs.join(&name).exists(),
                "{name}"
            );
            if ours.join(&name).exists() {
                assert!(
                    weights(&ours.join(&name)).1 == weights(&theirs.join(&name)).1,
                    "{name}"
                );
            }
        }
    }
}

/// The path reference: the same tasks with the withdrawn clips without frames from the start.
fn rolls_back(scenario: &str, approach: &str, clips: &[&str], taken_over: &str) {
    let toy = Toy::new();
    let flags = format!("--approach {approach}");
    let old = toy.train(scenario, "old", &flags);
    let before = hash_file(&old.join("progress.json")).unwrap();
    let list = withdraw(&toy, scenario, clips);
    let without = format!("without-{scenario}");
    let reference = toy.train(&without, "reference", &flags);
    let flags = format!(
        "{flags} --withdrawn {} --from-run {} --on-tainted rollback",
        list.display(),
        old.display()
    );
    let output = toy.command(&without, "new", &flags).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(taken_over), "{said}");
    assert_same_run(&toy.run("new"), &reference);
    assert_eq!(
        hash_file(&old.join("progress.json")).unwrap(),
        before,
        "the old run stays as it is"
    );
}

const APPROACHES: [&str; 4] = ["finetune", "lwf", "fd", "ewc"];
/// Those that share a buffer, and take a case each.
const REPLAY: [&str; 3] = ["er", "der++", "gdumb"];

/// In the first of these scenarios task 0's clips leave; subcategory 3 arrives with task 1 in the last.
#[test]
fn rollback_equals_the_path_reference_for_every_approach_where_a_training_clip_arrives() {
    for ((scenario, clip), replay) in [
        ("substitution", ARRIVES),
        ("joint-incremental", ARRIVES),
        ("incremental-decremental", "tr31_000000_000010"),
    ]
    .into_iter()
    .zip(REPLAY)
    {
        for approach in APPROACHES.into_iter().chain([replay]) {
            rolls_back(
                scenario,
                approach,
                &[clip, TEST],
                "1 of 2 done tasks never knew",
            );
        }
    }
}

/// A validation clip, and what a source in three splits has.
#[test]
fn rollback_equals_the_path_reference_for_clips_of_other_splits() {
    for (approach, clips) in APPROACHES.into_iter().zip([
        &[VALIDATION][..],
        &[VALIDATION, TEST, ARRIVES],
        &[VALIDATION],
        &[VALIDATION, TEST, ARRIVES],
    ]) {
        for scenario in ["substitution", "decremental"] {
            rolls_back(scenario, approach, clips, "0 of 2 done tasks never knew");
        }
    }
    let clips = &[VALIDATION, TEST];
    rolls_back(
        "substitution",
        "der++",
        clips,
        "0 of 2 done tasks never knew",
    );
}
