//! How long erasing and verifying take, for the README: clips of small frames, of which few leave. INCDEC_ERASE_PROGRAM names the
//! program that does it, which may be one that was built for speed.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use incdec::shard::shard_files;

use super::world::World;
use crate::support::say;

/// Clips that leave.
const LEAVING: usize = 100;
/// Label rows of a shard: some 4 MiB of frames of the usual side.
const CLIPS_PER_SHARD: u32 = 1365;
/// Side of a frame in pixels, unless INCDEC_ERASE_SIDE sets another number.
const SIDE: usize = 16;
/// Clips, unless INCDEC_ERASE_CLIPS sets another number.
const CLIPS: usize = 650_000;

#[test]
#[ignore = "a measurement: some minutes and gigabytes"]
fn erasing_few_of_many() {
    let number =
        |name: &str, usual: usize| std::env::var(name).map_or(usual, |n| n.parse().unwrap());
    let clips = number("INCDEC_ERASE_CLIPS", CLIPS);
    let side = number("INCDEC_ERASE_SIDE", SIDE);
    // Eight of ten are for training, in four subcategories.
    let world = World::of([clips / 5, clips / 40, clips / 40], side, CLIPS_PER_SHARD);
    let size = |names: &BTreeSet<String>| -> u64 {
        let sizes = names
            .iter()
            .map(|name| world.path("shards").join(name).metadata().unwrap().len());
        sizes.sum()
    };
    let shards = || -> BTreeSet<String> {
        let files = shard_files(&world.path("shards")).unwrap();
        files.into_values().collect()
    };
    let (before, bytes) = (shards(), size(&shards()));
    let step = world.clips.len() / LEAVING;
    let leaving = world.clips.iter().step_by(step).take(LEAVING);
    let leaving: String = leaving.map(|clip| format!("{}\n", clip.id)).collect();
    let list = world.path("../leaving.txt");
    fs::write(&list, leaving).unwrap();
    let apply = [
        "apply",
        "--request",
        "R-1",
        "--clips",
        list.to_str().unwrap(),
    ];
    let erased = run(&world.command(&apply));
    let written: BTreeSet<String> = shards().difference(&before).cloned().collect();
    say(&erased);
    say(&format!(
        "{LEAVING} of {} clips; {} of {} shards written anew, {:.0} of {:.0} MB",
        world.clips.len(),
        written.len(),
        before.len(),
        size(&written) as f64 / 1e6,
        bytes as f64 / 1e6,
    ));
    say(&run(&world.command(&["verify"])));
}

/// What the command says, how long it took, and the most memory that it had.
fn run(command: &Command) -> String {
    let named = std::env::var_os("INCDEC_ERASE_PROGRAM");
    let program = named.as_deref().unwrap_or(command.get_program());
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(command.get_args())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut peak = String::new();
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM"));
        peak = line.map_or(peak, str::to_owned);
        std::thread::sleep(Duration::from_millis(20));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let out = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{told}");
    format!("{seconds:.1} s, {peak}: {told}")
}
