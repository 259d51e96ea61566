//! Any bytes as a shard: an error or clips, never a panic or a read outside the map.
#![no_main]

use incdec::shard::Shard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("written");
    if let Ok(shard) = Shard::open(file.path()) {
        for row in 0..shard.len().min(64) as i64 {
            if let Ok(clip) = shard.clip(row) {
                let _ = clip.intact();
            }
        }
    }
});
