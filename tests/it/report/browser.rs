//! The page in a real browser: headless Chromium, at three widths, on a dark screen, in print, and
//! without its script.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use incdec::report::{AuditReportConfig, MAX_DETAILED_RUNS, ReportConfig, run, run_audit};
use serde_json::{Value, json};

use super::fake::{DECREMENTAL, FakeRun};
use super::frames::write_shards;
use super::{audit, config, ledger};

/// Widths of a phone, a tablet and a desk, in pixels.
const WIDTHS: [u32; 3] = [390, 800, 1400];
/// What an A4 page on its side leaves for the text, at 96 pixels an inch.
const PRINTED_WIDTH: u32 = 1046;
/// The names that Chromium goes by.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// The least contrast of WCAG 2 AA for text of the usual size, and for what is drawn.
const AA: (f64, f64) = (4.5, 3.0);

/// What runs beside the page once it is there: `measured(frame, look)`.
const MEASURE: &str = include_str!("measure.js");

/// How the page is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Look {
    Light(u32),
    Dark(u32),
    Print,
    /// Without the page's script.
    Plain(u32),
}

const LOOKS: [Look; 7] = [
    Look::Light(WIDTHS[0]),
    Look::Light(WIDTHS[1]),
    Look::Light(WIDTHS[2]),
    Look::Dark(WIDTHS[0]),
    Look::Dark(WIDTHS[2]),
    Look::Print,
    Look::Plain(WIDTHS[0]),
];

/// How pages of other kinds are looked at: they are made of the same parts, and a browser takes its
/// time.
const OTHERS: [Look; 3] = [LOOKS[0], LOOKS[4], LOOKS[5]];

impl Look {
    fn width(self) -> u32 {
        match self {
            Self::Light(width) | Self::Dark(width) | Self::Plain(width) => width,
            Self::Print => PRINTED_WIDTH,
        }
    }

    /// The page as it is then: what a browser would choose by its screen or paper is chosen in it.
    fn of(self, page: &str) -> String {
        let dark = "@media (prefers-color-scheme: dark)";
        let chosen = match self {
            Self::Dark(_) => page.replace(dark, "@media all"),
            Self::Print => page
                .replace(dark, "@media not all")
                .replace("@media print", "@media all"),
            Self::Light(_) | Self::Plain(_) => page.replace(dark, "@media not all"),
        };
        assert_ne!(chosen, page, "the page has no part for {self:?}");
        if let Self::Plain(_) = self {
            let (before, rest) = chosen.split_once("<script>").unwrap();
            let (_, after) = rest.split_once("</script>").unwrap();
            return before.to_owned() + after;
        }
        chosen
    }
}

/// The browser's program; the reason for none.
fn chromium() -> Result<PathBuf, &'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file());
    found.ok_or("Chromium is not installed; `.ci/setup browser` installs it")
}

fn browser(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("HOME", home).args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--virtual-time-budget=20000",
        "--window-size=1500,1000",
    ]);
    command.arg(format!(
        "--user-data-dir={}",
        home.join("profile").display()
    ));
    command
}

/// Shows `page` in a frame for each of the looks and gives what is found in each.
fn looked_at(program: &Path, folder: &Path, page: &str, looks: &[Look]) -> Vec<Value> {
    let frames = looks.iter().map(|&look| {
        let escaped = look.of(page).replace('&', "&amp;").replace('"', "&quot;");
        let (width, print) = (look.width(), look == Look::Print);
        let (plain, style) = (
            matches!(look, Look::Plain(_)),
            format!("width:{width}px;height:900px;border:0"),
        );
        format!(
            "<iframe style=\"{style}\" data-printed={print} data-scripted={} srcdoc=\"{escaped}\"></iframe>",
            !plain
        )
    });
    let wrapper = format!(
        "<!DOCTYPE html><meta charset=utf-8><pre id=found></pre>{}\
         <script>{MEASURE}\n\
         window.addEventListener('load', function () {{\n\
           const found = Array.from(document.querySelectorAll('iframe')).map(function (frame) {{\n\
             const look = {{ printed: frame.dataset.printed === 'true', scripted: frame.dataset.scripted === 'true' }};\n\
             if (look.printed) frame.contentWindow.dispatchEvent(new Event('beforeprint'));\n\
             else for (const d of frame.contentDocument.querySelectorAll('details')) d.open = true;\n\
             return measured(frame, look);\n\
           }});\n\
           document.getElementById('found').textContent = JSON.stringify(found);\n\
         }});</script>",
        frames.collect::<String>()
    );
    let file = folder.join("wrapper.html");
    fs::write(&file, wrapper).unwrap();
    let mut command = browser(program, folder);
    let output = command
        .args(["--dump-dom", &format!("file://{}", file.display())])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let console: Vec<&str> = said.lines().filter(|l| l.contains("CONSOLE")).collect();
    assert_eq!(console, [""; 0], "what the page says on the console");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = dom.split_once("<pre id=\"found\">").map(|(_, rest)| rest);
    let found = found.and_then(|rest| rest.split("</pre>").next());
    let found = found
        .unwrap_or_default()
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&");
    serde_json::from_str(&found).unwrap_or_else(|e| panic!("{e}: {found}; {said}"))
}

