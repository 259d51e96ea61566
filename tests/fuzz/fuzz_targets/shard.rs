//! Any bytes as a shard: an error or clips whose frames can be read to the last byte, never a panic.

#![no_main]

use std::path::Path;

use incdec::shard::Shard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir_in(Path::new("/dev/shm")).expect("a folder");
    let path = folder.path().join("train-00000.arrow");
    std::fs::write(&path, bytes).expect("write the input");
    let Ok(shard) = Shard::open(&path) else {
        return;
    };
    for row in 0..shard.len().min(64) {
        if let Ok(clip) = shard.clip(row as i64) {
            let bytes: usize = clip.frames().iter().map(|f| f.iter().map(|b| usize::from(*b)).sum::<usize>()).sum();
            std::hint::black_box((bytes, clip.intact()));
        }
    }
});
