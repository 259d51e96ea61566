//! How long the index and the manifest of all of Kinetics-700 (650,000 clips) take to be written and read back.
//!
//! The tables stay in `target/tmp/manifest`, for `tests/bench/group_by.py`.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use incdec::clip::Split;
use incdec::manifest::{ManifestConfig, run};
use incdec::parquet_file::{self, Provenance};
use incdec::shard::{IndexRow, Shards, SourceFacts, parse_shard_name, shard_name, write_index};
use incdec::tables::{ClipRow, ClipStatus};

/// Labelled clips of the three splits.
const CLIPS: [(Split, usize); 3] = [
    (Split::Train, 541_667),
    (Split::Validation, 54_167),
    (Split::Test, 54_166),
];

/// Kinetics-700's classes, dealt out to five categories.
const SUBCATEGORIES: usize = 700;
const CATEGORIES: usize = 5;

/// Clips of a shard: 256 MiB of some 700 KB each.
const CLIPS_PER_SHARD: usize = 360;

/// Where the tables lie.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifest")
}

/// Writes the label tables and gives the index's rows, one clip in a hundred without frames.
fn labelled(folder: &Path) -> Vec<IndexRow> {
    fs::create_dir_all(folder).expect("a folder for the tables");
    let save = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a label table");
    let mut classes = "Category,Subcategory\n".to_owned();
    for s in 0..SUBCATEGORIES {
        writeln!(classes, "category {},subcategory {s}", s % CATEGORIES).expect("a string grows");
    }
    save("classes.csv", &classes);
    let mut rows = Vec::new();
    for (split, clips) in CLIPS {
        let mut csv = "label,youtube_id,time_start,time_end,split\n".to_owned();
        for i in 0..clips {
            let hash = blake3::hash(format!("{split} {i}").as_bytes()).to_hex();
            let video = &hash[..11];
            writeln!(
                csv,
                "subcategory {},{video},{i},{},train",
                i % SUBCATEGORIES,
                i + 10
            )
            .expect("a string grows");
            rows.push(index_row(
                format!("{video}_{i:06}_{:06}", i + 10),
                split,
                i,
                &hash,
            ));
        }
        save(&format!("{split}.csv"), &csv);
    }
    rows
}

fn index_row(clip_id: String, split: Split, i: usize, hash: &str) -> IndexRow {
    let source = SourceFacts {
        fps: Some([25.0, 29.97, 30.0][i % 3]),
        duration_s: Some(10.0 + (i % 100) as f64 / 100.0),
        codec: Some("h264".to_owned()),
        frames_expected: Some(300),
        frames_decoded: 300,
        bytes: Some(700_000 + i64::try_from(i).expect("few clips")),
        blake3: Some(hash.to_owned()),
        ..SourceFacts::default()
    };
    if i % 100 == 99 {
        let why = Some("there is no file of this clip".to_owned());
        return IndexRow::without_frames(clip_id, split, source, ClipStatus::Missing, why);
    }
    let number = u32::try_from(i / CLIPS_PER_SHARD).expect("few shards");
    IndexRow {
        shard: Some(shard_name(split, number)),
        shard_row: Some(i64::try_from(i % CLIPS_PER_SHARD).expect("few clips")),
        frames: 50,
        height: 200,
        width: 200,
        codec: Some("jpeg".to_owned()),
        content: Some(blake3::hash(hash.as_bytes()).to_hex().to_string()),
        ..IndexRow::without_frames(clip_id, split, source, ClipStatus::Ok, None)
    }
}

fn tables(c: &mut Criterion) {
    let folder = folder();
    let rows = labelled(&folder);
    let index = || write_index(&folder, &rows, &Provenance::default()).expect("write the index");
    index();
    for name in rows.iter().filter_map(|row| row.shard.as_deref()) {
        assert!(parse_shard_name(name).is_some());
        fs::write(folder.join(name), "").expect("a shard to be there");
    }
    let config = ManifestConfig {
        labels: folder.clone(),
        shards: folder.clone().into(),
        out: folder.join("clips.parquet"),
        listed: 0,
    };
    let read =
        || parquet_file::read::<IndexRow>(&folder.join(IndexRow::FILE)).expect("read the index");
    assert_eq!(read(), rows);
    run(&config).expect("a manifest");

    c.bench_function("index, 650,000 rows: write", |b| b.iter(index));
    c.bench_function("index, 650,000 rows: read", |b| {
        b.iter(|| black_box(read()).len());
    });
    c.bench_function("index, 650,000 rows: open the folder of shards", |b| {
        b.iter(|| {
            Shards::open(&folder)
                .expect("open the shards")
                .names()
                .count()
        });
    });
    c.bench_function(
        "manifest, 650,000 rows: labels and index to clips.parquet, audited",
        |b| {
            b.iter(|| run(&config).expect("a manifest"));
        },
    );
    c.bench_function("manifest, 650,000 rows: read", |b| {
        b.iter(|| {
            parquet_file::read::<ClipRow>(&config.out)
                .expect("read the manifest")
                .len()
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = tables
}
criterion_main!(benches);
