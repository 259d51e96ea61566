//! Shards on disk: bytes, order, limits, damage.

mod damage;
mod deleting;

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

use arrow::array::RecordBatch;
use incdec::clip::Split;
use incdec::parquet_file::{self, Provenance, Table};
use incdec::shard::{
    ClipHead, Codec, IndexRow, NewClip, Ranges, Shard, ShardError, ShardWriter, ShardWriterConfig,
    Shards, SourceFacts, write_index,
};
use incdec::tables::ClipStatus;

pub(super) fn clip(n: usize, split: Split, frames: usize) -> NewClip {
    NewClip {
        clip_id: format!("clip{n}_000000_000010"),
        split,
        label_row: n,
        frames: (0..frames)
            .map(|f| vec![u8::try_from((n * 7 + f) % 256).unwrap(); 60])
            .collect(),
        head: ClipHead {
            codec: Codec::Raw,
            height: 4,
            width: 5,
            fps: 5.0,
            source: SourceFacts {
                fps: Some(29.97),
                frames_expected: n.is_multiple_of(2).then_some(50),
                frames_decoded: 50,
                codec: Some("h264".into()),
                ..SourceFacts::default()
            },
            status: if n.is_multiple_of(3) {
                ClipStatus::Partial
            } else {
                ClipStatus::Ok
            },
            error: n.is_multiple_of(3).then(|| "cut off".into()),
        },
    }
}

pub(super) fn cut(clips_per_shard: u32) -> ShardWriterConfig {
    let clips_per_shard = NonZeroU32::new(clips_per_shard).unwrap();
    ShardWriterConfig {
        ranges: Ranges::new(clips_per_shard, [10; 3]),
        ..ShardWriterConfig::default()
    }
}

pub(super) fn write(folder: &Path, clips: &[NewClip], clips_per_shard: u32) -> Vec<IndexRow> {
    let config = cut(clips_per_shard);
    let mut writer = ShardWriter::new(folder, Provenance::default(), config);
    let rows: Vec<_> = clips.iter().map(|c| writer.push(c).unwrap()).collect();
    writer.finish().unwrap();
    write_index(folder, &rows, &Provenance::default()).unwrap();
    rows
}

pub(super) fn some_clips() -> Vec<NewClip> {
    (0..10)
        .map(|n| {
            let split = if n < 7 { Split::Train } else { Split::Test };
            clip(n, split, 1 + n % 4)
        })
        .collect()
}

#[test]
fn what_was_stored_comes_back_from_the_shards_each_of_one_range_of_label_rows() {
    let folder = tempfile::tempdir().unwrap();
    let clips = some_clips();
    let rows = write(folder.path(), &clips, 3);
    let shards = Shards::open(folder.path()).unwrap();
    assert_eq!(shards.index(), rows);
    // Number r is that of the rows from 3 r on.
    let names: Vec<&str> = shards.names().collect();
    let expected = [
        "test-00002",
        "test-00003",
        "train-00000",
        "train-00001",
        "train-00002",
    ];
    assert_eq!(names, expected.map(|name| format!("{name}.arrow")));
    for (clip, row) in clips.iter().zip(&rows) {
        let name = row.shard.as_deref().unwrap();
        let stored = shards.clip(name, row.shard_row.unwrap()).unwrap();
        assert_eq!(stored.clip_id, clip.clip_id);
        assert_eq!(
            (stored.head.height, stored.head.width, stored.head.codec),
            (4, 5, Codec::Raw)
        );
        assert_eq!(
            stored.frames(),
            clip.frames.iter().map(Vec::as_slice).collect::<Vec<_>>()
        );
        assert_eq!(&stored.head.source, &clip.head.source);
        assert_eq!(Some(&stored.blake3[..]), row.content.as_deref());
        assert!(stored.intact());
        assert!(name.starts_with(clip.split.name()));
        let range = format!("-{:05}.arrow", clip.label_row / 3);
        assert!(name.ends_with(&range), "{name} {range}");
        // The shard alone gives the same row of the index.
        let shard = Shard::open(&folder.path().join(name)).unwrap();
        assert_eq!(
            &shard
                .index_row(row.shard_row.unwrap(), row.split, name)
                .unwrap(),
            row
        );
    }
}

#[test]
fn a_range_whose_number_is_taken_has_the_next_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    // Four ranges: the numbers of range 1 are 1, 5, 9, ...
    let config = ShardWriterConfig {
        taken: [1, 5, 6].map(|n| (Split::Train, n)).into(),
        ..cut(3)
    };
    let mut writer = ShardWriter::new(folder.path(), Provenance::default(), config);
    for n in [3, 4, 6] {
        writer.push(&clip(n, Split::Train, 1)).unwrap();
    }
    assert_eq!(
        writer.finish().unwrap(),
        ["train-00009.arrow", "train-00002.arrow"]
    );
}

