//! What the pipeline leaves in the checkout is no part of it: least of all who withdrew.

use std::fs;
use std::process::Command;

use super::{Checkout, text};
use crate::support::root;

#[test]
fn git_adds_nothing_that_the_stages_make() {
    let checkout = Checkout::new();
    fs::create_dir_all(checkout.at("Kinetics")).unwrap();
    fs::rename(checkout.at("data/Info"), checkout.at("Kinetics/Info")).unwrap();
    fs::copy(root().join(".gitignore"), checkout.at(".gitignore")).unwrap();
    for name in [
        "Info/withdrawn.csv",
        "Info/.incdec.lock",
        "erasures.parquet",
        "log.jsonl",
        ".incdec.lock",
    ] {
        fs::write(checkout.at("Kinetics").join(name), "").unwrap();
    }
    let stages = [
        "DATA=Kinetics",
        "BIN=bin",
        "APPROACH=ridge",
        "BACKBONE=x",
        "report",
    ];
    let output = checkout.bare_make(&stages).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(checkout.take_ran().len(), 7);
    fs::create_dir_all(checkout.at("Kinetics/audit")).unwrap();
    fs::write(checkout.at("Kinetics/audit/audit.parquet"), "").unwrap();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(checkout.at(""));
        // The repository of a commit hook that runs these tests is another.
        for variable in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
            git.env_remove(variable);
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    git(&["init", "-q"]);
    git(&["add", "Kinetics"]);
    let added = git(&["ls-files", "Kinetics"]);
    let published = [
        "Kinetics/Info/classes.csv",
        "Kinetics/Info/subcategories_to_remove.csv",
        "Kinetics/Info/subcategories_to_substitute.csv",
    ];
    assert_eq!(added.lines().collect::<Vec<_>>(), published);
}
