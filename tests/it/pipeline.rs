//! The six stages as a user runs them, on a toy source that is served over HTTP: end to end, killed and restarted, run
//! twice, and read by other tools.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::event_file;
use incdec::run_record::{MODEL_CARD_FILE, RunSummary};
use rand::RngExt;
use walkdir::WalkDir;

use crate::support;

mod predict;

/// A toy source in a temporary folder, served on loopback until dropped.
struct Source {
    folder: tempfile::TempDir,
    server: Child,
    url: String,
}

impl Source {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let toy = env!("CARGO_BIN_EXE_incdec-toy");
        let sizes = "--train 2 --validation 1 --test 1 --seconds 1.2 --size 32";
        succeed(
            Command::new(toy)
                .args(["write", "--out"])
                .arg(folder.path())
                .args(sizes.split(' ')),
        );
        // The reference lives until the process ends, which drops nothing: `timeout` ends the server at last, and it holds no
        // stream of ours open until then.
        let mut server = Command::new("timeout")
            .args(["600", toy, "serve"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        Self {
            folder,
            server,
            url: url.trim().to_owned(),
        }
    }

    fn info(&self) -> PathBuf {
        self.folder.path().join("Info")
    }

    /// The commands of all stages with everything below `root`, in order.
    fn stages(&self, root: &Path) -> Vec<(&'static str, Command)> {
        let at = |part: &str| root.join(part);
        let stage = |binary: &str, arguments: &str, paths: &[(&str, PathBuf)]| {
            let mut command = Command::new(binary);
            command
                .args(arguments.split_whitespace())
                .env("OMP_NUM_THREADS", "1")
                .current_dir(root);
            for (flag, path) in paths {
                if !flag.is_empty() {
                    command.arg(flag);
                }
                command.arg(path);
            }
            command
        };
        vec![
            (
                "download",
                stage(
                    env!("CARGO_BIN_EXE_incdec-download"),
                    &format!("--source {} --jobs 2", self.url),
                    &[
                        ("--labels", self.info()),
                        ("--out", at("raw")),
                        ("--ledger", at("downloads.parquet")),
                    ],
                ),
            ),
            (
                "decode",
                stage(
                    env!("CARGO_BIN_EXE_incdec-decode"),
                    "--frame-size 36x36 --jobs 2 --clips-per-shard 4",
                    &[
                        ("--clips", at("raw")),
                        ("--labels", self.info()),
                        ("--out", at("shards")),
                    ],
                ),
            ),
            (
                "manifest",
                stage(
                    env!("CARGO_BIN_EXE_incdec-manifest"),
                    "",
                    &[
                        ("--labels", self.info()),
                        ("--shards", at("shards")),
                        ("--out", at("manifests/clips.parquet")),
                    ],
                ),
            ),
            (
                "tasks",
                stage(
                    env!("CARGO_BIN_EXE_incdec-tasks"),
                    "--scenario substitution --tasks 2",
                    &[
                        ("--manifest", at("manifests/clips.parquet")),
                        ("--out", at("tasks/substitution/seed-0")),
                    ],
                ),
            ),
            (
                "train",
                stage(
                    env!("CARGO_BIN_EXE_incdec-train"),
                    "--device cpu --threads 1 --frames 4 --resize 36 --size 32 --geometry tf --epochs 1 --batch-size 8",
                    &[
                        ("--availability", at("tasks/substitution/seed-0")),
                        ("--shards", at("shards")),
                        ("--out", at("run")),
                    ],
                ),
            ),
            (
                "report",
                stage(
                    env!("CARGO_BIN_EXE_incdec-report"),
                    "",
                    &[("--out", at("report.html")), ("", at("run"))],
                ),
            ),
        ]
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // The server has nothing to lose; a failure to kill it means that it is gone already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs `command` to its end and returns what it printed; a failure shows what it said.
fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A finished pipeline that the tests compare with, and how long each stage took.
struct Reference {
    source: Source,
    root: tempfile::TempDir,
    seconds: BTreeMap<&'static str, f64>,
}

fn reference() -> &'static Reference {
    static REFERENCE: OnceLock<Reference> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let source = Source::start();
        let root = tempfile::tempdir().unwrap();
        let mut seconds = BTreeMap::new();
        for (name, mut command) in source.stages(root.path()) {
            let started = Instant::now();
            succeed(&mut command);
            seconds.insert(name, started.elapsed().as_secs_f64());
        }
        Reference {
            source,
            root,
            seconds,
        }
    })
}

/// Every file below `root` with its bytes; logs and timings, which no promise covers, left out. Each TensorBoard event
/// tells when it was written, so of those files the tags, steps, values and pictures stand for the bytes.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in WalkDir::new(root) {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy();
        let timed = name.ends_with(".jsonl") || name == "timing.parquet";
        if entry.file_type().is_file() && !timed {
            let relative = entry.path().strip_prefix(root).unwrap().to_owned();
            let mut bytes = fs::read(entry.path()).unwrap();
            if name.contains("tfevents") {
                let events = event_file::read(&bytes);
                assert!(!events.is_empty(), "{}", entry.path().display());
                bytes = format!("{events:?}").into_bytes();
            }
            files.insert(relative, bytes);
        }
    }
    files
}

fn assert_same_tree(found: &Path, expected: &Path, when: &str) {
    let (found, expected) = (tree(found), tree(expected));
    let names = |t: &BTreeMap<PathBuf, Vec<u8>>| t.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected), "{when}");
    for (path, bytes) in &expected {
        assert!(found[path] == *bytes, "{when}: {} differs", path.display());
    }
}

