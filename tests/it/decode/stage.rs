//! The decode stage on labelled clips made here: what it publishes, what it survives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use incdec::decode::verify;
use incdec::parquet_file::{self, Table};
use incdec::shard::{IndexRow, Shards, write_index};
use incdec::tables::ClipStatus;

use super::files::{MOVING, ffmpeg, make};
use crate::support::delete_clips;

/// A folder of labelled clips and what the stage makes of it.
pub(super) struct Data {
    folder: tempfile::TempDir,
}

impl Data {
    /// `clips` clips of one second, every third in validation and test; one labelled clip is missing, one is empty.
    pub(super) fn new(clips: usize) -> Self {
        let data = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(data.path("raw/yawning")).unwrap();
        fs::create_dir_all(data.path("Info")).unwrap();
        fs::write(
            data.path("Info/classes.csv"),
            "Category,Subcategory\nfatigue,yawning\n",
        )
        .unwrap();
        for n in 0..clips {
            let source = format!("testsrc=size=96x64:rate=25:duration=1:decimals={n}");
            make(
                &data.path("raw/yawning"),
                &format!("clip{n}_000000_000001.mp4"),
                &source,
                &["-c:v", "libx264", "-bf", "2"],
            );
        }
        fs::write(data.path("raw/yawning/empty_000000_000001.mp4"), b"").unwrap();
        let names = (0..clips)
            .map(|n| format!("clip{n}"))
            .chain(["empty".into(), "gone".into()]);
        data.label(&names.collect::<Vec<_>>());
        data
    }

