//! What an audit learns from many heads on features at once.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::audits::{World, pooled, rows, without_what_leaves};
use super::toy::{Toy, text};
use crate::support;

#[test]
fn many_shadow_heads_of_an_exact_method_are_no_further_apart_than_their_halves() {
    let world = World::new();
    let named = |run: &&PathBuf| ["ridge-0", "ridge-path-0"].iter().any(|n| run.ends_with(n));
    let runs: Vec<PathBuf> = world.runs.iter().filter(named).cloned().collect();
    let audit = |shadows: &str, out: &str| {
        let output = Command::new(support::binary("incdec-audit"))
            .arg("--shards")
            .arg(world.toy.shards())
            .arg("--out")
            .arg(world.folder(out))
            .arg("--features")
            .arg(&world.features)
            .args(["--device", "cpu", "--threads", "1", "--shadows", shadows])
            .args(&runs)
            .output()
            .unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (code, said) = audit("8", "few");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--shadows: 8, at least 16"), "{said}");
    let (code, said) = audit("480", "many");
    assert_eq!(code, Some(0), "{said}");
    let rows = rows(&world.folder("many"));
    let value = |measure| {
        pooled(&rows, ["ridge", "end", "forget", measure, ""])[0]
            .value
            .unwrap()
    };
    let (klom, floor) = (value("lira_klom_mean"), value("lira_klom_mean_floor"));
    // Unlearned and never seen is the same head; half as many heads have the wider floor.
    assert!(klom <= floor && klom < 1.0, "{klom} {floor}");
}

#[test]
fn the_most_memorised_clips_are_a_request_to_forget() {
    let world = World::new();
    let file = world.folder("request.csv");
    let memorised = |flags: &[&str]| {
        Command::new(support::binary("incdec-audit"))
            .args(["memorised", "--availability"])
            .arg(world.toy.tasks("decremental"))
            .arg("--features")
            .arg(&world.features)
            .arg("--out")
            .arg(&file)
            .args(flags)
            .output()
            .unwrap()
    };
    let output = memorised(&["--task", "0", "--clips", "4"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        said.contains("4 of the 11 clips of task 0, memorisation "),
        "{said}"
    );
    let table = fs::read_to_string(&file).unwrap();
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some("clip_id,category,subcategory,memorisation")
    );
    let values: Vec<f64> = lines
        .map(|l| l.rsplit(',').next().unwrap().parse().unwrap())
        .collect();
    assert!(
        values.len() == 4 && values.is_sorted_by(|a, b| a >= b),
        "{table}"
    );
    assert!(
        values[0] > 0.0,
        "a head knows a clip better that it saw: {table}"
    );
    // The same draws give the same bytes, and it is a list of clips as every stage reads it.
    memorised(&["--task", "0", "--clips", "4"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), table);
    assert_eq!(incdec::withdrawn::read_ids(&file).unwrap().len(), 4);
    let refused = memorised(&["--task", "9"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--task: task 9 has 0 clips to train on"));
}

#[test]
fn heads_that_only_ever_train_tell_what_they_trained_on() {
    let toy = Toy::new();
    without_what_leaves(&toy);
    let flags = "--epochs 8 --lr-first-task-head 1e-2";
    let runs = ["decremental", "without"].map(|scenario| toy.train(scenario, scenario, flags));
    let out = toy.folder.path().join("audit");
    let output = Command::new(support::binary("incdec-audit"))
        .arg("--shards")
        .arg(toy.shards())
        .arg("--out")
        .arg(&out)
        .args(["--device", "cpu", "--threads", "1", "--shadows", "48"])
        .args(&runs)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows = rows(&out);
    let auc = pooled(&rows, ["none", "end", "forget", "lira_auc", ""])[0].value;
    assert!(auc.is_some_and(|auc| auc > 0.6), "{auc:?}");
    let clips = rows
        .iter()
        .filter(|row| row.measure == "memorisation" && row.run.is_some());
    let values: Vec<f64> = clips.map(|row| row.value.unwrap()).collect();
    assert!(
        values.len() == 3 && values.iter().all(|value| *value > 0.0),
        "{values:?}"
    );
}
