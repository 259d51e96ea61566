//! Any bytes as a label table: an error or clips whose ids are safe file names, never a panic.
#![no_main]

use incdec::labels::Labels;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
    write("classes.csv", b"Category,Subcategory\nfatigue,yawning\n");
    write("train.csv", bytes);
    write("validation.csv", b"label,youtube_id,time_start,time_end\n");
    write("test.csv", b"label,youtube_id,time_start,time_end\n");
    if let Ok(labels) = Labels::read(folder.path()) {
        for (_, _, label) in labels.iter() {
            assert!(!label.clip.file_name().contains(['/', '\0']));
        }
    }
});
