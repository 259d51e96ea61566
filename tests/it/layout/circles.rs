//! No circle of imports between the files of a folder, counted between the files that define the
//! items used.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use super::sources;

/// Re-exports of re-exports are followed this far.
const MAX_STEPS: usize = 8;

/// The way to a module from the root: `decode`, `clip`.
type Module = Vec<String>;

/// A file as far as imports go.
#[derive(Default)]
struct File {
    /// Whether it is a folder's door or its list of errors (`mod.rs`, `error.rs`): these name what
    /// lies in the folder, and what they import is not counted.
    is_front: bool,
    /// Names that it defines.
    items: BTreeSet<String>,
    /// Names that it imports, and those of them that it only hands on.
    uses: Vec<Use>,
    /// Paths in its code.
    paths: BTreeSet<Vec<String>>,
}

struct Use {
    /// The name by which the item goes here; `*` where all names are imported.
    name: String,
    path: Vec<String>,
    /// Whether it is handed on (`pub use`), which is no use of it.
    handed_on: bool,
}

struct Library(BTreeMap<Module, File>);

impl Library {
    fn read<'a>(files: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Self {
        let files = files.into_iter().map(|(path, code)| {
            let is_front = path.ends_with("mod.rs") || path.ends_with("error.rs");
            let file = File {
                is_front,
                ..parsed(code)
            };
            (module_of(path), file)
        });
        Self(files.collect())
    }

    /// The module whose file defines what `path` means in `from`; none where that is a module, or
    /// of another crate.
    fn definer(&self, from: &[String], path: &[String], steps: usize) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.look_up(Vec::new(), rest, steps),
            "self" => self.look_up(from.to_vec(), rest, steps),
            "super" => self.look_up(from[..from.len().checked_sub(1)?].to_vec(), rest, steps),
            _ => self.look_up(from.to_vec(), path, steps),
        }
    }

    fn look_up(&self, at: Module, path: &[String], steps: usize) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        if first == "super" {
            return self.look_up(at[..at.len().checked_sub(1)?].to_vec(), rest, steps);
        }
        let child: Module = at.iter().chain([first]).cloned().collect();
        if self.0.contains_key(&child) {
            return self.look_up(child, rest, steps);
        }
        let file = self.0.get(&at)?;
        if file.items.contains(first) {
            return Some(at);
        }
        let steps = steps.checked_sub(1)?;
        file.uses.iter().find_map(|import| {
            let rest = match import.name.as_str() {
                "*" => path,
                name if name == first => rest,
                _ => return None,
            };
            let path: Vec<String> = import.path.iter().chain(rest).cloned().collect();
            self.definer(&at, &path, steps)
        })
    }

    /// Which files of its own folder each file uses.
    fn edges(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        let files = self.0.iter();
        let edges = files.map(|(module, file)| {
            let imports = file.uses.iter().filter(|import| !import.handed_on);
            let paths = imports.map(|import| &import.path).chain(&file.paths);
            let used = paths
                .filter_map(|path| self.definer(module, path, MAX_STEPS))
                .filter(|used| !file.is_front && used != module && used.first() == module.first())
                .filter_map(|used| self.0.get_key_value(&used))
                .map(|(used, _)| used);
            (module, used.collect())
        });
        edges.collect()
    }

    /// The shortest circle through each file that is in one, each circle once.
    fn circles(&self) -> BTreeSet<Vec<String>> {
        let edges = self.edges();
        let circles = edges.keys().filter_map(|start| {
            let mut ways = VecDeque::from([vec![*start]]);
            let mut seen = BTreeSet::new();
            while let Some(way) = ways.pop_front() {
                for next in &edges[way[way.len() - 1]] {
                    if next == start {
                        let mut names: Vec<String> = way.iter().map(|m| m.join("/")).collect();
                        names.sort();
                        return Some(names);
                    }
                    if seen.insert(*next) {
                        ways.push_back(way.iter().copied().chain([*next]).collect());
                    }
                }
            }
            None
        });
        circles.collect()
    }
}

/// What a file defines, imports and names.
fn parsed(code: &str) -> File {
    let mut file = File::default();
    let mut body = String::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let (public, start) = without_visibility(line.trim_start());
        if let Some(tree) = start.strip_prefix("use ") {
            let mut tree = tree.to_owned();
            while !tree.contains(';') {
                tree += lines.next().unwrap_or(";").trim();
            }
            expand(tree.split(';').next().unwrap(), &[], public, &mut file.uses);
            continue;
        }
        if let Some(name) = defined(line) {
            file.items.insert(name);
        }
        body += line;
        body.push('\n');
    }
    file.paths = paths_in(&body);
    file
}

