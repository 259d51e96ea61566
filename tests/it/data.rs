//! The loader's promises: the same batches whoever loads them, faults at their place, no hanging.

mod faults;
mod views;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use incdec::clip::Split;
use incdec::data::{
    Augment, Batch, Batches, DataError, Dataset, Deal, Lists, LoaderConfig, OnBadClip, Sample,
    StreamKeys, sampler,
};
use incdec::hint::Hint;
use incdec::parquet_file::Provenance;
use incdec::shard::{
    ClipHead, Codec, NewClip, ShardWriter, ShardWriterConfig, Shards, SourceFacts, write_index,
};
use incdec::tables::{AvailabilityRow, Change, ClipStatus};
use turbojpeg::{Image, PixelFormat, Subsamp};

use faults::{Fault, flaky};

pub(super) const KEYS: StreamKeys = StreamKeys { task: 1, epoch: 4 };

/// Small clips: 7 frames of 40 x 40, cropped to 32 x 32, two a batch, every frame drawing its own view.
pub(super) const SMALL: LoaderConfig = LoaderConfig {
    batch_size: 2,
    frames: 7,
    resize: 40,
    crop: 32,
    workers: 0,
    queue_depth: 1,
    on_bad_clip: OnBadClip::Fail,
    augment: Augment::PerFrame,
    memory: incdec::data::HostMemory::Pageable,
    seed: 3,
};

/// RGB rows of a frame, smooth enough to survive JPEG, different for every clip and frame.
pub(super) fn pixels(clip: usize, frame: usize, height: usize, width: usize) -> Vec<u8> {
    let mut rows = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let values = [y * 3 + clip * 20, x * 4 + frame * 9, x + y + clip * 7];
        rows.extend(values.map(|v| u8::try_from(v % 200).unwrap()));
    }
    rows
}

pub(super) fn jpeg(pixels: &[u8], height: usize, width: usize) -> Vec<u8> {
    let image = Image {
        pixels,
        width,
        pitch: width * 3,
        height,
        format: PixelFormat::RGB,
    };
    turbojpeg::compress(image, 90, Subsamp::Sub2x2)
        .unwrap()
        .to_vec()
}

/// Shards of nine clips: JPEG and raw, longer and shorter than 7 frames, most of 40 x 40 and some of 60 x 50.
pub(super) fn store(folder: &Path) -> Vec<Sample> {
    let mut writer = ShardWriter::new(folder, Provenance::default(), ShardWriterConfig::default());
    let mut rows = Vec::new();
    for clip in 0..9 {
        let (height, width) = if clip % 4 == 3 { (60, 50) } else { (40, 40) };
        let codec = if clip % 3 == 2 {
            Codec::Raw
        } else {
            Codec::Jpeg
        };
        let frames = (0..3 + clip)
            .map(|frame| {
                let rgb = pixels(clip, frame, height, width);
                match codec {
                    Codec::Raw => rgb,
                    Codec::Jpeg => jpeg(&rgb, height, width),
                }
            })
            .collect();
        let row = writer.push(&NewClip {
            clip_id: format!("clip{clip}_000000_000010"),
            split: Split::Train,
            label_row: clip,
            frames,
            head: ClipHead {
                codec,
                height: height.try_into().unwrap(),
                width: width.try_into().unwrap(),
                fps: 5.0,
                source: SourceFacts::default(),
                status: ClipStatus::Ok,
                error: None,
            },
        });
        rows.push(row.unwrap());
    }
    writer.finish().unwrap();
    write_index(folder, &rows, &Provenance::default()).unwrap();
    let list: Vec<AvailabilityRow> = (0..9).map(listed).collect();
    let mut lists = Lists::join(&list, &rows).unwrap();
    lists.take(1, Split::Train).samples
}

fn listed(clip: i32) -> AvailabilityRow {
    AvailabilityRow {
        task: 1,
        split: Split::Train,
        position: Some(clip),
        row: clip,
        clip_id: format!("clip{clip}_000000_000010"),
        group: None,
        category: "food".to_owned(),
        label: clip % 5,
        subcategory: "eating cake".to_owned(),
        change: Change::Kept,
        usable: true,
    }
}

pub(super) fn open(folder: &Path) -> Arc<Dataset> {
    let samples = store(folder);
    Arc::new(Dataset::new(
        Arc::new(Shards::open(folder).unwrap()),
        samples,
    ))
}

/// What a batch holds, in a form that compares.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    clips: Vec<u8>,
    labels: Vec<i64>,
    samples: Vec<usize>,
    skipped: Vec<usize>,
}

impl Content {
    fn of(batch: &Batch) -> Self {
        Self {
            clips: Vec::try_from(batch.clips.flatten(0, -1)).unwrap(),
            labels: Vec::try_from(&batch.labels).unwrap(),
            samples: batch.samples.clone(),
            skipped: batch.skipped.clone(),
        }
    }
}

pub(super) fn epoch(
    dataset: &Arc<Dataset>,
    config: &LoaderConfig,
    first_batch: usize,
) -> Vec<Content> {
    let order = sampler::balanced(dataset.len(), config.seed, KEYS);
    Batches::start(dataset, order, KEYS, config, first_batch)
        .map(|batch| Content::of(&batch.unwrap()))
        .collect()
}

