//! The clips that a bundle brings along, decoded before it was packed: pictures as JPEG, which the toy of these tests has not.

use std::process::Command;

use crate::support::{binary, device_choice, root};

use super::toy::{summary, text};

#[test]
fn the_clips_of_a_bundle_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let toy = root().join("toy");
    let output = Command::new(binary("incdec-train"))
        .arg("--availability")
        .arg(toy.join("tasks/substitution/seed-0"))
        .arg("--shards")
        .arg(toy.join("shards"))
        .arg("--out")
        .arg(&run)
        .args(["--device", &device_choice().to_string(), "--threads", "1"])
        .args("--frames 4 --resize 72 --size 64 --epochs 1 --batch-size 8".split(' '))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(summary(&run)["tasks"].as_array().unwrap().len(), 2);
}
