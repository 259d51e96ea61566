//! `make try`: a run of one's own on the demo's data, by every approach.

use std::process::Command;

use incdec::train::settings::ApproachName;

use super::demo::{TOY, checkout, free_port};
use super::{Checkout, text};
use crate::support::binary;

/// The weights through which heads on features see the clips where nothing else is given.
const DEMO_BACKBONE: &str = "demo/runs/substitution-finetune-seed-0/checkpoints/task-0.safetensors";

/// A checkout whose demo is always served under one address: another one has everything fetched
/// anew.
struct Playground {
    checkout: Checkout,
    port: String,
}

impl Playground {
    fn new() -> Self {
        Self {
            checkout: checkout(),
            port: free_port(),
        }
    }

    /// Tries with these settings, and gives the programs that ran and what make said.
    fn tried(&self, settings: &[&str]) -> (Vec<String>, String) {
        let mut make = self.checkout.make(&["try", TOY, &self.port]);
        let output = make.args(settings).output().unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{settings:?}: {said}");
        (self.checkout.take_ran(), said)
    }

    /// What a program was last given.
    fn arguments(&self, name: &str) -> Vec<String> {
        self.checkout.arguments(name)
    }
}

/// What stands behind a flag, the last time that it is given.
fn value<'a>(arguments: &'a [String], flag: &str) -> Option<&'a str> {
    let at = arguments.iter().rposition(|argument| argument == flag)?;
    arguments.get(at + 1).map(String::as_str)
}

#[test]
fn trying_runs_what_was_asked_for_on_the_demos_data_and_says_where_the_page_is() {
    let playground = Playground::new();
    let asked = ["SCENARIO=decremental", "APPROACH=ewc", "SEED=3"];
    let (_, said) = playground.tried(&asked);
    let page = "demo/runs/decremental-ewc-seed-3/report.html";
    assert!(said.contains(page), "{said}");
    assert!(playground.checkout.at(page).exists());
    let arguments = playground.arguments("train");
    for (flag, expected) in [
        ("--approach", "ewc"),
        ("--seed", "3"),
        ("--availability", "demo/tasks/decremental/seed-3"),
        ("--epochs", "1"),
        ("--sampler", "imbalanced"),
        ("--device", "cpu"),
    ] {
        assert_eq!(value(&arguments, flag), Some(expected), "{arguments:?}");
    }
}

#[test]
fn flags_and_a_device_of_ones_own_come_after_the_demos() {
    let playground = Playground::new();
    let flags = "TRAIN_FLAGS=--epochs 9 --sampler 'balanced'";
    playground.tried(&[flags, "DEVICE=cuda:1"]);
    let arguments = playground.arguments("train");
    for (flag, expected) in [
        ("--epochs", "9"),
        ("--sampler", "balanced"),
        ("--device", "cuda:1"),
        ("--frames", "4"),
    ] {
        assert_eq!(value(&arguments, flag), Some(expected), "{arguments:?}");
    }
}

#[test]
fn every_approach_can_be_tried_and_is_trained_by_flags_that_it_takes() {
    let playground = Playground::new();
    for approach in ApproachName::ALL {
        let (ran, _) = playground.tried(&[&format!("APPROACH={approach}")]);
        let arguments = playground.arguments("train");
        assert_eq!(value(&arguments, "--approach"), Some(approach.name()));
        let on_features = value(&arguments, "--features");
        let features = "demo/features/features.parquet";
        assert_eq!(
            on_features,
            approach.is_on_features().then_some(features),
            "{ran:?}"
        );
        // The true program takes them: what it misses is the tables, which nobody has filled here.
        let output = Command::new(binary("incdec-train"))
            .args(&arguments)
            .args(["--out", "true-run"])
            .current_dir(playground.checkout.at(""))
            .output()
            .unwrap();
        let said = text(&output);
        assert!(!output.status.success());
        assert!(said.contains(".parquet"), "{approach}: {said}");
        assert!(!said.contains("error: --"), "{approach}: {said}");
    }
}

#[test]
fn heads_on_features_see_the_clips_through_the_demos_first_task_or_through_what_is_given() {
    let playground = Playground::new();
    let (ran, _) = playground.tried(&["APPROACH=ridge"]);
    let expected = "download decode manifest tasks train features train report";
    assert_eq!(ran.join(" "), expected);
    let arguments = playground.arguments("features");
    assert_eq!(value(&arguments, "--checkpoint"), Some(DEMO_BACKBONE));
    let (ran, _) = playground.tried(&["APPROACH=ranpac"]);
    assert_eq!(ran, ["train", "report"]);
    let (ran, _) = playground.tried(&["APPROACH=sisa", "BACKBONE=my weights.pt"]);
    assert_eq!(ran, ["features", "train", "report"]);
    let arguments = playground.arguments("features");
    assert_eq!(value(&arguments, "--checkpoint"), Some("my weights.pt"));
}

#[test]
fn features_without_weights_are_refused_with_the_places_of_some() {
    let checkout = Checkout::new();
    for (asked, by) in [
        (&["train", "APPROACH=ridge"][..], "APPROACH=ridge"),
        (&["features"], "make features"),
        (&["slurm", "APPROACH=sisa"], "APPROACH=sisa"),
    ] {
        let output = checkout.make(asked).output().unwrap();
        let said = text(&output);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains(&format!("{by} needs BACKBONE: ")), "{said}");
        assert!(said.contains("make weights") && said.contains(DEMO_BACKBONE));
    }
}