#[test]
fn batches_are_the_same_for_any_number_of_workers_and_any_queue_depth() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(folder.path());
    for augment in [Augment::None, Augment::PerClip, Augment::PerFrame] {
        let config = LoaderConfig { augment, ..SMALL };
        let expected = epoch(&dataset, &config, 0);
        assert_eq!(expected.len(), 5);
        assert_eq!(expected[4].samples.len(), 1);
        let mut seen: Vec<usize> = expected.iter().flat_map(|b| b.samples.clone()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..9).collect::<Vec<_>>());
        for (workers, queue_depth) in
            (0..=8).flat_map(|workers| [1, 2, 3, 64].map(|depth| (workers, depth)))
        {
            let config = LoaderConfig {
                workers,
                queue_depth,
                ..config
            };
            assert!(
                epoch(&dataset, &config, 0) == expected,
                "{workers} workers, depth {queue_depth}, {augment:?}"
            );
        }
    }
}

#[test]
fn an_epoch_entered_at_any_batch_has_the_identical_tail() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(folder.path());
    let whole = epoch(&dataset, &SMALL, 0);
    for (first, workers) in (0..=6).flat_map(|first| [0, 1, 3].map(|workers| (first, workers))) {
        let config = LoaderConfig { workers, ..SMALL };
        let tail = epoch(&dataset, &config, first);
        assert!(
            tail == whole[first.min(5)..],
            "batch {first}, {workers} workers"
        );
    }
    let order = sampler::balanced(9, 3, KEYS);
    let mut batches = Batches::start(&dataset, order, KEYS, &SMALL, 2);
    assert_eq!((batches.position(), batches.batches()), (2, 5));
    batches.next();
    assert_eq!((batches.position(), batches.size_hint()), (3, (2, Some(2))));
}

#[test]
fn batches_that_are_dealt_to_several_are_those_of_one_wherever_they_begin() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(folder.path());
    let whole = epoch(&dataset, &SMALL, 0);
    for (of, first) in (1..=6).flat_map(|of| (0..=6).map(move |first| (of, first))) {
        let workers = (of + first) % 3;
        let config = LoaderConfig { workers, ..SMALL };
        let mut dealt = BTreeMap::new();
        for rank in 0..of {
            let order = sampler::balanced(dataset.len(), config.seed, KEYS);
            let deal = Deal { rank, of };
            let mut batches = Batches::dealt(&dataset, order, KEYS, &config, first, deal);
            assert_eq!(batches.batches(), 5);
            let mut number = batches.position();
            while let Some(batch) = batches.next() {
                assert_eq!(number % of, rank);
                dealt.insert(number, Content::of(&batch.unwrap()));
                number = batches.position();
            }
            assert!(number >= 5);
        }
        let numbers: Vec<usize> = dealt.keys().copied().collect();
        assert_eq!(
            numbers,
            (first.min(5)..5).collect::<Vec<_>>(),
            "{of} from {first}"
        );
        assert!(
            dealt
                .into_values()
                .eq(whole[first.min(5)..].iter().cloned())
        );
    }
}

#[test]
fn settings_without_sense_and_orders_beyond_the_list_are_told() {
    let dataset = flaky(6, Fault::Panic);
    for config in [
        LoaderConfig {
            batch_size: 0,
            ..SMALL
        },
        LoaderConfig { crop: 41, ..SMALL },
        LoaderConfig {
            queue_depth: 0,
            ..SMALL
        },
        LoaderConfig {
            workers: 100_000,
            ..SMALL
        },
        LoaderConfig {
            frames: usize::MAX,
            ..SMALL
        },
    ] {
        let mut batches = Batches::start(&dataset, vec![0], KEYS, &config, 0);
        assert!(matches!(batches.next(), Some(Err(DataError::Settings(_)))));
        assert!(batches.next().is_none());
    }
    let mut batches = Batches::start(&dataset, vec![0, 6], KEYS, &SMALL, 0);
    assert!(matches!(
        batches.next(),
        Some(Err(DataError::Order {
            position: 1,
            sample: 6,
            samples: 6
        }))
    ));
    assert!(
        Batches::start(&dataset, Vec::new(), KEYS, &SMALL, 0)
            .next()
            .is_none()
    );
}

#[test]
fn a_list_takes_usable_clips_of_its_task_in_order_and_refuses_what_is_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let shards = Shards::open(folder.path()).unwrap();
    let mut rows: Vec<AvailabilityRow> = (0..9).map(listed).collect();
    rows.reverse();
    rows[0].usable = false; // clip 8
    rows[1].task = 0; // clip 7
    rows[2].position = None; // clip 6
    let mut lists = Lists::join(&rows, shards.index()).unwrap();
    let list = lists.take(1, Split::Train);
    assert_eq!(
        (list.unusable, lists.take(0, Split::Train).samples.len()),
        (1, 1)
    );
    let samples = list.samples;
    let positions: Vec<i32> = samples.iter().map(|s| s.position).collect();
    assert_eq!(positions, [0, 1, 2, 3, 4, 5]);
    let stored = shards
        .index()
        .iter()
        .find(|row| row.clip_id == samples[4].clip_id)
        .unwrap();
    assert_eq!(
        (samples[4].label, Some(samples[4].shard_row)),
        (4, stored.shard_row)
    );
    assert_eq!(Some(&samples[4].shard), stored.shard.as_ref());
    // Clips that are usable and not stored are counted once, whatever the tasks that list them, and named.
    rows[5].clip_id = "elsewhere_000000_000010".to_owned();
    rows[6].clip_id = "nowhere_000000_000010".to_owned();
    rows[7].clip_id = "elsewhere_000000_000010".to_owned();
    rows[7].task = 0;
    let error = Lists::join(&rows, shards.index()).unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("2 clips that the availability table calls usable have no frames"),
        "{said}"
    );
    assert!(
        said.contains("elsewhere_000000_000010, nowhere_000000_000010"),
        "{said}"
    );
    let hint = error.hint().unwrap();
    for target in ["make decode", "make manifest", "make tasks"] {
        assert!(hint.contains(target), "{hint}");
    }
}
