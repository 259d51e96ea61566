//! What the README and the guide say of the code, held against the code.

mod acceptance;
mod blocks;
mod commands;
mod compare;
mod names;
mod on_paper;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use arrow::datatypes::Schema;
use arrow::ipc::reader::FileReader;
use incdec::clip::Split;
use incdec::parquet_file::{self, Format, Provenance, Table};
use incdec::tables::{
    AuditRow, AuditTimingRow, AvailabilityRow, ClipRow, CurveRow, ErasureRow, FEATURES, FeatureRow,
    HistoryRow, IndexRow, LedgerRow, MetricRow, PREDICTIONS, PredictionRow, ScheduleRow, SeenRow,
    TimingRow, write_features, write_predictions,
};

use crate::shard;
use crate::support::{self, root};

/// The most lines of "Where things are": a stranger reads it whole.
const MAX_LINES: usize = 20;
/// The most lines of the README, and the widest line of its prose.
const MAX_README_LINES: usize = 250;
const MAX_COLUMNS: usize = 100;
/// The most bytes of the picture of the page.
const MAX_PICTURE_BYTES: u64 = 400_000;

/// The text of a file of the checkout.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of the README's section with this heading.
fn section(heading: &str) -> Vec<String> {
    let readme = read("README.md");
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
    let rows = section
        .iter()
        .filter(|line| line.contains(".rs`") && line.starts_with('|'));
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
fn every_benchmark_stands_on_one_page_that_names_its_machine() {
    let short = section("## Benchmarks").join("\n");
    let page = "src/lib/guide/benchmarks.md";
    assert!(short.contains("make bench") && short.contains("The machine:"));
    assert!(short.contains(page), "{short}");
    let page = read(page);
    assert!(page.contains("make bench") && page.contains("The machine:"));
    // A table for each topic.
    let topics = page.matches("\n## ").count();
    assert!(topics >= 4, "{topics}");
}

#[test]
fn the_readme_is_short_and_its_prose_narrow() {
    let readme = read("README.md");
    let count = readme.lines().count();
    assert!(count <= MAX_README_LINES, "{count} lines");
    for (path, text) in blocks::pages() {
        let mut is_prose = true;
        for line in text.lines() {
            if line.starts_with("```") {
                is_prose = !is_prose;
            }
            let narrow = line.chars().count() <= MAX_COLUMNS || line.starts_with('|');
            assert!(narrow || !is_prose, "{}: {line}", path.display());
        }
    }
}

#[test]
fn links_lead_to_files_and_every_page_of_the_guide_is_documentation() {
    let mut links = 0;
    for (path, text) in blocks::pages() {
        let folder = root().join(&path);
        let folder = folder.parent().unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            if link.contains("://") {
                continue;
            }
            assert!(folder.join(link).is_file(), "{}: {link}", path.display());
            links += 1;
        }
    }
    assert!(links >= 10, "{links}");
    let guide = read("src/lib/guide/mod.rs");
    for (path, _) in blocks::pages().iter().skip(1) {
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(
            guide.contains(&format!("include_str!(\"{name}\")")),
            "{name}"
        );
        // Nobody finds a page that nothing leads to.
        assert!(read("README.md").contains(&*name), "{name}");
    }
    let picture = root().join("src/lib/guide/page.png");
    let bytes = fs::metadata(picture).unwrap().len();
    assert!(bytes <= MAX_PICTURE_BYTES, "{bytes} bytes");
}

/// Prints the type, the title and the year of the first reference of the YAML on stdin.
const CITED: &str = "
import sys, yaml
paper = yaml.safe_load(sys.stdin)['references'][0]
assert paper['authors'] and paper['conference']['name'], paper
print(paper['type'], paper['title'], paper['year'], sep='\\n')
";

