//! The page in a real browser: headless Chromium, at three widths, on a dark screen and in print.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use incdec::report::{ReportConfig, run};
use serde_json::Value;

use super::config;
use super::fake::{DECREMENTAL, FakeRun};

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
/// The least contrast of WCAG 2 AA for text of the usual size.
const AA: f64 = 4.5;

/// What runs in the frame once the page is there, and gives what it found as JSON.
const MEASURE: &str = r#"
const page = frame.contentDocument;
const view = frame.contentWindow;
function luminance(c) {
  const l = c.slice(0, 3).map(function (v) { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
  return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2];
}
function color(text) {
  const n = text.match(/[\d.]+/g).map(Number);
  return n.length === 3 ? n.concat([1]) : n;
}
function ground(element) {
  const layers = [];
  for (let e = element; e; e = e.parentElement) layers.push(color(view.getComputedStyle(e).backgroundColor));
  let under = [255, 255, 255];
  for (const over of layers.reverse()) under = under.map(function (u, k) { return over[3] * over[k] + (1 - over[3]) * u; });
  return under;
}
let worst = { contrast: 99, text: "" };
for (const element of page.querySelectorAll("body *")) {
  const own = Array.from(element.childNodes).some(function (n) { return n.nodeType === 3 && n.textContent.trim() !== ""; });
  if (!own || element.closest("svg") || !element.getClientRects().length) continue;
  if (["SCRIPT", "STYLE"].includes(element.tagName)) continue;
  const a = luminance(color(view.getComputedStyle(element).color)), b = luminance(ground(element));
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < worst.contrast) worst = { contrast: contrast, text: element.tagName + " " + element.className + " " + element.textContent.slice(0, 40) };
}
const root = page.documentElement;
const wide = Array.from(page.querySelectorAll("body *")).filter(function (e) {
  return !e.closest(".scroll, pre, svg") && e.getBoundingClientRect().right > root.clientWidth + 1;
}).map(function (e) { return e.tagName + "." + e.className; });
const cut = Array.from(page.querySelectorAll(".scroll, pre")).filter(function (e) {
  return e.getClientRects().length && e.scrollWidth > e.clientWidth + 1;
}).map(function (e) { return (e.getAttribute("aria-label") || e.tagName) + " " + e.scrollWidth + " > " + e.clientWidth; });
/* Some column of the first table that can be sorted puts its rows in another order. */
const table = page.querySelector("table.sortable");
const before = table ? table.tBodies[0].textContent : "";
let sorts = !table;
for (const button of table ? table.querySelectorAll("thead button") : []) {
  button.click();
  sorts = sorts || table.tBodies[0].textContent !== before;
}
const found = {
  width: root.clientWidth, scroll: root.scrollWidth, wide: wide.slice(0, 5), cut: cut.slice(0, 5), worst: worst,
  closed: page.querySelectorAll("details:not([open])").length,
  requests: view.performance.getEntriesByType("resource").map(function (e) { return e.name; }),
  sorts: sorts,
};
"#;

/// How the page is to be looked at.
#[derive(Clone, Copy)]
enum Look {
    Light,
    Dark,
    Print,
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

/// Shows `page` in a frame so wide and gives what is found there.
fn looked_at(program: &Path, folder: &Path, page: &str, width: u32, look: Look) -> Value {
    // What a browser would choose by its screen or paper is chosen in the page.
    let dark = "@media (prefers-color-scheme: dark)";
    let page = match look {
        Look::Light => page.replace(dark, "@media not all"),
        Look::Dark => page.replace(dark, "@media all"),
        Look::Print => page
            .replace(dark, "@media not all")
            .replace("@media print", "@media all"),
    };
    assert!(page.contains("@media all") || matches!(look, Look::Light));
    let before = match look {
        Look::Print => "frame.contentWindow.dispatchEvent(new Event('beforeprint'));",
        _ => "for (const d of frame.contentDocument.querySelectorAll('details')) d.open = true;",
    };
    let escaped = page.replace('&', "&amp;").replace('"', "&quot;");
    let wrapper = format!(
        "<!DOCTYPE html><meta charset=utf-8><pre id=found></pre>\
         <iframe id=frame style=\"width:{width}px;height:900px;border:0\" srcdoc=\"{escaped}\"></iframe>\
         <script>const frame = document.getElementById('frame');\
         frame.addEventListener('load', function () {{ {before}\n{MEASURE}\n\
         document.getElementById('found').textContent = JSON.stringify(found); }});</script>"
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

fn assert_readable(found: &Value, what: &str) {
    assert_eq!(found["requests"], serde_json::json!([]), "{what}");
    assert_eq!(found["wide"], serde_json::json!([]), "{what}: {found}");
    assert!(
        found["scroll"].as_u64() <= found["width"].as_u64(),
        "{what}: {found}"
    );
    assert!(
        found["worst"]["contrast"].as_f64().unwrap() >= AA,
        "{what}: {found}"
    );
    assert_eq!(found["sorts"], true, "{what}");
}

/// The page of one run and that of several.
fn pages(root: &Path) -> Vec<(&'static str, ReportConfig)> {
    let mut runs = vec![DECREMENTAL.write(root)];
    for (approach, epochs) in [("ewc", 5), ("lwf", 5), ("fd", 9), ("feature-extraction", 5)] {
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
    let mut one = config(root, runs[..1].to_vec());
    let mut several = config(root, runs);
    (one.table, several.table) = (None, None);
    one.out = root.join("one.html");
    several.out = root.join("several.html");
    vec![("one run", one), ("several runs", several)]
}

#[test]
#[cfg_attr(
    not(chromium),
    ignore = "Chromium was not there when this was built; `.ci/setup browser` installs it"
)]
fn chromium_shows_the_page_whole_at_three_widths_in_the_dark_and_in_print() {
    let program = chromium().unwrap();
    let root = tempfile::tempdir().unwrap();
    for (name, mut config) in pages(root.path()) {
        config.permutations = 20;
        run(&config).unwrap();
        let page = fs::read_to_string(&config.out).unwrap();
        for width in WIDTHS {
            let found = looked_at(&program, root.path(), &page, width, Look::Light);
            assert_readable(&found, &format!("{name} at {width} px"));
        }
        let found = looked_at(&program, root.path(), &page, WIDTHS[0], Look::Dark);
        assert_readable(&found, &format!("{name} on a dark phone"));
        let found = looked_at(&program, root.path(), &page, PRINTED_WIDTH, Look::Print);
        assert_readable(&found, &format!("{name} in print"));
        // On paper nothing is folded away and nothing can be scrolled.
        assert_eq!(found["closed"], 0, "{name}");
        assert_eq!(found["cut"], serde_json::json!([]), "{name}");
        // And the browser's own printing takes the page.
        let pdf = root.path().join("page.pdf");
        let output = browser(&program, root.path())
            .arg("--no-pdf-header-footer")
            .arg(format!("--print-to-pdf={}", pdf.display()))
            .arg(format!("file://{}", config.out.display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("CONSOLE"), "{said}");
        assert!(fs::read(&pdf).unwrap().starts_with(b"%PDF"), "{said}");
    }
}
