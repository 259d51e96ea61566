//! What several processes refuse: ranks that never come, that are not alike, and what one process does.

use std::fs;
use std::process::{Command, Stdio};

use crate::support;

use super::super::toy::{Toy, text};
use super::super::world::free_port;
use super::{ends, of_rank, start};

#[test]
fn one_process_of_two_ends_as_never_started() {
    let toy = Toy::new();
    // Whatever its settings, and also where nobody has said which one it is.
    for flags in ["--accumulation 2", ""] {
        let mut command = of_rank(toy.command("decremental", "run", flags), 0, 2, free_port());
        let output = command
            .env_remove("RANK")
            .args(["--start-timeout", "1"])
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{said}");
        assert!(said.contains("1 of 2 processes came within"), "{said}");
        assert!(said.contains("missing: rank 1"), "{said}");
        assert!(
            said.contains("hint: ") && said.contains("--start-timeout"),
            "{said}"
        );
    }
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
    fs::copy(support::binary("incdec-train"), &other).unwrap();
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
fn what_one_process_does_is_refused_on_several() {
    let toy = Toy::new();
    for (flags, named) in [
        (
            "--approach ridge --features f.parquet",
            "--approach: ridge takes seconds",
        ),
        ("--unlearn rollback", "--unlearn: rollback trains a run"),
        (
            "--unlearn scrub --from-run other",
            "--from-run: tasks are taken over first",
        ),
    ] {
        let flags = format!("--accumulation 2 {flags}");
        for output in ends(start(&toy, 2, "run", &flags, |_, _| ())) {
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(said.contains(named), "{named}: {said}");
            assert!(
                said.contains("that is for one process, and 2 were started"),
                "{said}"
            );
            assert!(said.contains("hint: start one process"), "{said}");
        }
        assert!(!toy.run("run").join("settings.json").exists());
    }
}
