//! Any bytes as the index of a folder of shards: an error or rows, never a panic.
#![no_main]

use incdec::shard::{INDEX_FILE, Shards};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(INDEX_FILE), bytes).expect("written");
    if let Ok(shards) = Shards::open(folder.path()) {
        for row in shards.index().iter().take(64) {
            if let (Some(shard), Some(number)) = (&row.shard, row.shard_row) {
                assert!(shards.clip(shard, number).is_err(), "there is no shard in the folder");
            }
        }
    }
});
