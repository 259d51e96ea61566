//! Passwords and signatures of a source: to the program, and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Checkout, files, text};

const SOURCE: &str = "https://anna:hunter2@example.org/k700?X-Signature=0ddba11&b=1%2F2'3";
const SECRETS: [&str; 4] = ["hunter2", "anna", "0ddba11", "b=1"];

#[test]
fn a_source_reaches_the_download_to_the_letter_and_its_secrets_are_said_and_kept_nowhere() {
    let checkout = Checkout::new();
    let source = format!("SOURCE={SOURCE}");
    for arguments in [
        &["-n", "report"][..],
        &["report"],
        &["--trace", "report"],
        &["-n", "-B", "report"],
    ] {
        let output = checkout
            .make(&[arguments, &[&source]].concat())
            .output()
            .unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        for secret in SECRETS {
            assert!(!said.contains(secret), "{arguments:?}: {said}");
        }
    }
    let arguments = checkout.arguments("download");
    let place = arguments.iter().position(|a| a == "--source").unwrap();
    assert_eq!(arguments[place + 1], SOURCE);
    for path in files(&checkout.at("data")) {
        let kept = fs::read_to_string(&path).unwrap();
        for secret in SECRETS {
            assert!(!kept.contains(secret), "{}: {kept}", path.display());
        }
        if path.ends_with(".made-by") {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }
}

#[test]
fn a_password_with_signs_of_urls_is_taken_off_whole() {
    let checkout = Checkout::new();
    let output = checkout
        .make(&["SOURCE=https://u:p@ss?w:rd@example.org/a@b?x=1", "download"])
        .output()
        .unwrap();
    let said = text(&output);
    assert!(said.contains("--source https://example.org/a@b "), "{said}");
}

#[test]
fn the_command_is_said_without_its_secrets() {
    let checkout = Checkout::new();
    let output = checkout
        .make(&[&format!("SOURCE={SOURCE}"), "download"])
        .output()
        .unwrap();
    let said = text(&output);
    assert!(
        said.starts_with("bin/incdec-download --labels data/Info --out data/raw"),
        "{said}"
    );
    assert!(
        said.contains("--source https://example.org/k700 "),
        "{said}"
    );
}

#[test]
fn a_renewed_signature_runs_nothing_and_another_source_the_download() {
    let checkout = Checkout::new();
    checkout.ran(&["download", "SOURCE=https://u:p@example.org/a?sig=1"]);
    let renewed = checkout.ran(&["download", "SOURCE=https://u:q@example.org/a?sig=2&more=3"]);
    assert_eq!(renewed, [""; 0]);
    assert_eq!(
        checkout.ran(&["download", "SOURCE=https://example.org/b"]),
        ["download"]
    );
}
