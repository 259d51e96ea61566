//! Shards and clips that cannot be read, and epochs that are left early.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use incdec::data::{
    Batches, ClipSource, DataError, Dataset, HashCheck, LoaderConfig, OnBadClip, Sample,
    StoredFrames,
};
use incdec::hint::Hint;
use incdec::parquet_file::{self, Provenance};
use incdec::shard::{Codec, IndexRow, Shards, write_index};

use super::{Content, KEYS, SMALL, jpeg, pixels, store};

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
    frame: Bytes,
    bad: &'static str,
    how: Fault,
    loaded: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
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
    ) -> Result<StoredFrames, Box<dyn Error + Send + Sync>> {
        self.loaded.fetch_add(1, Ordering::SeqCst);
        let mut stored = StoredFrames {
            clip_id: format!("c{}", sample.shard_row % 6),
            codec: Codec::Jpeg,
            height: 40,
            width: 40,
            frames: vec![self.frame.clone(); max_frames],
        };
        if sample.clip_id == self.bad {
            match self.how {
                Fault::Panic => panic!("a defect in the decoder"),
                Fault::DamagedJpeg => stored.frames[3] = self.frame.slice(..self.frame.len() / 2),
                Fault::Vanished => return Err("train-00007.arrow is not there".into()),
                Fault::OtherClip => "c5".clone_into(&mut stored.clip_id),
                Fault::NoFrames => stored.frames.clear(),
                Fault::WrongSize => stored.width = 48,
            }
        }
        Ok(stored)
    }
}

pub(super) fn flaky(clips: i64, how: Fault) -> Arc<Dataset> {
    let source = Flaky {
        frame: jpeg(&pixels(0, 0, 40, 40), 40, 40).into(),
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
