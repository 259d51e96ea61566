//! What every command does alike: how much it says and where, what it says of a value that it cannot read, which libraries
//! it names, and the man pages and completions that it writes of itself.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{BINARIES, binary};

/// Binaries that hand their command line on to others, and leave the saying to them.
const HANDS_ON: [&str; 2] = ["incdec-experiment", "incdec-bench"];

fn run(name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary(name));
    command.args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// All that was printed.
fn all(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// The label tables of a toy source, and a place to write to.
struct Labels {
    folder: tempfile::TempDir,
}

impl Labels {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        let sizes = "--train 2 --validation 1 --test 1 --seconds 0.4 --size 32";
        let mut toy = Command::new(binary("incdec-toy"));
        toy.args(["write", "-q", "--out"]).arg(&source);
        let output = toy.args(sizes.split(' ')).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(all(&output), "");
        Self { folder }
    }

    /// What `incdec-tasks` says of them with these flags.
    fn tasks(&self, flags: &[&str]) -> Output {
        let mut command = Command::new(binary("incdec-tasks"));
        command
            .arg("--labels")
            .arg(self.folder.path().join("source/Info"));
        command.arg("--out").arg(self.folder.path().join("tasks"));
        let output = command.args(["--tasks", "2"]).args(flags).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    }
}

#[test]
fn quiet_says_no_news_and_json_is_one_object_on_stdout() {
    let labels = Labels::new();
    let usual = labels.tasks(&[]);
    assert!(text(&usual.stdout).contains("substitution, seed 0, 2 tasks"));
    for quiet in ["-q", "--quiet"] {
        let output = labels.tasks(&[quiet]);
        assert_eq!(all(&output), "");
    }
    for flags in [&["--json"][..], &["--json", "-q"], &["--json", "-v"]] {
        let output = labels.tasks(flags);
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["scenario"], "substitution");
        assert_eq!(summary["tasks"].as_array().unwrap().len(), 2);
        assert_eq!(text(&output.stdout).lines().count(), 1);
    }
}

#[test]
fn every_binary_that_works_itself_takes_quiet_and_verbose_and_not_both() {
    for (name, binary) in BINARIES {
        let help = text(&Command::new(binary).arg("--help").output().unwrap().stdout);
        let has_them = help.contains("-q, --quiet") && help.contains("-v, --verbose");
        assert_eq!(has_them, !HANDS_ON.contains(name), "{name}");
        let both = Command::new(binary).args(["-q", "-v"]).output().unwrap();
        assert_eq!(both.status.code(), Some(2), "{name}");
    }
    // Subcommands take them too, behind their own names.
    let probe = run("incdec-decode", &["probe", "-q", "/nowhere.mp4"]);
    assert_eq!(probe.status.code(), Some(1));
    assert!(text(&probe.stdout).contains("there is no such file"));
}

