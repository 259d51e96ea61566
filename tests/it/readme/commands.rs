//! The commands of the README and of the guide, run in their order.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::acceptance;
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
        "--frames 4 --resize 36 --size 32 --geometry tf --epochs 1 --batch-size 8 --threads 1 --workers 1 --sampler imbalanced",
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
        // A mark that nothing has would pass without a command.
        for mark in marks {
            let selects = blocks.iter().any(|block| block.mark == *mark);
            assert!(selects, "no block has the mark {mark:?}");
        }
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
    let world = World::new(programs.to_owned(), true);
    world.run(&[Mark::Quick, Mark::Demo]);
    // Approaches that the demo's flags alone do not suit.
    // The demo's weights have seen the clip that the guide has withdrawn by now.
    let warned = "ridge TRAIN_FLAGS='--on-tainted warn'";
    for approach in ["er", warned] {
        let text = format!("make try APPROACH={approach}");
        let problem = world.problem(&Block {
            place: text.clone(),
            language: Language::Shell,
            mark: Mark::Demo,
            text,
            output: None,
        });
        assert!(problem.is_none(), "{}", problem.unwrap_or_default());
    }
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
    let world = World::new(programs, false);
    world.run(&marks);
    if marks.contains(&Mark::Demo) {
        acceptance::hold(&world.folder.path().join("demo"));
    }
}
