//! Frames of what was withdrawn or lost, for those who ask for them.

use std::collections::BTreeSet;
use std::fs;
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
use crate::data::jpeg;

/// The test clips of a run, with their subcategories.
fn test_clips(folder: &Path) -> Vec<(String, String)> {
    let lists: Vec<AvailabilityRow> =
        parquet_file::read(&folder.join("availability.parquet")).unwrap();
    let clips = lists.into_iter();
    let clips = clips.filter(|row| row.task == 0 && row.split == Split::Test);
    clips.map(|row| (row.clip_id, row.subcategory)).collect()
}

/// Writes shards of every test clip of a run.
pub(crate) fn write_shards(run: &Path, shards: &Path) {
    write_frames(shards, &test_clips(run));
}

/// Shards of these test clips, of four frames each.
fn write_frames(shards: &Path, clips: &[(String, String)]) {
    const SIDE: usize = 16;
    let provenance = Provenance::default();
    let mut writer = ShardWriter::new(shards, provenance.clone(), ShardWriterConfig::default());
    let mut index = Vec::new();
    for (clip_id, _) in clips {
        let frame = |k: u8| jpeg(&[60 * k; SIDE * SIDE * 3], SIDE, SIDE);
        let clip = NewClip {
            clip_id: clip_id.clone(),
            split: Split::Test,
            label_row: 0,
            frames: (0..4).map(frame).collect(),
            head: ClipHead {
                codec: Codec::Jpeg,
                height: 16,
                width: 16,
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

/// The ids of the clips whose frames a page shows.
fn shown(page: &str) -> BTreeSet<&str> {
    let figures = page.split("<figure data-clip=\"").skip(1);
    figures
        .map(|text| text.split('"').next().unwrap())
        .collect()
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
    assert_eq!(shown(&page).len(), 12);
}

#[test]
fn no_frame_of_a_listed_clip_is_shown_and_the_next_clip_takes_its_place() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    let clips = test_clips(&folder);
    let shards = root.path().join("shards");
    write_frames(&shards, &clips);
    let mut config = config(root.path(), vec![folder]);
    config.frames = Some(shards.into());
    let page = written(&config);
    let before = shown(&page);
    let of = |shown: &BTreeSet<&str>| -> BTreeSet<String> {
        let clips = clips.iter().filter(|(id, _)| shown.contains(id.as_str()));
        clips.map(|(_, name)| name.clone()).collect()
    };
    let list = root.path().join("withdrawn.csv");
    let listed = |ids: &BTreeSet<&str>| {
        let lines = ids.iter().map(|id| format!("{id},2026-03-31,R-1\n"));
        let lines = lines.collect::<String>();
        fs::write(&list, format!("clip_id,withdrawn_on,request\n{lines}")).unwrap();
    };
    listed(&before);
    config.withdrawn = Some(list.clone());
    let without = written(&config);
    let after = shown(&without);
    assert!(after.is_disjoint(&before), "{after:?}");
    assert_eq!(of(&after), of(&before));
    // Nor is a subcategory left out because the clip that would be shown has no frames.
    let others = root.path().join("others");
    let stored = clips.iter().filter(|(id, _)| !before.contains(id.as_str()));
    write_frames(&others, &stored.cloned().collect::<Vec<_>>());
    (config.withdrawn, config.frames) = (None, Some(others.into()));
    assert_eq!(shown(&written(&config)), after);
}
