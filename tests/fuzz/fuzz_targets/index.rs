//! Any bytes as `index.parquet`: an error or rows, never a panic.

#![no_main]

use std::path::Path;

use incdec::shard::{INDEX_FILE, Shards};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir_in(Path::new("/dev/shm")).expect("a folder");
    std::fs::write(folder.path().join(INDEX_FILE), bytes).expect("write the input");
    if let Ok(shards) = Shards::open(folder.path()) {
        std::hint::black_box(shards.index().len());
    }
});
