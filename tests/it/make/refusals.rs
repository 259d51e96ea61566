//! What the Makefile refuses before it does anything, and the check of its own quoting.

use std::fs;
use std::process::Command;

use super::{Checkout, text};
use crate::support::root;

#[test]
fn paths_that_make_or_a_shell_would_take_apart_are_refused_by_the_name_of_their_variable() {
    let checkout = Checkout::new();
    for variable in ["DATA", "LABELS", "RAW", "RUNS", "RUN", "SCHEDULE"] {
        for odd in [
            "a b", "a\tb", "a ", "a'b", "a\"b", "a$b", "a#b", "a;b", "a&b", "a:b", "a%b", "a\nb",
            "a*", "~a", "a\\b", "a|b", "$(x)",
        ] {
            let argument = format!("{variable}={odd}");
            for target in ["help", "clean-download", "clean-train"] {
                let output = checkout.make(&[&argument, target]).output().unwrap();
                let said = text(&output);
                assert_eq!(output.status.code(), Some(2), "{argument}: {said}");
                assert!(
                    said.contains(&format!("*** {variable} ")),
                    "{argument}: {said}"
                );
                assert_eq!(said.lines().count(), 1, "{said}");
            }
        }
    }
    assert_eq!(checkout.take_ran(), [""; 0]);
}

#[test]
fn what_targets_are_made_of_may_not_be_empty_and_the_rest_may() {
    let checkout = Checkout::new();
    for variable in ["DATA", "LABELS", "RAW", "RUNS", "RUN"] {
        let output = checkout
            .make(&[&format!("{variable}="), "clean-train"])
            .output()
            .unwrap();
        let said = text(&output);
        assert!(!output.status.success());
        assert!(said.contains(&format!("*** {variable} is empty")), "{said}");
    }
    let empty = [
        "SOURCE=",
        "FRAME_FOLDERS=",
        "SCHEDULE=",
        "TASKS=",
        "PRETRAINED=",
    ];
    let all = ["download", "decode", "manifest", "tasks", "train", "report"];
    assert_eq!(checkout.ran(&[&empty[..], &["report"]].concat()), all);
}

#[test]
fn a_path_with_other_signs_goes_through_every_stage() {
    let checkout = Checkout::new();
    let given = ["DATA=büild,x=1/@a+b", "LABELS=data/Info", "RUN=my,run=2"];
    assert_eq!(checkout.ran(&[&given[..], &["report"]].concat()).len(), 6);
    assert_eq!(checkout.ran(&[&given[..], &["report"]].concat()), [""; 0]);
    assert!(
        checkout
            .at("büild,x=1/@a+b/runs/my,run=2/report.html")
            .exists()
    );
}

#[test]
fn an_unknown_variable_is_an_error_that_names_the_nearest() {
    let checkout = Checkout::new();
    for (given, nearest) in [
        ("TRIAN_FLAGS=--epochs 1", "TRAIN_FLAGS"),
        ("SCENARIOUS=x", "SCENARIOS"),
        ("seed=1", "SEED"),
        ("SHARDS=elsewhere", "START"),
        ("BUILT=", "BIN"),
    ] {
        let output = checkout.make(&[given, "help"]).output().unwrap();
        let said = text(&output);
        assert!(!output.status.success(), "{given}");
        let name = given.split('=').next().unwrap();
        let expected =
            format!("*** {name} is no setting of this Makefile; the nearest is {nearest}.");
        assert!(said.contains(&expected), "{said}");
    }
    let passed_on = [
        "INCDEC_GOLDENS=x",
        "CARGO_TARGET_DIR=y",
        "RUSTFLAGS=-g",
        "OMP_NUM_THREADS=1",
    ];
    checkout.ran(&[&passed_on[..], &["help"]].concat());
}

#[test]
fn flags_hold_quoted_values_and_nothing_that_a_shell_would_run() {
    let checkout = Checkout::new();
    for odd in [
        "--x & touch ran",
        "--x; touch ran",
        "$(touch ran)",
        "`touch ran`",
        "--x >ran",
        "--x # y",
    ] {
        let output = checkout
            .make(&[&format!("DECODE_FLAGS={odd}"), "decode"])
            .output()
            .unwrap();
        let said = text(&output);
        assert!(!output.status.success(), "{odd}");
        assert!(said.contains("*** DECODE_FLAGS may hold none of"), "{said}");
    }
    assert!(!checkout.at("ran").exists());
    checkout.ran(&[
        "DOWNLOAD_FLAGS=--classes 'eating cake,air drumming' --limit 2",
        "download",
    ]);
    let arguments = checkout.arguments("download");
    let place = arguments.iter().position(|a| a == "--classes").unwrap();
    assert_eq!(
        arguments[place + 1..place + 4],
        ["eating cake,air drumming", "--limit", "2"]
    );
}

#[test]
fn what_is_only_an_argument_may_hold_anything_but_a_line_break() {
    let checkout = Checkout::new();
    let odd = "it's \"a\" $HOME; `x` & #1";
    checkout.ran(&[
        &format!("FRAME_FOLDERS={odd}"),
        &format!("PRETRAINED={odd}"),
        "train",
    ]);
    for (name, flag) in [("decode", "--frame-folders"), ("train", "--pretrained")] {
        let arguments = checkout.arguments(name);
        let place = arguments.iter().position(|a| a == flag).unwrap();
        assert_eq!(arguments[place + 1], odd);
    }
}

#[test]
fn make_runs_nowhere_but_in_the_checkout() {
    let checkout = Checkout::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir(elsewhere.path().join("demo")).unwrap();
    let mut command = checkout.bare_make(&["-f"]);
    command
        .arg(checkout.at("Makefile"))
        .arg("clean-demo")
        .current_dir(elsewhere.path());
    let output = command.output().unwrap();
    assert!(!output.status.success());
    assert!(
        text(&output).contains("run make in the checkout"),
        "{}",
        text(&output)
    );
    assert!(elsewhere.path().join("demo").exists());
}

#[test]
fn no_recipe_leaves_a_path_unquoted_and_the_check_would_see_it() {
    let lint = |file: &std::path::Path| {
        let output = Command::new(root().join(".ci/lint-makefile"))
            .arg(file)
            .output()
            .unwrap();
        (output.status.success(), text(&output))
    };
    let (clean, said) = lint(&root().join("Makefile"));
    assert!(clean, "{said}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Makefile");
    for (recipe, seen) in [
        ("\trm -rf $(SHARDS)", true),
        ("\trm -rf '$(SHARDS)'", false),
        ("\trm -rf \"$(DATA)\"/raw $(DATA)", true),
        ("\ttouch $@", true),
        (
            "SETTINGS = --fps 5 $(if $(LABELS),--labels $(LABELS))",
            true,
        ),
        (
            "SETTINGS = --fps 5 $(if $(LABELS),--labels '$(LABELS)')",
            false,
        ),
        ("SETTINGS = $(call flag,--labels,LABELS)", false),
        ("\t$(call run,decode --labels $(LABELS))", true),
        ("\t$(call run,decode --labels '$(LABELS)')", false),
    ] {
        fs::write(&file, format!("SHARDS := $(DATA)/shards\nall:\n{recipe}\n")).unwrap();
        let (clean, said) = lint(&file);
        assert_eq!(clean, !seen, "{recipe}: {said}");
        assert_eq!(said.contains("Makefile:3: the path"), seen, "{said}");
    }
}
