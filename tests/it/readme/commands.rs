//! The commands of the README and of the guide, run in their order.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::blocks::{Block, Language, Mark, blocks};
use super::compare::{Numbers, compare};
use crate::support::{self, binary, root, say};

/// The environment variable that names the marks whose commands are run, and the one that names the
/// folder of the programs.
const MARKS_VARIABLE: &str = "INCDEC_README";
const PROGRAMS_VARIABLE: &str = "INCDEC_README_BIN";
/// The python of the peers.
const PYTORCH_VARIABLE: &str = "INCDEC_PYTORCH";

/// What of the checkout the commands see.
const OF_CHECKOUT: [&str; 8] = [
    "Makefile",
    ".ci",
    "Cargo.toml",
    "src",
    "tests",
    ".venv",
    ".libtorch",
    "kinetics_download",
];
/// A demo that takes seconds, as settings of the Makefile.
const SMALL_DEMO: [(&str, &str); 2] = [
    (
        "DEMO_TOY",
        "--train 4 --validation 1 --test 1 --seconds 1.2 --size 32 --cue appearance",
    ),
    (
        "DEMO_TRAIN",
        "--frames 4 --resize 36 --size 32 --geometry tf --epochs 1 --batch-size 8 --threads 1 --workers 1",
    ),
];
/// DuckDB on a query from its input.
const DUCKDB: &str = "import sys, duckdb; print(duckdb.sql(sys.stdin.read()))";

/// A checkout in which nothing has been made yet.
struct World {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    is_small: bool,
}

impl World {
    fn new(programs: PathBuf, is_small: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in OF_CHECKOUT {
            symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        let info = folder.path().join("Kinetics/Info");
        fs::create_dir_all(&info).unwrap();
        for entry in fs::read_dir(root().join("Kinetics/Info")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), info.join(entry.file_name())).unwrap();
        }
        // A port that was free a moment ago.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self {
            folder,
            programs,
            port: free.local_addr().unwrap().port(),
            is_small,
        }
    }

    /// The command that runs a block.
    fn command(&self, block: &Block) -> Command {
        let peers = std::env::var_os(PYTORCH_VARIABLE).map(PathBuf::from);
        let mut command = match block.language {
            Language::Shell => {
                let mut bash = Command::new("bash");
                bash.args(["-euc", &format!("exec 2>&1\n{}", block.text)]);
                bash
            }
            Language::Sql => {
                let mut python = Command::new(support::python());
                python.args(["-c", DUCKDB]);
                python
            }
            Language::Python => Command::new(peers.as_deref().unwrap_or(Path::new("python3"))),
        };
        let peers = peers.as_deref().and_then(Path::parent);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [Some(self.programs.as_path()), peers].into_iter().flatten();
        let folders = folders
            .map(Path::to_owned)
            .chain(std::env::split_paths(&path));
        let path: OsString = std::env::join_paths(folders).unwrap();
        for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DATA", "RUN", "SOURCE"] {
            command.env_remove(variable);
        }
        command
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("BIN", &self.programs)
            .env("DEMO_PORT", self.port.to_string())
            // Where processes of one training meet.
            .env("MASTER_PORT", self.port.to_string())
            .env("OMP_NUM_THREADS", "1");
        if self.is_small {
            command.envs(SMALL_DEMO);
        }
        command
    }

    /// What is wrong with a block, if anything.
    fn problem(&self, block: &Block) -> Option<String> {
        let input = self.folder.path().join(".input");
        fs::write(&input, &block.text).unwrap();
        let mut command = self.command(block);
        let stdin = match block.language {
            Language::Shell => Stdio::null(),
            Language::Sql | Language::Python => fs::File::open(input).unwrap().into(),
        };
        let output = command.stdin(stdin).output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        if !output.status.success() {
            return Some(format!("{}: {}\n{printed}", block.place, output.status));
        }
        let numbers = if self.is_small && block.mark == Mark::Demo {
            Numbers::None
        } else {
            Numbers::Whole
        };
        let shown = block.output.as_deref()?;
        let missing = compare(shown, &printed, numbers).err()?;
        Some(format!(
            "{}: these lines are not printed:\n{missing}\n---- but:\n{printed}",
            block.place
        ))
    }

    /// Runs the blocks with these marks.
    fn run(&self, marks: &[Mark]) {
        let blocks = blocks();
        let problems = blocks
            .iter()
            .filter(|block| marks.contains(&block.mark))
            .filter_map(|block| {
                say(&format!("{}: {:?}", block.place, block.mark));
                self.problem(block)
            });
        let problems: Vec<String> = problems.collect();
        assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    }
}

