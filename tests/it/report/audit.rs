//! The page of an audit, of tables made for it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use incdec::parquet_file::{self, Provenance};
use incdec::report::is_sealed;
use incdec::tables::{AuditRow, AuditTimingRow, CurveRow, ErasureRow};

use super::ledger;
use crate::support;

/// A figure over three seeds at the end of task 1.
fn pooled(
    method: &str,
    population: &str,
    measure: &str,
    reference: Option<&str>,
    value: f64,
) -> AuditRow {
    AuditRow {
        run: None,
        method: method.to_owned(),
        moment: "end".to_owned(),
        task: 1,
        population: population.to_owned(),
        group: None,
        measure: measure.to_owned(),
        reference: reference.map(str::to_owned),
        seed_train: None,
        seed_unlearn: None,
        seed_evaluate: 0,
        value: Some(value),
        low: Some(value - 0.05),
        high: Some(value + 0.05),
        t_low: None,
        t_high: None,
        n: 3,
    }
}

fn verdict(method: &str, word: &str) -> AuditRow {
    AuditRow {
        group: Some(word.to_owned()),
        value: None,
        low: None,
        high: None,
        ..pooled(method, "forget", "verdict", Some("path"), 0.0)
    }
}

/// The tables of an audit of two methods.
pub(super) fn write(folder: &Path) {
    let mut rows = Vec::new();
    for (method, gap, tow, word) in [
        ("ridge", 0.0, 0.99, "not told apart"),
        ("salun", -0.25, 0.5, "over-forgotten"),
    ] {
        rows.push(pooled(method, "forget", "accuracy", Some("path"), gap));
        rows.push(pooled(method, "forget", "accuracy", None, 0.5 + gap));
        rows.push(pooled(method, "retain", "accuracy", None, 0.9));
        rows.push(pooled(method, "all", "tow", Some("path"), tow));
        rows.push(verdict(method, word));
        rows.push(AuditRow {
            run: Some(format!("{method}-0")),
            ..pooled(method, "forget", "phi_resolved_1", None, 0.0)
        });
    }
    rows.push(pooled("path", "forget", "accuracy", None, 0.5));
    rows.push(pooled("path", "retain", "accuracy", None, 0.9));
    let curve = |point: i32, false_positives, hits| CurveRow {
        run: "salun-0".to_owned(),
        method: "salun".to_owned(),
        moment: "end".to_owned(),
        task: 1,
        attack: "phi".to_owned(),
        point,
        false_positives,
        hits,
        others: 4,
        members: 4,
    };
    let timing = AuditTimingRow {
        run: "salun-0".to_owned(),
        method: "salun".to_owned(),
        task: 1,
        phase: "unlearning".to_owned(),
        seconds: 2.5,
    };
    let none = Provenance::default();
    parquet_file::write(&folder.join(AuditRow::FILE), &rows, &none).unwrap();
    let curves = [curve(0, 0, 0), curve(1, 1, 2), curve(2, 4, 4)];
    parquet_file::write(&folder.join(CurveRow::FILE), &curves, &none).unwrap();
    parquet_file::write(&folder.join(AuditTimingRow::FILE), &[timing], &none).unwrap();
}

fn report(folder: &Path, flags: &[&str]) -> Output {
    Command::new(support::binary("incdec-report"))
        .current_dir(folder)
        .args(["--out", "audit.html", "--audit", "."])
        .args(flags)
        .output()
        .unwrap()
}

#[test]
fn the_page_of_an_audit_carries_the_chain_of_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    ledger::write(folder.path());
    let page = |flags: &[&str]| {
        let output = report(folder.path(), flags);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        fs::read_to_string(folder.path().join("audit.html")).unwrap()
    };
    let chain = format!(
        "name=\"incdec.withdrawals\" content=\"{}\"",
        "c4".repeat(32)
    );
    assert!(page(&["--withdrawals", ErasureRow::FILE]).contains(&chain));
    assert!(!page(&[]).contains("incdec.withdrawals"));
}

#[test]
fn the_page_of_an_audit_orders_methods_warns_and_defines() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let output = report(
        folder.path(),
        &["--latex", "audit.tex", "--csv", "audit.csv"],
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let page = fs::read_to_string(folder.path().join("audit.html")).unwrap();
    assert!(is_sealed(&page));
    // Best first, by the rule that the page states; what is exact says so.
    assert!(page.find("ridge").unwrap() < page.find("scope=\"row\">salun").unwrap());
    // Methods look as on every page, references as nothing else.
    for (name, look) in [
        (
            "ridge",
            "stroke=\"#0072b2\" stroke-width=\"3\" stroke-dasharray=\"9 4\"",
        ),
        (
            "salun",
            "stroke=\"#a87400\" stroke-width=\"3\" stroke-dasharray=\"2 4\"",
        ),
        (
            "path",
            "stroke=\"#475569\" stroke-width=\"3\" stroke-dasharray=\"9 4\"",
        ),
    ] {
        let legends: Vec<&str> = page.split(&format!("</svg>{name}</span>")).collect();
        let (_, with) = legends.split_last().unwrap();
        assert!(!with.is_empty(), "{name}");
        for legend in with {
            let (_, sample) = legend.rsplit_once("<svg").unwrap();
            assert!(sample.contains(look), "{name}: {sample}");
        }
    }
    assert!(page.contains("ridge (exact)") && page.contains("Best first"));
    for text in [
        "Over-forgotten: salun",
        "Too few others for a false positive rate of 1 %",
        "<strong>-0.250</strong><small>[-0.300, -0.200]</small>",
        "log10 of the false positive rate",
        "accuracy on what left (F)",
        "tug of war",
        "Opinion 28/2024",
        "2.5",
    ] {
        assert!(page.contains(text), "{text}");
    }
    for never in ["compliant", "proven", "guaranteed", "erased from the model"] {
        assert!(!page.contains(never), "{never}");
    }
    let csv = fs::read_to_string(folder.path().join("audit.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("method,task,seeds,verdict,accuracy F - path,"));
    assert!(
        lines[1].starts_with("ridge,1,3,not told apart,0,-0.05,0.05,"),
        "{csv}"
    );
    assert!(lines[2].ends_with(",2.5,"), "{csv}");
    let latex = fs::read_to_string(folder.path().join("audit.tex")).unwrap();
    assert!(latex.contains("\\toprule") && latex.contains("salun & -0.250 [-0.300, -0.200] & "));
    // Twice the same bytes.
    report(folder.path(), &[]);
    assert_eq!(
        fs::read_to_string(folder.path().join("audit.html")).unwrap(),
        page
    );
}

#[test]
fn an_audit_is_no_run_and_a_folder_without_tables_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let absent = report(folder.path(), &[]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&absent.stderr).contains("audit.parquet"));
    let both = report(folder.path(), &["run"]);
    assert_eq!(both.status.code(), Some(2));
}
