//! Clips that leave their shards.

use std::fs;
use std::path::Path;

use incdec::shard::Shards;

use super::{some_clips, write};
use crate::support::delete_clips;

#[test]
fn deleting_clips_rewrites_only_the_shards_that_hold_them() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &some_clips(), 3);
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let names: Vec<String> = Shards::open(folder.path())
        .unwrap()
        .names()
        .map(str::to_owned)
        .collect();
    let before: Vec<_> = names.iter().map(|n| read(n)).collect();
    let gone = [
        "clip1_000000_000010",
        "clip9_000000_000010",
        "never_000000_000010",
    ];
    let gone: std::collections::BTreeSet<String> = gone.iter().map(ToString::to_string).collect();
    let deleted = delete_clips(folder.path(), &gone).unwrap();
    assert_eq!((deleted.clips, deleted.rows), (2, 2));
    for (name, bytes) in names.iter().zip(before) {
        if deleted.removed.contains(name) {
            assert!(!folder.path().join(name).exists());
        } else {
            assert_eq!(read(name), bytes, "{name}");
        }
    }
    let shards = Shards::open(folder.path()).unwrap();
    assert_eq!(shards.index().len(), 8);
    for row in shards.index() {
        let stored = shards
            .clip(row.shard.as_deref().unwrap(), row.shard_row.unwrap())
            .unwrap();
        assert_eq!(stored.clip_id, row.clip_id);
        assert_eq!(
            Some(&stored.blake3[..]),
            row.content.as_deref(),
            "the row itself is unchanged"
        );
        assert!(stored.intact());
    }
    // No file in the folder holds a byte of the deleted clips' names.
    for entry in fs::read_dir(folder.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(5).any(|w| w == b"clip9"));
    }
    assert_eq!(
        delete_clips(folder.path(), &gone).unwrap(),
        incdec::shard::Deleted::default()
    );
}

#[test]
fn a_deletion_that_was_stopped_midway_is_finished_by_the_next_one() {
    let gone = std::collections::BTreeSet::from(["clip1_000000_000010".to_owned()]);
    let content = |folder: &Path| {
        let shards = Shards::open(folder).unwrap();
        let clips = shards.index().iter().map(|row| {
            let stored = shards.clip(row.shard.as_deref().unwrap(), row.shard_row.unwrap());
            let stored = stored.unwrap();
            (stored.clip_id.clone(), stored.intact(), row.content.clone())
        });
        clips.collect::<Vec<_>>()
    };
    let files = |folder: &Path| incdec::shard::shard_files(folder).unwrap();
    let (done, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [done.path(), stopped.path()] {
        write(folder, &some_clips(), 3);
    }
    let deleted = delete_clips(done.path(), &gone).unwrap();
    let expected = content(done.path());
    assert_eq!((deleted.removed.len(), deleted.written.len()), (1, 1));

    // Stopped before the index: the new shard lies beside the old one, unnamed.
    let copy = |name: &str| {
        fs::copy(done.path().join(name), stopped.path().join(name)).unwrap();
    };
    copy(&deleted.written[0]);
    delete_clips(stopped.path(), &gone).unwrap();
    assert_eq!(content(stopped.path()), expected);
    assert_eq!(files(stopped.path()).len(), files(done.path()).len());

    // Stopped after the index: the old shard is still there, unnamed.
    write(done.path(), &some_clips(), 3);
    fs::copy(
        done.path().join(&deleted.removed[0]),
        stopped.path().join(&deleted.removed[0]),
    )
    .unwrap();
    delete_clips(stopped.path(), &gone).unwrap();
    assert_eq!(content(stopped.path()), expected);
    assert!(!stopped.path().join(&deleted.removed[0]).exists());
}
