//! What make says of itself, and the targets of the first ten minutes.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;

use super::{BINARY, Checkout, text};
use crate::support::root;

#[test]
fn help_lists_every_setting_with_its_meaning_and_its_value() {
    let checkout = Checkout::new();
    let secret = "SOURCE=https://me:hush@host.example/k?key=hush";
    let output = checkout.make(&["help", "FPS=7", secret]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    // The settings that the Makefile takes, by its own list of them.
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let of = |list: &str| -> BTreeSet<String> {
        let (_, rest) = makefile.split_once(&format!("\n{list} := ")).unwrap();
        let rest = rest.replace("\\\n", " ");
        let line = rest.lines().next().unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    let settings: BTreeSet<String> = ["PATHS", "LISTS", "FLAGS", "WORDS"]
        .into_iter()
        .flat_map(of)
        .collect();
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
fn trying_runs_what_was_asked_for_on_the_demos_data_and_says_where_the_page_is() {
    let checkout = Checkout::new();
    fs::remove_file(checkout.at("bin/incdec-toy")).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_incdec-toy"),
        checkout.at("bin/incdec-toy"),
    )
    .unwrap();
    // A port that was free a moment ago.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let port = format!("DEMO_PORT={port}");
    let toy = "DEMO_TOY=--train 1 --validation 0 --test 0 --seconds 0.2 --size 16 --fps 5";
    let asked = ["try", "SCENARIO=decremental", "APPROACH=ewc", "SEED=3"];
    let output = checkout.make(&asked).args([&port, toy]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let page = "demo/runs/decremental-ewc-seed-3/report.html";
    assert!(said.contains(page), "{said}");
    assert!(checkout.at(page).exists());
    let arguments = checkout.arguments("train");
    for wanted in ["ewc", "3", "demo/tasks/decremental/seed-3", "--epochs"] {
        assert!(
            arguments.iter().any(|a| a == wanted),
            "{wanted}: {arguments:?}"
        );
    }
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
