//! The sbatch files that make writes: the commands of the stages, in parts where they have some, and one that submits all.

use std::fs;
use std::process::Command;

use super::{Checkout, text};

/// The files that `make slurm` writes with these settings, by name.
fn written(checkout: &Checkout, settings: &[&str]) -> Vec<(String, String)> {
    let arguments = [&["slurm", "SLURM=jobs"], settings].concat();
    let output = checkout.make(&arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let entries = fs::read_dir(checkout.at("jobs")).unwrap();
    let entries = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<(String, String)> = entries
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn names(files: &[(String, String)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn every_stage_has_its_file_with_the_command_of_make_and_no_secret() {
    let checkout = Checkout::new();
    let settings = [
        "PARTS=5",
        "JOBS=2",
        "PROCESSES=3",
        "FPS=7",
        "TRAIN_FLAGS=--name 'two words'",
        "SOURCE=https://me:hush@host.example/k?key=hush",
    ];
    let files = written(&checkout, &settings);
    assert_eq!(
        names(&files),
        [
            "decode-merge.sbatch",
            "decode.sbatch",
            "download-merge.sbatch",
            "download.sbatch",
            "manifest.sbatch",
            "submit.sh",
            "tasks.sbatch",
            "train.sbatch",
        ]
    );
    for (name, content) in &files {
        assert!(!content.contains("hush"), "{name}: {content}");
        let read = Command::new("bash")
            .arg("-n")
            .arg(checkout.at(&format!("jobs/{name}")))
            .output()
            .unwrap();
        assert!(read.status.success(), "{name}: {}", text(&read));
    }
    let of = |name: &str| &files.iter().find(|(n, _)| n == name).unwrap().1;
    for stage in ["download", "decode"] {
        let content = of(&format!("{stage}.sbatch"));
        for line in ["--array=0-4", "--cpus-per-task=2", "--signal=B:USR1@120"] {
            assert!(
                content.contains(&format!("\n#SBATCH {line}\n")),
                "{content}"
            );
        }
    }
    assert!(of("train.sbatch").contains("\n#SBATCH --ntasks=3\n"));
    let submitted = of("submit.sh")
        .lines()
        .filter_map(|line| line.strip_prefix("submit "));
    let order = "download download-merge decode decode-merge manifest tasks train";
    assert_eq!(submitted.collect::<Vec<_>>().join(" "), order);

    // As Slurm would: each file is a script of the checkout's folder.
    fs::write(checkout.at("bin/srun"), "#!/bin/bash\nexec \"$@\"\n").unwrap();
    let path = format!(
        "{}:{}",
        checkout.at("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let executable = Command::new("chmod")
        .arg("+x")
        .arg(checkout.at("bin/srun"))
        .status();
    assert!(executable.unwrap().success());
    let run = |name: &str| {
        let mut bash = Command::new("bash");
        bash.arg(checkout.at(&format!("jobs/{name}.sbatch")));
        bash.current_dir(checkout.at("")).env("PATH", &path);
        bash.env("DOWNLOAD_SOURCE", "it's there");
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output));
        checkout.take_ran();
    };
    run("decode");
    let in_parts = checkout.arguments("decode");
    checkout.ran(&["decode", "FPS=7", "JOBS=2"]);
    let plain = checkout.arguments("decode");
    assert_eq!(in_parts[..plain.len()], plain[..]);
    assert_eq!(in_parts[plain.len()..], ["--part", "auto"]);
    run("decode-merge");
    let merge = checkout.arguments("decode").join(" ");
    let expected = "merge --labels data/Info --out data/shards --max-failed 0.01 --parts 5";
    assert_eq!(merge, expected);
    run("download");
    assert!(
        checkout
            .arguments("download")
            .contains(&"it's there".to_owned())
    );
    run("train");
    assert!(
        checkout
            .arguments("train")
            .contains(&"two words".to_owned())
    );
}

#[test]
fn clips_of_ones_own_are_not_downloaded() {
    let checkout = Checkout::new();
    let files = written(&checkout, &["RAW=elsewhere"]);
    assert!(
        !names(&files)
            .iter()
            .any(|name| name.starts_with("download"))
    );
}

#[test]
fn numbers_that_make_no_sense_are_refused_with_a_hint() {
    let checkout = Checkout::new();
    for setting in ["PARTS=0", "PARTS=2000", "PARTS=x", "JOBS=0", "PROCESSES=-1"] {
        let output = checkout
            .make(&["slurm", "SLURM=jobs", setting])
            .output()
            .unwrap();
        let said = text(&output);
        assert!(
            !output.status.success() && said.contains("hint: "),
            "{setting}: {said}"
        );
        assert!(said.contains(setting.split('=').next().unwrap()), "{said}");
    }
    assert!(!checkout.at("jobs").exists());
}