#[test]
fn a_value_that_is_no_number_is_refused_in_sensible_words() {
    for (arguments, expected) in [
        (
            &["incdec-tasks", "--tasks", "many"][..],
            "invalid value 'many' for '--tasks <N>': expected a whole number",
        ),
        (&["incdec-tasks", "--tasks", ""], "expected a whole number"),
        (
            &["incdec-tasks", "--tasks", "-1"],
            "expected a whole number",
        ),
        (
            &["incdec-tasks", "--tasks", "99999999999999999999"],
            "the number is too large",
        ),
        (
            &["incdec-tasks", "--initial-split", "half"],
            "expected a number",
        ),
        (
            &["incdec-tasks", "--seed", "1.5"],
            "expected a whole number",
        ),
        (
            &["incdec-decode", "probe", "--clip-seconds", "long", "x.mp4"],
            "expected a whole number",
        ),
        // What a parser of our own says stays.
        (&["incdec-decode", "--fps", "0"], "is no frame rate"),
    ] {
        let output = run(arguments[0], &arguments[1..]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(said.contains("--help"), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_version_names_the_libraries_that_are_linked() {
    for (name, path) in BINARIES {
        // Shared libraries by their files, and what is linked into the program by a name within.
        let known = [
            ("FFmpeg ", "libavcodec.so"),
            ("libtorch ", "libtorch_cpu.so"),
            ("Zstandard ", "ZSTD_versionString"),
        ];
        let parts = Command::new("readelf").args(["-dsW", path]).output();
        let parts = text(&parts.unwrap().stdout);
        let linked = known.iter().filter(|(_, part)| parts.contains(part));
        let libraries: Vec<&str> = linked.map(|(library, _)| *library).collect();
        // Those that hand their command line on read no table, and have nothing to name.
        assert_eq!(libraries.is_empty(), HANDS_ON.contains(name), "{name}");
        for flag in ["-V", "--version"] {
            let said = text(&run(name, &[flag]).stdout);
            let mut lines = said.lines();
            let own = format!("{name} {}", env!("CARGO_PKG_VERSION"));
            assert_eq!(lines.next(), Some(own.as_str()));
            for library in &libraries {
                let line = lines.next().unwrap_or_default();
                let version = line.strip_prefix(library).unwrap_or_default();
                let number = version.starts_with(|c: char| c.is_ascii_digit());
                assert!(number, "{name} {flag}: {line}");
            }
            assert_eq!(lines.next(), None, "{name} {flag}");
        }
    }
}

#[test]
fn a_terminal_gets_no_colours_that_it_does_not_want() {
    // util-linux's script gives a command a terminal.
    let on_terminal = |variable: Option<&str>| {
        let mut command = Command::new("script");
        let line = format!("{} --help", binary("incdec-tasks"));
        command
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm");
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command.envs(variable.map(|name| (name, "1")));
        text(&command.output().unwrap().stdout)
    };
    let escape = '\u{1b}';
    assert!(
        on_terminal(None).contains(escape),
        "colours are the usual thing"
    );
    let plain = on_terminal(Some("NO_COLOR"));
    assert!(
        plain.contains("Usage:") && !plain.contains(escape),
        "{plain}"
    );
    let piped = text(&run("incdec-tasks", &["--help"]).stdout);
    assert!(piped.contains("Usage:") && !piped.contains(escape));
}

/// The files in a folder with their texts, sorted by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_binary_writes_its_man_pages_and_its_completions() {
    for (name, binary) in BINARIES {
        let folder = tempfile::tempdir().unwrap();
        for (what, file) in [
            ("man", format!("{name}.1")),
            ("bash", format!("{name}.bash")),
            ("zsh", format!("_{name}")),
            ("fish", format!("{name}.fish")),
        ] {
            let mut command = Command::new(binary);
            command.args(["--generate", what]).arg(folder.path());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{name}: {}", text(&output.stderr));
            let written = fs::read_to_string(folder.path().join(file)).unwrap();
            assert!(written.contains("help"), "{name}: {what}");
        }
        let (pages, others): (Vec<_>, Vec<_>) = files(folder.path())
            .into_iter()
            .partition(|(file, _)| Path::new(file).extension().is_some_and(|e| e == "1"));
        assert_eq!(others.len(), 3, "{name}");
        for (page, page_text) in &pages {
            assert!(page_text.contains(".SH SYNOPSIS"), "{page}");
            // Pages that a page refers to are there.
            for other in page_text.split("\\-").filter(|part| part.contains("(1)")) {
                let subcommand = other.split("(1)").next().unwrap();
                let known = pages
                    .iter()
                    .any(|(file, _)| file.ends_with(&format!("{subcommand}.1")));
                assert!(known, "{page} refers to {subcommand}(1)");
            }
        }
        let bash = folder.path().join(format!("{name}.bash"));
        let read = Command::new("bash").arg("-n").arg(bash).status().unwrap();
        assert!(read.success(), "{name}");
    }
    let output = run("incdec-tasks", &["--generate", "perl", "."]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected man, bash, zsh or fish"));
    let output = run("incdec-tasks", &["--generate", "man", "/no/such/folder"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/no/such/folder"));
}

#[test]
fn on_a_terminal_warnings_stand_whole_above_a_bar_that_shows_one_decimal() {
    let labels = Labels::new();
    let at = |name: &str| labels.folder.path().join(name);
    let (source, raw) = (at("source"), at("raw"));
    let download = Command::new(binary("incdec-download"))
        .args(["-q", "--labels"])
        .arg(source.join("Info"))
        .arg("--source")
        .arg(&source)
        .arg("--out")
        .arg(&raw)
        .arg("--ledger")
        .arg(at("downloads.parquet"))
        .output()
        .unwrap();
    assert!(download.status.success(), "{}", text(&download.stderr));
    // Every second clip of a subcategory is no video.
    let clips = fs::read_dir(raw.join("texting")).unwrap();
    let mut damaged: Vec<_> = clips.map(|clip| clip.unwrap().path()).collect();
    damaged.sort();
    for clip in damaged.iter().step_by(2) {
        fs::write(clip, "no video").unwrap();
    }
    let line = format!(
        "stty cols 80; {} --max-failed 1 --jobs 1 --clips '{}' --labels '{}' --out '{}'",
        binary("incdec-decode"),
        raw.display(),
        source.join("Info").display(),
        at("shards").display()
    );
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .output()
        .unwrap();
    let said = all(&output);
    assert!(output.status.success(), "{said}");
    // A terminal starts a line at its beginning, or where the bar is cleared.
    let pieces: Vec<&str> = said.split(['\r', '\n']).collect();
    for clip in damaged.iter().step_by(2) {
        let name = clip.file_stem().unwrap().to_string_lossy();
        let warning = pieces
            .iter()
            .find(|piece| piece.contains(&*name) && piece.contains("WARN"))
            .unwrap_or_else(|| panic!("{name}: {said}"));
        let whole = warning.contains(&*clip.display().to_string());
        assert!(whole && !warning.contains("clips  "), "{warning}");
    }
    let decimals = regex::Regex::new(r"\d\.\d\d+/s").unwrap();
    assert!(!decimals.is_match(&said), "{said}");
    assert!(
        said.contains("decoding ") && said.contains("/s  "),
        "{said}"
    );
}
