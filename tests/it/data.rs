//! The loader's promises: the same batches whoever loads them, faults at their place, no hanging.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use incdec::clip::Split;
use incdec::data::{
    Augment, Batch, Batches, ClipSource, DataError, Dataset, Deal, HashCheck, Lists, LoaderConfig,
    OnBadClip, Sample, StoredFrames, StreamKeys, sampler,
};
use incdec::hint::Hint;
use incdec::parquet_file::{self, Provenance};
use incdec::shard::{
    ClipHead, Codec, IndexRow, NewClip, ShardWriter, ShardWriterConfig, Shards, SourceFacts,
    write_index,
};
use incdec::tables::{AvailabilityRow, Change, ClipStatus};
use turbojpeg::{Image, PixelFormat, Subsamp};

const KEYS: StreamKeys = StreamKeys { task: 1, epoch: 4 };

/// Small clips: 7 frames of 40 x 40, cropped to 32 x 32, two a batch, every frame drawing its own view.
const SMALL: LoaderConfig = LoaderConfig {
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
fn pixels(clip: usize, frame: usize, height: usize, width: usize) -> Vec<u8> {
    let mut rows = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let values = [y * 3 + clip * 20, x * 4 + frame * 9, x + y + clip * 7];
        rows.extend(values.map(|v| u8::try_from(v % 200).unwrap()));
    }
    rows
}