#[test]
fn the_quick_commands_and_those_on_a_small_demo_print_what_the_pages_show() {
    let programs = Path::new(binary("incdec-train")).parent().unwrap();
    World::new(programs.to_owned(), true).run(&[Mark::Quick, Mark::Demo]);
}

#[test]
#[ignore = "runs what INCDEC_README names, on the whole demo: make test-readme"]
fn the_marked_commands_print_what_the_pages_show() {
    let of =
        |name| std::env::var(name).unwrap_or_else(|_| panic!("{name}: `make test-readme` sets it"));
    let marks: Vec<Mark> = of(MARKS_VARIABLE)
        .split_whitespace()
        .map(Mark::named)
        .collect();
    let programs = fs::canonicalize(root().join(of(PROGRAMS_VARIABLE))).unwrap();
    World::new(programs, false).run(&marks);
}

/// The words of a command line, quotes taken off; what stands behind a `#` is left out.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '#') if words.last().is_some_and(String::is_empty) => break,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ' | ';' | '|' | '&') => words.push(String::new()),
            (Some(open), _) if open == c => quote = None,
            _ => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The settings that the Makefile takes and the targets that it has.
fn of_makefile() -> (BTreeSet<String>, BTreeSet<String>) {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let settings = makefile.lines().filter_map(|line| line.split_once(" ?="));
    let targets = makefile.lines().filter_map(|line| line.split_once(':'));
    (
        settings.map(|(name, _)| name.to_owned()).collect(),
        targets.map(|(name, _)| name.to_owned()).collect(),
    )
}

/// What of a line of commands is there neither in the Makefile nor in the help of a program.
fn unknown(line: &str, known: &(BTreeSet<String>, BTreeSet<String>)) -> Vec<String> {
    let words = words(line);
    let Some(at) = words
        .iter()
        .position(|word| word == "make" || word.starts_with("incdec-"))
    else {
        return Vec::new();
    };
    let (program, arguments) = (&words[at], &words[at + 1..]);
    let help = |name: &str| {
        let mut command = Command::new(binary(name));
        // Of a program with subcommands, that of the one which is called.
        let named = arguments.first().filter(|word| !word.starts_with('-'));
        let output = command.args(named).arg("--help").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let is_unknown = |word: &&String| match (program.as_str(), word.split_once('=')) {
        ("make", Some((name, _))) => !known.0.contains(name),
        ("make", None) => !word.starts_with('-') && !known.1.contains(*word),
        (name, _) => {
            let flag = word.split('=').next().unwrap();
            flag.starts_with("--") && flag.len() > 2 && !help(name).contains(flag)
        }
    };
    arguments
        .iter()
        .filter(is_unknown)
        .map(|word| format!("{program}: {word}"))
        .collect()
}

#[test]
fn commands_that_are_run_by_nobody_name_what_there_is() {
    let known = of_makefile();
    assert!(known.0.contains("SCENARIO") && known.1.contains("demo"));
    let blocks = blocks();
    let shell = blocks.iter().filter(|b| b.language == Language::Shell);
    let mut problems = Vec::new();
    for block in shell {
        let read = Command::new("bash").args(["-nc", &block.text]).output();
        assert!(read.unwrap().status.success(), "{}", block.place);
        if [Mark::Quick, Mark::Demo].contains(&block.mark) {
            continue;
        }
        for line in block.text.replace("\\\n", " ").lines() {
            let unknown = unknown(line, &known);
            problems.extend(
                unknown
                    .iter()
                    .map(|what| format!("{}: {what}", block.place)),
            );
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    let seen = |line| unknown(line, &known);
    assert_eq!(
        seen("make report SCENARIA=x reprot"),
        ["make: SCENARIA=x", "make: reprot"]
    );
    assert_eq!(
        seen("incdec-train --no-such 1"),
        ["incdec-train: --no-such"]
    );
}
