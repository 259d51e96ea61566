//! What cleaning takes away, and what it leaves alone.

mod runs;

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use incdec::artifact::hash_file;
use incdec::clean::{CleanConfig, CleanError, CleanSummary, Stage, run};
use incdec::clip::Split;
use incdec::download::DownloadError;
use incdec::download::ledger::{Kind, LedgerRow};
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::lock::{Lock, Wait};
use incdec::manifest::{StoredRow, parts_place};
use incdec::parquet_file::{self, Provenance};
use incdec::shard::{
    ClipHead, Codec, NewClip, Ranges, ShardWriter, ShardWriterConfig, SourceFacts,
    parse_shard_name, write_index,
};
use incdec::tables::{AvailabilityRow, ClipRow, ClipStatus, ScheduleRow};

fn config(stage: Stage, folder: &Path) -> CleanConfig {
    CleanConfig {
        stage,
        folder: folder.to_owned(),
        clips: None,
        dry_run: false,
        wait: Wait::No,
    }
}

fn clean(stage: Stage, folder: &Path) -> CleanSummary {
    run(&config(stage, folder)).unwrap()
}

/// The files below `root`, by their ways from it.
fn left(root: &Path) -> Vec<String> {
    walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            entry
                .path()
                .strip_prefix(root)
                .unwrap()
                .display()
                .to_string()
        })
        .collect()
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn clip_row(name: &str, subcategory: &str, state: &str, blake3: Option<String>) -> LedgerRow {
    LedgerRow {
        kind: Kind::Clip,
        archive: Some("train/a.tar.gz".into()),
        name: name.into(),
        state: state.into(),
        url: None,
        subcategory: Some(subcategory.into()),
        bytes: Some(1),
        etag: None,
        blake3,
        members_seen: None,
        members_kept: None,
        members_refused: None,
        container: None,
        reason: None,
    }
}

/// A data folder with four clips of a ledger: one as it was downloaded, one changed, one adopted, one behind a link; and a file
/// of the user's.
fn downloaded(root: &Path) -> PathBuf {
    let data = root.join("data");
    let clip = |folder: &str, name: &str| data.join("raw").join(folder).join(format!("{name}.mp4"));
    let names = [
        "a_000001_000011",
        "b_000001_000011",
        "c_000001_000011",
        "d_000001_000011",
    ];
    let mut rows = Vec::new();
    for (name, state) in names
        .iter()
        .zip(["present", "present", "adopted", "present"])
    {
        let folder = if name.starts_with('d') {
            "linked"
        } else {
            "eating cake"
        };
        let path = if folder == "linked" {
            root.join("elsewhere").join(format!("{name}.mp4"))
        } else {
            clip(folder, name)
        };
        write(&path, name);
        rows.push(clip_row(
            name,
            folder,
            state,
            Some(hash_file(&path).unwrap()),
        ));
    }
    symlink(root.join("elsewhere"), data.join("raw/linked")).unwrap();
    fs::write(clip("eating cake", names[1]), "edited").unwrap();
    write(&data.join("raw/eating cake/mine.mp4"), "mine");
    write(&data.join("raw/emptied/.keep"), "");
    fs::remove_file(data.join("raw/emptied/.keep")).unwrap();
    parquet_file::write(
        &data.join("downloads.parquet"),
        &rows,
        &Provenance::default(),
    )
    .unwrap();
    write(&data.join(".made"), "");
    write(&data.join(".made-by"), "--source x\n");
    write(&data.join("Info/train.csv"), "label\n");
    data
}

#[test]
fn only_clips_that_are_as_they_were_downloaded_go_and_the_ledger_last() {
    let root = tempfile::tempdir().unwrap();
    let data = downloaded(root.path());
    let before = left(root.path());
    let mut dry = config(Stage::Download, &data);
    dry.dry_run = true;
    let listed = run(&dry).unwrap();
    assert_eq!(left(root.path()), before, "a list removes nothing");
    let summary = clean(Stage::Download, &data);
    assert_eq!(summary.removed, listed.removed);
    let raw = data.join("raw");
    assert_eq!(
        summary.removed,
        [
            raw.join("eating cake/a_000001_000011.mp4"),
            data.join("downloads.parquet")
        ]
    );
    assert_eq!(
        summary.changed,
        [
            raw.join("eating cake/b_000001_000011.mp4"),
            raw.join("linked/d_000001_000011.mp4")
        ]
    );
    assert_eq!(
        left(root.path()),
        [
            "data/Info/train.csv",
            "data/raw/eating cake/b_000001_000011.mp4",
            "data/raw/eating cake/c_000001_000011.mp4",
            "data/raw/eating cake/mine.mp4",
            "data/raw/linked",
            "elsewhere/d_000001_000011.mp4",
        ]
    );
    assert!(
        raw.join("emptied").is_dir(),
        "a folder that was empty before is none of ours"
    );
    // The clip that was adopted, the user's own, and the link.
    assert_eq!(summary.unknown.len(), 3, "{:?}", summary.unknown);
    let said = summary.to_string();
    assert!(said.starts_with("2 files removed; 2 files stay"), "{said}");
    assert!(said.contains("mine.mp4"), "{said}");
}

