//! How long erasing and verifying take, for the README: clips of small frames, of which few leave.

use std::collections::BTreeSet;
use std::time::Instant;

use incdec::erase::{Selector, apply, verify};
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
    let leaving: Vec<String> = leaving.map(|clip| clip.id.clone()).collect();
    let begun = Instant::now();
    let done = apply(&world.config(vec![Selector::Ids(leaving)])).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let written: BTreeSet<String> = shards().difference(&before).cloned().collect();
    say(&format!(
        "{} of {} clips erased in {seconds:.1} s; {} of {} shards written anew, {:.0} of {:.0} MB",
        done.clips,
        world.clips.len(),
        written.len(),
        before.len(),
        size(&written) as f64 / 1e6,
        bytes as f64 / 1e6,
    ));
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    say(&verdict.to_string());
}
