//! A run that PyTorch's own launcher starts, and starts anew where one of its processes is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use incdec::run_record::LOG_FILE;
use rustix::process::{Pid, Signal, kill_process};

use super::super::toy::{Toy, assert_same_contents, text};
use super::lost::{LONG, await_checkpoint};
use crate::support::root;

/// The launcher, where `make setup-peers` puts it or else on the path.
fn launcher() -> PathBuf {
    let of_peers = root().join(".venv-peers/bin/torchrun");
    if of_peers.exists() {
        of_peers
    } else {
        "torchrun".into()
    }
}

/// `train` as torchrun starts it in so many processes of this host.
fn launched(train: &Command, processes: usize) -> Command {
    let mut torchrun = Command::new(launcher());
    torchrun
        .args([
            "--standalone",
            "--max-restarts",
            "1",
            "--monitor-interval",
            "1",
        ])
        .args(["--nproc-per-node", &processes.to_string()])
        .arg("--no-python")
        .arg(train.get_program())
        .args(train.get_args())
        .args(["--rank-timeout", "3", "--start-timeout", "60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    torchrun
}

/// The process of a rank, among those that this launcher has started.
fn process_of(rank: usize, launcher: u32) -> Option<Pid> {
    let variable = format!("RANK={rank}");
    let children = fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).ok()?;
    let is_rank = |pid: &&str| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|entry| entry == variable.as_bytes())
    };
    let pid = children.split_whitespace().find(is_rank)?;
    Pid::from_raw(pid.parse().ok()?)
}

fn log(run: &Path) -> String {
    fs::read_to_string(run.join(LOG_FILE)).unwrap()
}

#[test]
#[cfg_attr(
    not(torchrun),
    ignore = "torchrun of the full PyTorch wheel is not there: `make setup-peers` installs it"
)]
fn torchrun_starts_a_lost_rank_anew_and_the_run_has_the_bytes_of_one_process() {
    let toy = Toy::new();
    let whole = toy.train("decremental", "whole", LONG);
    let run = toy.run("run");
    let mut torchrun = [launched(&toy.command("decremental", "run", LONG), 3)
        .spawn()
        .unwrap()];
    await_checkpoint(&run, &mut torchrun);
    let lost = process_of(1, torchrun[0].id()).unwrap();
    kill_process(lost, Signal::KILL).unwrap();
    let [torchrun] = torchrun;
    let output = torchrun.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(log(&run).contains("going on in task "), "{said}");
    assert_same_contents(&whole, &run);
}

#[test]
#[cfg_attr(
    not(torchrun),
    ignore = "torchrun of the full PyTorch wheel is not there: `make setup-peers` installs it"
)]
fn torchrun_shows_the_first_cause() {
    let toy = Toy::new();
    let command = toy.command("decremental", "run", "--accumulation 2 --shards missing");
    let output = launched(&command, 2).output().unwrap();
    let said = text(&output.stderr);
    assert!(!output.status.success(), "{said}");
    // torchrun's own summary names the error, not only the exit status.
    let summary = said.split("Root Cause").nth(1).unwrap_or_default();
    assert!(summary.contains("missing"), "{said}");
}
