//! Any bytes as the index of a folder of shards: an error or rows, never a panic.
#![no_main]

use std::sync::Once;

use incdec::shard::Shards;
use incdec::tables::IndexRow;
use libfuzzer_sys::fuzz_target;

/// What the library catches and gives as an error is no finding; what it does not catch still ends the run.
static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| ())));
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(IndexRow::FILE), bytes).expect("written");
    if let Ok(shards) = Shards::open(folder.path()) {
        for row in shards.index().iter().take(64) {
            if let (Some(shard), Some(number)) = (&row.shard, row.shard_row) {
                assert!(
                    shards.clip(shard, number).is_err(),
                    "there is no shard in the folder"
                );
            }
        }
    }
});
