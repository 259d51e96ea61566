//! Any bytes as label tables (the first line feed pair parts the taxonomy from the clips): an error or labels, never a panic.

#![no_main]

use std::path::Path;

use incdec::labels::Labels;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let part = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let (classes, clips) = bytes.split_at(part);
    let folder = tempfile::tempdir_in(Path::new("/dev/shm")).expect("a folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("write the input");
    write("classes.csv", classes);
    for name in ["train.csv", "validation.csv", "test.csv"] {
        write(name, clips.get(2..).unwrap_or_default());
    }
    if let Ok(labels) = Labels::read(folder.path()) {
        std::hint::black_box(labels.len());
    }
});
