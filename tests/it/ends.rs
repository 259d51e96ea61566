//! How commands end where nobody reads what they print: stdout closed or full, stderr closed. And the exit statuses.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use incdec::decode::{self, DecodeConfig};
use incdec::download::{self, DownloadConfig};
use incdec::manifest::{self, ManifestConfig};
use incdec::media::frame_size::FrameSize;
use incdec::tasks::{self, DealSettings, LabelSource, Scenario, TasksConfig};
use incdec::toy::{self, ToyConfig};
use tempfile::TempDir;
use walkdir::WalkDir;

use crate::report;
use crate::support::{self, BINARIES};

mod signals;
mod statuses;

/// Flags of a training as small as can be.
const TRAIN: &str = "--device cpu --threads 1 --workers 1 --geometry tf --stop-after-first-task --epochs 1 --batch-size 8 \
    --frames 2 --resize 32 --size 32";

/// Commands that publish files and say on stdout what they did. `../` is the data, the folder they run in takes what they
/// publish, TRAIN stands for the flags of a training, WEIGHTS for a file of weights and CLIP for a clip.
const NEWS: &[&str] = &[
    "incdec-toy write --out . --train 1 --validation 0 --test 0 --seconds 0.4 --size 16",
    "incdec-download --labels ../source/Info --source ../source --out raw --ledger downloads.parquet",
    "incdec-decode --clips ../raw --labels ../source/Info --out shards --frame-size 16x16 --jobs 2",
    "incdec-manifest --labels ../source/Info --shards ../shards --out clips.parquet",
    "incdec-tasks --manifest ../clips.parquet --tasks 2 --out tasks",
    "incdec-train --availability ../tasks --shards ../shards --out run TRAIN",
    "incdec-report --out report.html --permutations 10 ../decremental-finetune-0",
    "incdec-weights convert WEIGHTS --to safetensors --out weights.safetensors",
];

/// Commands that are called for what they print.
const PRODUCTS: &[&str] = &[
    "incdec-download plan --labels ../source/Info --source ../source --out raw --ledger downloads.parquet",
    "incdec-download verify --dry-run --out ../raw --ledger ../downloads.parquet --labels ../source/Info",
    "incdec-decode probe CLIP",
    "incdec-decode verify ../shards",
    "incdec-weights inspect WEIGHTS",
    "incdec-bench decode CLIP --repeat 1",
    "incdec-bench-decode CLIP --repeat 1",
    "incdec-bench-load --availability ../tasks --shards ../shards --frames 2 --resize 16 --size 16 --epochs 1",
    "incdec-bench-step --frames 2 --size 32 --steps 1",
];

/// What becomes of the lines that a command prints.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Read,
    /// A pipe whose reader has gone.
    StdoutClosed,
    /// A device that takes nothing.
    StdoutFull,
    /// No stderr at all, as after `2>&-`.
    StderrClosed,
}

