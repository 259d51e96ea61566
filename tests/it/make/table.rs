//! A table of experiments: which cells there are, what is passed over, and what becomes of one that fails or is ended.

use std::fs;
use std::process::{Command, Output, Stdio};

use super::signals::pid_of;
use super::{Checkout, text};
use crate::support::{is_running, wait_until};

/// A checkout with the true incdec-experiment, a manifest and shards.
fn checkout() -> Checkout {
    let checkout = Checkout::new();
    checkout.install_experiment();
    checkout.ran(&["manifest"]);
    checkout
}

/// incdec-experiment on that checkout, with a scenario and its methods, and with more flags.
fn table(checkout: &Checkout, scenarios: &str, methods: &str, flags: &str) -> Command {
    let mut command = Command::new(checkout.at("bin/incdec-experiment"));
    let places = "table --labels data/Info --manifest data/manifests/clips.parquet --shards data/shards \
        --tasks-dir data/tasks --runs data/runs --seeds 0";
    let words = format!("{places} --scenarios {scenarios} --methods {methods} {flags}");
    command
        .args(words.split_whitespace())
        .current_dir(checkout.at(""));
    command
}

fn run(checkout: &Checkout, scenarios: &str, methods: &str, flags: &str) -> Output {
    table(checkout, scenarios, methods, flags).output().unwrap()
}

/// Whether the run of this name is complete.
fn is_there(checkout: &Checkout, run: &str) -> bool {
    checkout.at(&format!("data/runs/{run}/run.json")).exists()
}

const CELLS: [&str; 4] = [
    "SCENARIOS=substitution decremental",
    "METHODS=finetune feature-extraction",
    "SEEDS=0 1",
    "REPRODUCE_TRAIN=--epochs 7 --sampler 'imbalanced'",
];

#[test]
fn every_scenario_method_and_seed_is_a_run_and_runs_of_a_scenario_and_seed_share_their_tasks() {
    let checkout = checkout();
    let arguments = [&CELLS[..], &["PRETRAINED=it's mine.pt", "reproduce"]].concat();
    let ran = checkout.ran(&arguments);
    let count = |name: &str| ran.iter().filter(|ran| *ran == name).count();
    assert_eq!(
        ["tasks", "train", "report"].map(count),
        [4, 8, 1],
        "{ran:?}"
    );
    assert_eq!(ran.len(), 13, "{ran:?}");
    let report = checkout.arguments("report");
    for scenario in ["substitution", "decremental"] {
        for method in ["finetune", "feature-extraction"] {
            for seed in [0, 1] {
                let run = format!("{scenario}-{method}-seed-{seed}");
                assert!(is_there(&checkout, &run), "{run}");
                assert!(
                    report.contains(&format!("data/runs/{run}")),
                    "{run}: {report:?}"
                );
            }
        }
        let made_by = checkout.at(&format!("data/tasks/{scenario}/seed-1/.made-by"));
        let schedule = "--schedule\ndata/Info/subcategories_to_remove.csv\n";
        let has_schedule = fs::read_to_string(made_by).unwrap().contains(schedule);
        assert_eq!(has_schedule, scenario == "decremental", "{scenario}");
    }
    for file in [
        "data/runs/reproduction.html",
        "data/runs/reproduction.parquet",
    ] {
        assert!(report.contains(&file.to_owned()), "{report:?}");
    }
    let train = checkout.arguments("train");
    let words = "--approach finetune --seed 1 --device auto --pretrained it's mine.pt --epochs 7 --sampler imbalanced \
        --preset feature-extraction";
    assert!(train.join(" ").ends_with(words), "{train:?}");
}

#[test]
fn a_second_call_only_writes_the_page_and_what_changed_is_run_again() {
    let checkout = checkout();
    let again = |more: &[&str]| checkout.ran(&[&CELLS[..], more, &["reproduce"]].concat());
    again(&[]);
    assert_eq!(again(&[]), ["report"]);
    fs::remove_file(checkout.at("data/runs/decremental-finetune-seed-1/run.json")).unwrap();
    assert_eq!(again(&[]), ["train", "report"]);
    // A new deal has its runs looked at again.
    fs::remove_file(checkout.at("data/tasks/substitution/seed-0/availability.parquet")).unwrap();
    assert_eq!(again(&[]), ["tasks", "train", "train", "report"]);
    let other = again(&["DEVICE=cpu"]);
    assert_eq!(other.iter().filter(|ran| *ran == "train").count(), 8);
    assert_eq!(other.len(), 9, "{other:?}");
}

#[test]
fn make_and_the_table_know_what_the_other_has_done() {
    let checkout = checkout();
    checkout.ran(&[&CELLS[..], &["reproduce"]].concat());
    let cell = [
        "SCENARIO=decremental",
        "SEED=1",
        "RUN=decremental-feature-extraction-seed-1",
        "TRAIN_FLAGS=--epochs 7 --sampler imbalanced --preset feature-extraction",
        "train",
    ];
    assert_eq!(checkout.ran(&cell), [""; 0]);
    fs::remove_file(checkout.at("data/runs/decremental-feature-extraction-seed-1/.made")).unwrap();
    assert_eq!(checkout.ran(&cell), ["train"]);
    assert_eq!(
        checkout.ran(&[&CELLS[..], &["reproduce"]].concat()),
        ["report"]
    );
}

