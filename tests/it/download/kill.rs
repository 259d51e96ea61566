//! The binary, killed at random moments and on a full disk: run again, it leaves what an
//! uninterrupted run leaves.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::RngExt;

use super::mischief::Mischief;
use super::server::Server;
use super::source::{Source, binary, tree};
use crate::support;

/// Kills in all.
const KILLS: usize = 50;

/// The binary, silent but for its errors.
fn command(source: &Source, url: &str, name: &str) -> Command {
    let mut command = binary(source, url, name);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn ledger(source: &Source, name: &str) -> Vec<u8> {
    fs::read(source.out(name).join("downloads.parquet")).unwrap()
}

#[test]
fn killed_at_fifty_random_moments_it_ends_with_the_same_tree_and_ledger() {
    let source = Source::with_payload(2, 8_000);
    let server = Server::start(source.files.clone());
    let started = std::time::Instant::now();
    assert!(
        command(&source, &server.url(), "whole")
            .status()
            .unwrap()
            .success()
    );
    let whole_run = started.elapsed();
    let mut rng = support::moments("killed_at_fifty_random_moments");
    let mut kills = 0;
    let mut round = 0;
    while kills < KILLS {
        let name = format!("round-{round}");
        round += 1;
        // The machine may be busier than it was at first: a round that is killed again and again
        // gets more time, so that it ends.
        let mut longest = whole_run;
        loop {
            let mut child = command(&source, &server.url(), &name).spawn().unwrap();
            std::thread::sleep(
                longest
                    .mul_f64(rng.random_range(0.0..1.1))
                    .min(Duration::from_secs(2)),
            );
            // SIGKILL, which a finished process no longer feels.
            child.kill().unwrap();
            if child.wait().unwrap().success() {
                break;
            }
            kills += 1;
            longest = longest.mul_f64(1.05);
        }
        source.assert_tree(&name);
        assert!(
            ledger(&source, &name) == ledger(&source, "whole"),
            "ledger of {name}"
        );
    }
}

#[test]
fn an_archive_that_was_being_read_is_read_again_and_the_wire_bytes_tell() {
    let source = Source::with_payload(3, 40_000);
    let server = Server::start(source.files.clone());
    // Two archives come through, the third hangs in its middle until the run is killed.
    server.plan([
        Mischief::Behave,
        Mischief::Behave,
        Mischief::StallAfter(50_000),
    ]);
    let mut first = command(&source, &server.url(), "a");
    let mut child = first.args(["--jobs", "1"]).spawn().unwrap();
    let records = source.out("a").join("raw/.incdec-download/records");
    while fs::read_dir(&records).map_or(0, Iterator::count) < 2 || server.left() > 0 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it was killed"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let second = binary(&source, &server.url(), "a").output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(second.status.success(), "{said}");
    assert!(
        said.contains("in the middle of 1 archives: these are read again"),
        "{said}"
    );
    let summary = String::from_utf8(second.stdout).unwrap();
    assert!(
        summary.contains("1 archives read") && summary.contains("over the wire for"),
        "{summary}"
    );
    source.assert_tree("a");
}

#[test]
fn where_the_disk_refuses_it_says_so_leaves_nothing_half_and_goes_on_later() {
    let source = Source::with_payload(3, 40_000);
    let server = Server::start(source.files.clone());
    let out = source.out("limited");
    fs::create_dir_all(&out).unwrap();
    // No file may grow beyond 16 blocks: the system's stand-in for a full disk that needs no
    // privileges.
    let inner = command(&source, &server.url(), "limited");
    let mut shell = Command::new("bash");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""]);
    shell.arg(inner.get_program()).args(inner.get_args());
    let refused = shell.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.contains("error: write") && text.contains(".mp4"),
        "{text}"
    );
    assert!(!out.join("downloads.parquet").exists());
    assert!(
        tree(&out)
            .keys()
            .all(|p| !p.contains(".mp4") && !p.contains(".tmp")),
        "{:?}",
        tree(&out).keys()
    );
    assert!(
        command(&source, &server.url(), "limited")
            .status()
            .unwrap()
            .success()
    );
    source.assert_tree("limited");
}

#[test]
fn a_full_disk_gets_its_hint_and_space_heals_it() {
    let source = Source::with_payload(3, 200_000);
    let server = Server::start(source.files.clone());
    let out = source.out("full");
    fs::create_dir_all(&out).unwrap();
    let Some(_mounted) = SmallDisk::mount(&out) else {
        support::say("a full disk is not tried: mounting a small one is not allowed here");
        return;
    };
    let refused = command(&source, &server.url(), "full").output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(75), "{text}");
    assert!(text.contains("hint: free some space"), "{text}");
    let remount = ["-o", "remount,size=16m"];
    assert!(
        Command::new("mount")
            .args(remount)
            .arg(&out)
            .status()
            .unwrap()
            .success()
    );
    assert!(
        command(&source, &server.url(), "full")
            .status()
            .unwrap()
            .success()
    );
    source.assert_tree("full");
}

/// A disk of a megabyte, unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(at);
        let mounted = mount
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success());
        mounted.then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
