//! The real cases: what goes, what keeps its bytes, and what is refused.

mod descent;
mod places;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use incdec::artifact;
use incdec::clip::Split;
use incdec::decode::{self, DecodeConfig};
use incdec::erase::{EraseConfig, Ledger, Likeness, Place, Selector, What, apply, plan, verify};
use incdec::parquet_file::{self};
use incdec::run_record::RunRecord;
use incdec::shard::{
    Shard, ShardWriter, ShardWriterConfig, Shards, SourceFacts, shard_files, write_index,
};
use incdec::tables::{ClipRow, ClipStatus, IndexRow, LedgerRow};
use incdec::withdrawn::Withdrawn;

use super::world::{SHARED, SHARED_CLIPS, TASKS, World};

pub(super) fn ids(clips: &[&str]) -> Vec<Selector> {
    vec![Selector::Ids(
        clips.iter().map(|&id| id.to_owned()).collect(),
    )]
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a file's bytes name one of the clips.
pub(super) fn names_one(bytes: &[u8], clips: &[&str]) -> bool {
    let names = |clip: &&str| bytes.windows(clip.len()).any(|w| w == clip.as_bytes());
    clips.iter().any(names)
}

/// The content hash of every stored row, by clip.
pub(super) fn content(world: &World) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for name in shard_files(&world.path("shards")).unwrap().into_values() {
        let shard = Shard::open(&world.path("shards").join(name)).unwrap();
        for row in 0..shard.len() as i64 {
            let clip = shard.clip(row).unwrap();
            assert!(clip.intact());
            rows.insert(clip.clip_id, clip.blake3);
        }
    }
    rows
}

#[test]
fn one_clip_goes_from_everywhere_and_nothing_else_changes() {
    let world = World::new();
    let gone = world.clip(Split::Test);
    let id = gone.id.as_str();
    let (before, stored) = (world.files(), content(&world));
    let index: Vec<IndexRow> = parquet_file::read(&world.path("shards/index.parquet")).unwrap();
    let row = index.iter().find(|row| row.clip_id == id).unwrap();
    let shard = format!("shards/{}", row.shard.as_deref().unwrap());
    assert!(
        index.iter().filter(|r| r.shard == row.shard).count() > 1,
        "one of many"
    );

    let done = apply(&world.config(ids(&[id]))).unwrap();
    assert_eq!((done.number, done.clips, done.already), (1, 1, false));
    assert!(done.by_hand.is_empty());
    let after = world.files();
    // Shards that did not hold it keep every byte; other rows keep their hashes.
    for (name, bytes) in before.iter().filter(|(name, _)| name.ends_with(".arrow")) {
        if *name == shard {
            assert!(!after.contains_key(name));
        } else {
            assert!(after[name] == *bytes, "{name}");
        }
    }
    let mut expected = stored;
    expected.remove(id);
    assert_eq!(content(&world), expected);
    // All other clips' files are there, byte for byte.
    for (name, bytes) in before.iter().filter(|(name, _)| name.starts_with("raw/")) {
        assert_eq!(
            after.get(name),
            (!name.contains(id)).then_some(bytes),
            "{name}"
        );
    }
    // Its row stays as withdrawn in index and manifest, and its place in the tasks.
    let index: Vec<IndexRow> = parquet_file::read(&world.path("shards/index.parquet")).unwrap();
    let row = index.iter().find(|row| row.clip_id == id).unwrap();
    assert_eq!(*row, IndexRow::withdrawn(id.into(), Split::Test));
    let shards = Shards::open(&world.path("shards")).unwrap();
    for row in index.iter().filter(|row| row.shard.is_some()) {
        let (shard, at) = (row.shard.as_deref().unwrap(), row.shard_row.unwrap());
        assert_eq!(shards.checked_clip(shard, at).unwrap().clip_id, row.clip_id);
    }
    let manifest: Vec<ClipRow> =
        parquet_file::read(&world.path("manifests/clips.parquet")).unwrap();
    let row = manifest.iter().find(|row| row.clip_id == id).unwrap();
    assert_eq!((row.status, &row.shard), (ClipStatus::Withdrawn, &None));
    let listed = world.availability();
    let listed: Vec<_> = listed.iter().filter(|row| row.clip_id == id).collect();
    assert_eq!(listed.len(), TASKS);
    assert!(
        listed
            .iter()
            .all(|row| !row.usable && row.position.is_some())
    );
    let list = Withdrawn::beside(&world.path("Info")).unwrap();
    assert!(list.contains(id) && list.len() == 1);
    let ledger: Vec<LedgerRow> = parquet_file::read(&world.path("downloads.parquet")).unwrap();
    assert!(ledger.iter().all(|row| row.name != id));
    assert!(verify(&world.places()).unwrap().is_clean());
    // The stages find nothing to do, and give the same bytes.
    decode_changes_nothing(&world);
    world.run_stages();
    assert!(world.files() == after, "the stages give what erasing left");
}

