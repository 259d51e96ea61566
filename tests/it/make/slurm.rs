//! The sbatch files that make writes: the commands of the stages, in parts where they have some, and one that submits all.

use std::fs;
use std::process::Command;

use super::{Checkout, text};
use crate::support::root;

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

fn of<'a>(files: &'a [(String, String)], name: &str) -> &'a str {
    &files.iter().find(|(known, _)| known == name).unwrap().1
}

/// What is submitted, in order: the files of a stage together.
fn submitted(files: &[(String, String)]) -> Vec<&str> {
    let lines = of(files, "submit.sh").lines();
    lines
        .filter_map(|line| line.strip_prefix("submit "))
        .collect()
}

/// Has bash read the files.
fn check(checkout: &Checkout, files: &[(String, String)]) {
    for (name, _) in files {
        let file = checkout.at(&format!("jobs/{name}"));
        let read = Command::new("bash").arg("-n").arg(file).output().unwrap();
        assert!(read.status.success(), "{name}: {}", text(&read));
    }
}

/// Runs a file as Slurm would, a script of the checkout's folder: srun starts one process, without a word about its flags.
fn run(checkout: &Checkout, name: &str, variables: &[(&str, &str)]) {
    let srun = "#!/bin/bash\nwhile [[ $1 = --* ]]; do shift; done\nexec \"$@\"\n";
    checkout.install_program("srun", srun);
    let bin = checkout.at("bin").display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.arg(checkout.at(&format!("jobs/{name}.sbatch")));
    bash.current_dir(checkout.at("")).env("PATH", path);
    let output = bash.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{name}: {}", text(&output));
    checkout.take_ran();
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
            "manifest-merge.sbatch",
            "manifest.sbatch",
            "report.sbatch",
            "submit.sh",
            "tasks.sbatch",
            "train.sbatch",
        ]
    );
    for (name, content) in &files {
        assert!(!content.contains("hush"), "{name}: {content}");
    }
    check(&checkout, &files);
    // A part of the manifest has no use for several processors.
    for (stage, cores) in [("download", 2), ("decode", 2), ("manifest", 1)] {
        let content = of(&files, &format!("{stage}.sbatch"));
        let cores = format!("--cpus-per-task={cores}");
        for line in ["--array=0-4", &cores, "--signal=B:USR1@120"] {
            assert!(
                content.contains(&format!("\n#SBATCH {line}\n")),
                "{content}"
            );
        }
    }
    let order =
        "download download-merge decode decode-merge manifest manifest-merge tasks train report";
    assert_eq!(submitted(&files).join(" "), order);

    let run = |name| run(&checkout, name, &[("DOWNLOAD_SOURCE", "it's there")]);
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
    let places = "--labels data/Info --shards data/shards --out data/manifests/clips.parquet";
    run("manifest");
    let part = checkout.arguments("manifest").join(" ");
    assert_eq!(part, format!("{places} --part auto"));
    run("manifest-merge");
    let merge = checkout.arguments("manifest").join(" ");
    assert_eq!(merge, format!("merge {places} --parts 5"));
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
    run("report");
    let given = checkout.arguments("report");
    checkout.ran(&["report", "FPS=7", "TRAIN_FLAGS=--name 'two words'"]);
    assert_eq!(given, checkout.arguments("report"));
}

#[test]
fn what_the_approach_trains_on_is_made_by_a_job_before_it() {
    let checkout = Checkout::new();
    let settings = ["APPROACH=ridge", "BACKBONE=my weights.pt"];
    let files = written(&checkout, &settings);
    check(&checkout, &files);
    let order = "download download-merge decode decode-merge manifest manifest-merge tasks features train report";
    assert_eq!(submitted(&files).join(" "), order);
    run(&checkout, "features", &[]);
    let made = checkout.arguments("features");
    checkout.ran(&[&settings[..], &["features"]].concat());
    assert_eq!(made, checkout.arguments("features"));
    // The table that the one job writes is the one that the other reads.
    run(&checkout, "train", &[]);
    let trained = checkout.arguments("train").join(" ");
    let table = "data/features/features.parquet";
    assert!(made.join(" ").contains(&format!("--out {table} ")));
    assert!(
        trained.contains(&format!("--features {table}")),
        "{trained}"
    );
    let several = ["slurm", "APPROACH=ridge", "BACKBONE=x", "PROCESSES=2"];
    let said = text(&checkout.make(&several).output().unwrap());
    assert!(said.contains("leave out PROCESSES"), "{said}");
}

