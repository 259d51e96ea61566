//! Which stages run: those whose inputs, settings or records ask for it, and no others.

use std::fs;

use super::{Checkout, text};

const STAGES: [&str; 6] = ["download", "decode", "manifest", "tasks", "train", "report"];
/// The record of each stage.
const RECORDS: [&str; 6] = [
    "data/downloads.parquet",
    "data/shards/index.parquet",
    "data/manifests/clips.parquet",
    "data/tasks/substitution/seed-0/availability.parquet",
    "data/runs/substitution-finetune-seed-0/run.json",
    "data/runs/substitution-finetune-seed-0/report.html",
];
/// The stamp of each stage.
const STAMPS: [&str; 6] = [
    "data/.made",
    "data/shards/.made",
    "data/manifests/.made",
    "data/tasks/substitution/seed-0/.made",
    "data/runs/substitution-finetune-seed-0/.made",
    "data/runs/substitution-finetune-seed-0/.reported",
];
const NOTHING: [&str; 0] = [];

#[test]
fn a_second_report_runs_nothing() {
    let checkout = Checkout::new();
    assert_eq!(checkout.ran(&["report"]), STAGES);
    assert_eq!(checkout.ran(&["report"]), NOTHING);
    assert_eq!(checkout.ran(&["-j4", "report", "FPS=5"]), NOTHING);
}

#[test]
fn retrying_decodes_though_nothing_has_changed() {
    let checkout = Checkout::new();
    checkout.ran(&["decode"]);
    for _ in 0..2 {
        assert_eq!(checkout.ran(&["decode", "RETRY=1"]), ["decode"]);
    }
    assert_eq!(checkout.ran(&["decode"]), NOTHING);
}

#[test]
fn a_record_that_is_gone_has_its_stage_run_and_what_follows() {
    let checkout = Checkout::new();
    checkout.ran(&["report"]);
    for (i, record) in RECORDS.iter().enumerate() {
        fs::remove_file(checkout.at(record)).unwrap();
        assert_eq!(checkout.ran(&["report"]), STAGES[i..], "{record}");
        assert_eq!(checkout.ran(&["report"]), NOTHING, "{record}");
    }
}

#[test]
fn a_stage_that_fails_keeps_its_record_and_runs_again() {
    let checkout = Checkout::new();
    checkout.ran(&["report"]);
    for ((stage, record), stamp) in STAGES.iter().zip(RECORDS).zip(STAMPS) {
        // Without the stamp the stage is due.
        fs::remove_file(checkout.at(stamp)).unwrap();
        fs::write(checkout.at(record), "dear").unwrap();
        checkout.tell(stage, "fails");
        for _ in 0..2 {
            let output = checkout.make(&["report"]).output().unwrap();
            assert!(!output.status.success(), "{stage}");
            assert_eq!(checkout.take_ran(), [*stage]);
            assert_eq!(fs::read_to_string(checkout.at(record)).unwrap(), "dear");
        }
        checkout.untell(stage, "fails");
        assert_eq!(checkout.ran(&["report"])[0], *stage);
    }
}

#[test]
fn a_stage_that_changes_nothing_has_nothing_run_after_it() {
    let checkout = Checkout::new();
    checkout.ran(&["report"]);
    checkout.tell("decode", "changes-nothing");
    assert_eq!(
        checkout.ran(&["report", "DECODE_FLAGS=--jobs 3"]),
        ["decode"]
    );
    assert_eq!(checkout.ran(&["report", "DECODE_FLAGS=--jobs 3"]), NOTHING);
}

#[test]
fn a_setting_that_is_changed_and_changed_back_runs_its_stage_once_each_time() {
    let checkout = Checkout::new();
    checkout.ran(&["report"]);
    checkout.tell("decode", "changes-nothing");
    assert_eq!(checkout.ran(&["report", "FPS=10"]), ["decode"]);
    assert_eq!(checkout.ran(&["report"]), ["decode"]);
    assert_eq!(checkout.ran(&["report"]), NOTHING);
}

