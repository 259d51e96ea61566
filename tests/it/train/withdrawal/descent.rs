//! Weights that come from others: what these saw counts, and what they were spared.

use std::fs;
use std::path::{Path, PathBuf};

use incdec::run_record::{checkpoint_file, read_progress};

use super::{note_renewed_inputs, weights, withdraw};
use crate::train::toy::{Toy, text};

/// A training clip of task 0 alone.
const LEAVES: &str = "tr00_000000_000010";

fn parents(run: &Path, task: usize) -> serde_json::Value {
    let header = weights(&run.join(checkpoint_file(task))).0;
    serde_json::from_str(&header["incdec.parents"]).unwrap()
}

/// What a start says that is refused.
fn refused(toy: &Toy, name: &str, flags: &str) -> String {
    let output = toy
        .command("without-substitution", name, flags)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// A copy of a checkpoint whose header says nothing, as another program writes it.
fn foreign(toy: &Toy, checkpoint: &Path) -> PathBuf {
    let bytes = fs::read(checkpoint).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let path = toy.folder.path().join("foreign.safetensors");
    let bytes = safetensors::serialize(file.tensors(), None).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn no_run_begins_or_goes_on_with_weights_of_a_run_that_saw_a_withdrawn_clip() {
    let toy = Toy::new();
    let old = toy.train("substitution", "old", "");
    let weights = old.join(checkpoint_file(0));
    let start = format!("--pretrained {}", weights.display());
    // Its lists never had the clip.
    let list = withdraw(&toy, "substitution", &[LEAVES]);
    let listed = format!("--withdrawn {}", list.display());
    let said = refused(&toy, "begun", &format!("{start} {listed}"));
    let told =
        "the weights come from a run that saw 1 clip of those that have been withdrawn since";
    assert!(said.contains(told), "{said}");
    assert!(
        said.contains("hint: begin another --out with weights"),
        "{said}"
    );
    assert!(!said.contains(LEAVES), "{said}");
    let rolled = format!(
        "{start} {listed} --from-run {} --on-tainted rollback",
        toy.train("without-substitution", "child", &start).display()
    );
    assert!(refused(&toy, "rolled", &rolled).contains(told));
    let said = refused(&toy, "named", &format!("{start} {listed} --log-ids"));
    assert!(said.contains(LEAVES), "{said}");
    let warned = format!("{start} {listed} --on-tainted warn");
    let output = toy
        .command("without-substitution", "warned", &warned)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("going on all the same"),
        "{said}"
    );

    // Of what another program wrote nobody knows.
    let foreign = foreign(&toy, &weights);
    let flags = format!("--pretrained {} {listed}", foreign.display());
    let output = toy
        .command("without-substitution", "foreign", &flags)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("no run of this program wrote these weights"),
        "{said}"
    );
    let run = toy.run("foreign");
    assert_eq!(parents(&run, 0)[0]["foreign"], true);
    assert_eq!(parents(&run, 0)[0]["role"], "pretrained");
    assert!(parents(&run, 1)[0].get("foreign").is_none());
}

#[test]
fn a_run_that_trained_anew_without_a_clip_is_gone_on_with_and_one_that_went_on_is_not() {
    let toy = Toy::new();
    let train = |method: &str| {
        let flags = format!("--unlearn {method}");
        let run = toy.train("three-tasks", method, &flags);
        let mut progress = read_progress(&run).unwrap().unwrap();
        progress.tasks.truncate(2);
        progress.write(&run).unwrap();
        for name in ["run.json", &checkpoint_file(2)] {
            fs::remove_file(run.join(name)).unwrap();
        }
        run
    };
    let runs = ["retrain", "rollback", "finetune"].map(|method| (method, train(method)));
    assert_eq!(parents(&runs[0].1, 1), serde_json::json!([]));
    assert_eq!(parents(&runs[1].1, 1)[0]["role"], "rolled back");
    let list = withdraw(&toy, "three-tasks", &[LEAVES]);
    for (method, run) in runs {
        note_renewed_inputs(&toy, &run, "without-three-tasks");
        let flags = format!("--unlearn {method} --withdrawn {}", list.display());
        let output = toy
            .command("without-three-tasks", method, &flags)
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!(
            output.status.success(),
            method != "finetune",
            "{method}: {said}"
        );
        let is_tainted =
            said.contains("saw 1 clip of those that have been withdrawn since, from task 0 on");
        assert_eq!(is_tainted, method == "finetune", "{method}: {said}");
    }
}
