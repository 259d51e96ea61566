//! What apply does not take, it says; what it can take, it does wherever that lies.

use std::fs;
use std::path::Path;

use incdec::clip::Split;
use incdec::erase::{Action, Ledger, What, apply, plan, verify};
use incdec::parquet_file;
use incdec::shard::{Shard, ShardWriter, ShardWriterConfig, SourceFacts, shard_files};
use incdec::tables::{AvailabilityRow, LedgerRow, read_predictions};
use walkdir::WalkDir;

use super::cases::{content, ids};
use super::world::World;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

/// Audits, a killed rollback and people leave tables beside the runs.
#[test]
fn tables_are_written_anew_wherever_they_lie() {
    let world = World::new();
    let id = &world.clip(Split::Test).id;
    let dealt = world.path("tasks/substitution/seed-0");
    let lists = [
        "audit/references/tasks-ab/availability.parquet",
        "audit/tasks/availability.parquet",
        "runs/one/rollback/lists-2/availability.parquet",
        "runs/one/before.parquet",
        "availability.parquet",
    ];
    for list in lists {
        copy(&dealt.join("availability.parquet"), &world.path(list));
    }
    let beside = "audit/tasks/schedule.parquet";
    copy(&dealt.join("schedule.parquet"), &world.path(beside));
    let predictions = world.path("audit/old/predictions.parquet");
    copy(&world.path("runs/one/predictions.parquet"), &predictions);
    let downloads = world.path("runs/downloads-2025.parquet");
    copy(&world.path("downloads.parquet"), &downloads);

    let done = apply(&world.config(ids(&[id]))).unwrap();
    assert!(done.by_hand.is_empty(), "{done}");
    for list in lists {
        let rows: Vec<AvailabilityRow> = parquet_file::read(&world.path(list)).unwrap();
        assert!(rows == world.availability(), "{list}");
    }
    // Its inputs are known under their new hashes, too.
    let bytes = |path: &Path| fs::read(path).unwrap();
    assert!(bytes(&world.path(beside)) == bytes(&dealt.join("schedule.parquet")));
    let (_, rows) = read_predictions(&predictions).unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.clip_id != *id));
    let rows: Vec<LedgerRow> = parquet_file::read(&downloads).unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.name != *id));
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
}

#[test]
fn what_no_step_takes_is_left_to_a_person_and_said_again_each_time() {
    let world = World::new();
    let id = &world.clip(Split::Test).id;
    let held = [
        "manifests/of-last-year.parquet",
        "runs/index.parquet",
        "runs/one/shards/test-00000.arrow",
        "request.csv",
        "Info/notes.txt",
    ];
    copy(&world.path("manifests/clips.parquet"), &world.path(held[0]));
    copy(&world.path("shards/index.parquet"), &world.path(held[1]));
    let of_clip = |name: &&String| {
        let shard = Shard::open(&world.path("shards").join(name)).unwrap();
        (0..shard.len() as i64).any(|row| shard.clip(row).unwrap().clip_id == *id)
    };
    let shards = shard_files(&world.path("shards")).unwrap();
    let shard = shards.values().find(of_clip).unwrap();
    copy(&world.path("shards").join(shard), &world.path(held[2]));
    fs::write(world.path(held[3]), format!("clip_id\n{id}\n")).unwrap();
    fs::write(world.path(held[4]), format!("who asked for {id}?\n")).unwrap();
    // A log is a program's.
    let log = world.path("download.jsonl");
    let other = &world.clip(Split::Train).id;
    let line = |id: &str| format!("{{\"message\":\"fetched {id}\"}}\n");
    fs::write(&log, line(id) + &line(other)).unwrap();
    let config = world.config(ids(&[id]));
    let planned = plan(&world.places(), &config.selectors).unwrap();
    let by_hand = planned.held.iter();
    let by_hand = by_hand.filter(|row| row.action == Action::ByHand);
    let mut by_hand: Vec<&str> = by_hand.map(|row| row.file.as_str()).collect();
    let mut expected = held;
    by_hand.sort_unstable();
    expected.sort_unstable();
    assert_eq!(by_hand, expected);

    let first = apply(&config).unwrap();
    assert_eq!(first.by_hand.len(), held.len(), "{first}");
    let files = world.files();
    let again = apply(&config).unwrap();
    assert!(again.already && world.files() == files);
    assert_eq!(again.by_hand, first.by_hand);
    let said = again.to_string();
    assert!(
        said.contains("nothing is left that this program can do"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), line(other));
    assert_eq!(verify(&world.places()).unwrap().left.len(), held.len());
    for file in held {
        fs::remove_file(world.path(file)).unwrap();
    }
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    assert!(
        apply(&config)
            .unwrap()
            .to_string()
            .contains("nothing is left to do")
    );
}

