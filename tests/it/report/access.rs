//! What those need who hear the page, or go through it by its headings: on every kind of page.

use std::fs;
use std::path::Path;

use incdec::report::{self, AuditReportConfig, ReportConfig};

use super::fake::{DECREMENTAL, FakeRun};
use super::{assert_self_contained_and_well_formed, audit, config, ledger};

fn written(config: &ReportConfig) -> String {
    report::run(config).unwrap();
    fs::read_to_string(&config.out).unwrap()
}

/// Pages of each kind: of one run, of several, of withdrawals, of withdrawals behind a run, and of
/// an audit.
fn pages(root: &Path) -> [(&'static str, String); 5] {
    let second = FakeRun {
        seed: 1,
        ..DECREMENTAL
    };
    let runs = vec![DECREMENTAL.write(root), second.write(root)];
    let config = |runs: &[_]| ReportConfig {
        permutations: 20,
        ..config(root, runs.to_vec())
    };
    let one = config(&runs[..1]);
    let behind = ReportConfig {
        withdrawals: Some(ledger::write(root)),
        ..one.clone()
    };
    let withdrawals = ReportConfig {
        runs: Vec::new(),
        ..behind.clone()
    };
    audit::write(root);
    let of_audit = AuditReportConfig {
        audit: root.to_owned(),
        out: root.join("audit.html"),
        latex: None,
        csv: None,
        withdrawals: None,
    };
    report::run_audit(&of_audit).unwrap();
    [
        ("one run", written(&one)),
        ("several runs", written(&config(&runs))),
        ("withdrawals", written(&withdrawals)),
        ("withdrawals behind a run", written(&behind)),
        ("an audit", fs::read_to_string(&of_audit.out).unwrap()),
    ]
}

/// The tags of an element, without their brackets.
fn tags<'a>(page: &'a str, element: &str) -> Vec<&'a str> {
    let opening = format!("<{element}");
    let after = page.split(&opening).skip(1);
    let own = after.filter(|rest| rest.starts_with([' ', '>']));
    own.map(|rest| rest.split('>').next().unwrap()).collect()
}

#[test]
fn headings_scopes_and_names_are_there_for_those_who_hear_the_page() {
    let root = tempfile::tempdir().unwrap();
    for (name, page) in pages(root.path()) {
        assert_self_contained_and_well_formed(&page);
        // Levels begin at 1 and never skip one.
        let mut level = 0;
        for (at, _) in page.match_indices("<h") {
            let Some(found) = page[at + 2..].chars().next().and_then(|c| c.to_digit(10)) else {
                continue;
            };
            assert!(found <= level + 1, "{name}: h{found} after h{level}");
            level = found;
        }
        assert_eq!(page.matches("<h1").count(), 1, "{name}");
        for tag in tags(&page, "th") {
            assert!(tag.contains("scope="), "{name}: <th{tag}>");
        }
        for svg in tags(&page, "svg") {
            let named = svg.contains("role=\"img\"") && svg.contains("aria-label=\"");
            assert!(
                named || svg.contains("aria-hidden=\"true\""),
                "{name}: {svg}"
            );
        }
        assert!(page.contains("<html lang=\"en\">"));
        // Every mark of a chart has its value, and every bar.
        for mark in ["<path class=\"mark", "<rect "] {
            for shape in page.split(mark).skip(1) {
                let (_, inside) = shape.split_once('>').unwrap();
                let sample = inside.starts_with("</path></svg>");
                assert!(sample || inside.starts_with("<title>"), "{name}: {mark}");
            }
        }
    }
}

#[test]
fn every_table_scrolls_by_name_and_every_row_has_a_head() {
    let root = tempfile::tempdir().unwrap();
    for (name, page) in pages(root.path()) {
        let mut tables = page.split("<table");
        let mut before = tables.next().unwrap();
        for table in tables {
            let frame = before.rsplit('<').next().unwrap();
            let framed = [
                "class=\"scroll\"",
                "tabindex=\"0\"",
                "role=\"region\"",
                "aria-label=\"",
            ];
            assert!(
                framed.iter().all(|part| frame.contains(part)),
                "{name}: {frame}"
            );
            let body = table.split("</table>").next().unwrap();
            let (_, body) = body.split_once("<tbody>").unwrap();
            for row in body.split("<tr").skip(1) {
                let head = row.contains("scope=\"row\"") || row.contains("scope=\"rowgroup\"");
                // A pair of approaches has no head of its own.
                assert!(
                    head || frame.contains("Paired tests"),
                    "{name}: {frame}: {row}"
                );
            }
            before = table;
        }
    }
}

#[test]
fn the_contents_lead_to_every_section() {
    let root = tempfile::tempdir().unwrap();
    for (name, page) in pages(root.path()) {
        let (_, contents) = page.split_once("<nav aria-label=\"Contents\">").unwrap();
        let contents = contents.split("</nav>").next().unwrap();
        let main = page.split("<details class=\"run\"").next().unwrap();
        let sections = tags(main, "section");
        assert!(sections.len() > 2, "{name}");
        for tag in sections {
            let (_, id) = tag
                .split_once("id=\"")
                .unwrap_or_else(|| panic!("{name}: {tag}"));
            let id = id.split('"').next().unwrap();
            assert!(contents.contains(&format!("\"#{id}\"")), "{name}: {id}");
        }
        let ids: Vec<&str> = page.split(" id=\"").skip(1).collect();
        let mut ids: Vec<&str> = ids.iter().map(|id| id.split('"').next().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}: an id twice");
    }
}