fn without_visibility(line: &str) -> (bool, &str) {
    match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with(' ') => (true, rest.trim_start()),
        Some(rest) if rest.starts_with('(') => {
            (true, rest.split_once(") ").map_or(rest, |(_, rest)| rest))
        }
        _ => (false, line),
    }
}

/// The name of the item that begins on a line: at its start, or (enums and rows) within a macro.
fn defined(line: &str) -> Option<String> {
    let indent = line.len() - line.trim_start().len();
    let (_, mut rest) = without_visibility(line.trim_start());
    for word in ["const fn ", "unsafe fn ", "async fn "] {
        rest = rest
            .strip_prefix(word)
            .map_or(rest, |_| &rest[word.len() - 3..]);
    }
    let kinds: &[&str] = match indent {
        0 => &[
            "fn ",
            "struct ",
            "enum ",
            "trait ",
            "type ",
            "const ",
            "static ",
            "macro_rules! ",
        ],
        4 => &["struct ", "enum "],
        _ => return None,
    };
    let rest = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}

/// `a::{b, c as d}` as a list of imports.
fn expand(tree: &str, prefix: &[String], handed_on: bool, uses: &mut Vec<Use>) {
    let segments = |text: &str| -> Vec<String> {
        let parts = text.split("::").map(str::trim).filter(|s| !s.is_empty());
        prefix
            .iter()
            .cloned()
            .chain(parts.map(str::to_owned))
            .collect()
    };
    if let Some((before, inner)) = tree.split_once('{') {
        let prefix = segments(before);
        let inner = &inner[..inner.rfind('}').unwrap_or(inner.len())];
        let (mut depth, mut start) = (0, 0);
        for (at, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&inner[start..at], &prefix, handed_on, uses);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return expand(&inner[start..], &prefix, handed_on, uses);
    }
    if tree.trim().is_empty() {
        return;
    }
    let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
    let mut path = segments(path);
    if path.len() > 1
        && path
            .last()
            .is_some_and(|last| last == "self" || last == "*")
    {
        let last = path.pop().unwrap();
        let name = if last == "*" {
            last
        } else {
            path[path.len() - 1].clone()
        };
        return uses.push(Use {
            name,
            path,
            handed_on,
        });
    }
    let name = if alias.is_empty() {
        path[path.len() - 1].as_str()
    } else {
        alias.trim()
    };
    let name = name.to_owned();
    uses.push(Use {
        name,
        path,
        handed_on,
    });
}

/// Every `a::b` of the code.
fn paths_in(code: &str) -> BTreeSet<Vec<String>> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.split(|c| !is_part(c))
        .map(|text| text.trim_matches(':'))
        .filter(|text| text.contains("::"))
        .map(|text| text.split("::").map(str::to_owned).collect())
        .collect()
}

/// The module of a file of src/lib.
fn module_of(file: &Path) -> Module {
    let parts = file.components().skip(2);
    let parts = parts.map(|part| part.as_os_str().to_str().unwrap().trim_end_matches(".rs"));
    parts
        .filter(|part| !["mod", "lib"].contains(part))
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_files_of_a_folder_import_one_another_in_a_circle() {
    let files = sources("src/lib");
    let files = files
        .iter()
        .map(|(path, code)| (path.as_path(), code.as_str()));
    let circles = Library::read(files).circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn a_circle_is_seen_through_re_exports_paths_and_macros_and_handing_on_is_none() {
    let circles = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(path, code)| (Path::new(path), *code));
        Library::read(files)
            .circles()
            .into_iter()
            .collect::<Vec<_>>()
    };
    let root = ("src/lib/lib.rs", "pub mod a;");
    let door = (
        "src/lib/a/mod.rs",
        "mod b;\nmod c;\npub use b::{B, inner::*};\npub(crate) use c::C as D;\npub struct A(B);",
    );
    let (b, c) = ("src/lib/a/b.rs", "src/lib/a/c.rs");
    let through_the_door = [
        root,
        door,
        (b, "use super::{\n    A,\n    D,\n};\npub struct B;"),
        (c, "pub(super) struct C(crate::a::B);"),
    ];
    assert_eq!(circles(&through_the_door), [["a/b", "a/c"]]);
    let by_a_modules_name = [
        root,
        door,
        (b, "use super::c;\npub const fn b() { c::c() }"),
        (
            c,
            "choice! {\n    pub enum C {}\n}\nfn c() { super::b::b() }",
        ),
    ];
    assert_eq!(circles(&by_a_modules_name), [["a/b", "a/c"]]);
    let one_way = [
        root,
        door,
        (b, "use super::A;\npub struct B;"),
        (c, "use super::B;\nstruct C;"),
    ];
    assert!(circles(&one_way).is_empty());
}
