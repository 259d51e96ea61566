//! How long erasing and verifying take, for the README: clips of small frames, of which few leave. The program does the work,
//! so that it may be one that was built for speed.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use incdec::shard::shard_files;

use super::world::World;
use crate::support::say;

/// Clips that leave.
const LEAVING: usize = 100;
/// Bytes of a shard.
const SHARD_BYTES: u64 = 4 << 20;
/// Side of a frame in pixels.
const SIDE: usize = 16;

/// Clips, unless INCDEC_ERASE_CLIPS sets another number.
const CLIPS: usize = 650_000;

#[test]
#[ignore = "a measurement: some minutes and gigabytes"]
fn erasing_few_of_many() {
    let clips = std::env::var("INCDEC_ERASE_CLIPS").map_or(CLIPS, |n| n.parse().unwrap());
    // Eight of ten are for training, in four subcategories.
    let world = World::of([clips / 5, clips / 40, clips / 40], SIDE, SHARD_BYTES);
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
    let begun = Instant::now();
    let args = [
        "apply",
        "--request",
        "R-1",
        "--clips",
        list.to_str().unwrap(),
    ];
    let out = world.erase(&args);
    let seconds = begun.elapsed().as_secs_f64();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let written: BTreeSet<String> = shards().difference(&before).cloned().collect();
    say(&String::from_utf8_lossy(&out.stdout));
    say(&format!(
        "{LEAVING} of {} clips erased in {seconds:.1} s; {} of {} shards written anew, {:.0} of {:.0} MB",
        world.clips.len(),
        written.len(),
        before.len(),
        size(&written) as f64 / 1e6,
        bytes as f64 / 1e6,
    ));
    let begun = Instant::now();
    let out = world.erase(&["verify"]);
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{told}");
    say(&format!(
        "verified in {:.1} s: {told}",
        begun.elapsed().as_secs_f64()
    ));
}
