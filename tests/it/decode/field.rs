//! What people bring: folders as download tools leave them, recordings of cameras and broadcasts, files that are no videos.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use incdec::shard::{IndexRow, Shards};
use incdec::tables::ClipStatus;

use super::files::{MOVING, make};
use crate::support;

const CLASSES: &str = "Category,Subcategory\nmotion,x\n";

/// Labelled clips of two seconds in a folder, none of them there yet.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(ids: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("raw/x")).unwrap();
        fs::create_dir_all(folder.path().join("Info")).unwrap();
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join("Info").join(name), text).unwrap();
        };
        let header = "label,youtube_id,time_start,time_end,split\n";
        let rows: String = ids.iter().map(|id| format!("x,{id},0,2,train\n")).collect();
        write("classes.csv", CLASSES);
        write("train.csv", &format!("{header}{rows}"));
        write("validation.csv", header);
        write("test.csv", header);
        Self(folder)
    }

    /// Where a file lies, by its name in the folder of the subcategory.
    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("raw/x").join(name)
    }

    /// A video of 50 frames.
    fn video(&self, name: &str) -> PathBuf {
        make(
            &self.0.path().join("raw/x"),
            name,
            MOVING,
            &["-c:v", "libx264", "-bf", "2"],
        )
    }

    fn run(&self, args: &[&str]) -> Output {
        decode(
            &self.0.path().join("raw"),
            &self.0.path().join("Info"),
            &self.out(),
            args,
        )
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    fn rows(&self) -> Vec<IndexRow> {
        rows(&self.out())
    }
}

fn decode(clips: &Path, labels: &Path, out: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_incdec-decode"))
        .arg("--clips")
        .arg(clips)
        .arg("--labels")
        .arg(labels)
        .arg("--out")
        .arg(out)
        .args(["--jobs", "1", "--frame-size", "64x48"])
        .args(args)
        .output()
        .unwrap()
}

