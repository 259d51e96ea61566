//! The demo's server: the right one or none.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;

use super::{Checkout, text};

/// A checkout whose toy is the true one, and small.
fn checkout() -> Checkout {
    let checkout = Checkout::new();
    std::fs::remove_file(checkout.at("bin/incdec-toy")).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_incdec-toy"),
        checkout.at("bin/incdec-toy"),
    )
    .unwrap();
    checkout
}

const TOY: &str = "DEMO_TOY=--train 1 --validation 0 --test 0 --seconds 0.2 --size 16 --fps 5";

#[test]
fn a_demo_whose_port_is_taken_stops_and_names_the_variable() {
    let checkout = checkout();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = format!("DEMO_PORT={}", taken.local_addr().unwrap().port());
    let output = checkout.make(&[&port, TOY, "demo-data"]).output().unwrap();
    let said = text(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("DEMO_PORT="), "{said}");
    assert_eq!(checkout.take_ran(), [""; 0], "nothing was downloaded");
}

#[test]
fn a_demo_downloads_from_its_own_server_under_its_fixed_address() {
    let checkout = checkout();
    // A port that was free a moment ago.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let output = checkout
        .make(&[&format!("DEMO_PORT={port}"), TOY, "demo"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let ran = checkout.take_ran();
    assert_eq!(
        ran,
        [
            "download", "decode", "manifest", "tasks", "train", "tasks", "train", "report"
        ]
    );
    let arguments = checkout.arguments("download");
    assert!(
        arguments.contains(&format!("http://127.0.0.1:{port}")),
        "{arguments:?}"
    );
    let again = checkout
        .make(&[&format!("DEMO_PORT={port}"), TOY, "demo"])
        .output()
        .unwrap();
    assert!(text(&again).contains("everything was there already; nothing was done"));
    assert_eq!(checkout.take_ran(), [""; 0]);
    // The server has ended.
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
}