#[test]
fn the_citation_has_the_paper_that_the_readme_names() {
    let citation = fs::File::open(root().join("CITATION.cff")).unwrap();
    let mut python = Command::new(support::python());
    let output = python.args(["-c", CITED]).stdin(citation).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let said = String::from_utf8(output.stdout).unwrap();
    let [kind, title, year] = said.lines().collect::<Vec<_>>()[..] else {
        panic!("{said}");
    };
    assert_eq!((kind, year), ("conference-paper", "2024"));
    let readme = read("README.md").replace('\n', " ");
    assert!(readme.contains(&format!("*{title}*")), "{title}");
}

/// The columns of a table, as the guide lists them.
fn columns<T: Table>() -> String {
    let names = T::columns().into_iter().map(|field| field.name().clone());
    names.collect::<Vec<_>>().join(", ")
}

fn names(schema: &Schema) -> String {
    let names = schema.fields().iter().map(|field| field.name().as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// The columns of a table whose columns depend on what it holds, after one has been written.
fn written(path: &Path, format: &Format) -> String {
    let batches = parquet_file::read_batches(path, format, None).unwrap();
    names(&batches[0].schema())
}

/// The columns of a table of features.
fn feature_columns(folder: &Path) -> String {
    let row = FeatureRow {
        clip_id: "a_000000_000010".into(),
        split: Split::Train,
        content: "0".into(),
        feature: vec![0.5],
    };
    let path = folder.join(FeatureRow::FILE);
    write_features(&path, &[&row], &Provenance::default()).unwrap();
    written(&path, &FEATURES)
}

/// The columns of a table of predictions, that of each category spelt as on a page.
fn prediction_columns(folder: &Path) -> String {
    let row = PredictionRow {
        task: 0,
        split: Split::Test,
        position: 0,
        clip_id: "a_000000_000010".into(),
        label: 0,
        subcategory: "yawning".into(),
        prediction: 0,
        probabilities: vec![1.0],
    };
    let path = folder.join(PredictionRow::FILE);
    let categories = ["&lt;category&gt;".to_owned()];
    write_predictions(&path, &categories, &[row], &Provenance::default()).unwrap();
    written(&path, &PREDICTIONS) + "..."
}

/// The columns of a shard.
fn shard_columns(folder: &Path) -> String {
    let rows = shard::write(folder, &shard::some_clips(), 3);
    let file = fs::File::open(folder.join(rows[0].shard.as_ref().unwrap())).unwrap();
    names(&FileReader::try_new(file, None).unwrap().schema())
}

#[test]
fn the_tables_have_the_columns_that_the_guide_lists() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tables = BTreeMap::from([
        ("shards/*.arrow", shard_columns(folder)),
        ("predictions.parquet", prediction_columns(folder)),
        ("features/features.parquet", feature_columns(folder)),
        ("audit/audit.parquet", columns::<AuditRow>()),
        ("audit/curves.parquet", columns::<CurveRow>()),
        ("audit/timing.parquet", columns::<AuditTimingRow>()),
        ("shards/index.parquet", columns::<IndexRow>()),
        ("manifests/clips.parquet", columns::<ClipRow>()),
        ("availability.parquet", columns::<AvailabilityRow>()),
        ("schedule.parquet", columns::<ScheduleRow>()),
        ("history.parquet", columns::<HistoryRow>()),
        ("metrics.parquet", columns::<MetricRow>()),
        ("seen.parquet", columns::<SeenRow>()),
        ("timing.parquet", columns::<TimingRow>()),
        ("erasures.parquet", columns::<ErasureRow>()),
        ("downloads.parquet", columns::<LedgerRow>()),
    ]);
    let guide = read("src/lib/guide/tables.md");
    let rows = guide.lines().filter(|line| line.starts_with("| `"));
    let rows: BTreeMap<&str, &str> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
            (cells[0].trim().trim_matches('`'), cells[2].trim())
        })
        .collect();
    let files: Vec<_> = tables.keys().copied().collect();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), files);
    for (file, columns) in tables {
        assert_eq!(rows[file], columns, "{file}");
    }
}