fn rows(out: &Path) -> Vec<IndexRow> {
    Shards::open(out).unwrap().index().to_vec()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn is_ok_with(row: &IndexRow, frames: i32) -> bool {
    row.status == ClipStatus::Ok && row.frames == frames
}

/// Decodes one of the folders of inputs that are collected, where it is there.
fn collected(name: &str, args: &[&str]) -> Option<(Output, Vec<IndexRow>, tempfile::TempDir)> {
    let folder = support::optional_data(&format!("field/{name}"))?;
    let out = tempfile::tempdir().unwrap();
    let output = decode(&folder.join("raw"), &folder.join("Info"), out.path(), args);
    let rows = rows(out.path());
    Some((output, rows, out))
}

#[test]
fn the_file_that_is_a_video_is_the_clip_whatever_lies_beside_it() {
    let folder = Folder::new(&["thumb", "empty", "page", "only"]);
    for id in ["thumb", "empty"] {
        folder.video(&format!("{id}_000000_000002.mp4"));
        fs::write(folder.file(&format!("{id}_000000_000002.json")), "{}").unwrap();
    }
    let picture = |name: &str| {
        let args = ["-frames:v", "1", "-f", "mjpeg"];
        make(&folder.0.path().join("raw/x"), name, MOVING, &args)
    };
    picture("thumb_000000_000002.jpg");
    fs::write(folder.file("empty_000000_000002.avi"), "").unwrap();
    // A page and a picture with the endings of videos come first by name.
    fs::write(folder.file("page_000000_000002.avi"), "<!doctype html>").unwrap();
    picture("page_000000_000002.mkv");
    folder.video("page_000000_000002.mp4");
    picture("only_000000_000002.jpg");
    let output = folder.run(&["--max-failed", "0.5"]);
    let said = err(&output);
    let rows = folder.rows();
    assert!(rows[..3].iter().all(|row| is_ok_with(row, 10)), "{said}");
    assert!(
        rows.iter()
            .take(3)
            .all(|r| r.source_codec.as_deref() == Some("h264"))
    );
    assert!(
        said.contains("page_000000_000002.mp4 is decoded, of 3 files"),
        "{said}"
    );
    assert_eq!(rows[3].status, ClipStatus::Failed);
    assert!(rows[3].error.as_deref().unwrap().contains("single picture"));

    // Nothing is decoded twice, and a better file that comes later is.
    let again = folder.run(&["--max-failed", "0.5"]);
    assert!(
        String::from_utf8_lossy(&again.stdout).contains("nothing to do"),
        "{again:?}"
    );
    folder.video("only_000000_000002.mp4");
    folder.run(&[]);
    assert!(is_ok_with(&folder.rows()[3], 10));
}

#[test]
fn what_cannot_be_read_is_warned_of_and_hidden_folders_are_passed_over() {
    let folder = Folder::new(&["abc", "bcd"]);
    folder.video("abc_000000_000002.mp4");
    folder.video("bcd_000000_000002.mp4");
    symlink("missing.mp4", folder.file("zzz_000000_000002.mp4")).unwrap();
    symlink("..", folder.file("loop")).unwrap();
    for hidden in [".staging", ".Trash-1000", ".git"] {
        fs::create_dir(folder.file(hidden)).unwrap();
        fs::write(folder.file(hidden).join("abc_000000_000002.avi"), "a piece").unwrap();
    }
    let output = folder.run(&[]);
    let said = err(&output);
    assert!(output.status.success(), "{said}");
    assert!(folder.rows().iter().all(|row| is_ok_with(row, 10)));
    assert!(
        said.contains("zzz_000000_000002.mp4") && said.contains("loop"),
        "{said}"
    );
    assert!(!said.contains("is decoded, of"), "{said}");
}

#[test]
fn missing_clips_are_named_with_what_nearly_is_their_file_and_the_index_tells_all() {
    let many: Vec<String> = (0..25).map(|n| format!("gone{n:02}")).collect();
    let mut ids: Vec<&str> = many.iter().map(String::as_str).collect();
    ids.insert(0, "unpadded-__");
    ids.insert(1, "whole");
    let folder = Folder::new(&ids);
    folder.video("unpadded-___0_2.mp4");
    fs::write(folder.file("whole.mp4"), "?").unwrap();
    let output = folder.run(&["--max-failed", "0.5"]);
    let said = err(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("unpadded-___000000_000002") && said.contains("unpadded-___0_2.mp4"),
        "{said}"
    );
    assert!(
        said.contains("gone17_000000_000002") && !said.contains("gone18"),
        "{said}"
    );
    assert!(said.contains("7 more clips have no file"), "{said}");
    let rows = folder.rows();
    assert_eq!(rows.len(), 27);
    let reason = |i: usize| rows[i].error.clone().unwrap();
    assert!(reason(0).contains("not padded"), "{}", reason(0));
    assert!(reason(1).contains("no times"), "{}", reason(1));
    assert_eq!(reason(26), "there is no file of this clip");
}

#[test]
fn names_of_folders_may_hold_anything() {
    let strange: [&[u8]; 6] = [
        b"per%20cent%d",
        b"co:lon",
        b"quo'te\"",
        b"new\nline",
        b"-dash",
        b"no\xfftext",
    ];
    let ids: Vec<String> = (0..strange.len()).map(|n| format!("clip{n}")).collect();
    let folder = Folder::new(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    for (id, name) in ids.iter().zip(strange) {
        let inner = folder.file("").join(OsStr::from_bytes(name));
        fs::create_dir(&inner).unwrap();
        let made = folder.video(&format!("{id}_000000_000002.mp4"));
        fs::rename(&made, inner.join(made.file_name().unwrap())).unwrap();
    }
    for args in [&[][..], &["--isolate", "process"]] {
        let output = folder.run(args);
        assert!(
            folder.rows().iter().all(|row| is_ok_with(row, 10)),
            "{}",
            err(&output)
        );
        fs::remove_dir_all(folder.out()).unwrap();
    }
}

#[test]
fn a_clip_that_another_of_the_same_size_replaces_is_decoded_anew() {
    let folder = Folder::new(&["abc"]);
    let file = folder.video("abc_000000_000002.mp4");
    folder.run(&[]);
    let before = folder.rows()[0].clone();
    let bytes = fs::read(&file).unwrap();
    let other = make(
        folder.0.path(),
        "other.mp4",
        "testsrc=size=96x64:rate=25:duration=0.4",
        &["-c:v", "mpeg4"],
    );
    let mut other = fs::read(other).unwrap();
    // A box of free space makes up the difference.
    let free = bytes.len() - other.len();
    assert!(free >= 8);
    other.extend((free as u32).to_be_bytes());
    other.extend(b"free");
    other.resize(bytes.len(), 0);
    fs::write(&file, &other).unwrap();
    // Its own date may be as old as the one before.
    let date = std::time::SystemTime::UNIX_EPOCH;
    fs::File::options()
        .append(true)
        .open(&file)
        .unwrap()
        .set_modified(date)
        .unwrap();
    let output = folder.run(&[]);
    let row = folder.rows()[0].clone();
    assert_eq!(
        row.source_codec.as_deref(),
        Some("mpeg4"),
        "{}",
        err(&output)
    );
    assert_ne!(row.source_blake3, before.source_blake3);

    // The same bytes, written once more, are not decoded once more.
    fs::write(&file, &other).unwrap();
    let output = folder.run(&[]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing to do"));
}

#[test]
fn folders_of_frames_may_be_named_as_other_tools_do_and_hold_png() {
    let folder = Folder::new(&["img", "png"]);
    let frames = |name: &str, pattern: &str| {
        let inside = folder.0.path().join("frames").join(name);
        fs::create_dir_all(&inside).unwrap();
        make(
            &inside,
            pattern,
            "testsrc2=size=64x48:rate=5:duration=2",
            &[],
        );
        inside
    };
    let img = frames("img_000000_000002", "img_%05d.jpg");
    // Optical flow beside the frames.
    fs::copy(img.join("img_00001.jpg"), img.join("flow_x_00001.jpg")).unwrap();
    frames("x/id_png_000000_000002/jpgs", "frame_%05d.png");
    let videos = folder.0.path().join("frames");
    let output = folder.run(&[
        "--frame-folders",
        videos.to_str().unwrap(),
        "--codec",
        "raw",
    ]);
    let rows = folder.rows();
    assert!(
        rows.iter().all(|row| is_ok_with(row, 10)),
        "{}",
        err(&output)
    );
    // The same pictures, up to what JPEG loses.
    let shards = Shards::open(&folder.out()).unwrap();
    let clips: Vec<Vec<u8>> = rows
        .iter()
        .map(|row| {
            shards
                .clip(row.shard.as_deref().unwrap(), row.shard_row.unwrap())
                .unwrap()
        })
        .map(|clip| clip.frame(3).to_vec())
        .collect();
    let apart: u64 = clips[0]
        .iter()
        .zip(&clips[1])
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    assert!(apart / (clips[0].len() as u64) < 12, "{apart}");
}

#[test]
fn collected_folders_of_clips_come_out_right() {
    if let Some((output, rows, _)) = collected("01-side-files", &[]) {
        assert!(
            rows.iter().all(|row| is_ok_with(row, 10)),
            "{}",
            err(&output)
        );
        assert!(
            rows.iter()
                .all(|row| row.source_codec.as_deref() == Some("h264"))
        );
    }
    if let Some((output, rows, _)) = collected("02-broken-link", &[]) {
        assert!(
            output.status.success() && rows.len() == 2,
            "{}",
            err(&output)
        );
    }
    if let Some((output, rows, _)) = collected("05-missing-not-named", &[]) {
        assert_eq!(output.status.code(), Some(1));
        assert!(
            err(&output).contains("abcdefghijk_000000_000002"),
            "{}",
            err(&output)
        );
        assert!(
            err(&output).contains("abcdefghijk_0_2.mp4"),
            "{}",
            err(&output)
        );
        assert_eq!(rows[0].status, ClipStatus::Missing);
    }
}
