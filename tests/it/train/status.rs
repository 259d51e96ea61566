//! A run directory looked at by another process: under way, stopped, complete, foreign, damaged.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support;

use super::toy::{Toy, contents, text};

fn status(run: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(support::binary("incdec-train"));
    command.arg("status").arg(run).args(flags).output().unwrap()
}

/// The status as JSON; null where there is none.
fn json(run: &Path) -> Value {
    serde_json::from_slice(&status(run, &["--json"]).stdout).unwrap_or_default()
}

#[test]
fn a_run_is_looked_at_while_it_works_when_it_has_stopped_and_when_it_is_complete() {
    let toy = Toy::new();
    let run = toy.run("run");
    let mut child = toy
        .command("decremental", "run", "--epochs 2000")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(300);
    let under_way = loop {
        let found = json(&run);
        if found["epochs_done"].as_u64() >= Some(1) && !found["left"].is_null() {
            break found;
        }
        assert!(Instant::now() < deadline, "{found}");
        assert!(child.try_wait().unwrap().is_none(), "it ended");
    };
    assert_eq!(under_way["state"], "under-way");
    let holder = format!("incdec-train, process {}", child.id());
    assert_eq!(under_way["holder"], holder);
    assert_eq!(under_way["tasks"], 2);
    assert_eq!(
        (&under_way["tasks_done"], &under_way["task"]),
        (&0.into(), &0.into())
    );
    assert_eq!(under_way["epochs"], 2000);
    assert_eq!(under_way["best"]["task"], 0);
    assert!(under_way["best"]["mean_ap"].as_f64().unwrap() > 0.0);
    let left = &under_way["left"];
    assert!(left["seconds"].as_f64().unwrap() > 0.0, "{left}");
    // --early-stop 1000 of 2000 epochs.
    assert_eq!(left["at_most"], true);
    assert!(left["clips_per_second"].as_f64().unwrap() > 0.0);
    assert!(left["memory_bytes"].as_u64().unwrap() > 1 << 20);
    let lines = text(&status(&run, &[]).stdout);
    for said in [
        ", under way",
        &holder,
        "tasks: 0 of 2 done",
        "at most 2000 epochs done",
        " clips/s, ",
        " left",
    ] {
        assert!(lines.contains(said), "{said}: {lines}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let stopped = json(&run);
    assert_eq!(stopped["state"], "stopped");
    assert_eq!(stopped["holder"], Value::Null);
    assert!(text(&status(&run, &[]).stdout).contains("stopped; the same command goes on"));

    let whole = toy.train("decremental", "whole", "--epochs 2");
    let before = contents(&whole);
    let complete = json(&whole);
    assert_eq!(complete["state"], "complete");
    assert_eq!(
        (&complete["tasks_done"], &complete["task"]),
        (&2.into(), &Value::Null)
    );
    assert_eq!(complete["best"]["task"], 1);
    assert!(contents(&whole) == before, "a look writes nothing");
}

#[test]
fn a_foreign_folder_and_a_damaged_run_are_named() {
    let toy = Toy::new();
    let foreign = toy.folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), "").unwrap();
    let refused = |run: &Path| {
        let output = status(run, &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        text(&output.stderr)
    };
    for folder in [&foreign, &toy.folder.path().join("absent")] {
        let said = refused(folder);
        assert!(
            said.contains("holds no run: it has no settings.json"),
            "{said}"
        );
        assert!(said.contains("hint: name a run directory"), "{said}");
    }
    let run = toy.train("decremental", "run", "");
    for name in [
        "settings.json",
        "progress.json",
        "run.json",
        "history.parquet",
    ] {
        let path = run.join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let said = refused(&run);
        assert!(said.contains(name) && said.contains("hint: "), "{said}");
        fs::write(&path, &bytes).unwrap();
    }
}
