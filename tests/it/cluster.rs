//! Work in parts as clusters start them: the examples of the guide, each executed or validated, and a Slurm of one node.

mod one_node;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use incdec::decode::{self, DecodeConfig};

use crate::support::{self, root};
use crate::train::toy::assert_same_contents;
use one_node::OneNode;

/// The blocks of the guide in a language, in order.
fn examples(language: &str) -> Vec<String> {
    let guide = fs::read_to_string(root().join("src/lib/guide/clusters.md")).unwrap();
    let begin = format!("\n```{language}\n");
    let blocks = guide.split(&begin).skip(1);
    blocks
        .map(|rest| rest.split("\n```").next().unwrap().to_owned() + "\n")
        .collect()
}

/// A toy source, its clips in `raw` and its label tables in `Info`.
struct Toy {
    folder: tempfile::TempDir,
}

impl Toy {
    /// Some clips for each subcategory and split, of this size and length.
    fn new(sizes: &str) -> Self {
        let toy = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        succeed(
            Command::new(env!("CARGO_BIN_EXE_incdec-toy"))
                .args(["write", "--out"])
                .arg(toy.at("source"))
                .args(sizes.split(' ')),
        );
        toy
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Fetches the clips into `raw`.
    fn download(&self) {
        symlink(self.at("source/Info"), self.at("Info")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-download"));
        for (flag, name) in [
            ("--source", "source"),
            ("--labels", "Info"),
            ("--out", "raw"),
            ("--ledger", "downloads.parquet"),
        ] {
            command.arg(flag).arg(self.at(name));
        }
        succeed(&mut command);
    }

    /// The shards of one run with the usual settings.
    fn whole(&self) -> BTreeMap<String, Vec<u8>> {
        let out = self.at("whole");
        decode::run(&DecodeConfig::new(
            self.at("raw"),
            self.at("Info"),
            out.clone(),
        ))
        .unwrap();
        files(&out)
    }
}

/// Every file below a folder but make's stamps and the logs of the day.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap);
    let files = files.filter(|entry| !entry.file_type().is_dir());
    let named = files.map(|entry| {
        let name = entry.path().strip_prefix(folder).unwrap();
        (name.to_str().unwrap().to_owned(), entry.path().to_owned())
    });
    named
        .filter(|(name, _)| !name.contains(".made") && !name.ends_with(".jsonl"))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect()
}

fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}{error}");
    said
}

fn binaries() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_incdec-decode"));
    binary.parent().unwrap().to_owned()
}

/// The search path with our binaries, and `more` before all.
fn search_path(more: &Path) -> String {
    let usual = std::env::var("PATH").unwrap();
    format!("{}:{}:{usual}", more.display(), binaries().display())
}

#[test]
fn the_guides_parts_over_ssh_become_one_run() {
    let toy = Toy::new("--train 1 --validation 1 --test 1 --seconds 0.4 --size 16");
    toy.download();
    let [_, script] = &examples("sh cluster")[..] else {
        panic!("the guide has two shell examples");
    };
    // Stands for the machines: what ssh is given is done here.
    let fake = toy.at("fake");
    fs::create_dir(&fake).unwrap();
    fs::write(
        fake.join("ssh"),
        "#!/bin/bash\nshift\nexec bash -c \"$*\"\n",
    )
    .unwrap();
    fs::set_permissions(fake.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script]);
    bash.current_dir(toy.at("")).env("PATH", search_path(&fake));
    let said = succeed(&mut bash);
    assert!(said.contains("3 parts merged"), "{said}");
    assert!(files(&toy.at("shards")) == toy.whole());
}

/// Prints the command of the first container of the manifest on stdin, one word a line.
const COMMAND: &str = "
import sys, yaml
job = yaml.safe_load(sys.stdin)
print('\\n'.join(job['spec']['template']['spec']['containers'][0]['command']))
";

