//! What the README and the guide name of programs, targets, settings and flags, looked up.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use super::blocks::{Language, Mark, blocks, pages};
use crate::support::{BINARIES, root};

/// The fewest commands within sentences, so that the test notices where it sees none.
const LEAST_INLINE: usize = 50;

/// The commands of a line, each as its words; quotes are taken off, and what stands behind a `#` is
/// left out.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![vec![String::new()]];
    let mut quote = None;
    for c in line.chars() {
        let words = commands.last_mut().unwrap();
        match (quote, c) {
            (None, '#') if words.last().is_some_and(String::is_empty) => break,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') => words.push(String::new()),
            (None, ';' | '|' | '&') => commands.push(vec![String::new()]),
            (Some(open), _) if open == c => quote = None,
            _ => words.last_mut().unwrap().push(c),
        }
    }
    for words in &mut commands {
        words.retain(|word| !word.is_empty());
    }
    commands
}

/// The settings that the Makefile takes and the targets that it has.
struct Makefile {
    settings: BTreeSet<String>,
    targets: BTreeSet<String>,
}

impl Makefile {
    fn read() -> Self {
        let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
        let settings = makefile.lines().filter_map(|line| line.split_once(" ?="));
        let targets = makefile.lines().filter_map(|line| line.split_once(':'));
        Self {
            settings: settings.map(|(name, _)| name.to_owned()).collect(),
            targets: targets.map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// What of a line of commands is there neither here nor in the help of a program.
    fn unknown(&self, line: &str) -> Vec<String> {
        let commands = commands(line);
        let unknown = commands.iter().flat_map(|words| self.unknown_of(words));
        unknown.collect()
    }

    fn unknown_of(&self, words: &[String]) -> Vec<String> {
        // What stands between quotes may be a command, as `sbatch --wrap` takes one.
        let quoted = words.iter().filter(|word| word.contains(' '));
        let quoted = quoted.flat_map(|word| self.unknown(word));
        let mut unknown: Vec<String> = quoted.collect();
        let programs = words.iter().map(|word| program(word));
        let Some((at, name)) = programs.enumerate().find_map(|(at, p)| Some((at, p?))) else {
            return unknown;
        };
        let arguments = &words[at + 1..];
        let missing = if name == "make" {
            self.unknown_to_make(arguments)
        } else {
            unknown_to_program(name, arguments)
        };
        unknown.extend(missing.iter().map(|word| format!("{name}: {word}")));
        unknown
    }

    fn unknown_to_make(&self, arguments: &[String]) -> Vec<String> {
        let is_unknown = |word: &&String| match word.split_once('=') {
            Some((name, _)) => !self.settings.contains(name),
            None => !word.starts_with('-') && !self.targets.contains(*word),
        };
        arguments.iter().filter(is_unknown).cloned().collect()
    }
}

/// The program that a word is, also behind the path of a folder. A name with capitals stands for
/// any.
fn program(word: &str) -> Option<&str> {
    let name = word.rsplit('/').next().unwrap_or(word);
    let of_incdec = name.strip_prefix("incdec-").is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_lowercase()) && !rest.contains(['.', '=', ' '])
    });
    (name == "make" || of_incdec).then_some(name)
}

/// Which arguments the help of a program knows nothing of; all of them where there is no such
/// program or subcommand.
fn unknown_to_program(name: &str, arguments: &[String]) -> Vec<String> {
    let Some((_, program)) = BINARIES.iter().find(|(known, _)| *known == name) else {
        return vec!["no such program".to_owned()];
    };
    // Of a program with subcommands, the help of that which is called.
    let named = arguments.first().filter(|word| !word.starts_with('-'));
    let mut help = Command::new(program);
    let Output { status, stdout, .. } = help.args(named).arg("--help").output().unwrap();
    if !status.success() {
        return named.cloned().into_iter().collect();
    }
    let help = String::from_utf8(stdout).unwrap();
    let is_of_flag = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let known: BTreeSet<&str> = help.split(|c| !is_of_flag(c)).collect();
    let flags = arguments
        .iter()
        .map(|word| word.split('=').next().unwrap_or(word));
    flags
        .filter(|flag| flag.starts_with("--") && flag.len() > 2 && !known.contains(flag))
        .map(str::to_owned)
        .collect()
}

/// The code within the sentences of a page, each piece on one line.
fn inline_code(page: &str) -> Vec<String> {
    let mut is_prose = true;
    let prose = page.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        is_prose ^= is_fence;
        is_prose && !is_fence
    });
    let prose: Vec<&str> = prose.collect();
    let paragraphs = prose.split(|line| line.is_empty());
    let code = paragraphs.flat_map(|lines| {
        let paragraph = lines.join(" ");
        let code = paragraph.split('`').skip(1).step_by(2);
        code.map(str::to_owned).collect::<Vec<_>>()
    });
    code.map(|code| code.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn commands_that_are_run_by_nobody_name_what_there_is() {
    let makefile = Makefile::read();
    assert!(makefile.settings.contains("SCENARIO") && makefile.targets.contains("demo"));
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
            let unknown = makefile.unknown(line);
            let unknown = unknown
                .iter()
                .map(|what| format!("{}: {what}", block.place));
            problems.extend(unknown);
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn commands_within_sentences_name_what_there_is() {
    let makefile = Makefile::read();
    let (mut seen, mut problems) = (0, Vec::new());
    for (path, text) in pages() {
        for code in inline_code(&text) {
            if program(code.split(' ').next().unwrap_or_default()).is_some() {
                seen += 1;
                let unknown = makefile.unknown(&code);
                let unknown = unknown
                    .iter()
                    .map(|what| format!("{}: `{code}`: {what}", path.display()));
                problems.extend(unknown);
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(seen >= LEAST_INLINE, "{seen}");
}

#[test]
fn what_is_not_there_is_seen_wherever_it_stands() {
    let makefile = Makefile::read();
    for (line, expected) in [
        (
            "make report SCENARIA=x reprot",
            &["make: SCENARIA=x", "make: reprot"][..],
        ),
        ("make demo && make dmeo", &["make: dmeo"]),
        ("incdec-train --no-such 1", &["incdec-train: --no-such"]),
        // A part of a flag is no flag.
        ("incdec-train --check 1", &["incdec-train: --check"]),
        ("incdec-erase aply", &["incdec-erase: aply"]),
        ("incdec-trian --out x", &["incdec-trian: no such program"]),
        (
            "sbatch --wrap 'exec target/release/incdec-train --divice cpu'",
            &["incdec-train: --divice"],
        ),
        (
            "ssh ada \"cd '$PWD' && incdec-decode --clops raw\"",
            &["incdec-decode: --clops"],
        ),
        (
            "make train TRAIN_FLAGS='--epochs 1' && incdec-NAME --x # make it",
            &[],
        ),
    ] {
        assert_eq!(makefile.unknown(line), expected, "{line}");
    }
    let page =
        "Look at `make\n  help`.\n\n```sh quick\nmake `x`\n```\n\n| `incdec-toy` | a `b` |\n";
    assert_eq!(inline_code(page), ["make help", "incdec-toy", "b"]);
}
