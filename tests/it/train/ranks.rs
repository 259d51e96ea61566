//! One run trained by several processes on loopback: the bytes of one process, whatever their number, and an end for all where
//! one of them ends.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use incdec::run_record::positions;
use rustix::process::{Pid, Signal, kill_process};

use super::toy::{Toy, assert_same_contents, text};
use super::world::free_port;

/// The command of one rank, as torchrun would start it.
fn of_rank(mut command: Command, rank: usize, ranks: usize, port: u16) -> Command {
    command
        .env("RANK", rank.to_string())
        .env("LOCAL_RANK", rank.to_string())
        .env("WORLD_SIZE", ranks.to_string())
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .env_remove("TORCHELASTIC_USE_AGENT_STORE")
        .env_remove("TORCHELASTIC_RESTART_COUNT")
        .args(["--rank-timeout", "3", "--start-timeout", "60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts all ranks of a run; `change` may change the command of each.
fn start(
    toy: &Toy,
    ranks: usize,
    name: &str,
    flags: &str,
    change: impl Fn(usize, &mut Command),
) -> Vec<Child> {
    let port = free_port();
    let ranks = (0..ranks).map(|rank| {
        let mut command = of_rank(toy.command("decremental", name, flags), rank, ranks, port);
        change(rank, &mut command);
        command.spawn().unwrap()
    });
    ranks.collect()
}

fn ends(ranks: Vec<Child>) -> Vec<Output> {
    let outputs = ranks
        .into_iter()
        .map(|rank| rank.wait_with_output().unwrap());
    outputs.collect()
}

/// Trains on so many processes, and gives the run directory.
fn train(toy: &Toy, ranks: usize, name: &str, flags: &str) -> PathBuf {
    for (rank, output) in ends(start(toy, ranks, name, flags, |_, _| ()))
        .iter()
        .enumerate()
    {
        let said = text(&output.stderr);
        assert!(output.status.success(), "{name}, rank {rank}: {said}");
        // The first one says what all of them do.
        assert_eq!(
            rank > 0,
            output.stdout.is_empty(),
            "{}",
            text(&output.stdout)
        );
    }
    toy.run(name)
}

/// The same bytes on one process and on each of `numbers`.
fn same_bytes(flags: &str, numbers: &[usize]) {
    let toy = Toy::new();
    let one = toy.train("decremental", "one", flags);
    for &ranks in numbers {
        let several = train(&toy, ranks, &format!("on-{ranks}"), flags);
        assert_same_contents(&one, &several);
    }
}

// Six batches an epoch: a whole step and a shorter one, the last batch smaller than the others.
const STEPS_OF_4: &str = "--batch-size 2 --accumulation 4 --epochs 2";

#[test]
fn finetuning_on_two_and_four_processes_has_the_bytes_of_one() {
    same_bytes(&format!("{STEPS_OF_4} --approach finetune"), &[2, 4]);
}

#[test]
fn three_processes_have_the_bytes_of_one() {
    same_bytes(
        "--batch-size 1 --accumulation 6 --approach finetune --sampler imbalanced",
        &[3],
    );
}

#[test]
fn distillation_on_two_processes_has_the_bytes_of_one() {
    same_bytes(&format!("{STEPS_OF_4} --approach lwf"), &[2]);
    same_bytes(
        &format!("{STEPS_OF_4} --approach fd --sampler imbalanced"),
        &[2],
    );
}

#[test]
fn consolidation_on_two_and_four_processes_has_the_bytes_of_one() {
    same_bytes(
        &format!("{STEPS_OF_4} --approach ewc --sampler imbalanced"),
        &[2, 4],
    );
    same_bytes(
        &format!("{STEPS_OF_4} --approach ewc --fisher per-sample --criterion multiclass"),
        &[2],
    );
}

#[test]
fn frozen_parts_and_the_other_ways_of_computing_have_the_bytes_of_one_process() {
    same_bytes(&format!("{STEPS_OF_4} --freeze-bn --freeze-backbone"), &[2]);
    same_bytes(
        &format!("{STEPS_OF_4} --model-path frames --freeze-bn --optimizer adamw"),
        &[2],
    );
    same_bytes(
        &format!("{STEPS_OF_4} --model-path reference --compat twyn2024"),
        &[2],
    );
}

#[test]
fn unlearning_on_two_processes_has_the_bytes_of_one() {
    same_bytes(
        &format!("{STEPS_OF_4} --approach ewc --unlearn scrub"),
        &[2],
    );
}

#[test]
fn rates_that_fall_and_early_ends_are_the_same_on_all_processes() {
    let flags = "--batch-size 2 --accumulation 2 --epochs 4 --scheduler reduce-on-plateau --patience 1 --plateau-check loss";
    same_bytes(flags, &[2]);
    same_bytes(
        "--batch-size 2 --accumulation 2 --epochs 4 --early-stop 1",
        &[2],
    );
}

/// Waits until `run` has a checkpoint inside a task.
fn await_checkpoint(run: &Path, ranks: &mut [Child]) {
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

const LONG: &str = "--batch-size 1 --accumulation 6 --approach ewc --epochs 4 --checkpoint-every 1";

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
    ranks[1].kill().unwrap();
    let outputs = ends(ranks);
    assert_eq!(outputs[1].status.signal(), Some(9));
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
fn a_run_goes_on_on_another_number_of_processes() {
    let toy = Toy::new();
    let whole = toy.train("decremental", "whole", LONG);
    let run = toy.run("run");
    // One process, stopped; then two, of which the other one is asked to end; then one again.
    let mut one = vec![
        toy.command("decremental", "run", LONG)
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    ];
    await_checkpoint(&run, &mut one);
    let pid = Pid::from_child(&one[0]);
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(one[0].wait().unwrap().code(), Some(143));
    let before = positions(&run).unwrap();
    let mut two = start(&toy, 2, "run", LONG, |_, _| ());
    let deadline = Instant::now() + Duration::from_secs(120);
    while positions(&run).unwrap() == before {
        assert!(Instant::now() < deadline, "it does not go on");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = Pid::from_child(&two[1]);
    kill_process(pid, Signal::TERM).unwrap();
    for output in ends(std::mem::take(&mut two)) {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(143), "{said}");
        assert!(said.contains("stopped by SIGTERM in task "), "{said}");
    }
    assert!(!run.join("run.json").exists());
    toy.train("decremental", "run", LONG);
    assert_same_contents(&whole, &run);
    // Complete: every process says so, and leaves it as it is.
    train(&toy, 2, "run", LONG);
    assert_same_contents(&whole, &run);
}

#[test]
fn one_process_of_two_ends_as_never_started() {
    let toy = Toy::new();
    let command = toy.command("decremental", "run", "--accumulation 2");
    let mut command = of_rank(command, 0, 2, free_port());
    let output = command.args(["--start-timeout", "1"]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("1 of 2 processes came within"), "{said}");
    assert!(said.contains("missing: rank 1"), "{said}");
    assert!(
        said.contains("hint: ") && said.contains("--start-timeout"),
        "{said}"
    );
}

#[test]
fn steps_that_the_processes_cannot_share_evenly_are_refused() {
    let toy = Toy::new();
    for output in ends(start(&toy, 2, "run", "--accumulation 3", |_, _| ())) {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("--accumulation: the 3 batches of a step"),
            "{said}"
        );
        assert!(said.contains("1, 3 can share them"), "{said}");
    }
    assert!(!toy.run("run").join("settings.json").exists());
}

/// All ranks end with 1 and say all of `named`, and nothing is begun.
fn refused(toy: &Toy, named: &[&str], change: impl Fn(usize, &mut Command)) {
    for output in ends(start(toy, 2, "refused", "--accumulation 2", change)) {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in named {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    assert!(!toy.run("refused").join("settings.json").exists());
}

#[test]
fn ranks_with_other_settings_data_or_code_are_refused_before_the_first_step() {
    let toy = Toy::new();
    let rank_1 = " of rank 1 on ";
    refused(
        &toy,
        &[
            "settings.lr_head (--lr-head)",
            rank_1,
            "is 0.25, that of rank 0 is 0.0001",
        ],
        |rank, command| {
            if rank == 1 {
                command.args(["--lr-head", "0.25"]);
            }
        },
    );
    refused(
        &toy,
        &["inputs.availability.parquet (--availability)", rank_1],
        |rank, command| {
            if rank == 1 {
                command.arg("--availability").arg(toy.tasks("substitution"));
            }
        },
    );
    refused(
        &toy,
        &[
            "machine.threads (--threads)",
            rank_1,
            "is 2, that of rank 0 is 1",
        ],
        |rank, command| {
            if rank == 1 {
                command.args(["--threads", "2"]);
            }
        },
    );
    // A byte behind its end makes a program another one that does the same.
    let other = toy.folder.path().join("other");
    fs::copy(env!("CARGO_BIN_EXE_incdec-train"), &other).unwrap();
    let mut bytes = fs::OpenOptions::new().append(true).open(&other).unwrap();
    std::io::Write::write_all(&mut bytes, b" ").unwrap();
    drop(bytes);
    refused(&toy, &["program", rank_1], |rank, command| {
        if rank == 1 {
            let mut changed = Command::new(&other);
            changed.args(command.get_args());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => changed.env(name, value),
                    None => changed.env_remove(name),
                };
            }
            changed.stdout(Stdio::piped()).stderr(Stdio::piped());
            *command = changed;
        }
    });
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
