//! Signals that end the program.

use std::process::{Child, Stdio};

use incdec::run_record::positions;
use incdec::signals::{Signal, Signals};
use rustix::process::{Pid, kill_process};

use super::super::toy::{Toy, assert_same_contents, text};
use super::{in_a_process, wait_until};

pub(super) fn send(child: &Child, signal: rustix::process::Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Starts a training and waits for a checkpoint behind those that are there.
pub(super) fn started(toy: &Toy, scenario: &str, flags: &str) -> Child {
    let run = toy.run("stopped");
    let last = positions(&run).unwrap().last().copied();
    let mut command = toy.command(scenario, "stopped", flags);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let newest = || positions(&run).unwrap().last().copied();
    wait_until(&mut child, || newest() > last);
    child
}

#[test]
fn signals_end_the_program_in_order_with_their_status_and_the_same_command_goes_on() {
    use rustix::process::Signal;
    let toy = Toy::new();
    let flags = "--approach ewc --epochs 6 --batch-size 2";
    let whole = toy.train("substitution", "whole", flags);
    for (signal, name, code) in [
        (Signal::TERM, "SIGTERM", 143),
        (Signal::INT, "SIGINT", 130),
        (Signal::USR1, "SIGUSR1", 143),
    ] {
        let child = started(&toy, "substitution", flags);
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(
            said.contains(&format!("stopped by {name} in task ")),
            "{said}"
        );
        assert!(
            said.contains("hint: give the same command again to go on"),
            "{said}"
        );
        assert!(!said.contains("error"), "{said}");
    }
    toy.train("substitution", "stopped", flags);
    assert_same_contents(&whole, &toy.run("stopped"));
}

#[test]
#[ignore = "ends its process, which another test of this file starts"]
fn interrupted_twice() {
    let signals = Signals::catch().unwrap();
    let interrupt = || signal_hook::low_level::raise(signal_hook::consts::SIGINT).unwrap();
    interrupt();
    assert_eq!(signals.caught(), Some(Signal::Interrupt));
    interrupt();
    panic!("it lives on");
}

#[test]
fn a_second_sigint_ends_at_once() {
    let (status, said) = in_a_process("signals::interrupted_twice", "");
    assert_eq!(status.code(), Some(130), "{said}");
}

#[test]
fn without_checkpoints_inside_a_task_a_signal_says_that_nothing_is_kept() {
    let toy = Toy::new();
    let flags = "--epochs 40 --batch-size 2 --checkpoint-every 0";
    let run = toy.run("stopped");
    let mut command = toy.command("substitution", "stopped", flags);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_until(&mut child, || run.join("history.parquet").exists());
    send(&child, rustix::process::Signal::TERM);
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(143), "{said}");
    assert!(said.contains("no checkpoint of it is kept"), "{said}");
    assert!(positions(&run).unwrap().is_empty());
}
