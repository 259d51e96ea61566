//! What resuming inside an epoch costs: the order drawn again, the workers started, the first batch there.

// Synthetic rows count small things.
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use incdec::clip::Split;
use incdec::data::{Augment, Batches, Dataset, LoaderConfig, Sample, StreamKeys, sampler};
use incdec::parquet_file::Provenance;
use incdec::shard::{
    ClipHead, Codec, NewClip, ShardWriter, ShardWriterConfig, Shards, SourceFacts, write_index,
};
use incdec::tables::ClipStatus;
use turbojpeg::{Image, PixelFormat, Subsamp};

/// Clips in an epoch: the published training set.
const CLIPS: usize = 3700;

/// Clips that are really stored; the epoch repeats them.
const STORED: usize = 16;

const KEYS: StreamKeys = StreamKeys { task: 2, epoch: 5 };

fn frame(clip: usize, frame: usize) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(200 * 200 * 3);
    for (y, x) in (0..200).flat_map(|y| (0..200).map(move |x| (y, x))) {
        let values = [x + clip * 9, y + frame * 3, (x * y) >> 6];
        pixels.extend(values.map(|v| (v % 256) as u8));
    }
    let image = Image {
        pixels: &pixels[..],
        width: 200,
        pitch: 600,
        height: 200,
        format: PixelFormat::RGB,
    };
    turbojpeg::compress(image, 90, Subsamp::Sub2x2)
        .expect("encode a frame")
        .to_vec()
}

fn store(folder: &Path) -> Arc<Dataset> {
    let mut writer = ShardWriter::new(folder, Provenance::default(), ShardWriterConfig::default());
    let rows: Vec<_> = (0..STORED)
        .map(|clip| {
            writer.push(&NewClip {
                clip_id: format!("clip{clip}_000000_000010"),
                split: Split::Train,
                label_row: clip,
                frames: (0..50).map(|i| frame(clip, i)).collect(),
                head: ClipHead {
                    codec: Codec::Jpeg,
                    height: 200,
                    width: 200,
                    fps: 5.0,
                    source: SourceFacts::default(),
                    status: ClipStatus::Ok,
                    error: None,
                },
            })
        })
        .collect::<Result<_, _>>()
        .expect("store the clips");
    writer.finish().expect("finish the shard");
    write_index(folder, &rows, &Provenance::default()).expect("write the index");
    let samples = (0..CLIPS).map(|i| Sample {
        clip_id: rows[i % STORED].clip_id.clone(),
        position: i as i32,
        label: (i % 5) as i64,
        subcategory: "yawning".to_owned(),
        shard: rows[i % STORED].shard.clone().expect("a stored clip"),
        shard_row: rows[i % STORED].shard_row.expect("a stored clip"),
    });
    let shards = Shards::open(folder).expect("open the shards");
    Arc::new(Dataset::new(Arc::new(shards), samples.collect()))
}

fn resume(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = store(folder.path());
    let labels: Vec<i64> = dataset.samples().iter().map(|s| s.label).collect();
    let start = |workers: usize| {
        let config = LoaderConfig {
            workers,
            augment: Augment::PerClip,
            ..LoaderConfig::default()
        };
        let order = sampler::imbalanced(&labels, &[740; 5], config.seed, KEYS).expect("an order");
        Batches::start(&dataset, order, KEYS, &config, 500)
    };
    c.bench_function("resume at batch 500 of 925: position regained", |b| {
        b.iter(|| black_box(start(0).position()));
    });
    for workers in [0, 2] {
        let name = format!("resume at batch 500 of 925: first batch of 4, {workers} workers");
        c.bench_function(&name, |b| {
            b.iter(|| start(workers).next().map(|batch| batch.expect("a batch")));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = resume
}
criterion_main!(benches);
