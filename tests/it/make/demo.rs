//! The demo's server: the right one or none.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;

use super::{Checkout, text};

/// A checkout whose toy is the true one, and small.
pub(super) fn checkout() -> Checkout {
    let checkout = Checkout::new();
    std::fs::remove_file(checkout.at("bin/incdec-toy")).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_incdec-toy"),
        checkout.at("bin/incdec-toy"),
    )
    .unwrap();
    checkout
}

pub(super) const TOY: &str =
    "DEMO_TOY=--train 1 --validation 0 --test 0 --seconds 0.2 --size 16 --fps 5";

/// The setting of the demo's port: one that was free a moment ago.
pub(super) fn free_port() -> String {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("DEMO_PORT={}", free.local_addr().unwrap().port())
}

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
    let port = free_port();
    let output = checkout.make(&[&port, TOY, "demo"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let ran = checkout.take_ran();
    assert_eq!(
        ran,
        [
            "download", "decode", "manifest", "tasks", "train", "tasks", "train", "report"
        ]
    );
    let number = port.split_once('=').unwrap().1;
    let arguments = checkout.arguments("download");
    assert!(
        arguments.contains(&format!("http://127.0.0.1:{number}")),
        "{arguments:?}"
    );
    let again = checkout.make(&[&port, TOY, "demo"]).output().unwrap();
    assert!(text(&again).contains("everything was there already; nothing was done"));
    assert_eq!(checkout.take_ran(), [""; 0]);
    // The server has ended.
    TcpListener::bind((Ipv4Addr::LOCALHOST, number.parse().unwrap())).unwrap();
}
