//! Ranks that end before the run does, and runs that go on on other numbers of them.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use incdec::run_record::positions;
use rustix::process::{Pid, Signal, kill_process};

use super::super::toy::{Toy, assert_same_contents, text};
use super::{RANK_TIMEOUT, ends, start, train};

/// Waits until `run` has a checkpoint inside a task.
pub(super) fn await_checkpoint(run: &Path, ranks: &mut [Child]) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while positions(run).is_ok_and(|found| found.is_empty()) {
        assert!(
            Instant::now() < deadline,
            "no checkpoint in {}",
            run.display()
        );
        for rank in &mut *ranks {
            assert!(
                rank.try_wait().unwrap().is_none(),
                "ended before it could be stopped"
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(super) const LONG: &str =
    "--batch-size 1 --accumulation 6 --approach ewc --epochs 4 --checkpoint-every 1";

/// Kills one of the ranks; gives the ends of all, which come about as soon as it is missed.
fn ends_without(lost: usize, mut ranks: Vec<Child>) -> Vec<Output> {
    ranks[lost].kill().unwrap();
    let begun = Instant::now();
    let outputs = ends(ranks);
    let waited = begun.elapsed();
    assert!(
        waited < 2 * RANK_TIMEOUT + Duration::from_secs(10),
        "{waited:?}"
    );
    assert_eq!(outputs[lost].status.signal(), Some(9));
    outputs
}

#[test]
fn a_lost_rank_ends_all_and_the_run_goes_on_from_its_last_checkpoint() {
    let toy = Toy::new();
    let whole = toy.train("decremental", "whole", LONG);
    let run = toy.run("run");
    let errors = toy.folder.path().join("error.json");
    let mut ranks = start(&toy, 3, "run", LONG, |rank, command| {
        if rank == 0 {
            command.env("TORCHELASTIC_ERROR_FILE", &errors);
        }
    });
    await_checkpoint(&run, &mut ranks);
    let outputs = ends_without(1, ranks);
    for rank in [0, 2] {
        let said = text(&outputs[rank].stderr);
        assert_eq!(outputs[rank].status.code(), Some(75), "rank {rank}: {said}");
        assert!(said.contains("rank 1 on "), "rank {rank}: {said}");
        assert!(
            said.contains("no sign of life for 3 s"),
            "rank {rank}: {said}"
        );
    }
    let noted: serde_json::Value = serde_json::from_slice(&fs::read(&errors).unwrap()).unwrap();
    let noted = &noted["message"];
    assert!(
        noted["message"].as_str().unwrap().contains("rank 1 on "),
        "{noted}"
    );
    let time = noted["extraInfo"]["timestamp"].as_str().unwrap();
    assert!(time.parse::<u64>().unwrap() > 0);
    assert!(
        fs::read_to_string(run.join("log.jsonl"))
            .unwrap()
            .contains("rank 1 on ")
    );
    assert!(!positions(&run).unwrap().is_empty());
    train(&toy, 3, "run", LONG);
    assert_same_contents(&whole, &run);
}

#[test]
fn a_lost_first_rank_ends_the_others_and_the_next_start_says_that_it_was_killed() {
    let toy = Toy::new();
    let whole = toy.train("decremental", "whole", LONG);
    let run = toy.run("run");
    let errors = toy.folder.path().join("error.json");
    let mut ranks = start(&toy, 3, "run", LONG, |rank, command| {
        if rank == 1 {
            command.env("TORCHELASTIC_ERROR_FILE", &errors);
        }
    });
    await_checkpoint(&run, &mut ranks);
    let killed = ranks[0].id();
    for (rank, output) in ends_without(0, ranks).iter().enumerate().skip(1) {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(75), "rank {rank}: {said}");
        assert!(said.contains("rank 0 on "), "rank {rank}: {said}");
    }
    assert!(fs::read_to_string(&errors).unwrap().contains("rank 0 on "));
    train(&toy, 3, "run", LONG);
    assert_same_contents(&whole, &run);
    let log = fs::read_to_string(run.join("log.jsonl")).unwrap();
    let said = format!("in use by incdec-train, process {killed}, which did not end by itself");
    assert!(log.contains(&said), "{log}");
}

#[test]
fn a_run_goes_on_on_another_number_of_processes() {
    let toy = Toy::new();
    let flags = LONG.replace("--accumulation 6", "--accumulation 4");
    let whole = toy.train("decremental", "whole", &flags);
    let run = toy.run("run");
    // One process, stopped; then four, of which the last one is asked to end; then one again.
    let mut one = vec![
        toy.command("decremental", "run", &flags)
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    ];
    await_checkpoint(&run, &mut one);
    let pid = Pid::from_child(&one[0]);
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(one[0].wait().unwrap().code(), Some(143));
    let before = positions(&run).unwrap();
    let four = start(&toy, 4, "run", &flags, |_, _| ());
    let deadline = Instant::now() + Duration::from_secs(120);
    while positions(&run).unwrap() == before {
        assert!(Instant::now() < deadline, "it does not go on");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = Pid::from_child(&four[3]);
    kill_process(pid, Signal::TERM).unwrap();
    for output in ends(four) {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(143), "{said}");
        assert!(said.contains("stopped by SIGTERM in task "), "{said}");
    }
    assert!(!run.join("run.json").exists());
    toy.train("decremental", "run", &flags);
    assert_same_contents(&whole, &run);
    // Complete: every process says so, and leaves it as it is.
    train(&toy, 2, "run", &flags);
    assert_same_contents(&whole, &run);
}

#[test]
fn a_rank_that_cannot_read_its_data_ends_all_with_its_reason() {
    let toy = Toy::new();
    let damaged = toy.folder.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    for entry in fs::read_dir(toy.shards()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|e| e == "arrow") {
            // In the midst of the frames.
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        fs::write(damaged.join(path.file_name().unwrap()), bytes).unwrap();
    }
    let flags = "--batch-size 1 --accumulation 2";
    let outputs = ends(start(&toy, 2, "run", flags, |rank, command| {
        if rank == 1 {
            command.arg("--shards").arg(&damaged);
        }
    }));
    let own = text(&outputs[1].stderr);
    assert_eq!(outputs[1].status.code(), Some(1), "{own}");
    let said = text(&outputs[0].stderr);
    assert_eq!(outputs[0].status.code(), Some(1), "{said}");
    assert!(
        said.contains("rank 1 on ") && said.contains(" failed: "),
        "{said}"
    );
    assert!(
        own.contains("clip tr") && said.contains("clip tr"),
        "{own}{said}"
    );
}
