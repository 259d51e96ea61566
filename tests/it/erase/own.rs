//! Data of one's own: clips that are called by their path, and whose groups are persons.

use std::collections::BTreeSet;
use std::fs;

use incdec::clip::Split;
use incdec::erase::{Likeness, Place, Selector, What, apply, plan, verify};
use incdec::run_record::RunRecord;
use incdec::shard::{Shard, shard_files};
use incdec::withdrawn::Withdrawn;

use super::world::{World, tar_of};

/// Every clip that lies in a shard.
fn stored(world: &World) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in shard_files(&world.path("shards")).unwrap().into_values() {
        let shard = Shard::open(&world.path("shards").join(name)).unwrap();
        found.extend((0..shard.len() as i64).map(|row| shard.clip(row).unwrap().clip_id));
    }
    found
}

#[test]
fn a_person_goes_with_all_clips_of_its_group_from_every_place() {
    let world = World::own();
    let person = world.clip(Split::Test).person.clone().unwrap();
    let is_seen = |clip: &&super::world::Made| clip.person.as_ref() == Some(&person);
    let gone: BTreeSet<&str> = world
        .clips
        .iter()
        .filter(is_seen)
        .map(|c| c.id.as_str())
        .collect();
    assert!(gone.len() > 1);
    let before: Vec<_> = world
        .clips
        .iter()
        .map(|clip| world.raw_file(clip))
        .collect();
    let out = world.erase(&["apply", "--source", &person, "--request", "R-1"]);
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let all = world.clips.iter().map(|clip| clip.id.clone());
    let expected: BTreeSet<String> = all.filter(|id| !gone.contains(id.as_str())).collect();
    assert_eq!(stored(&world), expected);
    for (clip, file) in world.clips.iter().zip(before) {
        assert_eq!(
            file.exists(),
            !gone.contains(clip.id.as_str()),
            "{}",
            clip.id
        );
    }
    let list = Withdrawn::beside(&world.path("Info")).unwrap();
    assert_eq!(list.len(), gone.len());
    assert!(gone.iter().all(|id| list.contains(id)));
    // Another form of the same text is the same clip.
    assert!(
        gone.iter()
            .all(|id| list.contains(&id.replace('\u{e9}', "e\u{301}")))
    );
    let listed = world.availability();
    let usable: BTreeSet<&str> = listed
        .iter()
        .filter(|row| row.usable)
        .map(|row| row.clip_id.as_str())
        .collect();
    assert!(usable.is_disjoint(&gone));
    let record = RunRecord::read(&world.path("runs/one")).unwrap().unwrap();
    assert!(
        record
            .predictions
            .iter()
            .all(|row| !gone.contains(row.clip_id.as_str()))
    );
    let log = fs::read_to_string(world.path("runs/one/log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), expected.len());
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
}

#[test]
fn one_clip_of_a_person_names_the_others_and_frames_and_archives_are_searched_by_path() {
    let world = World::own();
    let clip = world.clip(Split::Train);
    let frames = world.path("frames").join(&clip.id);
    fs::create_dir_all(&frames).unwrap();
    fs::write(frames.join("img_00001.jpg"), b"a frame").unwrap();
    let other = world.path("frames/elsewhere/x");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("img_00001.jpg"), b"another frame").unwrap();
    let member = format!("part 1/{}.avi", clip.id);
    tar_of(&world.path("archives/a.tar"), &member, b"v");

    let selectors = vec![Selector::Ids(vec![clip.id.clone()])];
    let found = plan(&world.places(), &selectors).unwrap();
    assert!(!found.near.is_empty());
    for near in &found.near {
        assert_eq!((&near.likeness, &near.like), (&Likeness::Source, &clip.id));
    }
    let held = |place, what| {
        found
            .held
            .iter()
            .any(|r| r.place == place && r.what == what)
    };
    assert!(held(Place::Raw, What::Video) && held(Place::FrameFolders, What::Frames));
    assert!(held(Place::Archives, What::Member) && held(Place::Shards, What::StoredFrames));
    let mut config = world.config(selectors);
    config.archives = incdec::erase::Archives::Delete;
    apply(&config).unwrap();
    assert!(!frames.exists() && other.exists() && !world.path("archives/a.tar").exists());
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    // Its file comes back under another name.
    let bytes = format!("video of {}", clip.id);
    fs::write(world.path("raw/holiday.avi"), bytes).unwrap();
    let left = verify(&world.places()).unwrap().left;
    assert_eq!(left.len(), 1);
    assert_eq!(
        (left[0].what, left[0].clip_id.as_str()),
        (What::Copy, clip.id.as_str())
    );
}

/// Of a video that was never decoded or downloaded no table has a hash.
#[test]
fn a_video_that_is_in_no_table_is_named_where_it_has_the_same_bytes() {
    let world = World::own();
    let clip = world.clip(Split::Train);
    let bytes = fs::read(world.raw_file(clip)).unwrap();
    fs::create_dir_all(world.path("raw/new")).unwrap();
    fs::write(world.path("raw/new/twin.avi"), &bytes).unwrap();
    // As large, and another.
    fs::write(world.path("raw/new/other.avi"), vec![b'x'; bytes.len()]).unwrap();
    let found = plan(&world.places(), &[Selector::Ids(vec![clip.id.clone()])]).unwrap();
    let alike = found.near.iter();
    let alike = alike.filter(|near| near.likeness == Likeness::Bytes);
    let alike: Vec<&str> = alike.map(|near| near.clip_id.as_str()).collect();
    assert_eq!(alike, ["new/twin"]);
}
