//! Any bytes as a label table or as the taxonomy: an error or clips whose ids are safe file names, never a panic.
#![no_main]

use std::path::{Component, Path};

use incdec::labels::Labels;
use libfuzzer_sys::fuzz_target;

const TAXONOMY: &[u8] = b"Category,Subcategory\nfatigue,yawning\n";
const TABLE: &[u8] = b"label,youtube_id,time_start,time_end\nyawning,abcdefghijk,3,13\n";
const EMPTY: &[u8] = b"label,youtube_id,time_start,time_end\n";

fuzz_target!(|bytes: &[u8]| {
    // The first byte chooses the file that the rest becomes.
    let (taxonomy, train) = match bytes.split_first() {
        Some((b'c', bytes)) => (bytes, TABLE),
        Some((_, bytes)) => (TAXONOMY, bytes),
        None => return,
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("written")
    };
    write("classes.csv", taxonomy);
    write("train.csv", train);
    write("validation.csv", EMPTY);
    write("test.csv", EMPTY);
    if let Ok(labels) = Labels::read(folder.path()) {
        for (_, _, label) in labels.iter() {
            let file = label.clip.file_name();
            let stays = Path::new(&file)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            assert!(stays && !file.contains('\0'));
            assert!(label.class < labels.taxonomy.categories().len());
        }
    }
});