#[test]
fn every_stage_publishes_what_it_promises() {
    let r = reference();
    let files = tree(r.root.path());
    for file in [
        "downloads.parquet",
        "shards/index.parquet",
        "manifests/clips.parquet",
        "manifests/data_card.md",
        "tasks/substitution/seed-0/schedule.parquet",
        "tasks/substitution/seed-0/availability.parquet",
        "run/history.parquet",
        "run/metrics.parquet",
        "run/predictions.parquet",
        "run/model_card.md",
        "run/run.json",
        "report.html",
    ] {
        assert!(files.contains_key(Path::new(file)), "{file} is missing");
    }
    let clips = files.keys().filter(|f| f.starts_with("raw")).count();
    assert_eq!(clips, 37 * 4, "all labelled clips and no others");
}

#[test]
fn a_run_says_what_it_was_computed_on_to_programs_and_to_people() {
    let run = reference().root.path().join("run");
    let summary = RunSummary::read(&run).unwrap().unwrap();
    let machine = summary.machine.unwrap();
    assert_eq!((machine.device.as_str(), machine.threads), ("cpu", 1));
    assert!(!machine.libtorch.is_empty() && !machine.libtorch_instructions.is_empty());
    // A build by cargo alone does not say of which commit it is.
    assert_eq!(summary.commit.as_deref(), RunSummary::COMMIT);
    let card = fs::read_to_string(run.join(MODEL_CARD_FILE)).unwrap();
    assert!(incdec::card::is_sealed(&card));
    let machine = machine.to_string();
    for said in ["substitution, finetune, seed 0", "food, phone", &machine] {
        assert!(card.contains(said), "{said}: {card}");
    }
}

#[test]
fn a_stage_killed_at_random_moments_ends_with_the_bytes_of_an_uninterrupted_one() {
    let r = reference();
    let root = tempfile::tempdir().unwrap();
    let mut rng = support::moments("a_stage_killed_at_random_moments");
    let names: Vec<_> = r
        .source
        .stages(root.path())
        .into_iter()
        .map(|s| s.0)
        .collect();
    for (i, name) in names.iter().enumerate() {
        let mut killed_after = Vec::new();
        for _ in 0..3 {
            let mut command = r.source.stages(root.path()).swap_remove(i).1;
            let seconds = r.seconds[name] * rng.random_range(0.0..0.9);
            let mut child = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_secs_f64(seconds));
            child.kill().unwrap();
            child.wait().unwrap();
            killed_after.push(seconds);
        }
        succeed(&mut r.source.stages(root.path()).swap_remove(i).1);
        for entry in WalkDir::new(root.path()) {
            let entry = entry.unwrap();
            let leftover = entry.file_name().to_string_lossy().ends_with(".tmp");
            assert!(!leftover, "{} is left after {name}", entry.path().display());
        }
        eprintln!("{name} was killed after {killed_after:.2?} s");
    }
    assert_same_tree(root.path(), r.root.path(), "killed and restarted");
}

#[test]
fn a_second_run_changes_nothing() {
    let r = reference();
    let copy = tempfile::tempdir().unwrap();
    for (_, mut command) in r.source.stages(copy.path()) {
        succeed(&mut command);
    }
    assert_same_tree(copy.path(), r.root.path(), "in another folder");
    for (name, mut command) in r.source.stages(copy.path()) {
        succeed(&mut command);
        assert_same_tree(copy.path(), r.root.path(), &format!("{name} run twice"));
    }
}

#[test]
fn cleaning_every_stage_leaves_nothing_of_theirs_and_everything_of_others() {
    let r = reference();
    let copy = tempfile::tempdir().unwrap();
    let root = copy.path();
    let copied = Command::new("cp")
        .args(["-a", "--"])
        .arg(r.root.path().join("."))
        .arg(root)
        .status();
    assert!(copied.unwrap().success());
    fs::rename(root.join("report.html"), root.join("run/report.html")).unwrap();
    fs::write(root.join("run/notes.txt"), "mine").unwrap();
    for (stage, folder) in [
        ("report", "run"),
        ("train", "run"),
        ("tasks", "tasks"),
        ("manifest", "manifests"),
        ("decode", "shards"),
        ("download", "."),
    ] {
        let mut clean = Command::new(env!("CARGO_BIN_EXE_incdec-clean"));
        succeed(clean.arg(stage).arg(root.join(folder)));
    }
    assert_eq!(
        tree(root).into_keys().collect::<Vec<_>>(),
        [Path::new("run/notes.txt")]
    );
    let logs: Vec<_> = WalkDir::new(root).into_iter().map(Result::unwrap).collect();
    assert_eq!(logs.len(), 3, "no log and no folder is left: {logs:?}");
}

#[test]
fn arrow_tools_read_every_table_and_shard() {
    let r = reference();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = project.join(".venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing; `make setup` installs it",
        python.display()
    );
    let printed = succeed(
        Command::new(python)
            .arg(project.join("tests/peers/read_with_arrow_tools.py"))
            .arg(r.root.path())
            .arg(r.root.path().join("run")),
    );
    for format in [
        "incdec.index",
        "incdec.clips",
        "incdec.availability",
        "incdec.schedule",
        "incdec.shard",
        "incdec.history",
        "incdec.metrics",
        "incdec.predictions",
    ] {
        assert!(
            printed.contains(format),
            "{format} was not read:\n{printed}"
        );
    }
}