/// What holds for every page however it is looked at.
fn assert_readable(found: &Value, look: Look, what: &str) {
    assert_eq!(found["requests"], json!([]), "{what}");
    assert_eq!(found["wide"], json!([]), "{what}: {found}");
    assert!(
        found["scroll"].as_u64() <= found["width"].as_u64(),
        "{what}: {found}"
    );
    let contrast = |of: &str| found[of]["contrast"].as_f64().unwrap();
    assert!(contrast("worst") >= AA.0, "{what}: {found}");
    assert!(contrast("faintest") >= AA.1, "{what}: {found}");
    assert_eq!(found["broken"], 0, "{what}: pictures");
    if look == Look::Print {
        // On paper nothing is folded away, nothing can be scrolled, and no heading stands alone.
        assert_eq!(found["closed"], 0, "{what}");
        assert_eq!(found["cut"], json!([]), "{what}");
        assert_eq!(found["alone"], json!([]), "{what}");
    }
    if let Look::Plain(_) = look {
        assert_eq!(found["sorts"], Value::Null, "{what}");
        return;
    }
    assert_eq!(found["sorts"], true, "{what}");
    assert_eq!(found["silent"], json!([]), "{what}");
    assert_eq!(found["filters"]["wrong"], json!([]), "{what}");
    let orders = json!([
        "2025-12, 2026-01, 2026-02, 2026-10, –",
        "2026-10, 2026-02, 2026-01, 2025-12, –",
        "−2, -1, 9.5 ± 0.1, 10, 100 %, –",
        "100 %, 10, 9.5 ± 0.1, -1, −2, –"
    ]);
    assert!(
        found["orders"].is_null() || found["orders"] == orders,
        "{what}: {}",
        found["orders"]
    );
}

/// Runs of several approaches and seeds, more than a page shows in full.
fn runs(root: &Path) -> Vec<PathBuf> {
    // So long a history has no marks.
    let long = FakeRun {
        epochs: 13,
        ..DECREMENTAL
    };
    let mut runs = vec![long.write(root)];
    for (approach, epochs) in [
        ("ewc", 5),
        ("lwf", 5),
        ("fd", 9),
        ("feature-extraction", 5),
        ("gdumb", 5),
        ("ridge", 5),
    ] {
        for seed in 0..2 {
            let run = FakeRun {
                approach,
                seed,
                epochs,
                ..DECREMENTAL
            };
            runs.push(run.write(root));
        }
    }
    assert!(runs.len() > MAX_DETAILED_RUNS);
    runs
}

/// Writes a page of each kind and gives their paths: of one run with frames and withdrawals, of
/// several, of more than a page shows in full, of withdrawals alone, and of an audit.
fn pages(root: &Path) -> Vec<(&'static str, PathBuf)> {
    let runs = runs(root);
    let ledger = ledger::write(root);
    let shards = root.join("shards");
    write_shards(&runs[0], &shards);
    let written = |name: &str, config: ReportConfig| {
        let out = root.join(format!("{name}.html"));
        let config = ReportConfig {
            out: out.clone(),
            table: None,
            permutations: 20,
            ..config
        };
        run(&config).unwrap();
        out
    };
    let of = |runs: &[PathBuf]| config(root, runs.to_vec());
    let one = ReportConfig {
        frames: Some(shards.into()),
        withdrawals: Some(ledger.clone()),
        ..of(&runs[..1])
    };
    let withdrawals = ReportConfig {
        withdrawals: Some(ledger),
        ..of(&[])
    };
    audit::write(root);
    let of_audit = AuditReportConfig {
        audit: root.to_owned(),
        out: root.join("audit.html"),
        latex: None,
        csv: None,
        withdrawals: None,
    };
    run_audit(&of_audit).unwrap();
    vec![
        ("one run", written("one", one)),
        ("several runs", written("several", of(&runs[..5]))),
        ("many runs", written("many", of(&runs))),
        ("withdrawals", written("withdrawals", withdrawals)),
        ("an audit", of_audit.out),
    ]
}

#[test]
#[cfg_attr(
    not(chromium),
    ignore = "Chromium was not there when this was built; `.ci/setup browser` installs it"
)]
fn chromium_shows_every_page_whole_at_three_widths_in_the_dark_in_print_and_without_script() {
    let program = chromium().unwrap();
    let root = tempfile::tempdir().unwrap();
    for (k, (name, file)) in pages(root.path()).into_iter().enumerate() {
        let page = fs::read_to_string(&file).unwrap();
        let looks = if k == 0 { &LOOKS[..] } else { &OTHERS };
        let found = looked_at(&program, root.path(), &page, looks);
        assert_eq!(found.len(), looks.len());
        for (&look, found) in looks.iter().zip(&found) {
            assert_readable(found, look, &format!("{name}, {look:?}"));
        }
        if k == 0 {
            let pdf = printed(&program, root.path(), &file);
            // On A4 on its side, as the page asks.
            let pages = pdf.matches("/MediaBox [0 0 841.").count();
            assert!(pages > 0, "{name}");
        }
    }
}

/// What the browser's own printing makes of a page.
fn printed(program: &Path, folder: &Path, page: &Path) -> String {
    let pdf = folder.join("page.pdf");
    let output = browser(program, folder)
        .arg("--no-pdf-header-footer")
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("CONSOLE"), "{said}");
    let pdf = fs::read(&pdf).unwrap();
    assert!(pdf.starts_with(b"%PDF"), "{said}");
    String::from_utf8_lossy(&pdf).into_owned()
}