#[test]
fn a_run_that_fails_ends_the_table_with_its_status() {
    let checkout = checkout();
    fs::write(checkout.at("bin/train.fails"), "ewc").unwrap();
    let output = run(&checkout, "substitution", "finetune ewc lwf", "");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("error: 2 of 3 runs are missing\n"), "{said}");
    let failure = "  substitution-ewc-seed-0: incdec-train ended with exit status: 65\n";
    assert!(said.contains(failure), "{said}");
    assert!(
        said.contains("hint: ") && said.contains("--keep-going"),
        "{said}"
    );
    assert_eq!(checkout.take_ran(), ["tasks", "train", "train"]);
    // Mended, it goes on where it ended.
    checkout.untell("train", "fails");
    assert!(
        run(&checkout, "substitution", "finetune ewc lwf", "")
            .status
            .success()
    );
    assert_eq!(checkout.take_ran(), ["train", "train", "report"]);
}

#[test]
fn a_run_that_fails_is_passed_over_where_asked_and_named_at_the_end() {
    let checkout = checkout();
    fs::write(checkout.at("bin/train.fails"), "ewc").unwrap();
    let output = run(
        &checkout,
        "substitution",
        "ewc finetune lwf",
        "--keep-going",
    );
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let failure = "error: 1 of 3 runs are missing\n  substitution-ewc-seed-0: incdec-train ended with exit status: 65\n";
    assert!(said.contains(failure), "{said}");
    assert_eq!(checkout.take_ran(), ["tasks", "train", "train", "train"]);
    // make hands its -k on, and no other flag.
    for (flag, scenario, trained) in [
        ("-k", "joint-incremental", 2),
        ("-s", "incremental-decremental", 1),
    ] {
        let scenario = format!("SCENARIOS={scenario}");
        let arguments = [flag, &scenario, "METHODS=ewc lwf", "SEEDS=0", "reproduce"];
        let output = checkout.make(&arguments).output().unwrap();
        assert!(!output.status.success());
        let ran = checkout.take_ran();
        let count = ran.iter().filter(|ran| *ran == "train").count();
        assert_eq!(count, trained, "{flag}: {ran:?}");
    }
}

#[test]
fn tasks_that_cannot_be_dealt_cost_their_own_runs_alone() {
    let checkout = checkout();
    fs::write(checkout.at("bin/tasks.fails"), "decremental").unwrap();
    let output = run(
        &checkout,
        "decremental substitution",
        "ewc lwf",
        "--keep-going",
    );
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let failure =
        "error: 2 of 4 runs are missing\n  tasks of decremental seed 0: incdec-tasks ended with";
    assert!(said.contains(failure), "{said}");
    assert!(is_there(&checkout, "substitution-lwf-seed-0"));
    assert!(!checkout.at("data/runs/decremental-lwf-seed-0").exists());
}

#[test]
fn jobs_train_that_many_runs_at_a_time() {
    let checkout = checkout();
    // Each run waits until there is another.
    checkout.install(
        "train",
        r#"#!/bin/bash
set -eu
here=${0%/*}
touch "$here/begun.$$"
for ((look = 0; look < 6000; look++)); do
    if [ "$(find "$here" -name 'begun.*' | wc -l)" -ge 2 ]; then echo x >"$6/run.json"; exit 0; fi
    sleep 0.01
done
exit 1
"#,
    );
    let output = run(&checkout, "substitution", "ewc lwf", "--jobs 2");
    assert!(output.status.success(), "{}", text(&output));
    assert!(is_there(&checkout, "substitution-ewc-seed-0"));
    assert!(is_there(&checkout, "substitution-lwf-seed-0"));
}

#[test]
fn however_the_table_is_ended_what_it_started_ends_too() {
    for signal in ["-TERM", "-INT", "-KILL"] {
        let checkout = checkout();
        checkout.tell("train", "waits");
        let mut child = table(&checkout, "substitution", "ewc", "")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = pid_of(&checkout.at("bin/train.pid"));
        assert!(is_running(&pid));
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        assert!(!child.wait().unwrap().success());
        wait_until("the end of the run", || !is_running(&pid));
    }
}

#[test]
fn a_signal_lets_the_run_under_way_end_in_order_and_begins_no_other() {
    for (signal, status) in [("-TERM", 143), ("-USR1", 143), ("-INT", 130)] {
        let checkout = checkout();
        checkout.install(
            "train",
            r#"#!/bin/bash
here=${0%/*}
trap 'sleep 0.3; echo kept >"$here/train.kept"; exit 143' TERM
echo $$ >"$here/train.pid"
while :; do sleep 0.01; done
"#,
        );
        let mut child = table(&checkout, "substitution", "ewc lwf", "--keep-going")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = pid_of(&checkout.at("bin/train.pid"));
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(status), "{signal}");
        assert!(checkout.at("bin/train.kept").exists(), "{signal}");
        assert_eq!(pid_of(&checkout.at("bin/train.pid")), pid, "{signal}");
    }
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let checkout = checkout();
    fs::remove_file(checkout.at("bin/incdec-train")).unwrap();
    let output = run(&checkout, "substitution", "ewc", "");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("substitution-ewc-seed-0: start ") && said.contains("bin/incdec-train"),
        "{said}"
    );
}

#[test]
fn a_setting_that_the_published_tasks_do_not_take_is_refused_before_anything_runs() {
    let checkout = Checkout::new();
    checkout.install_experiment();
    for setting in ["TASKS=3", "SCHEDULE=mine.csv", "TASKS_FLAGS=--no-arrivals"] {
        let output = checkout.make(&[setting, "reproduce"]).output().unwrap();
        let name = setting.split('=').next().unwrap();
        let said = text(&output);
        assert!(
            said.contains(&format!("*** make reproduce takes no {name}: ")),
            "{said}"
        );
    }
    assert_eq!(checkout.take_ran(), [""; 0]);
    let output = run(&checkout, "substitution", "ewk", "");
    assert_eq!(output.status.code(), Some(2));
}
