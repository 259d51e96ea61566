//! What make says of itself, and which settings it takes.

use std::collections::BTreeSet;
use std::fs;

use super::{BINARY, Checkout, text};
use crate::support::root;

/// The settings that the Makefile takes, by its own lists of them.
fn settings(makefile: &str) -> BTreeSet<String> {
    let of = |list: &str| -> BTreeSet<String> {
        let (_, rest) = makefile.split_once(&format!("\n{list} := ")).unwrap();
        let rest = rest.replace("\\\n", " ");
        let line = rest.lines().next().unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    let lists = ["PATHS", "LISTS", "FLAGS", "WORDS"];
    lists.into_iter().flat_map(of).collect()
}

#[test]
fn help_lists_every_setting_with_its_meaning_and_its_value() {
    let checkout = Checkout::new();
    let secret = "SOURCE=https://me:hush@host.example/k?key=hush";
    let output = checkout.make(&["help", "FPS=7", secret]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let settings = settings(&makefile);
    assert!(settings.len() > 50);
    let mut lines = said
        .lines()
        .skip_while(|line| !line.starts_with("Settings"));
    let mut listed = BTreeSet::new();
    while let Some(line) = lines.next() {
        let Some((name, meaning)) = line.trim().split_once(' ') else {
            continue;
        };
        if settings.contains(name) && line.starts_with("  ") {
            assert!(meaning.trim().len() > 10, "{line}");
            let now = lines.next().unwrap();
            assert!(now.trim().starts_with("now: "), "{line}: {now}");
            if name == "FPS" {
                assert_eq!(now.trim(), "now: 7");
            }
            listed.insert(name.to_owned());
        }
    }
    let missing: Vec<_> = settings.difference(&listed).collect();
    assert!(missing.is_empty(), "without a meaning: {missing:?}");
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn every_default_of_the_makefile_is_a_setting_that_make_takes() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let settings = settings(&makefile);
    let defaults = makefile.lines().filter_map(|line| line.split_once(" ?="));
    let defaults: BTreeSet<&str> = defaults.map(|(name, _)| name).collect();
    let taken: BTreeSet<&str> = settings.iter().map(String::as_str).collect();
    assert_eq!(defaults, taken);
    let checkout = Checkout::new();
    let asked = ["-n", "bench", "VIDEOS=my videos", "CLIP_LABELS=Info"];
    let said = text(&checkout.make(&asked).output().unwrap());
    assert_eq!(said.matches("--clips 'my videos'").count(), 2, "{said}");
    assert!(!said.contains("build/bench/clips"), "{said}");
}

#[test]
fn weights_are_fetched_by_their_name_into_a_folder_of_their_own() {
    let checkout = Checkout::new();
    checkout.install("weights", BINARY);
    assert_eq!(
        checkout.ran(&["weights", "WEIGHTS=kinetics-600-a1"]),
        ["weights"]
    );
    assert_eq!(
        checkout.arguments("weights"),
        [
            "fetch",
            "kinetics-600-a1",
            "--out",
            "weights/kinetics-600-a1.pt"
        ]
    );
}