#[test]
fn without_a_sound_ledger_nothing_goes() {
    let root = tempfile::tempdir().unwrap();
    let data = downloaded(root.path());
    let ledger = data.join("downloads.parquet");
    let mut bytes = fs::read(&ledger).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0);
    fs::write(&ledger, bytes).unwrap();
    let before = left(root.path());
    let refused = run(&config(Stage::Download, &data)).unwrap_err();
    assert!(
        refused.to_string().contains("downloads.parquet"),
        "{refused}"
    );
    assert!(refused.hint().unwrap().contains("by hand"));
    assert_eq!(left(root.path()), before);
}

#[test]
fn a_ledger_that_leads_elsewhere_removes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let data = downloaded(root.path());
    let outside = root.path().join("outside/e_000001_000011.mp4");
    write(&outside, "e");
    let ledger = data.join("downloads.parquet");
    let mut rows: Vec<LedgerRow> = parquet_file::read(&ledger).unwrap();
    let hash = hash_file(&outside).unwrap();
    rows.push(clip_row(
        "e_000001_000011",
        "../../outside",
        "present",
        Some(hash),
    ));
    parquet_file::write(&ledger, &rows, &Provenance::default()).unwrap();
    let before = left(root.path());
    let refused = run(&config(Stage::Download, &data)).unwrap_err();
    assert!(
        matches!(
            &refused,
            CleanError::Ledger(DownloadError::LedgerRow { name, .. }) if name.contains("outside")
        ),
        "{refused}"
    );
    assert!(refused.hint().unwrap().contains("by hand"));
    assert_eq!(left(root.path()), before);
}

fn shards(folder: &Path) {
    let config = ShardWriterConfig {
        ranges: Ranges::new(NonZeroU32::MIN, [2, 0, 0]),
        ..ShardWriterConfig::default()
    };
    let mut writer = ShardWriter::new(folder, Provenance::default(), config);
    let rows: Vec<_> = ["a", "b"]
        .iter()
        .enumerate()
        .map(|(label_row, name)| {
            writer
                .push(&NewClip {
                    clip_id: format!("{name}_000001_000011"),
                    split: Split::Train,
                    label_row,
                    frames: vec![b"123456789".to_vec()],
                    head: ClipHead {
                        codec: Codec::Raw,
                        height: 1,
                        width: 3,
                        fps: 5.0,
                        source: SourceFacts::default(),
                        status: ClipStatus::Ok,
                        error: None,
                    },
                })
                .unwrap()
        })
        .collect();
    writer.finish().unwrap();
    write_index(folder, &rows, &Provenance::default()).unwrap();
}

#[test]
fn shards_whose_rows_have_their_hashes_go_and_a_changed_one_stays() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("shards");
    shards(&folder);
    write(&folder.join(".made"), "");
    write(&folder.join("notes.txt"), "mine");
    write(&folder.join("test-00000.arrow"), "mine by this name");
    let flipped = folder.join("train-00001.arrow");
    let mut bytes = fs::read(&flipped).unwrap();
    let place = bytes.windows(9).position(|w| w == b"123456789").unwrap();
    bytes[place] = b'0';
    fs::write(&flipped, bytes).unwrap();
    let summary = clean(Stage::Decode, &folder);
    assert_eq!(
        summary.removed,
        [
            folder.join("train-00000.arrow"),
            folder.join("index.parquet")
        ]
    );
    assert_eq!(
        left(&folder),
        ["notes.txt", "test-00000.arrow", "train-00001.arrow"]
    );
    assert_eq!(summary.unknown, [folder.join("notes.txt")]);
    assert!(parse_shard_name("test-00000.arrow").is_some());
}