fn jpeg(pixels: &[u8], height: usize, width: usize) -> Vec<u8> {
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
fn store(folder: &Path) -> Vec<Sample> {
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

fn open(folder: &Path) -> Arc<Dataset> {
    let samples = store(folder);
    Arc::new(Dataset::new(
        Arc::new(Shards::open(folder).unwrap()),
        samples,
    ))
}

/// What a batch holds, in a form that compares.
#[derive(Clone, Debug, PartialEq)]
struct Content {
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

fn epoch(dataset: &Arc<Dataset>, config: &LoaderConfig, first_batch: usize) -> Vec<Content> {
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
fn other_epochs_tasks_and_seeds_see_other_views() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(folder.path());
    let view = |seed, keys| {
        let config = LoaderConfig { seed, ..SMALL };
        let mut batches = Batches::start(&dataset, vec![0, 1], keys, &config, 0);
        Content::of(&batches.next().unwrap().unwrap())
    };
    let base = view(3, KEYS);
    assert!(base == view(3, KEYS));
    assert!(base != view(4, KEYS));
    assert!(base != view(3, StreamKeys { task: 0, epoch: 4 }));
    assert!(base != view(3, StreamKeys { task: 1, epoch: 5 }));
}

#[test]
fn raw_frames_arrive_cropped_mirrored_and_repeated_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(folder.path());
    // Clip 2 is raw, 40 x 40, 5 frames; the loader wants 7.
    let centre = LoaderConfig {
        augment: Augment::None,
        ..SMALL
    };
    let batch = Batches::start(&dataset, vec![2], KEYS, &centre, 0)
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(batch.clips.size(), [1, 7, 32, 32, 3]);
    let got = Content::of(&batch).clips;
    for frame in 0..7 {
        let stored = pixels(2, frame % 5, 40, 40);
        for (y, x, c) in [(0, 0, 0), (31, 31, 2), (5, 17, 1)] {
            let expected = stored[((y + 4) * 40 + x + 4) * 3 + c];
            assert_eq!(got[((frame * 32 + y) * 32 + x) * 3 + c], expected);
        }
    }
    // A mirrored view is found among a few epochs, and is the mirror image of what its draw says.
    let config = LoaderConfig {
        augment: Augment::PerClip,
        ..SMALL
    };
    let mut mirrored = 0;
    for epoch in 0..8 {
        let keys = StreamKeys { task: 1, epoch };
        let view = incdec::data::augment::views(Augment::PerClip, 8, 5, 3, keys, 0)[0];
        let batch = Batches::start(&dataset, vec![2], keys, &config, 0)
            .next()
            .unwrap()
            .unwrap();
        let got = Content::of(&batch).clips;
        let stored = pixels(2, 1, 40, 40);
        for (y, x) in [(0, 0), (31, 0), (9, 30)] {
            let column = if view.mirrored { 31 - x } else { x };
            let from = ((y + view.top) * 40 + column + view.left) * 3;
            let to = ((32 + y) * 32 + x) * 3;
            assert_eq!(got[to..to + 3], stored[from..from + 3], "{view:?}");
        }
        mirrored += usize::from(view.mirrored);
    }
    assert!((1..8).contains(&mirrored));
}

#[test]
fn frames_stored_at_another_size_are_resized_as_pil_does() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(folder.path());
    // Clip 3 is 60 x 50; the whole resized frame is taken. Clip 3's frames are JPEG, so compare with the decoded image.
    let config = LoaderConfig {
        crop: 40,
        augment: Augment::None,
        ..SMALL
    };
    let batch = Batches::start(&dataset, vec![3], KEYS, &config, 0)
        .next()
        .unwrap()
        .unwrap();
    let got = Content::of(&batch).clips;
    let stored = turbojpeg::decompress(&jpeg(&pixels(3, 0, 60, 50), 60, 50), PixelFormat::RGB);
    let stored = stored.unwrap().pixels;
    // PIL's bilinear: a triangle as wide as the scale, weights normalised, computed here in floating point.
    let weights = |to: usize, from_size: f64| {
        let scale = from_size / 40.0;
        let centre = (to as f64 + 0.5) * scale;
        let first = (centre - scale + 0.5).max(0.0) as usize;
        let last = ((centre + scale + 0.5) as usize).min(from_size as usize);
        let raw: Vec<f64> = (first..last)
            .map(|i| (1.0 - ((i as f64 + 0.5 - centre) / scale).abs()).max(0.0))
            .collect();
        let sum: f64 = raw.iter().sum();
        raw.into_iter()
            .enumerate()
            .map(move |(i, w)| (first + i, w / sum))
            .collect::<Vec<_>>()
    };
    for (y, x) in (0..40).flat_map(|y| (0..40).map(move |x| (y, x))) {
        for c in 0..3 {
            let mut expected = 0.0;
            for (sy, wy) in weights(y, 60.0) {
                for (sx, wx) in weights(x, 50.0) {
                    expected += wy * wx * f64::from(stored[(sy * 50 + sx) * 3 + c]);
                }
            }
            let value = f64::from(got[(y * 40 + x) * 3 + c]);
            assert!(
                (value - expected).abs() <= 1.01,
                "({y}, {x}, {c}): {value}, {expected}"
            );
        }
    }
}

#[test]
fn a_damaged_or_vanished_shard_is_an_error_at_its_batch_with_the_clips_name() {
    let folder = tempfile::tempdir().unwrap();
    let samples = store(folder.path());
    // One bit in the midst of the raw clip 8: nothing but its hash can tell.
    let path = folder.path().join(&samples[8].shard);
    let mut bytes = std::fs::read(&path).unwrap();
    let wanted = pixels(8, 0, 40, 40);
    let at = bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
        .unwrap();
    bytes[at + 100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let dataset = Arc::new(Dataset::new(
        Arc::new(Shards::open(folder.path()).unwrap()),
        samples.clone(),
    ));
    for workers in [0, 2] {
        let config = LoaderConfig { workers, ..SMALL };
        let results: Vec<_> =
            Batches::start(&dataset, (0..9).collect(), KEYS, &config, 0).collect();
        assert!(results[..4].iter().all(Result::is_ok));
        let error = results[4].as_ref().unwrap_err();
        assert!(error.to_string().contains("clip8_000000_000010"), "{error}");
        assert!(error.hint().is_some());
    }

    // A clip that is sound, but not the one that the index names.
    let mut index: Vec<IndexRow> = parquet_file::read(&folder.path().join(IndexRow::FILE)).unwrap();
    let place = |row: &IndexRow| (row.shard.clone(), row.shard_row);
    let wanted = (Some(samples[3].shard.clone()), Some(samples[3].shard_row));
    let row = index.iter_mut().find(|row| place(row) == wanted).unwrap();
    row.content = Some("0".repeat(64));
    write_index(folder.path(), &index, &Provenance::default()).unwrap();
    let shards = Arc::new(Shards::open(folder.path()).unwrap());
    let dataset = Arc::new(Dataset::new(Arc::clone(&shards), samples.clone()));
    let mut batches = Batches::start(&dataset, vec![3], KEYS, &SMALL, 0);
    let error = batches.next().unwrap().unwrap_err();
    for words in [
        &samples[3].clip_id,
        &samples[3].shard,
        &format!("row {}", samples[3].shard_row),
        "not the one that the index has",
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(error.hint().unwrap().contains("make decode"));

    std::fs::remove_file(&path).unwrap();
    let dataset = Arc::new(Dataset::new(shards, samples));
    let config = LoaderConfig {
        workers: 2,
        ..SMALL
    };
    let vanished = path.file_name().unwrap().to_str().unwrap();
    let mut batches = Batches::start(&dataset, vec![8], KEYS, &config, 0);
    let error = batches.next().unwrap().unwrap_err().to_string();
    assert!(
        error.contains("clip8_000000_000010") && error.contains(vanished),
        "{error}"
    );
    assert!(batches.next().is_none());
}

/// Frames that are fine but for one clip, which fails in its own way.
struct Flaky {
    frame: Vec<u8>,
    bad: &'static str,
    how: Fault,
    loaded: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Panic,
    DamagedJpeg,
    Vanished,
    OtherClip,
    NoFrames,
    WrongSize,
}

impl ClipSource for Flaky {
    fn frames(
        &self,
        sample: &Sample,
        max_frames: usize,
        _: HashCheck,
    ) -> Result<StoredFrames<'_>, Box<dyn Error + Send + Sync>> {
        self.loaded.fetch_add(1, Ordering::SeqCst);
        let mut stored = StoredFrames {
            clip_id: ["c0", "c1", "c2", "c3", "c4", "c5"][usize::try_from(sample.shard_row)? % 6],
            codec: Codec::Jpeg,
            height: 40,
            width: 40,
            frames: vec![&self.frame[..]; max_frames],
        };
        if sample.clip_id == self.bad {
            match self.how {
                Fault::Panic => panic!("a defect in the decoder"),
                Fault::DamagedJpeg => stored.frames[3] = &self.frame[..self.frame.len() / 2],
                Fault::Vanished => return Err("train-00007.arrow is not there".into()),
                Fault::OtherClip => stored.clip_id = "c5",
                Fault::NoFrames => stored.frames.clear(),
                Fault::WrongSize => stored.width = 48,
            }
        }
        Ok(stored)
    }
}

fn flaky(clips: i64, how: Fault) -> Arc<Dataset> {
    let source = Flaky {
        frame: jpeg(&pixels(0, 0, 40, 40), 40, 40),
        bad: "c3",
        how,
        loaded: AtomicUsize::new(0),
    };
    let sample = |row: i64| Sample {
        clip_id: format!("c{}", row % 6),
        position: i32::try_from(row).unwrap(),
        label: row,
        subcategory: "yawning".to_owned(),
        shard: "train-00007.arrow".to_owned(),
        shard_row: row,
    };
    Arc::new(Dataset::new(
        Arc::new(source),
        (0..clips).map(sample).collect(),
    ))
}

#[test]
fn a_bad_clip_is_an_error_at_its_batch_instead_of_a_hang_and_the_rest_is_delivered() {
    for (how, words) in [
        (Fault::Panic, "a defect in the decoder"),
        (Fault::DamagedJpeg, "frame 3"),
        (Fault::Vanished, "train-00007.arrow is not there"),
        (Fault::OtherClip, "the shard has clip c5"),
        (Fault::NoFrames, "no frames"),
        (Fault::WrongSize, "40 x 40"),
    ] {
        for workers in [0, 1, 2, 5] {
            let config = LoaderConfig { workers, ..SMALL };
            let dataset = flaky(6, how);
            let results: Vec<_> =
                Batches::start(&dataset, (0..6).collect(), KEYS, &config, 0).collect();
            assert_eq!(results.len(), 3);
            assert!(results[0].is_ok() && results[2].is_ok());
            let error = results[1].as_ref().unwrap_err();
            assert!(
                matches!(error, DataError::Clip { batch: 1, clip_id, .. } if clip_id == "c3"),
                "{error}"
            );
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

#[test]
fn a_bad_clip_can_be_passed_over_and_is_counted() {
    for how in [Fault::Panic, Fault::DamagedJpeg, Fault::Vanished] {
        for workers in [0, 3] {
            let config = LoaderConfig {
                workers,
                on_bad_clip: OnBadClip::Skip,
                ..SMALL
            };
            let dataset = flaky(6, how);
            // The bad clip comes first in its batch, so the good one moves up.
            let order = vec![0, 1, 3, 2, 4, 3];
            let batches: Vec<Content> = Batches::start(&dataset, order, KEYS, &config, 0)
                .map(|batch| Content::of(&batch.unwrap()))
                .collect();
            assert_eq!(batches[0].skipped, [0usize; 0]);
            assert_eq!(
                (&batches[1].samples[..], &batches[1].skipped[..]),
                (&[2][..], &[3][..])
            );
            assert_eq!(
                (&batches[2].samples[..], &batches[2].skipped[..]),
                (&[4][..], &[3][..])
            );
            assert_eq!(batches[1].labels, [2]);
            assert_eq!(batches[1].clips.len(), 7 * 32 * 32 * 3);
        }
    }
    // A batch of bad clips alone is a batch without clips.
    let config = LoaderConfig {
        on_bad_clip: OnBadClip::Skip,
        ..SMALL
    };
    let dataset = flaky(6, Fault::NoFrames);
    let mut batches = Batches::start(&dataset, vec![3], KEYS, &config, 0);
    let batch = batches.next().unwrap().unwrap();
    assert_eq!(batch.clips.size(), [0, 7, 32, 32, 3]);
    assert_eq!(batch.labels.size(), [0]);
}

#[test]
fn dropping_an_epoch_early_never_hangs() {
    for (workers, queue_depth) in [(1, 1), (3, 1), (8, 4)] {
        for taken in [0, 1, 4] {
            let config = LoaderConfig {
                workers,
                queue_depth,
                ..SMALL
            };
            let dataset = flaky(600, Fault::Vanished);
            let mut batches = Batches::start(&dataset, (0..600).collect(), KEYS, &config, 0);
            for _ in 0..taken {
                batches.next();
            }
            drop(batches);
            // Every worker has been waited for: nobody else holds the data set.
            assert_eq!(Arc::strong_count(&dataset), 1);
        }
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
