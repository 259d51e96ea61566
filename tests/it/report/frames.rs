//! Frames of what was withdrawn or lost, for those who ask for them.

use std::path::Path;

use incdec::clip::Split;
use incdec::parquet_file::{self, Provenance};
use incdec::shard::{
    ClipHead, Codec, NewClip, ShardWriter, ShardWriterConfig, SourceFacts, write_index,
};
use incdec::tables::{AvailabilityRow, ClipStatus};

use super::config;
use super::fake::DECREMENTAL;
use super::page::written;

/// Writes shards of every test clip of a run, each with frames that tell it.
pub(crate) fn write_shards(run: &Path, shards: &Path) {
    let lists: Vec<AvailabilityRow> =
        parquet_file::read(&run.join("availability.parquet")).unwrap();
    let provenance = Provenance::default();
    let mut writer = ShardWriter::new(shards, provenance.clone(), ShardWriterConfig::default());
    let clips = lists
        .iter()
        .filter(|r| r.task == 0 && r.split == Split::Test);
    let mut index = Vec::new();
    for row in clips {
        let frame = |k: u8| [&b"\xff\xd8"[..], row.clip_id.as_bytes(), &[k]].concat();
        let clip = NewClip {
            clip_id: row.clip_id.clone(),
            split: row.split,
            label_row: 0,
            frames: vec![frame(0), frame(1), frame(2), frame(3)],
            head: ClipHead {
                codec: Codec::Jpeg,
                height: 1,
                width: 1,
                fps: 5.0,
                source: SourceFacts::default(),
                status: ClipStatus::Ok,
                error: None,
            },
        };
        index.push(writer.push(&clip).unwrap());
    }
    writer.finish().unwrap();
    write_index(shards, &index, &provenance).unwrap();
}

#[test]
fn frames_of_what_was_withdrawn_are_shown_only_where_they_are_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    let shards = root.path().join("shards");
    write_shards(&folder, &shards);
    let mut config = config(root.path(), vec![folder]);
    assert!(!written(&config).contains("<img"));
    config.frames = Some(shards.into());
    let page = written(&config);
    // Twelve subcategories, three frames of each, and nothing that is loaded.
    assert_eq!(page.matches("<img").count(), 36);
    assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), 36);
    assert!(page.contains("withdrawn at task "));
    assert!(page.contains(", frame 3 of 3\""));
}
