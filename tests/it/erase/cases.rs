//! The real cases: what goes, what keeps its bytes, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;

use arrow::array::RecordBatch;
use incdec::artifact;
use incdec::clip::Split;
use incdec::decode::{self, DecodeConfig};
use incdec::erase::{
    Action, Archives, EraseConfig, EraseError, Ledger, Likeness, Place, Selector, What, apply,
    plan, verify,
};
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::parquet_file::{self, BatchWriter, Table as _};
use incdec::run_record::RunRecord;
use incdec::shard::{
    Shard, ShardWriter, ShardWriterConfig, Shards, SourceFacts, shard_files, write_index,
};
use incdec::tables::{AvailabilityRow, ClipRow, ClipStatus, IndexRow, LedgerRow, SeenRow};
use incdec::withdrawn::Withdrawn;

use super::world::{SHARED, SHARED_CLIPS, TASKS, World};

fn ids(clips: &[&str]) -> Vec<Selector> {
    vec![Selector::Ids(
        clips.iter().map(|&id| id.to_owned()).collect(),
    )]
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a file's bytes name one of the clips.
fn names_one(bytes: &[u8], clips: &[&str]) -> bool {
    let names = |clip: &&str| bytes.windows(clip.len()).any(|w| w == clip.as_bytes());
    clips.iter().any(names)
}

/// The content hash of every stored row, by clip.
fn content(world: &World) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for name in shard_files(&world.path("shards")).unwrap().into_values() {
        let shard = Shard::open(&world.path("shards").join(name)).unwrap();
        for row in 0..shard.len() as i64 {
            let clip = shard.clip(row).unwrap();
            assert!(clip.intact());
            rows.insert(clip.clip_id.to_owned(), clip.blake3.to_owned());
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
fn a_finished_run_stays_complete_and_its_figures_stay_and_are_marked() {
    let world = World::new();
    let (test, train) = (&world.clip(Split::Test).id, &world.clip(Split::Train).id);
    let folder = world.path("runs/one");
    let before = RunRecord::read(&folder).unwrap().unwrap();
    let figures = |name: &str| fs::read(folder.join(name)).unwrap();
    let (metrics, history) = (figures("metrics.parquet"), figures("history.parquet"));
    let weights = figures("checkpoints/task-2.safetensors");

    apply(&world.config(ids(&[test, train]))).unwrap();
    // Everything that the record promises is compared on reading.
    let after = RunRecord::read(&folder).unwrap().unwrap();
    assert!(after.summary.is_some());
    assert_eq!(after.metrics, before.metrics);
    assert!(figures("metrics.parquet") == metrics && figures("history.parquet") == history);
    assert!(figures("checkpoints/task-2.safetensors") == weights);
    let mut kept = before.predictions.clone();
    kept.retain(|row| row.clip_id != *test);
    assert!(after.predictions == kept && kept.len() < before.predictions.len());
    // Marked: one of the two was judged with.
    assert_eq!(after.progress.withdrawn_since(), 1);
    assert_eq!(after.progress.erasures[0].number, 1);
    let summary = after.summary.unwrap();
    assert_eq!(summary.erasures[0].judged, 1);
    assert!(summary.skipped_clips.is_empty());
    // What it was given is known under the hashes that the inputs have now.
    let inputs = after.progress.inputs_now(&after.head.inputs);
    for name in [
        "tasks/substitution/seed-0/availability.parquet",
        "shards/index.parquet",
    ] {
        let path = world.path(name);
        let role = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(inputs[role], artifact::hash_file(&path).unwrap(), "{name}");
        assert_ne!(inputs[role], after.head.inputs[role]);
    }
    // Texts lose the lines, and the page goes.
    for name in ["error_analysis/task_0_test_error_analysis.csv", "log.jsonl"] {
        let bytes = figures(name);
        assert!(!names_one(&bytes, &[test, train]), "{name}");
        assert!(
            names_one(&bytes, &[&world.clip(Split::Validation).id]),
            "{name}"
        );
    }
    assert!(!folder.join("report.html").exists());
    assert!(verify(&world.places()).unwrap().is_clean());
}

#[test]
fn checkpoints_that_saw_a_clip_are_known_by_name_also_through_weights_that_a_run_began_with() {
    let world = World::new();
    let (train, valid) = (
        &world.clip(Split::Train).id,
        &world.clip(Split::Validation).id,
    );
    let rows = world.availability();
    let first = rows
        .iter()
        .filter(|row| row.clip_id == *train && row.position.is_some());
    let first = first.map(|row| row.task).min().unwrap();
    let taints = |clip: &str| -> Vec<(String, What)> {
        let plan = plan(&world.places(), &ids(&[clip])).unwrap();
        let taints = plan
            .held
            .into_iter()
            .filter(|row| row.action == Action::Taint);
        taints.map(|row| (row.file, row.what)).collect()
    };
    let checkpoint = |task| format!("runs/one/checkpoints/task-{task}.safetensors");
    let expected: Vec<_> = (first as usize..TASKS)
        .map(|task| (checkpoint(task), What::Trained))
        .collect();
    assert_eq!(taints(train), expected);
    assert_eq!(taints(valid).len(), TASKS);
    assert!(
        taints(valid)
            .iter()
            .all(|(_, what)| *what == What::Selected)
    );
    assert!(
        taints(&world.clip(Split::Test).id).is_empty(),
        "nothing is learned from the test lists"
    );

    // A run that begins with the last weights of the first.
    let hash = artifact::hash_file(&world.path(&checkpoint(TASKS - 1))).unwrap();
    let child = world.fake_run("two");
    let mut head = incdec::run_record::RunHead::read(&child).unwrap().unwrap();
    head.inputs.insert("pretrained".into(), hash);
    head.write(&child).unwrap();
    fs::remove_file(child.join("availability.parquet")).unwrap();
    let of_child = |clip: &str| {
        taints(clip)
            .iter()
            .filter(|(file, _)| file.starts_with("runs/two"))
            .count()
    };
    assert_eq!(of_child(train), TASKS);

    fs::remove_dir_all(&child).unwrap();
    apply(&world.config(ids(&[train]))).unwrap();
    // What the run saw stands in a table of its own, now that its lists no longer say so.
    let seen: Vec<SeenRow> = parquet_file::read(&world.path("runs/one/seen.parquet")).unwrap();
    assert!(
        seen.iter()
            .any(|row| row.clip_id == *train && row.passes >= 2)
    );
    assert_eq!(taints(train), expected);
    let ledger = Ledger::read(&world.places().data).unwrap();
    assert!(
        ledger.rows()[0]
            .runs
            .contains("checkpoints/task-2.safetensors\":\"trained")
    );
    assert!(verify(&world.places()).unwrap().is_clean());
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
fn a_kept_archive_stands_against_the_request_until_it_may_go() {
    let world = World::new();
    let clip = world.clip(Split::Validation);
    let archives = world.path("archives/train");
    fs::create_dir_all(&archives).unwrap();
    let write = |name: &str, member: &str| {
        let file = fs::File::create(archives.join(name)).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        {
            let mut tar = tar::Builder::new(&mut gzip);
            let mut header = tar::Header::new_gnu();
            header.set_size(5);
            header.set_cksum();
            tar.append_data(&mut header, member, &b"video"[..]).unwrap();
            tar.finish().unwrap();
        }
        gzip.finish().unwrap().flush().unwrap();
    };
    write("a.tar.gz", &format!("{}/{}.mp4", clip.subcategory, clip.id));
    write("b.tar.gz", "texting/other_000000_000010.mp4");
    let before = world.files();
    let refused = apply(&world.config(ids(&[&clip.id]))).unwrap_err();
    assert!(
        matches!(refused, EraseError::InArchives { archives: 1, .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().ends_with("archives/train/a.tar.gz"),
        "{refused}"
    );
    assert!(refused.hint().unwrap().contains("--archives delete"));
    assert!(world.files() == before, "nothing was done");
    let config = EraseConfig {
        archives: Archives::Delete,
        ..world.config(ids(&[&clip.id]))
    };
    apply(&config).unwrap();
    assert!(!archives.join("a.tar.gz").exists() && archives.join("b.tar.gz").exists());
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

#[test]
fn stored_clips_that_no_label_names_are_chosen_and_erased() {
    let mut world = World::new();
    let gone = world.clip(Split::Train).id.clone();
    let raw = world.raw_file(world.clip(Split::Train));
    world.unlabel(&[&gone]);
    fs::remove_file(raw).unwrap();
    decode_again(&world);
    world.run_stages();
    assert!(
        content(&world).contains_key(&gone),
        "decoding leaves its frames in the shard"
    );
    let done = apply(&world.config(vec![Selector::Unlabelled])).unwrap();
    assert_eq!(done.clips, 1);
    assert!(!content(&world).contains_key(&gone));
    let index: Vec<IndexRow> = parquet_file::read(&world.path("shards/index.parquet")).unwrap();
    assert!(index.iter().all(|row| row.clip_id != gone));
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    assert!(
        apply(&world.config(vec![Selector::Unlabelled]))
            .unwrap()
            .already
    );
}

fn decode_again(world: &World) {
    decode::run(&world.decoding()).unwrap();
}

#[test]
fn parts_that_were_never_merged_go_with_what_they_hold() {
    let world = World::new();
    let clip = world.clip(Split::Train);
    let part = world.path("shards/parts/0-of-1");
    fs::create_dir_all(&part).unwrap();
    for name in shard_files(&world.path("shards")).unwrap().values() {
        fs::copy(world.path("shards").join(name), part.join(name)).unwrap();
    }
    let plan = plan(&world.places(), &ids(&[&clip.id])).unwrap();
    let is_of_part = |file: &str| file.starts_with("shards/parts/0-of-1/");
    assert!(plan.held.iter().any(|row| is_of_part(&row.file)));
    apply(&world.config(ids(&[&clip.id]))).unwrap();
    assert!(!part.exists());
    assert!(verify(&world.places()).unwrap().is_clean());
}

#[test]
fn clips_that_have_left_the_tasks_for_good_are_chosen() {
    let world = World::new();
    let rows = world.availability();
    let listed = |task: i32| -> BTreeSet<&str> {
        let rows = rows
            .iter()
            .filter(|row| row.task == task && row.position.is_some());
        rows.map(|row| row.clip_id.as_str()).collect()
    };
    let expected: BTreeSet<&str> = listed(0).difference(&listed(1)).copied().collect();
    assert!(!expected.is_empty());
    let selector = Selector::Departed {
        availability: world.path("tasks/substitution/seed-0/availability.parquet"),
        task: 1,
    };
    let plan = plan(&world.places(), &[selector]).unwrap();
    assert_eq!(
        plan.clips,
        expected.into_iter().map(str::to_owned).collect()
    );
}

#[test]
fn a_place_in_use_says_busy_and_another_request_waits_for_the_one_that_was_begun() {
    let world = World::new();
    let clip = world.clip(Split::Train);
    // Parts under way too: a part would go on with what it has read.
    let parts = ["shards/parts/0-of-2", "raw/.incdec-download/parts/1-of-3"];
    for place in ["shards", "runs/one", "raw", ""].into_iter().chain(parts) {
        let held =
            incdec::lock::Lock::folder(&world.path(place), "incdec-other", incdec::lock::Wait::No)
                .unwrap();
        let busy = apply(&world.config(ids(&[&clip.id]))).unwrap_err();
        assert_eq!(busy.exit(), Exit::TryAgain, "{place}: {busy}");
        drop(held);
    }
    // Begun and not finished: the ledger's row is there, and its end is not.
    apply(&world.config(ids(&[&clip.id]))).unwrap();
    let path = world.path("erasures.parquet");
    let mut rows: Vec<incdec::tables::ErasureRow> = parquet_file::read(&path).unwrap();
    rows[0].finished = None;
    rows[0].chain = None;
    parquet_file::write(&path, &rows, &parquet_file::Provenance::default()).unwrap();
    let other = EraseConfig {
        request: "R-2".into(),
        ..world.config(ids(&[&world.clip(Split::Test).id]))
    };
    let refused = apply(&other).unwrap_err();
    assert!(
        matches!(refused, EraseError::Unfinished { .. }),
        "{refused}"
    );
    assert!(refused.hint().unwrap().contains("--request 'R-1'"));
    assert!(!verify(&world.places()).unwrap().is_clean());
    apply(&world.config(ids(&[&clip.id]))).unwrap();
    apply(&other).unwrap();
    assert!(verify(&world.places()).unwrap().is_clean());
}

#[test]
fn a_plan_is_a_table_and_a_file_and_writes_nothing_else() {
    let world = World::new();
    let clip = world.clip(Split::Validation);
    let before = world.files();
    let out = world.path("../plan.parquet");
    let told = world.erase(&[
        "apply",
        &clip.id,
        "--request",
        "R-1",
        "--dry-run",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    assert!(world.files() == before);
    let rows: Vec<incdec::erase::HeldRow> = parquet_file::read(&out).unwrap();
    let places: BTreeSet<Place> = rows.iter().map(|row| row.place).collect();
    let expected = [
        Place::Labels,
        Place::Raw,
        Place::Downloads,
        Place::Shards,
        Place::Manifest,
        Place::Tasks,
        Place::Runs,
    ];
    assert_eq!(places, expected.into());
    let told = text(&told.stdout);
    for said in [
        "label row of",
        "video of",
        "stored frames of",
        "prediction of",
        "page of",
        "snapshots",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    let told = text(&world.erase(&["plan", &clip.id, "--runs"]).stdout);
    assert!(
        told.contains("checkpoint selected by it") && !told.contains("prediction of"),
        "{told}"
    );
}

/// What a task under way has learned is not gone on with: the checkpoints inside it go, and it begins anew.
#[test]
fn a_checkpoint_inside_a_task_goes_with_a_clip_of_that_task_and_no_other() {
    let world = World::new();
    let folder = world.path("runs/one");
    fs::remove_file(folder.join("run.json")).unwrap();
    let mut progress = incdec::run_record::read_progress(&folder).unwrap().unwrap();
    progress.tasks.pop();
    progress.write(&folder).unwrap();
    let inside = folder.join("checkpoints/task-2-epoch-1-training-4.safetensors");
    fs::write(&inside, "weights").unwrap();
    let rows = world.availability();
    let listed = |task: i32| -> BTreeSet<&str> {
        let trained = rows
            .iter()
            .filter(|row| row.split == Split::Train && row.position.is_some());
        let of_task = trained.filter(|row| row.task == task);
        of_task.map(|row| row.clip_id.as_str()).collect()
    };
    let gone = *listed(0).difference(&listed(2)).next().unwrap();
    apply(&world.config(ids(&[gone]))).unwrap();
    assert!(inside.exists());
    let known = *listed(2).iter().next().unwrap();
    let plan = plan(&world.places(), &ids(&[known])).unwrap();
    let held = plan.held.iter().find(|row| row.file.contains("epoch-1"));
    let held = held.unwrap();
    assert_eq!((held.action, held.bytes), (Action::Erase, 7));
    assert_eq!(held.note.as_deref(), Some("task 2 begins anew"));
    let second = EraseConfig {
        request: "R-2".into(),
        ..world.config(ids(&[known]))
    };
    apply(&second).unwrap();
    assert!(!inside.exists());
    assert!(verify(&world.places()).unwrap().is_clean());
}

#[test]
fn a_table_of_a_version_before_keeps_the_columns_that_it_has() {
    let world = World::new();
    let table = world.path("tasks/substitution/seed-0/availability.parquet");
    let format = AvailabilityRow::FORMAT;
    let made_from = parquet_file::provenance(&table, &format).unwrap();
    let batches = parquet_file::read_batches(&table, &format, None).unwrap();
    let without_group = |batch: &RecordBatch| {
        let fields = batch.schema();
        let kept = (0..batch.num_columns()).filter(|&at| fields.field(at).name() != "group");
        batch.project(&kept.collect::<Vec<_>>()).unwrap()
    };
    let batches: Vec<RecordBatch> = batches.iter().map(without_group).collect();
    let schema = batches[0].schema();
    assert_eq!(schema.fields().len() + 1, AvailabilityRow::columns().len());
    let mut writer = BatchWriter::create(&table, schema.clone(), &format, &made_from).unwrap();
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();

    let id = &world.clip(Split::Train).id;
    apply(&world.config(ids(&[id]))).unwrap();
    let rows = world.availability();
    assert!(rows.iter().all(|row| row.usable == (row.clip_id != *id)));
    let batches = parquet_file::read_batches(&table, &format, None).unwrap();
    assert_eq!(batches[0].schema().fields(), schema.fields());
    assert!(verify(&world.places()).unwrap().is_clean());
}

/// Work grows with what is erased: shards without a clip are not touched, those with one are
/// written once.
#[test]
fn five_thousand_of_fifty_thousand_rows_rewrite_what_holds_them_once() {
    let world = World::of([10_000, 1_250, 1_250], 1, 1_000);
    let rows = |names: &BTreeSet<String>| -> usize {
        let shards = names
            .iter()
            .map(|name| Shard::open(&world.path("shards").join(name)).unwrap().len());
        shards.sum()
    };
    let names = || -> BTreeSet<String> {
        shard_files(&world.path("shards"))
            .unwrap()
            .into_values()
            .collect()
    };
    let before = names();
    assert_eq!(rows(&before), 50_000);
    // All of them of one subcategory's training table: half of its shards.
    let gone: BTreeSet<String> = world
        .clips
        .iter()
        .filter(|clip| clip.subcategory == "texting" && clip.split == Split::Train)
        .take(5_000)
        .map(|clip| clip.id.clone())
        .collect();
    let list = world.path("../gone.csv");
    fs::write(
        &list,
        gone.iter().map(|id| format!("{id}\n")).collect::<String>(),
    )
    .unwrap();
    let index: Vec<IndexRow> = parquet_file::read(&world.path("shards/index.parquet")).unwrap();
    let holding: BTreeSet<String> = index
        .iter()
        .filter(|row| gone.contains(&row.clip_id))
        .filter_map(|row| row.shard.clone())
        .collect();
    let done = apply(&world.config(vec![Selector::Clips(list)])).unwrap();
    assert_eq!(done.clips, 5_000);
    let after = names();
    let removed: BTreeSet<String> = before.difference(&after).cloned().collect();
    assert_eq!(removed, holding);
    let written: BTreeSet<String> = after.difference(&before).cloned().collect();
    // At both ends a shard holds others, too.
    assert!(written.len() <= 2, "{written:?}");
    assert_eq!(rows(&after), 45_000);
}
