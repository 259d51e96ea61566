//! Places that lie elsewhere than below the data folder, or whose names are no texts.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output};

use incdec::clip::Split;
use incdec::erase::{Ledger, Places, apply, verify};

use super::cases::{ids, text};
use super::world::{World, tar_of};

/// Where the world's folders lie, beside the data folder.
const BESIDE: [(&str, &str); 3] = [("raw", "videos"), ("Info", "labels"), ("runs", "trained")];

/// The command, in the folder that the data folder and all others lie in.
fn erase(world: &World, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-erase"));
    command.current_dir(world.path("..")).args(args);
    command.args(["--data", "data", "--raw", "videos", "--labels", "./labels"]);
    command.args(["--runs-folder", "trained", "--kept-archives", "kept"]);
    command.output().unwrap()
}

#[test]
fn places_outside_the_data_folder_may_be_named_from_the_current_folder() {
    let world = World::new();
    let clip = world.clip(Split::Train);
    let (id, file) = (&clip.id, world.raw_file(clip));
    let below = file.strip_prefix(world.path("raw")).unwrap();
    let file = world.path("../videos").join(below);
    for (from, to) in BESIDE {
        fs::rename(world.path(from), world.path("..").join(to)).unwrap();
    }
    let archive = world.path("../kept/a.tar");
    tar_of(&archive, &format!("x/{id}.mp4"), b"video");
    assert!(file.exists());

    let out = erase(&world, &["plan", id]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let request = ["apply", id, "--request", "R-1", "--archives", "delete"];
    let out = erase(&world, &request);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(!file.exists() && !archive.exists());
    let log = fs::read_to_string(world.path("../trained/one/log.jsonl")).unwrap();
    assert!(!log.contains(id.as_str()));
    let out = erase(&world, &["verify"]);
    assert!(out.status.success(), "{}", text(&out.stdout));

    // What the ledger names is found from any other folder.
    let beside = world.path("").parent().unwrap().to_owned();
    let places = Places {
        raw: beside.join("videos"),
        labels: beside.join("labels"),
        runs: vec![beside.join("trained")],
        archives: Some(beside.join("kept")),
        ..world.places()
    };
    let verdict = verify(&places).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    let ledger = Ledger::read(&places.data).unwrap();
    let files: serde_json::Value = serde_json::from_str(&ledger.rows()[0].files).unwrap();
    let archive = files[beside.join("kept/a.tar").to_str().unwrap()].clone();
    assert!(archive["before"].is_string() && archive["after"].is_null());
}

/// A row of a version before names a run as it was given, from the current folder of then.
#[test]
fn a_ledger_of_a_version_before_still_marks_runs_outside_the_data_folder() {
    let world = World::new();
    let id = &world.clip(Split::Train).id;
    for (from, to) in BESIDE {
        fs::rename(world.path(from), world.path("..").join(to)).unwrap();
    }
    fs::create_dir_all(world.path("../kept")).unwrap();
    let out = erase(&world, &["apply", id, "--request", "R-1"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let beside = world.path("").parent().unwrap().display().to_string();
    world.edit_ledger(|row| row.runs = row.runs.replace(&format!("{beside}/"), ""));
    let out = erase(&world, &["verify"]);
    let said = text(&out.stdout);
    assert!(!said.contains("no row of the ledger says so"), "{said}");
}

#[test]
fn a_name_that_is_no_text_leads_to_its_file() {
    let world = World::new();
    let clip = world.clip(Split::Validation);
    let folder = world.path("raw").join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{}.mp4", clip.id));
    fs::rename(world.raw_file(clip), &file).unwrap();
    apply(&world.config(ids(&[&clip.id]))).unwrap();
    assert!(!file.exists());
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    let ledger = Ledger::read(&world.path("")).unwrap();
    let name = format!("raw/caf//e9/{}.mp4", clip.id);
    assert!(ledger.rows()[0].files.contains(&name));
}
