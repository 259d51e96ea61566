//! What the README says of the code, held against the code.

use std::fs;

use crate::support::root;

/// The most lines of "Where things are": a stranger reads it whole.
const MAX_LINES: usize = 20;

/// The lines of the section with this heading.
fn section(heading: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = readme.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| !line.starts_with("## "));
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn things_are_where_the_readme_says() {
    let section = section("## Where things are");
    assert!(section.len() <= MAX_LINES, "{} lines", section.len());
    let rows = section.iter().filter(|line| line.contains(".rs`"));
    let mut wrong = Vec::new();
    for row in rows.clone() {
        let words: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let path = words.iter().find(|word| word.ends_with(".rs")).unwrap();
        let name = *words.last().unwrap();
        match fs::read_to_string(root().join(path)) {
            Ok(text) if text.contains(name) => {}
            Ok(_) => wrong.push(format!("{path} has no {name}")),
            Err(error) => wrong.push(format!("{path}: {error}")),
        }
    }
    assert!(rows.count() >= 6);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_benchmark_stands_in_one_section_and_names_its_machine() {
    let section = section("## Benchmarks").join("\n");
    assert!(section.contains("make bench") && section.contains("The machine:"));
    // A table for each topic.
    let topics = section.matches("\n### ").count();
    assert!(topics >= 4, "{topics}");
}
