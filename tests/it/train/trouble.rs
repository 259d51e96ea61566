//! Trouble is explained: a loss that is no number, short memory, a full disk, a shard that changes, another run's settings.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::toy::{Toy, assert_same_contents, contents, text};
use crate::support;

fn wait_for(path: &Path, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !path.exists() {
        assert!(Instant::now() < deadline, "no {}", path.display());
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a command that fails says, and its status.
fn refused(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(!status.success());
    (status.code(), text(&stderr))
}

#[test]
fn a_loss_that_is_no_number_is_told_with_what_led_to_it() {
    let toy = Toy::new();
    let wild = "--lr-first-task 1e30 --lr-first-task-head 1e30 --batch-size 2";
    let (status, said) = refused(&mut toy.command("decremental", "run", wild));
    assert_eq!(status, Some(1), "{said}");
    for part in [
        "task 0, epoch 0: the loss is ",
        " in step 1, batch 1 of clips tr",
        "; losses before it: ",
        "; gradient norms before it: ",
        "last good weights: those that the run started from",
        "hint: lower the learning rates (--lr-first-task",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // In a later task the weights of the one before are named.
    let wild = "--lr-backbone 1e30 --lr-head 1e30 --batch-size 2";
    let (_, said) = refused(&mut toy.command("decremental", "later", wild));
    assert!(said.contains("task 1, epoch 0: the loss is "), "{said}");
    assert!(
        said.contains("later/checkpoints/task-0.safetensors"),
        "{said}"
    );
}

#[test]
fn short_memory_is_told_with_the_batch_and_the_flags() {
    let toy = Toy::new();
    // One batch of bytes takes more than the process may have.
    let large = "--batch-size 11 --frames 120 --resize 1024 --size 1024";
    let inner = toy.command("decremental", "run", large);
    let mut shell = Command::new("bash");
    shell.args(["-c", "ulimit -v 4000000; exec \"$0\" \"$@\""]);
    shell.arg(inner.get_program()).args(inner.get_args());
    shell.env("OMP_NUM_THREADS", "1");
    let (status, said) = refused(&mut shell);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("task 0: no memory left on the host in training, epoch 0: 3.87 GiB more was needed for a batch of 11 clips of 120 frames of 1024 x 1024 pixels"),
        "{said}"
    );
    assert!(
        said.contains("hint: take fewer clips at a time (--batch-size"),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
}

/// Runs the rest of the words on a file system of its own at $0, which is full to its last page from the first epoch's end to
/// the run's, and again when there is room. What is left of the run is copied to $COPY. The run stands still while the disk is
/// filled: how fast it trains decides nothing.
const FILLED: &str = r#"
mount -t tmpfs -o size=256m none "$0" || exit 99
"$@" & pid=$!
until [ -e "$0/run/history.parquet" ]; do sleep 0.01; kill -0 $pid || exit 98; done
kill -STOP $pid || exit 98
cat /dev/zero > "$0/fill" 2> /dev/null && exit 95
kill -CONT $pid
wait $pid; status=$?
rm "$0/fill"
find "$0/run" -name '*.tmp' | grep . && exit 97
"$@" || exit 96
cp -r "$0/run" "$COPY"
exit $status"#;

#[test]
fn a_disk_that_fills_in_mid_run_is_a_passing_trouble_and_the_run_goes_on() {
    let toy = Toy::new();
    let flags = "--stop-after-first-task --epochs 12";
    let whole = toy.train("decremental", "whole", flags);
    let disk = toy.folder.path().join("runs/disk");
    fs::create_dir(&disk).unwrap();
    let inner = toy.command("decremental", "disk/run", flags);
    let copy = toy.run("copy");
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "bash", "-c", FILLED])
        .arg(&disk)
        .arg(inner.get_program())
        .args(inner.get_args())
        .env("COPY", &copy)
        .env("OMP_NUM_THREADS", "1")
        .output();
    let Ok(output) = output else {
        support::say("unshare is absent: a disk that fills is passed over");
        return;
    };
    let said = text(&output.stderr);
    if output.status.code() == Some(99) || said.contains("unshare failed") {
        support::say("no file system can be mounted here: a disk that fills is passed over");
        return;
    }
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("hint: free some space"), "{said}");
    assert_same_contents(&whole, &copy);
}