#[test]
fn what_else_the_report_is_told_reaches_it_and_makes_a_page_anew_once() {
    let checkout = Checkout::new();
    checkout.ran(&["report"]);
    let frames = ["report", "REPORT_FLAGS=--frames data/shards"];
    assert_eq!(checkout.ran(&frames), ["report"]);
    let arguments = checkout.arguments("report");
    let place = arguments.iter().position(|a| a == "--frames").unwrap();
    assert_eq!(arguments[place + 1], "data/shards");
    assert_eq!(checkout.ran(&frames), NOTHING);
    assert_eq!(checkout.ran(&["report"]), ["report"]);
    assert!(
        !checkout
            .arguments("report")
            .contains(&"--frames".to_owned())
    );
}

#[test]
fn runs_of_one_name_in_two_folders_have_settings_of_their_own() {
    let checkout = Checkout::new();
    checkout.ran(&["train", "RUNS=a", "TRAIN_FLAGS=--epochs 1"]);
    assert_eq!(
        checkout.ran(&["train", "RUNS=b", "TRAIN_FLAGS=--epochs 2"]),
        ["train"]
    );
    assert_eq!(
        checkout.ran(&["train", "RUNS=a", "TRAIN_FLAGS=--epochs 1"]),
        NOTHING
    );
    assert_eq!(
        checkout.ran(&["train", "RUNS=b", "TRAIN_FLAGS=--epochs 2"]),
        NOTHING
    );
}

#[test]
fn the_share_that_may_fail_reaches_both_stages() {
    let checkout = Checkout::new();
    checkout.ran(&["decode", "MAX_FAILED=0.2"]);
    for (stage, flag) in [("download", "--max-missing"), ("decode", "--max-failed")] {
        let arguments = checkout.arguments(stage);
        let place = arguments.iter().position(|a| a == flag).unwrap();
        assert_eq!(arguments[place + 1], "0.2");
    }
}

#[test]
fn the_published_tables_are_offered_only_where_there_is_none() {
    let checkout = Checkout::new();
    let said = |checkout: &Checkout| {
        let output = checkout.make(&["download"]).output().unwrap();
        assert!(!output.status.success());
        text(&output)
    };
    fs::remove_file(checkout.at("data/Info/test.csv")).unwrap();
    let one_missing = said(&checkout);
    assert!(
        one_missing.contains("data/Info/test.csv is missing"),
        "{one_missing}"
    );
    assert!(!one_missing.contains("make labels"), "{one_missing}");
    for table in ["train", "validation"] {
        fs::remove_file(checkout.at(&format!("data/Info/{table}.csv"))).unwrap();
    }
    let none = said(&checkout);
    assert!(
        none.contains("hint: make labels fetches the published tables into data/Info;"),
        "{none}"
    );
}

#[test]
fn cleaning_a_stage_calls_the_binary_and_cleaning_the_demo_removes_the_demo_alone() {
    let checkout = Checkout::new();
    for (target, arguments) in [
        (
            "clean-download",
            &["download", "data", "--clips", "data/raw", "--dry-run"][..],
        ),
        ("clean-decode", &["decode", "data/shards", "--dry-run"]),
        (
            "clean-manifest",
            &["manifest", "data/manifests", "--dry-run"],
        ),
        ("clean-tasks", &["tasks", "data/tasks", "--dry-run"]),
        (
            "clean-train",
            &[
                "train",
                "data/runs/substitution-finetune-seed-0",
                "--dry-run",
            ],
        ),
        (
            "clean-report",
            &[
                "report",
                "data/runs/substitution-finetune-seed-0",
                "--dry-run",
            ],
        ),
    ] {
        assert_eq!(checkout.ran(&[target, "CLEAN_FLAGS=--dry-run"]), ["clean"]);
        assert_eq!(checkout.arguments("clean"), arguments);
    }
    fs::create_dir_all(checkout.at("demo/source")).unwrap();
    fs::create_dir_all(checkout.at("data/demo")).unwrap();
    assert_eq!(checkout.ran(&["clean-demo"]), NOTHING);
    assert!(!checkout.at("demo").exists());
    assert!(checkout.at("data/demo").exists());
}

