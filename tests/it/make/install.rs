//! `make install` and `make predict`.

use super::{BINARY, Checkout, files, text};

/// Stands for a binary: writes what it is asked for of itself into the folder.
const WRITER: &str = r#"#!/bin/bash
set -eu
[ "$1" = --generate ]
name=${0##*/}
case $2 in
man) file=$name.1 ;;
bash) file=$name.bash ;;
zsh) file=_$name ;;
fish) file=$name.fish ;;
esac
echo "$2" >"$3/$file"
"#;

const PROGRAMS: [&str; 15] = [
    "own-data",
    "download",
    "decode",
    "manifest",
    "tasks",
    "features",
    "train",
    "predict",
    "audit",
    "report",
    "erase",
    "clean",
    "toy",
    "weights",
    "experiment",
];

#[test]
fn install_puts_binaries_man_pages_and_completions_in_place_and_nothing_else() {
    let checkout = Checkout::new();
    for name in PROGRAMS {
        checkout.install(name, WRITER);
    }
    for (flags, to) in [
        (&["PREFIX=here"][..], "here"),
        (&["PREFIX=/usr", "DESTDIR=stage area"], "stage area/usr"),
    ] {
        let output = checkout.make(&["install"]).args(flags).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let to = checkout.at(to);
        let mut expected: Vec<_> = PROGRAMS
            .iter()
            .flat_map(|name| {
                [
                    to.join(format!("bin/incdec-{name}")),
                    to.join(format!("share/man/man1/incdec-{name}.1")),
                    to.join(format!(
                        "share/bash-completion/completions/incdec-{name}.bash"
                    )),
                    to.join(format!("share/zsh/site-functions/_incdec-{name}")),
                    to.join(format!(
                        "share/fish/vendor_completions.d/incdec-{name}.fish"
                    )),
                ]
            })
            .collect();
        expected.sort();
        let mut found = files(&to);
        found.sort();
        assert_eq!(found, expected);
    }
}

#[test]
fn an_install_that_cannot_be_whole_says_so() {
    let checkout = Checkout::new();
    for name in PROGRAMS {
        checkout.install(name, WRITER);
    }
    checkout.install("report", "#!/bin/bash\nexit 1\n");
    let output = checkout.make(&["install", "PREFIX=here"]).output().unwrap();
    assert!(!output.status.success());
}

#[test]
fn predict_applies_the_run_or_a_checkpoint_to_videos_and_makes_nothing() {
    let checkout = Checkout::new();
    checkout.install("predict", BINARY);
    let videos = "VIDEO=one.mp4 'two words.mp4'";
    assert_eq!(checkout.ran(&["predict", videos, "DEVICE="]), ["predict"]);
    let run = "data/runs/substitution-finetune-seed-0";
    let asked = ["--checkpoint", run, "one.mp4", "two words.mp4"];
    assert_eq!(checkout.arguments("predict"), asked);
    let flags = ["CHECKPOINT=my weights.pt", "PREDICT_FLAGS=--json --every 5"];
    let mut arguments = vec!["predict", videos, "DEVICE=cpu"];
    arguments.extend(flags);
    checkout.ran(&arguments);
    let asked = "--checkpoint|my weights.pt|--device|cpu|--json|--every|5|one.mp4|two words.mp4";
    assert_eq!(checkout.arguments("predict").join("|"), asked);
    assert!(!checkout.at("data/runs").exists());
    let output = checkout.make(&["predict"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("make predict wants VIDEO="));
}