#[test]
fn the_same_command_marks_a_run_that_turned_up() {
    let world = World::new();
    let config = world.config(ids(&[&world.clip(Split::Train).id]));
    apply(&config).unwrap();
    let again = apply(&config).unwrap();
    assert!(again.already && again.runs == 1, "{again}");
    let (from, to) = (world.path("runs/one"), world.path("runs/copy"));
    for entry in WalkDir::new(&from).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(&from).unwrap();
            copy(entry.path(), &to.join(name));
        }
    }
    assert!(!verify(&world.places()).unwrap().is_clean());
    let marked = apply(&config).unwrap();
    assert_eq!((marked.number, marked.already, marked.runs), (2, false, 2));
    let ledger = Ledger::read(&world.path("")).unwrap();
    assert!(ledger.rows()[1].runs.contains("runs/copy"));
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
}

#[test]
fn a_file_that_was_gone_is_known_when_it_comes_back_under_another_name() {
    let world = World::new();
    let clip = world.clip(Split::Train);
    let bytes = fs::read(world.raw_file(clip)).unwrap();
    fs::remove_file(world.raw_file(clip)).unwrap();
    apply(&world.config(ids(&[&clip.id]))).unwrap();
    assert!(verify(&world.places()).unwrap().is_clean());
    fs::write(world.path("raw/holiday.mp4"), bytes).unwrap();
    let left = verify(&world.places()).unwrap().left;
    assert_eq!((left.len(), left[0].what), (1, What::Copy));
    assert_eq!(left[0].clip_id, clip.id);
}

/// Nobody else has what was decoded and is not indexed yet.
#[test]
fn other_clips_stay_in_shards_that_no_index_names_and_in_parts() {
    let world = World::new();
    let gone = &world.clip(Split::Test).id;
    let others = ["other_000000_000010", "third_000000_000010"];
    let taken = shard_files(&world.path("shards")).unwrap().into_keys();
    let config = ShardWriterConfig {
        taken: taken.collect(),
        ..ShardWriterConfig::default()
    };
    let settings = world.decoding().provenance();
    let write = |folder: &str, config: ShardWriterConfig, clips: &[&str]| {
        let folder = world.path(folder);
        fs::create_dir_all(&folder).unwrap();
        let mut writer = ShardWriter::new(&folder, settings.clone(), config);
        for clip in clips {
            // Its own frames, wherever it lies.
            let n = others.iter().position(|other| other == clip);
            let n = n.map_or(900, |n| 901 + n);
            let clip = world.stored(clip, Split::Test, n, SourceFacts::default());
            writer.push(&clip).unwrap();
        }
        folder.join(writer.finish().unwrap().remove(0))
    };
    let unnamed = write("shards", config, &[others[0], gone, others[1]]);
    let before = fs::read(&unnamed).unwrap();
    let usual = ShardWriterConfig::default;
    let with = write("shards/parts/0-of-2", usual(), &[gone]);
    let without = write("shards/parts/1-of-2", usual(), &[others[0]]);
    let (mut expected, part) = (content(&world), fs::read(&without).unwrap());
    expected.remove(gone);

    let request = world.config(ids(&[gone]));
    let done = apply(&request).unwrap();
    assert!(done.by_hand.is_empty(), "{done}");
    assert_eq!(content(&world), expected);
    assert!(others.iter().all(|id| expected.contains_key(*id)));
    // A shard that is written anew may have the name of the one that went.
    assert!(fs::read(&unnamed).ok().as_ref() != Some(&before));
    assert!(!with.exists());
    assert!(fs::read(&without).unwrap() == part);
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    // Once more, nothing changes.
    let files = world.files();
    world.unfinish();
    apply(&request).unwrap();
    let dateless = |mut files: std::collections::BTreeMap<String, Vec<u8>>| {
        files.remove("erasures.parquet");
        files
    };
    assert!(dateless(world.files()) == dateless(files));
}