#[test]
fn erasing_needs_a_choice_of_clips_and_a_name_and_gets_every_place() {
    let checkout = Checkout::new();
    for (given, said) in [
        (&["erase"][..], "make erase needs ERASE"),
        (
            &["erase", "ERASE=--clips gone.csv"],
            "make erase needs REQUEST",
        ),
        (&["erase", "REQUEST=R-1"], "make erase needs ERASE"),
        (&["where"], "make where needs CLIP"),
    ] {
        let output = checkout.make(given).output().unwrap();
        assert!(!output.status.success());
        assert!(text(&output).contains(said), "{}", text(&output));
        assert_eq!(checkout.take_ran(), NOTHING);
    }
    let given = [
        "erase",
        "ERASE=--clips gone.csv --archives delete",
        "REQUEST=the 7th",
        "FRAME_FOLDERS=frames",
        "KEEP_ARCHIVES=kept",
    ];
    assert_eq!(checkout.ran(&given), ["erase"]);
    let places = "--data data --labels data/Info --raw data/raw --shards data/shards --manifest data/manifests/clips.parquet \
        --tasks data/tasks --features data/features --runs-folder data/runs --runs-folder data/audit --frame-folders frames --kept-archives kept";
    let places: Vec<&str> = places.split_whitespace().collect();
    let arguments = checkout.arguments("erase");
    assert_eq!(arguments[..3], ["apply", "--request", "the 7th"]);
    let (given, chosen) = arguments[3..].split_at(places.len());
    assert_eq!(given, places);
    // Last, since clips may stand behind a `--`.
    assert_eq!(chosen, ["--clips", "gone.csv", "--archives", "delete"]);
    assert_eq!(checkout.ran(&["where", "CLIP=-x_000000_000010"]), ["erase"]);
    let arguments = checkout.arguments("erase");
    assert_eq!(arguments[0], "plan");
    assert_eq!(arguments[arguments.len() - 2..], ["--", "-x_000000_000010"]);
    // The download keeps archives where erasing looks for them.
    checkout.ran(&["download", "KEEP_ARCHIVES=kept"]);
    let arguments = checkout.arguments("download").join(" ");
    assert!(arguments.contains("--keep-archives kept"), "{arguments}");
}

#[test]
fn the_seeds_frame_folders_are_stored_at_their_own_size() {
    let checkout = Checkout::new();
    for (given, size) in [
        (&["decode"][..], "200x200"),
        (&["decode", "FRAME_FOLDERS=frames"], "short:240"),
        (
            &["decode", "FRAME_FOLDERS=frames", "FRAME_SIZE=64x64"],
            "64x64",
        ),
    ] {
        checkout.ran(given);
        let arguments = checkout.arguments("decode").join(" ");
        let wanted = format!("--frame-size {size}");
        assert!(arguments.contains(&wanted), "{arguments}");
    }
}

#[test]
fn a_list_of_withdrawn_clips_is_an_input_of_every_stage_where_it_exists() {
    let checkout = Checkout::new();
    checkout.ran(&["report"]);
    assert!(
        !checkout
            .arguments("train")
            .contains(&"--withdrawn".to_owned())
    );
    fs::write(
        checkout.at("data/Info/withdrawn.csv"),
        "clip_id,withdrawn_on,request\n",
    )
    .unwrap();
    assert_eq!(checkout.ran(&["report"]), STAGES);
    let arguments = checkout.arguments("train").join(" ");
    assert!(
        arguments.contains("--withdrawn data/Info/withdrawn.csv"),
        "{arguments}"
    );
    assert_eq!(checkout.ran(&["report"]), NOTHING);
    // The ledger is told of in the report alone.
    fs::write(checkout.at("data/erasures.parquet"), "").unwrap();
    assert_eq!(checkout.ran(&["report"]), ["report"]);
    let arguments = checkout.arguments("report").join(" ");
    assert!(
        arguments.contains("--withdrawals data/erasures.parquet"),
        "{arguments}"
    );
    assert_eq!(checkout.ran(&["report"]), NOTHING);
    // What is trained from now on carries its newest value.
    checkout.ran(&["train", "TRAIN_FLAGS=--profile"]);
    let arguments = checkout.arguments("train").join(" ");
    assert!(
        arguments.contains("--withdrawals data/erasures.parquet"),
        "{arguments}"
    );
}