#[test]
fn a_disk_too_small_for_the_run_is_told_before_the_first_step() {
    let toy = Toy::new();
    let disk = toy.folder.path().join("runs/small");
    fs::create_dir_all(&disk).unwrap();
    let inner = toy.command("decremental", "small/run", "");
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "bash", "-c"])
        .arg(r#"mount -t tmpfs -o size=4m none "$0" || exit 99; "$@"; status=$?; ls "$0/run/history.parquet" && exit 98; exit $status"#)
        .arg(&disk)
        .arg(inner.get_program())
        .args(inner.get_args())
        .env("OMP_NUM_THREADS", "1")
        .output();
    let Ok(output) = output else {
        support::say("unshare is absent: a small disk is passed over");
        return;
    };
    let said = text(&output.stderr);
    if output.status.code() == Some(99) || said.contains("unshare failed") {
        support::say("no file system can be mounted here: a small disk is passed over");
        return;
    }
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("this run needs about "), "{said}");
    assert!(said.contains(" of it weights, and "), "{said}");
    assert!(said.contains("hint: free some space there"), "{said}");
}

#[test]
fn a_shard_that_vanishes_or_changes_under_a_run_is_named_with_its_clips() {
    let toy = Toy::new();
    // Read for the first time at the end of the task.
    let shard = toy.shards().join("test-00000.arrow");
    let whole = fs::read(&shard).unwrap();
    for what in ["gone", "changed"] {
        let run = toy.run(what);
        let mut child = toy
            .command("decremental", what, "--stop-after-first-task --epochs 6")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for(&run.join("history.parquet"), &mut child);
        fs::remove_file(&shard).unwrap();
        if what == "changed" {
            let mut other = whole.clone();
            other.truncate(whole.len() / 2);
            fs::write(&shard, other).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("test-00000.arrow"), "{said}");
        let expected = format!(
            "its shard has {what} since this run began, and 4 clips of the list lie in it: te00_"
        );
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains("hint: bring the shard back"), "{said}");
        fs::write(&shard, &whole).unwrap();
        toy.train("decremental", what, "--stop-after-first-task --epochs 6");
    }
    assert_same_contents(&toy.run("gone"), &toy.run("changed"));
}

#[test]
fn what_is_not_the_same_run_is_named_one_by_one_with_its_flag_and_the_way_out() {
    let toy = Toy::new();
    let run = toy.train("decremental", "run", "--stop-after-first-task");
    let before = contents(&run);
    let other = "--stop-after-first-task --seed 4 --lr-head 0.5";
    let (status, said) = refused(&mut toy.command("substitution", "run", other));
    assert_eq!(status, Some(1), "{said}");
    for part in [
        "settings.seed: 0 there, 4 now (--seed)",
        "settings.lr_head: 0.0001 there, 0.5 now (--lr-head)",
        "scenario: \"decremental\" there, \"substitution\" now (--availability)",
        "hint: choose another --out",
        "or go on with that run: give --availability, --lr-head, --seed as it was there",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(contents(&run) == before);
}

#[test]
fn each_epoch_says_speed_memory_and_time_left_and_a_profile_stands_behind_each_task() {
    let toy = Toy::new();
    let output = toy
        .command("decremental", "run", "--epochs 2 --profile")
        .output()
        .unwrap();
    let said = text(&output.stderr);
    let epochs = said
        .lines()
        .filter(|line| line.contains(" clips/s, ") && line.ends_with(" left"));
    assert_eq!(epochs.clone().count(), 4, "{said}");
    assert!(
        epochs
            .clone()
            .all(|line| line.contains(" of memory, about ")),
        "{said}"
    );
    for task in 0..2 {
        assert!(said.contains(&format!("task {task}: where ")), "{said}");
    }
    // One for each task and one for the run.
    assert_eq!(said.matches("waiting for data").count(), 3, "{said}");
}
