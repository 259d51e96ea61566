//! `croissant.json` beside the manifest: what it says, and that other programs read the clips by it.

use std::fs;
use std::process::Command;

use incdec::manifest::{CROISSANT_FILE, run};
use incdec::tables::ClipStatus;

use super::Fixture;
use crate::support;

#[test]
fn croissant_json_says_what_the_table_is_and_names_no_clip() {
    let fixture = Fixture::new();
    let config = fixture.config();
    run(&config).unwrap();
    let path = config.out.with_file_name(CROISSANT_FILE);
    let text = fs::read_to_string(&path).unwrap();
    assert!(incdec::run_record::is_sealed_document(&path).unwrap());
    assert!(!text.contains("a_000000_000010"), "{text}");
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["@type"], "sc:Dataset");
    let said = found["description"].as_str().unwrap();
    assert!(
        said.contains("1 test, 3 train, 1 validation clips"),
        "{said}"
    );
    let sha256 = incdec::download::labels::sha256(&fs::read(&config.out).unwrap());
    assert_eq!(found["distribution"][0]["sha256"], sha256);
    assert_eq!(found["distribution"][0]["contentUrl"], "clips.parquet");
    let fields = found["recordSet"][0]["field"].as_array().unwrap();
    let status = fields.iter().find(|field| field["name"] == "status");
    let status = status.unwrap()["description"].as_str().unwrap();
    for word in ClipStatus::ALL {
        assert!(status.contains(word.name()), "{word}: {status}");
    }
    // The same inputs, the same bytes.
    run(&config).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn mlcroissant_takes_croissant_json_and_reads_the_clips_by_it() {
    let fixture = Fixture::new();
    let config = fixture.config();
    run(&config).unwrap();
    let script = "import sys, mlcroissant\n\
        data = mlcroissant.Dataset(sys.argv[1])\n\
        assert not data.metadata.ctx.issues.errors, data.metadata.ctx.issues.errors\n\
        rows = list(data.records('clips'))\n\
        print(len(rows), rows[0]['clips/clip_id'], rows[0]['clips/label'])";
    let output = Command::new(support::python())
        .args(["-c", script])
        .arg(config.out.with_file_name(CROISSANT_FILE))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let read = String::from_utf8_lossy(&output.stdout);
    assert_eq!(read.trim(), "5 b'a_000000_000010' 1", "{said}");
}