#[test]
fn the_same_clips_give_the_same_bytes_and_no_other_files() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(a.path(), &some_clips(), 3);
    write(b.path(), &some_clips(), 3);
    let mut names: Vec<_> = fs::read_dir(a.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    for name in &names {
        assert_eq!(
            fs::read(a.path().join(name)).unwrap(),
            fs::read(b.path().join(name)).unwrap(),
            "{name:?}"
        );
    }
    assert_eq!(fs::read_dir(b.path()).unwrap().count(), names.len());
}

#[test]
fn a_dropped_writer_leaves_closed_shards_and_nothing_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::new(folder.path(), Provenance::default(), cut(1));
    for n in 0..3 {
        writer.push(&clip(n, Split::Train, 1)).unwrap();
    }
    assert_eq!(
        writer.published(),
        ["train-00000.arrow", "train-00001.arrow"]
    );
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn clips_that_cannot_be_stored_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::new(
        folder.path(),
        Provenance::default(),
        ShardWriterConfig::default(),
    );
    let empty = NewClip {
        frames: Vec::new(),
        ..clip(1, Split::Train, 1)
    };
    let wrong = NewClip {
        head: ClipHead {
            height: 5,
            ..clip(1, Split::Train, 1).head
        },
        ..clip(1, Split::Train, 1)
    };
    let failed = NewClip {
        head: ClipHead {
            status: ClipStatus::Failed,
            ..clip(1, Split::Train, 1).head
        },
        ..clip(1, Split::Train, 1)
    };
    for (bad, reason) in [
        (empty, "no frames"),
        (wrong, "60 bytes instead of 75"),
        (failed, "Failed"),
    ] {
        let error = writer.push(&bad).unwrap_err();
        assert!(matches!(error, ShardError::Clip { .. }));
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.to_string().contains("clip1_000000_000010"));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_shard_holds_frames_of_one_codec_and_one_split() {
    let folder = tempfile::tempdir().unwrap();
    let clips: Vec<_> = [
        (0, Codec::Raw),
        (1, Codec::Jpeg),
        (2, Codec::Jpeg),
        (3, Codec::Raw),
    ]
    .into_iter()
    .map(|(n, codec)| NewClip {
        head: ClipHead {
            codec,
            ..clip(n, Split::Train, 1).head
        },
        ..clip(n, Split::Train, 1)
    })
    .chain([clip(4, Split::Test, 1)])
    .collect();
    let places: Vec<_> = write(folder.path(), &clips, u32::MAX)
        .into_iter()
        .map(|row| (row.shard.unwrap(), row.shard_row.unwrap()))
        .collect();
    let expected = [
        ("train-00000.arrow", 0),
        ("train-00001.arrow", 0),
        ("train-00001.arrow", 1),
        ("train-00002.arrow", 0),
        ("test-00000.arrow", 0),
    ];
    assert_eq!(places, expected.map(|(shard, row)| (shard.to_owned(), row)));
}

#[test]
fn raw_frames_are_slices_of_one_map() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[clip(1, Split::Train, 3)], 3);
    let shards = Shards::open(folder.path()).unwrap();
    let (first, again) = (
        shards.clip("train-00000.arrow", 0).unwrap(),
        shards.clip("train-00000.arrow", 0).unwrap(),
    );
    for i in 0..3 {
        // Nothing was copied: asked for twice, a frame lies at the same place, behind the one before it.
        assert_eq!(first.frame(i).as_ptr(), again.frame(i).as_ptr());
        assert_eq!(
            first.frame(i).as_ptr(),
            first.frame(0).as_ptr().wrapping_add(60 * i)
        );
    }
}

#[test]
fn the_index_is_read_by_column() {
    let folder = tempfile::tempdir().unwrap();
    let rows = write(folder.path(), &some_clips(), 3);
    let batches = parquet_file::read_batches(
        &folder.path().join(IndexRow::FILE),
        &IndexRow::FORMAT,
        Some(&["status", "shard_row"]),
    )
    .unwrap();
    assert_eq!(
        batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
        rows.len()
    );
    assert!(batches.iter().all(|b| b.num_columns() == 2));
}

#[test]
fn jpeg_rows_come_back_like_raw_ones() {
    let folder = tempfile::tempdir().unwrap();
    let clips: Vec<_> = some_clips()
        .into_iter()
        .map(|c| NewClip {
            frames: c.frames.iter().map(|f| f[..f.len() / 2].to_vec()).collect(),
            head: ClipHead {
                codec: Codec::Jpeg,
                ..c.head
            },
            ..c
        })
        .collect();
    let rows = write(folder.path(), &clips, 3);
    let shards = Shards::open(folder.path()).unwrap();
    for (clip, row) in clips.iter().zip(&rows) {
        let stored = shards
            .clip(row.shard.as_deref().unwrap(), row.shard_row.unwrap())
            .unwrap();
        assert_eq!(
            stored.frames(),
            clip.frames.iter().map(Vec::as_slice).collect::<Vec<_>>()
        );
        assert!(stored.intact());
    }
}