impl End {
    /// Runs `program` in `folder`.
    fn run<'a>(
        self,
        program: &str,
        arguments: impl IntoIterator<Item = &'a str>,
        folder: &Path,
    ) -> Output {
        let mut command = if self == Self::StderrClosed {
            let mut shell = Command::new("sh");
            shell.args(["-c", r#"exec "$0" "$@" 2>&-"#, program]);
            shell
        } else {
            Command::new(program)
        };
        let stdout = match self {
            Self::Read | Self::StderrClosed => Stdio::piped(),
            Self::StdoutClosed => {
                let (reader, writer) = io::pipe().unwrap();
                drop(reader);
                writer.into()
            }
            Self::StdoutFull => File::create("/dev/full").unwrap().into(),
        };
        command
            .args(arguments)
            .current_dir(folder)
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap()
    }
}

/// The toy source, what the data stages make of it, and a run that might have been trained.
struct Data {
    folder: TempDir,
}

impl Data {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = Self { folder };
        let at = |name: &str| data.root().join(name);
        let labels = at("source/Info");
        toy::run(&ToyConfig {
            out: at("source"),
            train: 2,
            validation: 1,
            test: 1,
            seconds: 0.6,
            size: 16,
            fps: 5,
            ..ToyConfig::default()
        })
        .unwrap();
        download::run(&DownloadConfig {
            labels: labels.clone(),
            raw: at("raw"),
            ledger: at("downloads.parquet"),
            source: Some(at("source").display().to_string().into()),
            ..DownloadConfig::default()
        })
        .unwrap();
        let mut decoding = DecodeConfig::new(at("raw"), labels.clone(), at("shards"));
        decoding.clip.frame_size = FrameSize::Exact {
            width: 16,
            height: 16,
        };
        decode::run(&decoding).unwrap();
        manifest::run(&ManifestConfig {
            labels,
            shards: at("shards"),
            out: at("clips.parquet"),
            listed: 0,
        })
        .unwrap();
        tasks::run(&TasksConfig {
            clips: LabelSource::Manifest(at("clips.parquet")),
            without: None,
            deal: DealSettings::published(Scenario::Substitution, 0),
            events: None,
            schedule: None,
            tasks: Some(2),
            out: at("tasks"),
        })
        .unwrap();
        report::fake_run(data.root());
        data
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    /// One of the downloaded clips.
    fn clip(&self) -> PathBuf {
        let clips = WalkDir::new(self.root().join("raw")).into_iter();
        let mut files = clips.map(Result::unwrap).map(walkdir::DirEntry::into_path);
        files.find(|path| path.is_file()).unwrap()
    }

    /// Runs a line of the lists above in a new folder `name` beside the data.
    fn run(&self, line: &str, end: End, name: &str) -> (Output, PathBuf) {
        let folder = self.root().join(name);
        fs::create_dir(&folder).unwrap();
        (self.run_in(line, end, &folder), folder)
    }

    /// Runs a line of the lists above in a folder beside the data.
    fn run_in(&self, line: &str, end: End, folder: &Path) -> Output {
        let weights = support::root().join("tests/fixtures/checkpoints/port.pth");
        let (line, clip) = (line.replace("TRAIN", TRAIN), self.clip());
        let mut words = line.split_whitespace().map(|word| match word {
            "WEIGHTS" => weights.to_str().unwrap(),
            "CLIP" => clip.to_str().unwrap(),
            word => word,
        });
        let program = support::binary(words.next().unwrap());
        end.run(program, words, folder)
    }
}

/// The files below a folder; of those that hold no times, with their bytes.
fn published(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in WalkDir::new(folder) {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy();
        let kinds = [".parquet", ".arrow", ".mp4", ".gz", ".html", ".safetensors"];
        let lasting = kinds.iter().any(|kind| name.ends_with(kind)) && name != "timing.parquet";
        if entry.file_type().is_file() {
            let bytes = if lasting {
                fs::read(entry.path()).unwrap()
            } else {
                Vec::new()
            };
            files.insert(entry.path().strip_prefix(folder).unwrap().to_owned(), bytes);
        }
    }
    files
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn where_stdout_is_only_news_the_work_is_done_whoever_reads() {
    let data = Data::new();
    for (i, line) in NEWS.iter().enumerate() {
        let (output, folder) = data.run(line, End::Read, &format!("{i}-read"));
        assert!(output.status.success(), "{line}\n{}", text(&output));
        assert!(!output.stdout.is_empty(), "{line} says nothing");
        let expected = published(&folder);
        assert!(!expected.is_empty(), "{line} publishes nothing");
        for end in [End::StdoutClosed, End::StdoutFull, End::StderrClosed] {
            let (output, folder) = data.run(line, end, &format!("{i}-{end:?}"));
            assert_eq!(
                output.status.code(),
                Some(0),
                "{line}, {end:?}\n{}",
                text(&output)
            );
            assert!(published(&folder) == expected, "{line}, {end:?}");
        }
    }
}

#[test]
fn what_a_killed_one_left_beside_a_bare_name_is_swept() {
    let data = Data::new();
    // What each publishes into the folder that it runs in.
    let manifest = &["clips.parquet", "croissant.json", "data_card.md"][..];
    for (line, expected) in [(NEWS[3], manifest), (NEWS[6], &["report.html"])] {
        let folder = tempfile::tempdir_in(data.root()).unwrap();
        fs::write(folder.path().join(".incdec-left.tmp"), "half").unwrap();
        let output = data.run_in(line, End::Read, folder.path());
        assert!(output.status.success(), "{line}\n{}", text(&output));
        let files = published(folder.path());
        assert!(
            files.keys().eq(expected.iter().map(Path::new)),
            "{line}: {:?}",
            files.keys()
        );
    }
}

#[test]
fn where_stdout_is_the_product_a_closed_one_ends_quietly_and_a_full_one_is_an_error() {
    let data = Data::new();
    for (i, line) in PRODUCTS.iter().enumerate() {
        let run = |end: End| data.run(line, end, &format!("{i}-{end:?}")).0;
        let read = run(End::Read);
        assert!(read.status.success(), "{line}\n{}", text(&read));
        assert!(!read.stdout.is_empty(), "{line} prints nothing");
        let closed = run(End::StdoutClosed);
        assert_eq!(closed.status.code(), Some(0), "{line}\n{}", text(&closed));
        assert!(
            !text(&closed).contains("error"),
            "{line}\n{}",
            text(&closed)
        );
        let full = run(End::StdoutFull);
        assert_eq!(full.status.code(), Some(1), "{line}\n{}", text(&full));
        assert!(text(&full).contains("stdout"), "{line}\n{}", text(&full));
        let mute = run(End::StderrClosed);
        assert_eq!(mute.status.code(), Some(0), "{line}");
        assert!(!mute.stdout.is_empty(), "{line}");
    }
}

#[test]
fn a_server_whose_address_nobody_reads_does_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    for (end, status) in [(End::StdoutClosed, 0), (End::StdoutFull, 1)] {
        let output = end.run(support::binary("incdec-toy"), ["serve", "."], folder.path());
        assert_eq!(output.status.code(), Some(status), "{}", text(&output));
    }
}

#[test]
fn the_help_and_the_version_are_products_of_every_binary() {
    let folder = tempfile::tempdir().unwrap();
    for (name, binary) in BINARIES {
        for flag in ["--help", "--version"] {
            for (end, status) in [
                (End::StdoutClosed, 0),
                (End::StdoutFull, 1),
                (End::StderrClosed, 0),
            ] {
                let output = end.run(binary, [flag], folder.path());
                assert_eq!(output.status.code(), Some(status), "{name} {flag}, {end:?}");
            }
        }
        let output = End::StderrClosed.run(binary, ["--no-such-flag"], folder.path());
        assert_eq!(output.status.code(), Some(2), "{name} --no-such-flag");
    }
}
