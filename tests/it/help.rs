//! What `--help` shows a stranger: every binary explains itself, and its examples are command lines that it takes.

use std::process::Command;

/// Every binary of the project.
const BINARIES: &[(&str, &str)] = &[
    ("incdec-download", env!("CARGO_BIN_EXE_incdec-download")),
    ("incdec-decode", env!("CARGO_BIN_EXE_incdec-decode")),
    ("incdec-manifest", env!("CARGO_BIN_EXE_incdec-manifest")),
    ("incdec-tasks", env!("CARGO_BIN_EXE_incdec-tasks")),
    ("incdec-train", env!("CARGO_BIN_EXE_incdec-train")),
    ("incdec-report", env!("CARGO_BIN_EXE_incdec-report")),
    ("incdec-clean", env!("CARGO_BIN_EXE_incdec-clean")),
    ("incdec-toy", env!("CARGO_BIN_EXE_incdec-toy")),
    ("incdec-weights", env!("CARGO_BIN_EXE_incdec-weights")),
    ("incdec-experiment", env!("CARGO_BIN_EXE_incdec-experiment")),
    ("incdec-bench", env!("CARGO_BIN_EXE_incdec-bench")),
    (
        "incdec-bench-decode",
        env!("CARGO_BIN_EXE_incdec-bench-decode"),
    ),
    ("incdec-bench-load", env!("CARGO_BIN_EXE_incdec-bench-load")),
    ("incdec-bench-step", env!("CARGO_BIN_EXE_incdec-bench-step")),
];

fn path_of(binary: &str) -> &'static str {
    let found = BINARIES.iter().find(|(name, _)| *name == binary);
    found
        .unwrap_or_else(|| panic!("an example names {binary}"))
        .1
}

fn help(binary: &str) -> String {
    let output = Command::new(binary).arg("--help").output().unwrap();
    assert!(output.status.success(), "{binary} --help");
    String::from_utf8(output.stdout).unwrap()
}

/// The command lines among the examples of a help text, which come last: lines that begin with a binary's name, joined where
/// they end in a backslash.
fn examples(help: &str) -> Vec<String> {
    let last = help.split("\nExample").nth(1).unwrap_or_default();
    let joined = last.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    lines
        .filter(|line| line.starts_with("incdec-") && line.contains(' '))
        .map(|line| line.trim_end_matches('&').trim().to_owned())
        .collect()
}

#[test]
fn every_binary_has_an_example_and_takes_it() {
    for (name, binary) in BINARIES {
        let examples = examples(&help(binary));
        assert!(!examples.is_empty(), "{name} --help shows no example");
        for example in examples {
            let mut words = example.split_whitespace();
            let program = path_of(words.next().unwrap());
            // What stands before --help must be understood: an unknown flag or a value out of range is an error by then.
            let output = Command::new(program)
                .args(words)
                .arg("--help")
                .output()
                .unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{example}\n{error}");
        }
    }
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_status_2() {
    for (name, binary) in BINARIES {
        let status = Command::new(binary)
            .arg("--no-such-flag")
            .output()
            .unwrap()
            .status;
        assert_eq!(status.code(), Some(2), "{name}");
    }
}
