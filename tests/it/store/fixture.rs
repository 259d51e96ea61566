//! Small shards, as a folder and as a bucket has them, and what is read of them.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use incdec::clip::Split;
use incdec::data::{
    Augment, Batches, DataError, Dataset, LoaderConfig, Sample, StreamKeys, sampler,
};
use incdec::parquet_file::Provenance;
use incdec::shard::{
    ClipHead, Codec, NewClip, Ranges, ShardSource, ShardStore, ShardWriter, ShardWriterConfig,
    Shards, SourceFacts, write_index,
};
use incdec::store::{HttpConfig, Link, RetryConfig, StoreConfig};
use incdec::tables::{ClipStatus, IndexRow};
use tempfile::TempDir;

/// Side of the stored frames, in pixels.
const SIDE: usize = 24;
const FRAMES: usize = 3;
/// Where the bucket has them.
pub(super) const PREFIX: &str = "bucket/some/shards";
/// More bytes than all files of a test together.
pub(super) const AMPLE: u64 = 1 << 30;

/// Shards of raw frames in a folder.
pub(super) struct Fixture {
    folder: TempDir,
}

impl Fixture {
    /// This many shards of this many clips; `light` makes other frames of the same clips.
    pub(super) fn new(shards: usize, clips: usize, light: u8) -> Self {
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let rows = shards * clips;
        let clips_per_shard = NonZeroU32::new(u32::try_from(clips).unwrap()).unwrap();
        let config = ShardWriterConfig {
            ranges: Ranges::new(clips_per_shard, [rows, 0, 0]),
            ..ShardWriterConfig::default()
        };
        let mut writer = ShardWriter::new(&fixture.shards(), Provenance::default(), config);
        let rows: Vec<_> = (0..rows)
            .map(|row| writer.push(&clip(row, light)).unwrap())
            .collect();
        assert_eq!(writer.finish().unwrap().len(), shards);
        write_index(&fixture.shards(), &rows, &Provenance::default()).unwrap();
        fixture
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn shards(&self) -> PathBuf {
        self.at("shards")
    }

    /// The files as a bucket has them.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.shards()).unwrap().map(Result::unwrap);
        let file = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().unwrap();
            (format!("{PREFIX}/{name}"), fs::read(entry.path()).unwrap())
        };
        entries.map(file).collect()
    }

    /// The size of the largest shard, and of the index.
    pub(super) fn sizes(&self) -> (u64, u64) {
        let files = self.files();
        let (index, shards): (Vec<_>, Vec<_>) = files
            .iter()
            .partition(|(name, _)| name.ends_with(IndexRow::FILE));
        let largest = shards.iter().map(|(_, bytes)| bytes.len()).max().unwrap();
        (largest as u64, index[0].1.len() as u64)
    }

    /// The bucket at an endpoint, with a cache of its own.
    pub(super) fn store(&self, endpoint: &str, cache: &str, cache_bytes: u64) -> ShardStore {
        ShardStore {
            http: HttpConfig {
                stall: Duration::from_secs(20),
                store: StoreConfig {
                    endpoint: Some(endpoint.into()),
                    ..StoreConfig::default()
                },
                ..HttpConfig::default()
            },
            retry: RetryConfig {
                tries: 3,
                first_wait: Duration::from_millis(1),
            },
            cache: Some(self.at(cache)),
            cache_bytes,
            ..ShardStore::new(Link::from(format!("s3://{PREFIX}")))
        }
    }

    /// The clips in the order of the index.
    pub(super) fn samples(&self) -> Vec<Sample> {
        let shards = Shards::open(&self.shards()).unwrap();
        let sample = |(position, row): (i32, &IndexRow)| Sample {
            clip_id: row.clip_id.clone(),
            position,
            label: i64::from(position % 3),
            subcategory: "texting".to_owned(),
            shard: row.shard.clone().unwrap(),
            shard_row: row.shard_row.unwrap(),
        };
        (0..).zip(shards.index()).map(sample).collect()
    }
}

fn clip(row: usize, light: u8) -> NewClip {
    let frame = |frame: usize| {
        let value = |i: usize| u8::try_from((i + 31 * row + 7 * frame) % 200).unwrap() ^ light;
        (0..SIDE * SIDE * 3).map(value).collect()
    };
    NewClip {
        clip_id: format!("clip{row:07}_000000_000010"),
        split: Split::Train,
        label_row: row,
        frames: (0..FRAMES).map(frame).collect(),
        head: ClipHead {
            codec: Codec::Raw,
            height: SIDE.try_into().unwrap(),
            width: SIDE.try_into().unwrap(),
            fps: 5.0,
            source: SourceFacts::default(),
            status: ClipStatus::Ok,
            error: None,
        },
    }
}

/// The shards of a store.
pub(super) fn open(store: ShardStore) -> Shards {
    Shards::at(&ShardSource::Store(Box::new(store))).unwrap()
}

/// Some epochs, each as the bytes of its batches.
pub(super) fn epochs(list: &Arc<Dataset>, workers: usize) -> Result<Vec<Vec<u8>>, DataError> {
    let config = LoaderConfig {
        batch_size: 2,
        frames: FRAMES + 1,
        resize: SIDE,
        crop: SIDE - 4,
        workers,
        augment: Augment::PerFrame,
        seed: 5,
        ..LoaderConfig::default()
    };
    let in_order = (0..list.len()).collect::<Vec<_>>();
    let random = |epoch| sampler::balanced(list.len(), 5, StreamKeys { task: 0, epoch });
    let mut read = Vec::new();
    for (epoch, order) in (0..).zip([random(0), in_order, random(2)]) {
        let mut bytes = Vec::new();
        let keys = StreamKeys { task: 0, epoch };
        for batch in Batches::start(list, order, keys, &config, 0) {
            bytes.extend(Vec::<u8>::try_from(batch?.clips.flatten(0, -1)).unwrap());
        }
        read.push(bytes);
    }
    Ok(read)
}

/// The clips of a store as a list.
pub(super) fn list(shards: Shards, samples: Vec<Sample>) -> Arc<Dataset> {
    Arc::new(Dataset::new(Arc::new(shards), samples))
}

/// The files below a cache, by the last part of their names, with their sizes.
pub(super) fn cached(cache: &Path) -> BTreeMap<String, u64> {
    let files = walkdir::WalkDir::new(cache).into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file() && entry.depth() == 2);
    let sized = files.map(|entry| {
        let bytes = entry.metadata().unwrap().len();
        (entry.file_name().to_str().unwrap().to_owned(), bytes)
    });
    sized.collect()
}