#[test]
fn the_guides_kubernetes_jobs_are_valid_and_their_commands_become_one_run() {
    let toy = Toy::new("--train 1 --validation 1 --test 1 --seconds 0.4 --size 16");
    toy.download();
    let jobs = examples("yaml");
    assert_eq!(jobs.len(), 2);
    let python = |arguments: &[&str], input: &Path| {
        let mut command = Command::new(support::python());
        command.args(arguments);
        let output = command
            .stdin(fs::File::open(input).unwrap())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{error}");
        said
    };
    let mut commands = Vec::new();
    for (number, job) in jobs.iter().enumerate() {
        let file = toy.at(&format!("job{number}.yaml"));
        fs::write(&file, job).unwrap();
        let validate = [
            "-m",
            "kubernetes_validate",
            "--strict",
            file.to_str().unwrap(),
        ];
        python(&validate, &file);
        let words = python(&["-c", COMMAND], &file);
        let data = toy
            .at("")
            .to_str()
            .unwrap()
            .trim_end_matches('/')
            .to_owned();
        let words = words.replace("/data/", &format!("{data}/"));
        commands.push(words.lines().map(str::to_owned).collect::<Vec<_>>());
    }
    let run = |words: &[String], index: Option<usize>| {
        let mut command = Command::new(support::binary(&words[0]));
        command.args(&words[1..]);
        if let Some(index) = index {
            command.env("JOB_COMPLETION_INDEX", index.to_string());
        }
        succeed(&mut command)
    };
    for index in [2, 0, 1] {
        run(&commands[0], Some(index));
    }
    run(&commands[1], None);
    assert!(files(&toy.at("shards")) == toy.whole());
}

/// What the pipeline of the test is made with, by the environment as make takes it.
const SETTINGS: [(&str, &str); 11] = [
    ("DATA", "data"),
    ("LABELS", "source/Info"),
    ("SOURCE", "source"),
    ("JOBS", "1"),
    ("FRAME_SIZE", "36x36"),
    ("DECODE_FLAGS", "--clips-per-shard 4"),
    ("TASKS", "2"),
    ("DEVICE", "cpu"),
    (
        "TRAIN_FLAGS",
        "--threads 1 --frames 4 --resize 36 --size 32 --geometry tf --epochs 1 --batch-size 8 --accumulation 2",
    ),
    // srun starts them; the training of `make train` is one process.
    ("PROCESSES", "2"),
    ("OMP_NUM_THREADS", "1"),
];

#[test]
#[cfg_attr(
    not(slurm),
    ignore = "Slurm is not installed, or this is not root, as whom its daemons are started: `.ci/setup cluster` installs it"
)]
fn slurms_arrays_merges_and_training_become_one_run() {
    let toy = Toy::new("--train 2 --validation 1 --test 1 --seconds 1.2 --size 32");
    let node = OneNode::start();
    symlink(root().join("Makefile"), toy.at("Makefile")).unwrap();
    symlink(root().join(".ci"), toy.at(".ci")).unwrap();
    fs::create_dir(toy.at("src")).unwrap();
    fs::write(toy.at("Cargo.toml"), "").unwrap();
    let bash = |script: &str, data: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]);
        bash.current_dir(toy.at(""))
            .envs(SETTINGS)
            .env("DATA", data)
            .env("DOWNLOAD_SOURCE", "");
        bash.env("BIN", binaries()).env("SLURM_CONF", node.conf());
        for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
            bash.env_remove(variable);
        }
        succeed(&mut bash)
    };
    bash(&examples("sh cluster")[0], "data");
    node.wait_until_idle();
    let logs = || {
        let logs = files(&toy.at("build/slurm/logs")).into_iter();
        logs.map(|(name, log)| format!("{name}:\n{}\n", String::from_utf8_lossy(&log)))
            .collect::<String>()
    };
    // The page is what the last job makes.
    let run = "runs/substitution-finetune-seed-0";
    assert!(
        toy.at("data").join(run).join("report.html").exists(),
        "{}",
        logs()
    );
    // The same pipeline by make, one stage after the other.
    bash("make report", "whole");
    let (parts, whole) = (files(&toy.at("data")), files(&toy.at("whole")));
    let tables = |files: &BTreeMap<String, Vec<u8>>| -> BTreeMap<String, Vec<u8>> {
        let is_table = |name: &str| !name.starts_with("runs/");
        let files = files.iter().filter(|(name, _)| is_table(name));
        files
            .map(|(name, bytes)| (name.clone(), bytes.clone()))
            .collect()
    };
    assert!(
        tables(&parts).keys().eq(tables(&whole).keys()),
        "{:?}",
        parts.keys()
    );
    assert!(tables(&parts) == tables(&whole), "{}", logs());
    let [parts, whole] = ["data", "whole"].map(|data| toy.at(data).join(run));
    // make's stamps are of the moment, and the page tells seconds.
    for folder in [&parts, &whole] {
        for stamp in [
            ".made",
            ".made-by",
            ".reported",
            ".reported-by",
            "report.html",
        ] {
            let _ = fs::remove_file(folder.join(stamp));
        }
    }
    assert_same_contents(&parts, &whole);
}
