//! The folder of shards: what kills, damage, a second program and earlier versions leave in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use incdec::decode::{self, DecodeConfig, DecodeError, verify};
use incdec::lock::{Lock, Wait};
use incdec::shard::{IndexRow, Shard, ShardError, Shards};
use incdec::tables::ClipStatus;
use rand::RngExt;

use super::isolate::worker_that;
use super::stage::Data;
use crate::support::{self, delete_clips, root};

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn shards(folder: &Path) -> BTreeSet<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let is_shard = |path: &PathBuf| path.extension().is_some_and(|e| e == "arrow");
    paths.filter(is_shard).collect()
}

/// Clips of which two thirds are already in the shards `base`; the others have come since.
fn partly_decoded(clips: usize) -> Data {
    let data = Data::new(clips);
    let later = (0..clips).step_by(3);
    let later: Vec<String> = later
        .map(|n| format!("clip{n}_000000_000001.mp4"))
        .collect();
    let (raw, hidden) = (data.path("raw/yawning"), data.path("hidden"));
    fs::create_dir(&hidden).unwrap();
    for name in &later {
        fs::rename(raw.join(name), hidden.join(name)).unwrap();
    }
    data.decode("base", &[]);
    for name in &later {
        fs::rename(hidden.join(name), raw.join(name)).unwrap();
    }
    data
}

