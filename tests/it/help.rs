//! What `--help` shows a stranger: every binary explains itself, and its examples are command lines that it takes.

use std::collections::BTreeSet;
use std::process::Command;

use incdec::exit::Exit;

use crate::support::{self, BINARIES};

fn help(binary: &str) -> String {
    help_of(binary, &[])
}

/// The help of a binary's subcommand, or of the binary where `subcommand` is empty.
fn help_of(binary: &str, subcommand: &[&str]) -> String {
    let output = Command::new(binary)
        .args(subcommand)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "{binary} {subcommand:?} --help");
    String::from_utf8(output.stdout).unwrap()
}

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<&str> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let lines = list.lines().take_while(|line| !line.is_empty());
    lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

/// The exit statuses that the last part of a help text explains.
fn statuses(help: &str) -> BTreeSet<u8> {
    let list = help.split("\nExit status:\n").nth(1).unwrap_or_default();
    let lines = list.lines().filter(|line| line.starts_with("  "));
    lines
        .filter_map(|line| line.trim_start().split("  ").next())
        .flat_map(|numbers| numbers.split(", ").filter_map(|number| number.parse().ok()))
        .collect()
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
            let program = support::binary(words.next().unwrap());
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

#[test]
fn every_help_ends_with_the_exit_statuses_that_there_are() {
    use Exit::{Done, Failed, Hopeless, NeverStarted, TryAgain, Usage};
    let mut expected: BTreeSet<u8> = [Done, Failed, Usage, Hopeless, NeverStarted, TryAgain]
        .map(Exit::code)
        .into();
    // What a shell makes of the two signals that ask a program to end.
    expected.extend([128 + 2, 128 + 15]);
    let mut shown = 0;
    for (name, binary) in BINARIES {
        let top = help(binary);
        assert_eq!(statuses(&top), expected, "{name} --help");
        for subcommand in subcommands(&top) {
            let help = help_of(binary, &[subcommand]);
            assert_eq!(statuses(&help), expected, "{name} {subcommand} --help");
            shown += 1;
        }
    }
    assert!(shown >= 10, "only {shown} subcommands were found");
}
