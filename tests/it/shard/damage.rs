//! Shards that are absent, foreign or damaged.

use std::fs;
use std::sync::LazyLock;

use incdec::clip::Split;
use incdec::parquet_file::{Provenance, TableError};
use incdec::shard::{IndexRow, Shard, ShardError, Shards, write_index};

use proptest::prelude::*;

use super::{clip, some_clips, write};

#[test]
fn absent_foreign_and_wrongly_asked_shards_are_errors_that_say_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Shards::open(folder.path()),
        Err(ShardError::Table(TableError::Artifact(_)))
    ));
    write(folder.path(), &some_clips(), 3);
    let shards = Shards::open(folder.path()).unwrap();
    assert!(matches!(
        shards.clip("../x", 0),
        Err(ShardError::NoSuchShard { .. })
    ));
    assert!(matches!(
        shards.clip("train-00000.arrow", -1),
        Err(ShardError::NoSuchRow { .. })
    ));
    assert!(matches!(
        shards.clip("train-00000.arrow", 99),
        Err(ShardError::NoSuchRow { rows: 3, .. })
    ));
    fs::remove_file(folder.path().join("train-00001.arrow")).unwrap();
    assert!(matches!(
        shards.clip("train-00001.arrow", 0),
        Err(ShardError::Artifact(_))
    ));
    fs::copy(
        folder.path().join(IndexRow::FILE),
        folder.path().join("train-00001.arrow"),
    )
    .unwrap();
    assert!(matches!(
        shards.clip("train-00001.arrow", 0),
        Err(ShardError::Damaged { .. })
    ));
    // A row of the index that points out of the folder is refused at once.
    let mut rows = shards.index().to_vec();
    rows[0].shard = Some("../../etc/passwd".into());
    write_index(folder.path(), &rows, &Provenance::default()).unwrap();
    assert!(matches!(
        Shards::open(folder.path()),
        Err(ShardError::NoSuchShard { .. })
    ));
}

#[test]
fn a_flipped_bit_in_a_frame_is_found_by_the_hash() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[clip(1, Split::Train, 2)], 3);
    let path = folder.path().join("train-00000.arrow");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(60)
        .position(|w| w.iter().all(|&b| b == 8))
        .unwrap();
    bytes[at + 30] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(!Shard::open(&path).unwrap().clip(0).unwrap().intact());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_bytes_anywhere_are_errors_or_other_content_but_never_a_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), &[clip(1, Split::Train, 2), clip(3, Split::Train, 3)], 3);
            fs::read(folder.path().join("train-00000.arrow")).unwrap()
        });
        let mut bytes = SOUND.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        if let Ok(shard) = Shard::open(file.path()) {
            for row in 0..i64::try_from(shard.len()).unwrap() {
                if let Ok(clip) = shard.clip(row) {
                    let _ = clip.intact();
                }
            }
        }
    }
}

#[test]
fn an_index_that_the_parquet_package_panics_at_is_an_error() {
    // Found by the fuzz target `index`: the metadata place a column before the beginning of the file.
    let damaged = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/damaged/column-before-the-file.parquet"
    );
    let folder = tempfile::tempdir().unwrap();
    fs::copy(damaged, folder.path().join(IndexRow::FILE)).unwrap();
    let error = Shards::open(folder.path()).map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(IndexRow::FILE) && text.contains("should not be negative"),
        "{text}"
    );
}