#[test]
fn a_folder_of_ours_alone_goes_with_its_stamps_and_another_stays() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("shards");
    shards(&folder);
    write(&folder.join(".made"), "");
    write(&folder.join(".made-by"), "--fps 5\n");
    assert_eq!(clean(Stage::Decode, &folder).removed.len(), 3);
    assert!(!folder.exists());
    assert!(root.path().exists());
    assert_eq!(
        clean(Stage::Decode, &folder),
        CleanSummary::default(),
        "again"
    );
    assert!(!folder.exists());
}

#[test]
fn parts_of_a_decoding_that_were_never_merged_go_with_the_shards() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("shards");
    shards(&folder);
    let part = folder.join("parts/1-of-2");
    shards(&part);
    let held = Lock::folder(&part, "incdec-decode", Wait::No).unwrap();
    let busy = run(&config(Stage::Decode, &folder)).unwrap_err();
    assert_eq!(busy.exit(), Exit::TryAgain, "{busy}");
    drop(held);
    assert_eq!(clean(Stage::Decode, &folder).removed.len(), 6);
    assert!(!folder.exists());
}

#[test]
fn parts_of_a_manifest_that_were_never_merged_go_with_it() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("manifests");
    let table = folder.join("clips.parquet");
    parquet_file::write::<ClipRow>(&table, &[], &Provenance::default()).unwrap();
    let part = parts_place(&table).of("1/2".parse().unwrap());
    let found = part.join(StoredRow::FILE);
    parquet_file::write::<StoredRow>(&found, &[], &Provenance::default()).unwrap();
    let held = Lock::folder(&part, "incdec-manifest", Wait::No).unwrap();
    let busy = run(&config(Stage::Manifest, &folder)).unwrap_err();
    assert_eq!(busy.exit(), Exit::TryAgain, "{busy}");
    drop(held);
    assert_eq!(clean(Stage::Manifest, &folder).removed, [found, table]);
    assert!(!folder.exists());
}

#[test]
fn the_tables_of_all_tasks_go_and_an_edited_one_stays() {
    let root = tempfile::tempdir().unwrap();
    let tasks = root.path().join("tasks");
    for folder in ["substitution/seed-0", "decremental/seed-1"] {
        let at = |name: &str| tasks.join(folder).join(name);
        let none = Provenance::default();
        parquet_file::write::<ScheduleRow>(&at("schedule.parquet"), &[], &none).unwrap();
        parquet_file::write::<AvailabilityRow>(&at("availability.parquet"), &[], &none).unwrap();
        write(&at(".made"), "");
    }
    // The user's own table under the name of ours.
    let mine = tasks.join("decremental/seed-1/schedule.parquet");
    parquet_file::write::<ClipRow>(&mine, &[], &Provenance::default()).unwrap();
    let summary = clean(Stage::Tasks, &tasks);
    assert_eq!(summary.removed.len(), 3);
    assert_eq!(summary.changed, [mine]);
    assert_eq!(left(&tasks), ["decremental/seed-1/schedule.parquet"]);
    assert!(!tasks.join("substitution").exists(), "emptied folders go");
}

/// The binary on a folder.
fn binary(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_incdec-clean"))
        .arg(arguments[0])
        .arg(folder)
        .args(&arguments[1..])
        .output()
        .unwrap()
}

#[test]
fn a_folder_in_which_another_program_works_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("shards");
    shards(&folder);
    let before = left(&folder);
    let lock = Lock::folder(&folder, "incdec-decode", Wait::No).unwrap();
    let output = binary(&["decode"], &folder);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(Exit::TryAgain.code().into()),
        "{said}"
    );
    assert!(said.contains("in use by incdec-decode"), "{said}");
    drop(lock);
    assert_eq!(left(&folder), before);
}

#[test]
fn the_binary_lists_and_then_removes() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("shards");
    shards(&folder);
    let lines = |output: &Output| {
        assert!(output.status.success());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let listed = lines(&binary(&["decode", "--dry-run"], &folder));
    assert_eq!(listed.len(), 4, "{listed:?}");
    assert_eq!(listed[3], "3 files would be removed");
    assert!(folder.exists());
    assert_eq!(lines(&binary(&["decode"], &folder)), ["3 files removed"]);
    assert!(!folder.exists());
}
