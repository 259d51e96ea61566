//! The fenced blocks of the README and of the guide that hold commands.
//!
//! Behind its language a block has a mark, which says what its commands need. The next block of
//! `text`, before any other block, is what they print.

use std::fs;
use std::path::PathBuf;

use crate::support::root;

/// What the commands of a block need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing but the programs.
    Quick,
    /// What `make demo` makes.
    Demo,
    /// The demo, and PyTorch and other programs (`make setup-peers`).
    Peers,
    /// The network.
    Network,
    /// A GPU.
    Gpu,
    /// A cluster's scheduler.
    Cluster,
    /// Minutes for the audit of unlearned models.
    Audit,
    /// Data that the reader has and nobody else.
    Data,
}

impl Mark {
    const ALL: [(&str, Self); 8] = [
        ("quick", Self::Quick),
        ("demo", Self::Demo),
        ("peers", Self::Peers),
        ("network", Self::Network),
        ("gpu", Self::Gpu),
        ("cluster", Self::Cluster),
        ("audit", Self::Audit),
        ("data", Self::Data),
    ];

    pub(super) fn named(name: &str) -> Self {
        let known = Self::ALL.iter().find(|(known, _)| *known == name);
        known.unwrap_or_else(|| panic!("no such mark: {name:?}")).1
    }
}

/// What runs the text of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Shell,
    Sql,
    Python,
}

impl Language {
    fn named(name: &str) -> Option<Self> {
        match name {
            "sh" => Some(Self::Shell),
            "sql" => Some(Self::Sql),
            "python" => Some(Self::Python),
            _ => None,
        }
    }
}

/// A block of commands.
pub(super) struct Block {
    /// Its page and the line of its fence, for messages.
    pub(super) place: String,
    pub(super) language: Language,
    pub(super) mark: Mark,
    pub(super) text: String,
    /// What it prints, where the page shows that.
    pub(super) output: Option<String>,
}

/// The pages, in the order in which a reader meets them: each with its path from the root.
pub(super) fn pages() -> Vec<(PathBuf, String)> {
    let guide = fs::read_dir(root().join("src/lib/guide")).unwrap();
    let guide = guide.map(|entry| entry.unwrap().path());
    let mut guide: Vec<PathBuf> = guide
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    guide.sort();
    let paths = [root().join("README.md")].into_iter().chain(guide);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().to_owned(), text)
    };
    paths.map(read).collect()
}

/// The blocks of commands of every page, in order.
pub(super) fn blocks() -> Vec<Block> {
    let pages = pages();
    let blocks = pages
        .iter()
        .flat_map(|(path, text)| of_page(&path.display().to_string(), text));
    blocks.collect()
}

/// The fence of a file for Kubernetes, which the tests of clusters look at.
const MANIFEST: &str = "yaml";

fn of_page(page: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    // Whether the last block has commands, of which no output has been shown yet.
    let mut awaits_output = false;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else {
            continue;
        };
        let inside = lines.by_ref().map(|(_, line)| line);
        let inside: Vec<&str> = inside.take_while(|line| *line != "```").collect();
        let text = inside.join("\n");
        let place = format!("{page}:{}", number + 1);
        let (language, mark) = fence.split_once(' ').unwrap_or((fence, ""));
        let language = Language::named(language);
        if let Some(language) = language {
            blocks.push(Block {
                mark: Mark::named(mark),
                place,
                language,
                text,
                output: None,
            });
        } else if fence != MANIFEST {
            assert_eq!(fence, "text", "{place}: neither commands nor their output");
            if awaits_output {
                blocks.last_mut().unwrap().output = Some(text);
            }
        }
        awaits_output = language.is_some();
    }
    blocks
}

#[test]
fn a_block_has_its_mark_and_the_output_that_follows() {
    let page = "# A\n\n```sh demo\nmake demo\n```\n\n```text\ndone\n```\n\n```text\na drawing\n```\n\n\
        ```sql peers\nselect 1\n```\n";
    let blocks = of_page("A.md", page);
    let found: Vec<_> = blocks
        .iter()
        .map(|b| (&*b.place, b.mark, b.language, &*b.text, b.output.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            (
                "A.md:3",
                Mark::Demo,
                Language::Shell,
                "make demo",
                Some("done")
            ),
            ("A.md:15", Mark::Peers, Language::Sql, "select 1", None),
        ]
    );
}
