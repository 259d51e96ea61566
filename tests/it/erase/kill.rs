//! Killed at any moment, the same command ends in the same state.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use incdec::clip::Split;
use incdec::erase::verify;
use incdec::parquet_file;
use incdec::tables::ErasureRow;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::world::World;
use crate::support::say;

/// How often the command is killed before it may end. INCDEC_ERASE_KILLS sets another number.
const KILLS: usize = 8;

/// The files, but for dates and what follows from them: those of list and ledger.
fn state(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut files = world.files();
    let list = String::from_utf8(files.remove("Info/withdrawn.csv").unwrap()).unwrap();
    let clips: Vec<&str> = list
        .lines()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    files.insert("list".into(), clips.join("\n").into_bytes());
    files.remove("erasures.parquet").unwrap();
    let rows: Vec<ErasureRow> = parquet_file::read(&world.path("erasures.parquet")).unwrap();
    for row in rows {
        let dateless = ErasureRow {
            begun: String::new(),
            finished: None,
            chain: None,
            previous: None,
            // The list holds dates, and tables hold its hash.
            files: String::new(),
            ..row
        };
        files.insert(
            format!("row {}", dateless.number),
            format!("{dateless:?}").into_bytes(),
        );
    }
    files
}

#[test]
fn killed_at_random_moments_the_same_command_ends_in_the_same_state() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = since.as_nanos() as u64;
    say(&format!("seed {seed}"));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let kills = std::env::var("INCDEC_ERASE_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let whole = World::full();
    let clips: Vec<&str> = [Split::Train, Split::Validation, Split::Test]
        .map(|split| whole.clip(split).id.as_str())
        .into();
    let args = ["apply", "--request", "R-1", "--archives", "delete"];
    let args = [args.as_slice(), &clips].concat();
    let begun = Instant::now();
    assert!(whole.erase(&args).status.success());
    let lasted = begun.elapsed();
    let expected = state(&whole);
    let (mut killed, mut world) = (0, World::full());
    while killed < kills {
        let mut child = world
            .command(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_nanos(
            rng.random_range(0..=lasted.as_nanos() as u64),
        ));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
        // Every other time the work goes on from where it was killed, else it is done and begins
        // anew.
        if rng.random::<bool>() {
            let out = world.erase(&args);
            assert!(
                out.status.success(),
                "{}",
                String::from_utf8_lossy(&out.stderr)
            );
            let ended = state(&world);
            for name in expected.keys().chain(ended.keys()) {
                // What depends on the hash of the list depends on its dates.
                assert!(
                    ended.contains_key(name) && expected.contains_key(name),
                    "{name}, seed {seed}"
                );
            }
            assert_same_rows(&world, &whole);
            assert!(verify(&world.places()).unwrap().is_clean(), "seed {seed}");
            for file in world.elsewhere() {
                assert!(!world.linked(&file).exists() && file.symlink_metadata().is_err());
            }
            assert!(world.path("archives/b.tar").exists());
            world = World::full();
        }
    }
}

/// All files are the same bytes: both were made on one day, so the lists are, too.
fn assert_same_rows(world: &World, whole: &World) {
    let (ours, theirs) = (state(world), state(whole));
    let lists = |world: &World| std::fs::read(world.path("Info/withdrawn.csv")).unwrap();
    if lists(world) != lists(whole) {
        // Midnight passed between the two.
        return;
    }
    for (name, bytes) in &theirs {
        assert!(ours[name] == *bytes, "{name}");
    }
}