    pub(super) fn label(&self, names: &[String]) {
        for (i, split) in ["train", "validation", "test"].into_iter().enumerate() {
            let rows: String = names
                .iter()
                .enumerate()
                .filter(|(n, _)| {
                    if i == 0 {
                        n % 3 == 0 || *n > 5
                    } else {
                        n % 3 == i && *n <= 5
                    }
                })
                .map(|(_, name)| format!("yawning,{name},0,1,train\n"))
                .collect();
            let table = format!("label,youtube_id,time_start,time_end,split\n{rows}");
            fs::write(self.path(&format!("Info/{split}.csv")), table).unwrap();
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn command(&self, out: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-decode"));
        command.args([
            "--clips",
            self.path("raw").to_str().unwrap(),
            "--labels",
            self.path("Info").to_str().unwrap(),
        ]);
        command.args([
            "--out",
            self.path(out).to_str().unwrap(),
            "--max-failed",
            "0.5",
            "--frame-size",
            "64x48",
        ]);
        command.args(["--clips-per-shard", "1"]).args(args);
        command
    }

    /// Runs the stage and gives its summary.
    pub(super) fn decode(&self, out: &str, args: &[&str]) -> String {
        let output = self.command(out, args).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn files(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        fs::read_dir(self.path(out))
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| {
                (
                    e.file_name().to_string_lossy().into_owned(),
                    fs::read(e.path()).unwrap(),
                )
            })
            .collect()
    }
}

#[test]
fn the_stage_gives_the_same_bytes_for_any_jobs_in_threads_or_processes_and_after_a_kill() {
    let data = Data::new(9);
    let summary = data.decode("a", &["--jobs", "1"]);
    assert!(
        summary.starts_with(
            "11 clips: 9 ok, 0 partial, 1 failed, 1 missing; 45 frames stored; 10 decoded"
        ),
        "{summary}"
    );
    let files = data.files("a");
    assert!(files.len() > 5, "{:?}", files.keys());
    data.decode("b", &["--jobs", "3", "--isolate", "process"]);
    assert!(data.files("b") == files);

    // Killed as soon as a shard is there, twice.
    for _ in 0..2 {
        let mut child = data
            .command("c", &["--jobs", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let shards = |data: &Data| {
            fs::read_dir(data.path("c")).map_or(0, |d| {
                d.filter(|e| {
                    e.as_ref()
                        .unwrap()
                        .path()
                        .extension()
                        .is_some_and(|e| e == "arrow")
                })
                .count()
            })
        };
        let before = shards(&data);
        while shards(&data) == before && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
    data.decode("c", &[]);
    assert!(
        data.files("c") == files,
        "a killed run's shards are taken over"
    );
    assert_eq!(verify(&data.path("c")).unwrap().damaged, []);
}

#[test]
fn a_second_run_rests_new_clips_add_shards_and_other_settings_decode_anew() {
    let data = Data::new(6);
    data.decode("a", &[]);
    let first = data.files("a");
    assert!(data.decode("a", &["--jobs", "1"]).contains("nothing to do"));
    assert!(data.files("a") == first);

    let more = make(
        &data.path("raw/yawning"),
        "gone_000000_000001.mp4",
        MOVING,
        &["-c:v", "libx264"],
    );
    let names: Vec<String> = (0..6)
        .map(|n| format!("clip{n}"))
        .chain(["empty".into(), "gone".into()])
        .collect();
    data.label(&names);
    assert!(
        data.decode("a", &[])
            .contains("1 decoded now into 1 new shards")
    );
    let second = data.files("a");
    assert!(
        first
            .iter()
            .filter(|(name, _)| name.ends_with("arrow"))
            .all(|(name, bytes)| second[name] == *bytes)
    );
    assert_eq!(second.len(), first.len() + 1);

    // Another file under the same name is noticed by its size.
    fs::copy(data.path("raw/yawning/clip0_000000_000001.mp4"), &more).unwrap();
    assert!(data.decode("a", &[]).contains("1 decoded now"));

    assert!(
        data.decode("a", &["--codec", "raw"])
            .contains("8 decoded now"),
        "what failed is tried again, too"
    );
    let shards = Shards::open(&data.path("a")).unwrap();
    assert!(
        shards
            .index()
            .iter()
            .filter(|r| r.status == ClipStatus::Ok)
            .all(|r| r.codec.as_deref() == Some("raw"))
    );
    assert_eq!(verify(&data.path("a")).unwrap().clips, 7);
}

#[test]
fn clips_of_a_deletion_that_was_stopped_do_not_come_back() {
    let data = Data::new(4);
    data.decode("a", &[]);
    let before = data.files("a");
    let gone = BTreeSet::from(["clip0_000000_000001".to_owned()]);
    let deleted = delete_clips(&data.path("a"), &gone).unwrap();
    assert_eq!(deleted.removed.len(), 1);
    let old = data.path("a").join(&deleted.removed[0]);
    // As if it had been stopped before the old file was gone. The clip's video is gone, its label still there.
    // Until it is gone the index has its hash among its inputs.
    fs::write(&old, &before[&deleted.removed[0]]).unwrap();
    let index = data.path("a/index.parquet");
    let rows: Vec<IndexRow> = parquet_file::read(&index).unwrap();
    let made_from = parquet_file::provenance(&index, &IndexRow::FORMAT).unwrap();
    let made_from = made_from.with_input(&old).unwrap();
    write_index(&data.path("a"), &rows, &made_from).unwrap();
    fs::remove_file(data.path("raw/yawning/clip0_000000_000001.mp4")).unwrap();
    data.decode("a", &[]);
    assert!(!old.exists());
    let shards = Shards::open(&data.path("a")).unwrap();
    let row = shards.index().iter().find(|r| gone.contains(&r.clip_id));
    assert_eq!(row.unwrap().status, ClipStatus::Missing);
    for bytes in data.files("a").values() {
        let name = b"clip0_000000_000001";
        let holds = bytes.windows(name.len()).any(|w| w == name);
        assert!(
            !holds || bytes.starts_with(b"PAR1"),
            "only the index may name it"
        );
    }
}

#[test]
fn too_many_failures_fail_the_stage_but_keep_what_was_decoded() {
    let data = Data::new(2);
    let output = data.command("a", &["--max-failed", "0.4"]).output();
    // A flag given twice is a wrong usage.
    assert_eq!(output.unwrap().status.code(), Some(2));
    let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-decode"));
    command.args([
        "--clips",
        data.path("raw").to_str().unwrap(),
        "--labels",
        data.path("Info").to_str().unwrap(),
    ]);
    command.args([
        "--out",
        data.path("a").to_str().unwrap(),
        "--frame-size",
        "64x48",
        "--clips-per-shard",
        "1",
    ]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(65), "{stderr}");
    assert!(
        stderr.contains("hint: ") && stderr.contains("--max-failed 0.500"),
        "{stderr}"
    );
    assert!(stderr.contains("empty_000000_000001"), "{stderr}");
    assert!(data.path("a/index.parquet").exists());
    assert!(
        data.decode("a", &[])
            .contains("2 ok, 0 partial, 1 failed, 1 missing")
    );
}

#[test]
fn a_folder_of_frames_stands_in_for_a_missing_video_and_keeps_frames_of_the_right_size() {
    let data = Data::new(1);
    let frames = data.path("Videos/id_gone_000000_000001/jpgs");
    fs::create_dir_all(&frames).unwrap();
    let pattern = frames.join("image_%05d.jpg");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=64x48:rate=5:duration=12",
        pattern.to_str().unwrap(),
    ]);
    let videos = data.path("Videos");
    let args = ["--frame-folders", videos.to_str().unwrap()];
    assert!(
        data.decode("a", &args)
            .contains("2 ok, 0 partial, 1 failed, 0 missing")
    );
    let shards = Shards::open(&data.path("a")).unwrap();
    let row = shards
        .index()
        .iter()
        .find(|r| r.clip_id == "gone_000000_000001")
        .unwrap();
    assert_eq!(
        (row.frames, row.source_codec.as_deref()),
        (50, Some("frames"))
    );
    let clip = shards
        .clip(row.shard.as_deref().unwrap(), row.shard_row.unwrap())
        .unwrap();
    assert_eq!(
        clip.frame(2),
        fs::read(frames.join("image_00003.jpg")).unwrap()
    );
}

#[test]
fn verify_names_the_damaged_clip() {
    let data = Data::new(3);
    data.decode("a", &["--codec", "raw"]);
    let path = data.path("a/test-00000.arrow");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_incdec-decode"))
        .arg("verify")
        .arg(data.path("a"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.starts_with("clip2_000000_000001\ttest-00000.arrow\t0\t"),
        "{stdout}"
    );
    assert!(
        stdout.contains("3 clips") && stdout.contains("1 damaged"),
        "{stdout}"
    );
}

#[test]
fn withdrawn_clips_are_not_decoded_and_count_against_no_limit() {
    let data = Data::new(4);
    let row = |clip: &str| {
        let shards = Shards::open(&data.path("a")).unwrap();
        let row = shards.index().iter().find(|r| r.clip_id == clip).cloned();
        row.unwrap()
    };
    let (early, late, empty) = (
        "clip0_000000_000001",
        "clip1_000000_000001",
        "empty_000000_000001",
    );
    let list = |clips: &[&str]| {
        let lines = clips.iter().map(|clip| format!("{clip},2026-03-31,R-1\n"));
        let text = format!(
            "clip_id,withdrawn_on,request\n{}",
            lines.collect::<String>()
        );
        fs::write(data.path("Info/withdrawn.csv"), text).unwrap();
    };
    // Three of four without frames are too many; two of them withdrawn, one of the other two is not.
    let labels = ["clip0", "empty", "gone", "gone2"].map(str::to_owned);
    data.label(&labels);
    assert!(!data.command("limit", &[]).status().unwrap().success());
    list(&[empty, "gone2_000000_000001"]);
    data.decode("limit", &[]);
    let labels = ["clip0", "clip1", "clip2", "clip3", "empty", "gone"].map(str::to_owned);
    data.label(&labels);
    // Before anything is decoded: the clip has no frames, and neither a failure nor a missing file is counted.
    list(&[early, empty]);
    let output = data.command("a", &[]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("2 withdrawn clips still have files") && said.contains("make erase"),
        "{said}"
    );
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.starts_with("4 clips: 3 ok, 0 partial, 0 failed, 1 missing;"),
        "{told}"
    );
    assert!(told.contains("2 more have been withdrawn"), "{told}");
    assert_eq!(
        row(early),
        IndexRow::withdrawn(early.into(), row(early).split)
    );
    // What is stored already stays named until it is erased; the list is an input of the index.
    list(&[early, late, empty]);
    data.decode("a", &[]);
    assert_eq!(row(late).status, ClipStatus::Ok);
    let index = data.path("a/index.parquet");
    let made_from = parquet_file::provenance(&index, &IndexRow::FORMAT).unwrap();
    assert!(made_from.inputs.contains_key("withdrawn.csv"));
    // Taken back, they are decoded as ever; without a list nothing of it stands in the lineage.
    fs::remove_file(data.path("Info/withdrawn.csv")).unwrap();
    data.decode("a", &[]);
    assert_eq!(row(early).status, ClipStatus::Ok);
    let made_from = parquet_file::provenance(&index, &IndexRow::FORMAT).unwrap();
    assert!(!made_from.inputs.contains_key("withdrawn.csv"));
}