/// The decode stage, over what is there.
fn decode_changes_nothing(world: &World) {
    let config = DecodeConfig {
        max_failed: 0.0,
        ..world.decoding()
    };
    assert!(decode::run(&config).unwrap().up_to_date);
}

#[test]
fn a_whole_subcategory_goes_with_the_shards_that_hold_nothing_else() {
    let world = World::new();
    let gone: BTreeSet<&str> = world
        .clips
        .iter()
        .filter(|clip| clip.subcategory == "texting")
        .map(|clip| clip.id.as_str())
        .collect();
    let selectors = vec![Selector::Subcategory("texting".into())];
    let done = apply(&world.config(selectors)).unwrap();
    assert_eq!(done.clips, gone.len());
    let left: BTreeSet<String> = content(&world).into_keys().collect();
    let expected = world
        .clips
        .iter()
        .map(|clip| clip.id.as_str())
        .filter(|id| !gone.contains(id));
    assert_eq!(left, expected.map(str::to_owned).collect());
    assert!(
        fs::read_dir(world.path("raw/texting"))
            .unwrap()
            .next()
            .is_none()
    );
    assert!(verify(&world.places()).unwrap().is_clean());
    assert!(RunRecord::read(&world.path("runs/one")).is_ok());
}

#[test]
fn a_source_in_three_splits_goes_as_a_whole_and_one_clip_of_it_names_the_others() {
    let world = World::new();
    let alike = plan(&world.places(), &ids(&[SHARED_CLIPS[0]]))
        .unwrap()
        .near;
    let told: Vec<_> = alike
        .iter()
        .map(|near| (near.clip_id.as_str(), near.likeness.clone()))
        .collect();
    assert_eq!(
        told,
        [
            (SHARED_CLIPS[1], Likeness::Overlap { seconds: 5 }),
            (SHARED_CLIPS[2], Likeness::Source),
        ]
    );
    let out = world.erase(&[
        "apply",
        "--source",
        SHARED,
        "--request",
        "R-9",
        "--reason",
        "asked by mail",
    ]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let told = text(&out.stdout);
    assert!(told.starts_with("R-9: 3 clips erased"), "{told}");
    let list = fs::read_to_string(world.path("Info/withdrawn.csv")).unwrap();
    assert_eq!(list.matches(",R-9,asked by mail\n").count(), 3, "{list}");
    let out = world.erase(&["verify"]);
    assert!(out.status.success(), "{}", text(&out.stdout));
    assert!(
        text(&out.stdout).contains("3 withdrawn clips: 0 things left"),
        "{}",
        text(&out.stdout)
    );
    for (name, bytes) in world.files() {
        let may = [
            "Info/",
            "erasures.parquet",
            "seen.parquet",
            "availability.parquet",
            "clips.parquet",
            "index.parquet",
        ];
        assert!(
            may.iter().any(|part| name.contains(part)) || !names_one(&bytes, &SHARED_CLIPS),
            "{name}"
        );
    }
}

#[test]
fn a_clip_that_is_a_folder_of_frames_alone_goes_too() {
    let world = World::new();
    let clip = world.clip(Split::Train);
    fs::remove_file(world.raw_file(clip)).unwrap();
    let folder = world.path("frames").join(format!("id_{}/jpgs", clip.id));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("image_00001.jpg"), b"a frame").unwrap();
    let other = world.path("frames/id_other_000000_000010/jpgs");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("image_00001.jpg"), b"another frame").unwrap();
    let held = plan(&world.places(), &ids(&[&clip.id])).unwrap().held;
    let frames: Vec<_> = held.iter().filter(|row| row.what == What::Frames).collect();
    assert_eq!(
        (frames.len(), frames[0].bytes, frames[0].place),
        (1, 7, Place::FrameFolders)
    );
    apply(&world.config(ids(&[&clip.id]))).unwrap();
    assert!(!folder.parent().unwrap().exists() && other.exists());
    assert!(verify(&world.places()).unwrap().is_clean());
}