#[test]
fn a_kill_while_clips_are_added_to_an_index_loses_no_shard_and_leaves_none_behind() {
    let data = partly_decoded(15);
    copy(&data.path("base"), &data.path("whole"));
    data.decode("whole", &["--jobs", "2"]);
    let whole = data.files("whole");
    let base = shards(&data.path("base")).len();
    let added = whole.len() - 1 - base;
    let mut random = support::moments("a_kill_while_clips_are_added");
    let mut taken_over = 0;
    for kill in 0..8 {
        let name = format!("killed{kill}");
        let folder = data.path(&name);
        copy(&data.path("base"), &folder);
        let mut child = data
            .command(&name, &["--jobs", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = base + random.random_range(0..=added);
        while shards(&folder).len() < until && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        // What was published holds one clip each; the next run decodes the others alone.
        let has_index = data.files(&name)["index.parquet"] == whole["index.parquet"];
        let published = shards(&folder).len() - base;
        let summary = data.decode(&name, &[]);
        let left = format!("; {} decoded now", added - published);
        assert!(has_index || summary.contains(&left), "{summary} {left}");
        taken_over += published;
        assert!(data.files(&name) == whole, "{summary}");
    }
    assert!(taken_over > 0);
}

#[test]
fn a_damaged_shard_that_a_killed_run_left_is_not_taken_over() {
    let data = Data::new(3);
    data.decode("a", &["--codec", "raw"]);
    let whole = data.files("a");
    let path = data.path("a/test-00000.arrow");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    // As if the run had been killed before it published the index.
    fs::remove_file(data.path("a/index.parquet")).unwrap();
    let output = data.command("a", &["--codec", "raw"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("test-00000.arrow is removed"), "{stderr}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 decoded now into 1 new shards"));
    assert_eq!(verify(&data.path("a")).unwrap().damaged, []);
    assert!(data.files("a") == whole);
}

#[test]
fn shards_of_clips_that_are_decoded_anew_do_not_stay() {
    let data = Data::new(4);
    data.decode("a", &[]);
    let before = shards(&data.path("a")).len();
    let file = |n: usize| data.path(&format!("raw/yawning/clip{n}_000000_000001.mp4"));
    fs::write(file(0), [fs::read(file(1)).unwrap(), vec![0; 8]].concat()).unwrap();
    assert!(
        data.decode("a", &[])
            .contains("1 decoded now into 1 new shards")
    );
    assert_eq!(shards(&data.path("a")).len(), before);
    // A number that the index has named is not given again, though its file is gone.
    let named = |data: &Data| -> BTreeMap<String, Option<String>> {
        let shards = Shards::open(&data.path("a")).unwrap();
        let place = |row: &IndexRow| (row.clip_id.clone(), row.shard.clone());
        shards.index().iter().map(place).collect()
    };
    let old = named(&data)["clip0_000000_000001"].clone().unwrap();
    fs::remove_file(data.path("a").join(&old)).unwrap();
    assert!(data.decode("a", &[]).contains("1 decoded now"));
    assert_ne!(named(&data)["clip0_000000_000001"], Some(old));
}

#[test]
fn shards_of_clips_that_no_label_names_at_the_moment_stay_for_when_one_does() {
    let data = Data::new(4);
    data.decode("a", &[]);
    let before = data.files("a");
    data.label(&["clip0".to_owned()]);
    data.decode("a", &[]);
    assert!(shards(&data.path("a")).len() == before.len() - 1);
    let names = (0..4).map(|n| format!("clip{n}"));
    data.label(
        &names
            .chain(["empty".into(), "gone".into()])
            .collect::<Vec<_>>(),
    );
    // The one without frames is in no shard.
    assert!(
        data.decode("a", &[])
            .contains("1 decoded now into 0 new shards")
    );
    assert!(data.files("a") == before);
}

#[test]
fn a_second_decode_in_the_same_folder_is_refused_or_waits() {
    let data = Data::new(2);
    let lock = Lock::folder(&data.path("a"), "incdec-decode", Wait::No).unwrap();
    let output = data.command("a", &["--quality", "50"]).output().unwrap();
    assert_eq!(output.status.code(), Some(75));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let holder = format!("in use by incdec-decode, process {}", std::process::id());
    assert!(
        stderr.contains(&holder) && stderr.contains("--wait"),
        "{stderr}"
    );
    let deletion = delete_clips(&data.path("a"), &BTreeSet::new());
    assert!(matches!(deletion, Err(ShardError::Lock(_))));

    let mut waiting = data
        .command("a", &["--wait"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(waiting.try_wait().unwrap().is_none());
    drop(lock);
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn a_folder_that_is_removed_while_clips_are_decoded_is_an_error() {
    let data = Data::new(6);
    // The last of all, asked for while the other worker goes on with the first.
    let remove = format!(
        "case \"$line\" in *clip5*) until ls '{0}'/*.arrow; do sleep 0.01; done; until rm -rf '{0}'; do :; done;; esac >/dev/null 2>&1",
        data.path("a").display()
    );
    let error = decode::run(&DecodeConfig {
        max_failed: 0.5,
        jobs: 2,
        clips_per_shard: NonZeroU32::MIN,
        isolate: Some(worker_that(&data.path(""), &remove)),
        ..DecodeConfig::new(data.path("raw"), data.path("Info"), data.path("a"))
    });
    let error = error.unwrap_err();
    assert!(
        matches!(error, DecodeError::ShardGone { .. } | DecodeError::Shard(_)),
        "{error}"
    );
    assert!(!data.path("a/index.parquet").exists());
}

#[test]
fn an_index_without_causes_is_read_and_written_anew_without_decoding() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    copy(
        &root().join("tests/fixtures/index-without-cause"),
        folder.path(),
    );
    let mut config = DecodeConfig {
        max_failed: 1.0,
        ..DecodeConfig::new(path("raw"), path("Info"), path("shards"))
    };
    config.clip.frame_size = "16x16".parse().unwrap();
    let before: Vec<IndexRow> = Shards::open(&path("shards")).unwrap().index().to_vec();
    assert!(decode::run(&config).unwrap().up_to_date);
    // A new label: the index is written anew.
    let labels = fs::read_to_string(path("Info/test.csv")).unwrap();
    fs::write(path("Info/test.csv"), labels + "yawning,absent,0,1,train\n").unwrap();
    let summary = decode::run(&config).unwrap();
    assert_eq!((summary.decoded, summary.up_to_date), (0, false));
    let mut after: Vec<IndexRow> = Shards::open(&path("shards")).unwrap().index().to_vec();
    assert_eq!(after.pop().unwrap().status, ClipStatus::Missing);
    assert_eq!(after, before);
    let bytes = fs::read(path("shards/index.parquet")).unwrap();
    assert!(
        bytes.windows(5).any(|w| w == b"cause"),
        "the column is there now"
    );
    for shard in shards(&path("shards")) {
        assert!(Shard::open(&shard).unwrap().clip(0).unwrap().intact());
    }
}
