//! What make compiles: lightly for the demo, fully for all else.

use std::fs;

use super::{Checkout, text};

/// The lines by which make would call cargo.
fn builds(checkout: &Checkout, arguments: &[&str]) -> Vec<String> {
    let output = checkout.bare_make(arguments).arg("-n").output().unwrap();
    let said = text(&output);
    let lines = said.lines().filter(|line| line.contains("cargo build"));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_demo_is_compiled_lightly_and_the_first_target_on_other_data_fully() {
    let checkout = Checkout::new();
    for folder in [".libtorch", "target/release"] {
        fs::create_dir_all(checkout.at(folder)).unwrap();
    }
    fs::write(checkout.at("Cargo.lock"), "").unwrap();
    fs::write(checkout.at("build.rs"), "").unwrap();
    fs::write(checkout.at(".libtorch/.finished"), "").unwrap();
    let is_light = |line: &String| line.contains("incdec.opt-level=0");
    let demo = || builds(&checkout, &["demo-data"]);
    let own = || builds(&checkout, &["labels", "DATA=data"]);
    for (asked, light) in [(demo(), true), (own(), false)] {
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert_eq!(asked.iter().all(is_light), light, "{asked:?}");
    }
    // The demo's programs serve the demo alone.
    fs::write(checkout.at("target/release/.demo-built"), "").unwrap();
    assert!(demo().is_empty());
    assert!(builds(&checkout, &["labels", "DATA=demo"]).is_empty());
    let full = own();
    assert!(full.len() == 1 && !is_light(&full[0]), "{full:?}");
    // What is compiled fully serves both.
    fs::write(checkout.at("target/release/.built"), "").unwrap();
    assert!(demo().is_empty() && own().is_empty());
}
