//! A signal that ends make ends what make started.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Checkout;
use crate::support::{is_running, wait_until};

/// Starts make with `target`, ends it when the binary runs, and makes sure that the binary has ended.
fn end_while(checkout: &Checkout, binary: &str, arguments: &[&str]) {
    let mut child = checkout
        .make(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = pid_of(&checkout.at(&format!("bin/{binary}.pid")));
    assert!(is_running(&pid));
    terminate(&mut child);
    wait_until("the end of the binary", || !is_running(&pid));
}

pub(super) fn pid_of(file: &Path) -> String {
    let read = || fs::read_to_string(file).unwrap_or_default();
    wait_until("the binary's start", || read().ends_with('\n'));
    read()
}

fn terminate(child: &mut Child) {
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    assert!(!child.wait().unwrap().success());
}

#[test]
fn sigterm_ends_the_program_of_a_stage() {
    let checkout = Checkout::new();
    checkout.tell("train", "waits");
    end_while(&checkout, "train", &["train"]);
    // What was finished stays, and what was not is due.
    checkout.untell("train", "waits");
    checkout.take_ran();
    assert_eq!(checkout.ran(&["train"]), ["train"]);
}

#[test]
fn sigterm_ends_the_run_that_a_table_of_experiments_trains() {
    let checkout = Checkout::new();
    checkout.install_experiment();
    checkout.tell("train", "waits");
    end_while(&checkout, "train", &["reproduce"]);
}

#[test]
fn sigterm_ends_the_server_and_the_download_of_a_demo() {
    let checkout = Checkout::new();
    checkout.install(
        "toy",
        r#"#!/bin/bash
case $1 in
write) mkdir -p demo/source/Info; cd demo/source/Info; touch classes.csv train.csv validation.csv test.csv subcategories_to_remove.csv ;;
serve) echo $$ >"${0%/*}/toy.pid"; printf 'http://127.0.0.1:1\ntoken\n'; exec sleep 600 ;;
esac
"#,
    );
    checkout.tell("download", "waits");
    end_while(&checkout, "download", &["demo"]);
    let server = pid_of(&checkout.at("bin/toy.pid"));
    wait_until("the end of the server", || !is_running(&server));
}