#[test]
fn a_clip_that_is_held_twice_goes_twice_and_under_another_name_it_is_named() {
    let world = World::new();
    let clip = world.clip(Split::Train);
    let bytes = fs::read(world.raw_file(clip)).unwrap();
    // Once more under its own name, and as a file of another clip with its own row in a shard.
    let again = world
        .path("raw/elsewhere")
        .join(format!("{}.webm", clip.id));
    fs::create_dir_all(again.parent().unwrap()).unwrap();
    fs::write(&again, b"the same in another container").unwrap();
    let twin = "twin_000100_000110";
    let hidden = world
        .path("raw")
        .join(clip.subcategory)
        .join(format!("{twin}.mp4"));
    fs::write(&hidden, &bytes).unwrap();
    let index_file = world.path("shards/index.parquet");
    let mut index: Vec<IndexRow> = parquet_file::read(&index_file).unwrap();
    let made_from =
        parquet_file::provenance(&index_file, &<IndexRow as parquet_file::Table>::FORMAT).unwrap();
    let config = ShardWriterConfig {
        taken: shard_files(&world.path("shards"))
            .unwrap()
            .into_keys()
            .collect(),
        ..ShardWriterConfig::default()
    };
    let settings = world.decoding().provenance();
    let mut writer = ShardWriter::new(&world.path("shards"), settings, config);
    let source = SourceFacts {
        bytes: Some(bytes.len() as i64),
        blake3: Some(artifact::hash_file(&hidden).unwrap()),
        ..SourceFacts::default()
    };
    index.push(
        writer
            .push(&world.stored(twin, Split::Train, 0, source))
            .unwrap(),
    );
    writer.finish().unwrap();
    write_index(&world.path("shards"), &index, &made_from).unwrap();

    let plan = plan(&world.places(), &ids(&[&clip.id])).unwrap();
    let videos = plan.held.iter().filter(|row| row.what == What::Video);
    assert_eq!(videos.count(), 2);
    let alike: Vec<_> = plan
        .near
        .iter()
        .map(|near| (near.clip_id.as_str(), &near.likeness))
        .collect();
    assert_eq!(alike, [(twin, &Likeness::Frames), (twin, &Likeness::Bytes)]);
    apply(&world.config(ids(&[&clip.id]))).unwrap();
    assert!(!again.exists() && hidden.exists());
    // Its bytes are still there under a name that nobody has withdrawn: verify says so.
    let verdict = verify(&world.places()).unwrap();
    let left: Vec<_> = verdict
        .left
        .iter()
        .map(|row| (row.place, row.what))
        .collect();
    assert_eq!(
        left,
        [(Place::Raw, What::Copy), (Place::Shards, What::Copy)]
    );
    let request = EraseConfig {
        request: "R-2".into(),
        ..world.config(ids(&[twin]))
    };
    apply(&request).unwrap();
    assert!(verify(&world.places()).unwrap().is_clean());
}

#[test]
fn what_nobody_holds_is_said_and_fails_and_writes_nothing() {
    let world = World::new();
    let before = world.files();
    for command in ["plan", "apply"] {
        let mut args = vec![command, "never-was_000000_000010"];
        args.extend(
            ["--request", "R-1"]
                .iter()
                .take(if command == "apply" { 2 } else { 0 }),
        );
        let out = world.erase(&args);
        assert_eq!(out.status.code(), Some(1));
        let said = text(&out.stderr);
        assert!(
            said.contains("nothing is held of the 1 clips chosen"),
            "{said}"
        );
    }
    assert!(world.files() == before);
    // A labelled clip of which nothing is there yet is withdrawn all the same: it is never fetched.
    let clip = world.clip(Split::Train);
    fs::remove_dir_all(world.path("raw")).unwrap();
    fs::remove_dir_all(world.path("shards")).unwrap();
    fs::remove_dir_all(world.path("manifests")).unwrap();
    fs::remove_dir_all(world.path("tasks")).unwrap();
    fs::remove_dir_all(world.path("runs")).unwrap();
    fs::remove_file(world.path("downloads.parquet")).unwrap();
    apply(&world.config(ids(&[&clip.id]))).unwrap();
    assert!(
        Withdrawn::beside(&world.path("Info"))
            .unwrap()
            .contains(&clip.id)
    );
}

#[test]
fn the_same_command_again_says_that_it_was_done_and_a_copy_that_came_back_goes_again() {
    let world = World::new();
    let clip = world.clip(Split::Train);
    let bytes = fs::read(world.raw_file(clip)).unwrap();
    let first = apply(&world.config(ids(&[&clip.id]))).unwrap();
    let after = world.files();
    let again = apply(&world.config(ids(&[&clip.id]))).unwrap();
    assert!(again.already && again.number == 1 && again.chain == first.chain);
    assert!(world.files() == after);
    fs::write(world.raw_file(clip), bytes).unwrap();
    let once_more = apply(&world.config(ids(&[&clip.id]))).unwrap();
    assert_eq!((once_more.number, once_more.already), (2, false));
    assert!(!world.raw_file(clip).exists());
    assert!(verify(&world.places()).unwrap().is_clean());
    let ledger = Ledger::read(&world.places().data).unwrap();
    assert_eq!(ledger.chain(), Some(once_more.chain.as_str()));
    assert_eq!(
        ledger.rows()[1].previous.as_deref(),
        Some(first.chain.as_str())
    );
}
