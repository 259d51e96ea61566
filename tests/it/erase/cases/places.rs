//! What lies in unusual places, in other forms, or in great numbers.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::Command;

use arrow::array::RecordBatch;
use incdec::clip::Split;
use incdec::decode;
use incdec::erase::{
    Action, Archives, EraseConfig, EraseError, Place, Selector, apply, plan, verify,
};
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::manifest::{StoredRow, parts_place};
use incdec::parquet_file::{self, BatchWriter, Provenance, Table as _};
use incdec::shard::{Shard, shard_files};
use incdec::tables::{AvailabilityRow, IndexRow};

use super::super::world::World;
use super::{content, ids, text};

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
fn parts_of_a_manifest_that_were_never_merged_go_where_they_hold_the_clip() {
    let world = World::new();
    let clip = world.clip(Split::Train);
    let place = parts_place(&world.places().manifest);
    let part = |name: &str, clip: &str| {
        let file = place.of(name.parse().unwrap()).join(StoredRow::FILE);
        let row = StoredRow {
            shard: "train-00000.arrow".into(),
            clip_id: Some(clip.to_owned()),
        };
        parquet_file::write(&file, &[row], &Provenance::default()).unwrap();
        file
    };
    let with = part("0/2", &clip.id);
    let without = part("1/2", "other_000000_000010");
    // What a part was writing when it was killed.
    let half = without.with_file_name(".incdec-half.tmp");
    fs::write(&half, &clip.id).unwrap();
    let plan = plan(&world.places(), &ids(&[&clip.id])).unwrap();
    let of_part = |file: &str| file == "manifests/manifest-parts/0-of-2/stored.parquet";
    let held = plan.held.iter().find(|row| of_part(&row.file)).unwrap();
    assert_eq!(
        (held.place, held.action),
        (Place::Manifest, Action::Rebuild)
    );
    let kept = fs::read(&without).unwrap();
    apply(&world.config(ids(&[&clip.id]))).unwrap();
    assert!(!with.parent().unwrap().exists() && !half.exists());
    assert!(fs::read(&without).unwrap() == kept);
    assert!(verify(&world.places()).unwrap().is_clean());
}

#[test]
fn a_place_in_use_says_busy_and_another_request_waits_for_the_one_that_was_begun() {
    let world = World::new();
    let clip = world.clip(Split::Train);
    // Parts under way too: a part would go on with what it has read.
    let parts = [
        "shards/parts/0-of-2",
        "raw/.incdec-download/parts/1-of-3",
        "manifests/manifest-parts/1-of-2",
    ];
    let places = ["shards", "runs/one", "raw", "manifests", ""];
    for place in places.into_iter().chain(parts) {
        let held =
            incdec::lock::Lock::folder(&world.path(place), "incdec-other", incdec::lock::Wait::No)
                .unwrap();
        let busy = apply(&world.config(ids(&[&clip.id]))).unwrap_err();
        assert_eq!(busy.exit(), Exit::TryAgain, "{place}: {busy}");
        drop(held);
    }
    // Begun and not finished: the ledger's row is there, and its end is not.
    apply(&world.config(ids(&[&clip.id]))).unwrap();
    world.unfinish();
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
    let list = list.to_str().unwrap();
    let said = erase_within(&world, 256, &["apply", "--request", "R-1", "--clips", list]);
    assert!(said.contains("5000 clips erased"), "{said}");
    let after = names();
    let removed: BTreeSet<String> = before.difference(&after).cloned().collect();
    assert_eq!(removed, holding);
    let written: BTreeSet<String> = after.difference(&before).cloned().collect();
    // At both ends a shard holds others, too.
    assert!(written.len() <= 2, "{written:?}");
    assert_eq!(rows(&after), 45_000);
}

/// The frames of all clips together take far more memory than these commands may.
#[test]
fn memory_does_not_grow_with_the_frames() {
    let world = World::of([8, 2, 2], 512, 12);
    let folder = fs::read_dir(world.path("shards")).unwrap();
    let bytes = folder.map(|entry| entry.unwrap().metadata().unwrap().len());
    assert!(bytes.sum::<u64>() > 140 << 20);
    let clip = &world.clip(Split::Train).id;
    for args in [
        &["plan", clip][..],
        &["apply", "--request", "R-1", clip],
        &["verify"],
    ] {
        erase_within(&world, 48, args);
    }
}

/// What the command says that may have so much memory of its own, in MiB; maps of files do not
/// count.
fn erase_within(world: &World, mib: usize, args: &[&str]) -> String {
    let erase = world.command(args);
    let mut limited = Command::new("bash");
    limited.arg("-c");
    limited.arg(format!("ulimit -d {}; exec \"$0\" \"$@\"", mib << 10));
    limited.arg(erase.get_program()).args(erase.get_args());
    let output = limited.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}{error}");
    said
}