#[test]
fn training_asks_for_the_processors_and_gpus_that_the_guide_names() {
    let guide = fs::read_to_string(root().join("src/lib/guide/several_processes.md")).unwrap();
    let command = guide
        .lines()
        .find(|line| line.starts_with("srun "))
        .unwrap();
    let flags: Vec<&str> = command
        .split(' ')
        .take_while(|word| !word.starts_with("incdec-"))
        .collect();
    let make = guide
        .split('`')
        .find(|code| code.starts_with("make slurm "));
    let settings: Vec<&str> = make.unwrap().split_whitespace().skip(2).collect();
    let checkout = Checkout::new();
    let files = written(&checkout, &settings);
    let train = of(&files, "train.sbatch");
    assert!(
        train.contains(&format!("\nexec {} ", flags.join(" "))),
        "{train}"
    );
    for flag in &flags[1..] {
        assert!(train.contains(&format!("\n#SBATCH {flag}\n")), "{train}");
    }
    // On processors alone there is no word of a GPU.
    let files = written(&checkout, &["DEVICE=cpu", "JOBS=3"]);
    let train = of(&files, "train.sbatch");
    assert!(train.contains("\n#SBATCH --cpus-per-task=3\n") && !train.contains("gpu"));
}

#[test]
fn parts_beyond_what_an_array_may_have_go_into_arrays_of_their_own() {
    let checkout = Checkout::new();
    let files = written(&checkout, &["PARTS=2500", "JOBS=1"]);
    check(&checkout, &files);
    let order = "download download-1000 download-2000, download-merge, decode decode-1000 decode-2000, decode-merge, \
        manifest manifest-1000 manifest-2000, manifest-merge, tasks, train, report";
    assert_eq!(submitted(&files).join(", "), order);
    for (name, array, task, part) in [
        ("decode", "0-999", 0, "0/2500"),
        ("decode-1000", "0-999", 960, "1960/2500"),
        ("decode-2000", "0-499", 480, "2480/2500"),
    ] {
        let content = of(&files, &format!("{name}.sbatch"));
        assert!(
            content.contains(&format!("\n#SBATCH --array={array}\n")),
            "{content}"
        );
        let task = task.to_string();
        run(&checkout, name, &[("SLURM_ARRAY_TASK_ID", &task)]);
        assert_eq!(checkout.arguments("decode").last().unwrap(), part);
    }
    run(&checkout, "decode-merge", &[]);
    assert_eq!(checkout.arguments("decode").last().unwrap(), "2500");
    // The merge waits for all arrays, and they do not wait for each other.
    let sbatch = "#!/bin/bash\nhere=${0%/*}\necho \"$*\" >>\"$here/submitted\"\nwc -l <\"$here/submitted\"\n";
    checkout.install_program("sbatch", sbatch);
    let bin = checkout.at("bin").display().to_string();
    let output = Command::new(checkout.at("jobs/submit.sh"))
        .arg("--partition=cpu")
        .env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let given = fs::read_to_string(checkout.at("bin/submitted")).unwrap();
    let waits = |line: &str| {
        let mut words = line.split(' ');
        let after = words.find_map(|word| word.strip_prefix("--dependency=afterok:"));
        after.unwrap_or_default().to_owned()
    };
    let waits: Vec<String> = given.lines().map(waits).collect();
    let expected = [
        "", "", "", "1:2:3", "4", "4", "4", "5:6:7", "8", "8", "8", "9:10:11", "12", "13", "14",
    ];
    assert_eq!(waits, expected, "{given}");
    assert!(given.lines().all(|line| line.contains("--partition=cpu")));
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
    for setting in [
        "PARTS=0",
        "PARTS=200000",
        "PARTS=x",
        "JOBS=0",
        "PROCESSES=-1",
    ] {
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