#[test]
fn features_audits_and_the_table_of_experiments_get_the_list_and_the_ledger_where_they_exist() {
    let checkout = Checkout::new();
    checkout.install_experiment();
    checkout.ran(&["manifest"]);
    let features = ["features", "BACKBONE=weights.safetensors"];
    let audit = ["audit", "AUDITED=data/runs/one"];
    let reproduce = [
        "reproduce",
        "SCENARIOS=substitution",
        "METHODS=finetune",
        "SEEDS=0",
    ];
    let stages = [
        (&features[..], "features", &["features"][..]),
        (&audit, "audit", &["audit", "report"]),
        (&reproduce, "train", &["tasks", "train", "report"]),
    ];
    for (given, stage, ran) in stages {
        assert_eq!(checkout.ran(given), ran);
        let arguments = checkout.arguments(stage).join(" ");
        assert!(!arguments.contains("--withdraw"), "{arguments}");
    }
    assert_eq!(checkout.ran(&features), NOTHING);
    let list = checkout.at("data/Info/withdrawn.csv");
    fs::write(list, "clip_id,withdrawn_on,request\n").unwrap();
    fs::write(checkout.at("data/erasures.parquet"), "").unwrap();
    let [list, ledger] = [
        "--withdrawn data/Info/withdrawn.csv",
        "--withdrawals data/erasures.parquet",
    ];
    for (given, stage, _) in stages {
        let ran = checkout.ran(given);
        assert!(ran.iter().any(|ran| ran == stage), "{given:?}: {ran:?}");
        let arguments = checkout.arguments(stage).join(" ");
        assert!(arguments.contains(list), "{arguments}");
        // No feature is a checkpoint.
        assert_eq!(arguments.contains(ledger), stage != "features");
        if stage != "features" {
            let report = checkout.arguments("report").join(" ");
            assert!(report.contains(ledger), "{report}");
        }
    }
    assert_eq!(checkout.ran(&features), NOTHING);
}

#[test]
fn own_data_makes_tables_of_the_videos_with_the_expression_to_the_letter() {
    let checkout = Checkout::new();
    let group = r"GROUP_BY=_g(\d+)_c$|'x'";
    let ran = checkout.ran(&["own-data", "RAW=videos", group, "OWN_DATA_FLAGS=--seed 3"]);
    assert_eq!(ran, ["own-data"]);
    let given = fs::read_to_string(checkout.at("bin/own-data.arguments")).unwrap();
    let given: Vec<&str> = given.lines().collect();
    let expected = [
        "--clips",
        "videos",
        "--out",
        "data/Info",
        "--group-by",
        r"_g(\d+)_c$|'x'",
        "--seed",
        "3",
    ];
    assert_eq!(given, expected);
}

#[test]
fn a_changed_table_of_events_deals_anew() {
    let checkout = Checkout::new();
    fs::write(checkout.at("events.csv"), "").unwrap();
    let tasks = ["tasks", "SCENARIO=events", "EVENTS=events.csv"];
    assert_eq!(checkout.ran(&tasks).last().unwrap(), "tasks");
    let given = fs::read_to_string(checkout.at("bin/tasks.arguments")).unwrap();
    assert!(given.contains("--scenario\nevents\n") && given.contains("--events\nevents.csv\n"));
    assert_eq!(checkout.ran(&tasks), NOTHING);
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    let file = fs::File::options()
        .write(true)
        .open(checkout.at("events.csv"))
        .unwrap();
    file.set_modified(later).unwrap();
    assert_eq!(checkout.ran(&tasks), ["tasks"]);
}

#[test]
fn a_stage_says_its_command_on_one_line_with_quotes_only_where_they_are_needed() {
    let checkout = Checkout::new();
    let asked = ["manifest", "TASKS_FLAGS=x"];
    let said = text(&checkout.make(&asked).output().unwrap());
    let line = "bin/incdec-manifest --labels data/Info --shards data/shards --out data/manifests/clips.parquet";
    assert!(said.lines().any(|said| said == line), "{said}");
    let asked = ["where", "CLIP=a clip's"];
    let said = text(&checkout.make(&asked).output().unwrap());
    assert!(
        said.lines().any(|said| said.ends_with(r"-- a\ clip\'s")),
        "{said}"
    );
    let given = checkout.arguments("erase");
    assert_eq!(given.last().map(String::as_str), Some("a clip's"));
}
