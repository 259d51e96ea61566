//! The manifest in parts: what merging makes of them is what one run would have written.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use incdec::artifact;
use incdec::clip::Split;
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::lock::{Lock, Wait};
use incdec::manifest::{
    ManifestConfig, ManifestError, MergeSummary, PartSummary, StoredRow, merge, parts_place, run,
    run_part,
};
use incdec::parquet_file::{self, Provenance};
use incdec::part::PartsError;
use incdec::shard::{
    ClipHead, Codec, NewClip, Ranges, ShardWriter, ShardWriterConfig, SourceFacts, write_index,
};
use incdec::tables::ClipStatus;

/// Shards of the tests, each of two clips.
const SHARDS: usize = 7;
/// Stored clips of which the index says nothing, by their number: one that no label names, one that
/// has been withdrawn, and an older copy of a labelled one.
const UNLABELLED: usize = 3;
const WITHDRAWN: usize = 9;
const COPY: usize = 12;

/// Labels of all clips but one, shards of all, and an index that lacks three rows.
struct Data(tempfile::TempDir);

fn id(number: usize) -> String {
    format!("clip{number:02}_000000_000010")
}

impl Data {
    fn new() -> Self {
        let data = Self(tempfile::tempdir().unwrap());
        let clips = 2 * SHARDS;
        let header = "label,youtube_id,time_start,time_end,split\n";
        let rows = (0..clips).filter(|number| *number != UNLABELLED);
        let rows = rows.map(|number| format!("texting,clip{number:02},0,10,train\n"));
        data.write(
            "Info/train.csv",
            &format!("{header}{}", rows.collect::<String>()),
        );
        data.write("Info/validation.csv", header);
        data.write("Info/test.csv", header);
        data.write(
            "Info/classes.csv",
            "Category,Subcategory\nphone,texting\nphone,calling\n",
        );
        let withdrawn = format!(
            "clip_id,withdrawn_on,request\n{},2026-03-31,R-1\n",
            id(WITHDRAWN)
        );
        data.write("Info/withdrawn.csv", &withdrawn);
        let config = ShardWriterConfig {
            ranges: Ranges::new(NonZeroU32::new(2).unwrap(), [clips, 0, 0]),
            ..ShardWriterConfig::default()
        };
        let mut writer = ShardWriter::new(&data.at("shards"), Provenance::default(), config);
        let mut index = Vec::new();
        for number in 0..clips {
            let row = writer.push(&stored(number)).unwrap();
            if ![UNLABELLED, WITHDRAWN, COPY].contains(&number) {
                index.push(row);
            }
        }
        assert_eq!(writer.finish().unwrap().len(), SHARDS);
        write_index(&data.at("shards"), &index, &Provenance::default()).unwrap();
        data
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), text).unwrap();
    }

    fn config(&self, out: &str) -> ManifestConfig {
        ManifestConfig {
            labels: self.at("Info"),
            shards: self.at("shards").into(),
            out: self.at(out).join("clips.parquet"),
            listed: 10,
        }
    }

    /// What one run says, and the bytes that it writes.
    fn whole(&self) -> (String, BTreeMap<PathBuf, Vec<u8>>) {
        let said = run(&self.config("whole")).unwrap().to_string();
        let files = files(&self.at("whole"));
        assert_eq!(files.len(), 3, "{:?}", files.keys());
        (said, files)
    }

    fn part(&self, out: &str, part: &str) -> Result<PartSummary, ManifestError> {
        run_part(&self.config(out), part.parse().unwrap(), Wait::No)
    }

    fn merge(&self, out: &str, parts: u32) -> Result<MergeSummary, ManifestError> {
        merge(&self.config(out), parts, Wait::No)
    }

    fn refused(&self, out: &str, parts: u32) -> PartsError {
        match self.merge(out, parts).unwrap_err() {
            ManifestError::Parts(error) => {
                assert!(error.hint().is_some(), "{error}");
                error
            }
            error => panic!("{error}"),
        }
    }

    fn command(&self, out: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-manifest"));
        let merges = args.first() == Some(&"merge");
        let (task, args) = args.split_at(usize::from(merges));
        command.args(task).arg("--labels").arg(self.at("Info"));
        command.arg("--shards").arg(self.at("shards"));
        command.arg("--out").arg(self.at(out).join("clips.parquet"));
        command.args(args);
        command
    }
}

fn stored(number: usize) -> NewClip {
    NewClip {
        clip_id: id(number),
        split: Split::Train,
        label_row: number,
        frames: vec![vec![1, 2, u8::try_from(number).unwrap()]],
        head: ClipHead {
            codec: Codec::Raw,
            height: 1,
            width: 1,
            fps: 5.0,
            source: SourceFacts::default(),
            status: ClipStatus::Ok,
            error: None,
        },
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(folder).into_iter();
    let entries = entries.map(Result::unwrap);
    let files = entries.filter(|entry| !entry.file_type().is_dir());
    let named = files.map(|entry| {
        let name = entry.path().strip_prefix(folder).unwrap().to_owned();
        (name, fs::read(entry.path()).unwrap())
    });
    named.collect()
}

fn text(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn parts_in_any_order_and_all_at_once_become_the_bytes_and_the_audit_of_one_run() {
    let data = Data::new();
    let (said, whole) = data.whole();
    for number in [UNLABELLED, WITHDRAWN] {
        assert!(said.contains(&id(number)), "{said}");
    }
    for (out, order) in [("a", [0, 1, 2]), ("b", [2, 0, 1])] {
        let mut shards = 0;
        for number in order {
            let part = data.part(out, &format!("{number}/3")).unwrap();
            assert!(!part.up_to_date && part.passed_over == 0, "{part}");
            shards += part.shards;
        }
        assert_eq!(shards, SHARDS);
        assert!(!data.config(out).out.exists());
        let merged = data.merge(out, 3).unwrap();
        assert_eq!(merged.manifest.unwrap().to_string(), said);
        assert!(files(&data.at(out)) == whole, "{out}");
        // Once more it rests.
        assert!(data.merge(out, 3).unwrap().up_to_date);
        assert!(files(&data.at(out)) == whole);
    }
    // More parts than there are shards, at once, as programs.
    let start = |number: usize| {
        let mut command = data.command("c", &["--part", &format!("{number}/9")]);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let running: Vec<_> = (0..9).map(start).collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    let merged = data.command("c", &["merge", "--parts", "9"]).output();
    let merged = merged.unwrap();
    assert!(text(&merged).contains(&said), "{}", text(&merged));
    assert!(text(&merged).contains("9 parts merged"));
    assert!(files(&data.at("c")) == whole);
}

#[test]
fn a_part_names_no_clip_but_those_that_should_not_be_stored() {
    let data = Data::new();
    let part = data.part("a", "0/1").unwrap();
    assert_eq!((part.shards, part.astray), (SHARDS, 2));
    let folder = parts_place(&data.config("a").out).of("0/1".parse().unwrap());
    let rows: Vec<StoredRow> = parquet_file::read(&folder.join(StoredRow::FILE)).unwrap();
    let ids: Vec<String> = rows.into_iter().filter_map(|row| row.clip_id).collect();
    assert_eq!(ids, [id(UNLABELLED), id(WITHDRAWN)]);
}

#[test]
fn a_part_that_runs_twice_rests_or_is_busy() {
    let data = Data::new();
    let (_, whole) = data.whole();
    data.part("a", "0/2").unwrap();
    let before = files(&data.at("a"));
    let again = data.part("a", "0/2").unwrap();
    assert!(again.up_to_date, "{again}");
    assert!(files(&data.at("a")) == before);

    let folder = parts_place(&data.config("a").out).of("0/2".parse().unwrap());
    let lock = Lock::folder(&folder, "another", Wait::No).unwrap();
    let busy = data.command("a", &["--part", "0/2"]).output().unwrap();
    assert_eq!(busy.status.code(), Some(75), "{}", text(&busy));
    // Nobody merges what is being written.
    data.part("a", "1/2").unwrap();
    let busy = data.merge("a", 2).unwrap_err();
    assert_eq!(busy.exit(), Exit::TryAgain, "{busy}");
    drop(lock);
    // And no part begins while somebody merges.
    let lock = Lock::folder(&data.at("a"), "a merge", Wait::No).unwrap();
    let busy = data.part("a", "1/2").unwrap_err();
    assert!(
        matches!(&busy, ManifestError::Parts(PartsError::Busy { holder, .. }) if holder.starts_with("a merge"))
    );
    assert_eq!(busy.exit(), Exit::TryAgain);
    assert_eq!(data.merge("a", 2).unwrap_err().exit(), Exit::TryAgain);
    drop(lock);
    data.merge("a", 2).unwrap();
    assert!(files(&data.at("a")) == whole);
}

#[test]
fn a_part_that_is_missing_or_does_not_fit_the_others_is_refused_by_name() {
    let data = Data::new();
    let place = parts_place(&data.config("a").out);
    assert!(matches!(data.refused("a", 3), PartsError::NoParts { .. }));
    assert!(!data.at("a").exists());
    data.part("a", "0/3").unwrap();
    data.part("a", "1/3").unwrap();
    let third = "2/3".parse().unwrap();
    let error = data.refused("a", 3);
    assert!(matches!(error, PartsError::Missing { missing: 1, first, .. } if first == third));
    assert!(error.hint().unwrap().contains("--part 2/3"), "{error}");
    assert!(matches!(data.refused("a", 2), PartsError::Mixed { .. }));
    data.part("a", "2/4").unwrap();
    assert!(matches!(data.refused("a", 3), PartsError::Mixed { .. }));
    fs::remove_dir_all(place.of("2/4".parse().unwrap())).unwrap();
    // Begun, and killed before its end.
    fs::create_dir(place.of(third)).unwrap();
    let error = data.refused("a", 3);
    assert!(matches!(error, PartsError::Unfinished { part } if part == third));
    data.part("a", "2/3").unwrap();
    let note = place.folder().join("note.txt");
    fs::write(&note, "mine").unwrap();
    assert!(matches!(data.refused("a", 3), PartsError::Stranger { .. }));
    fs::remove_file(note).unwrap();
    assert!(!data.config("a").out.exists());
}

#[test]
fn parts_of_other_labels_or_shards_are_refused_and_done_anew() {
    let data = Data::new();
    for number in 0..3 {
        data.part("a", &format!("{number}/3")).unwrap();
    }
    let ends = |error: &PartsError, what: &str| {
        let said = error.to_string();
        assert!(said.ends_with(what), "{said}");
    };
    // A label table, the taxonomy, the list of withdrawn clips.
    let kept = ["train.csv", "classes.csv", "withdrawn.csv"].map(|name| {
        let path = data.at("Info").join(name);
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    });
    for ((path, text), what) in kept.iter().zip([
        "train.csv differ",
        "classes.csv, taxonomy differ",
        "withdrawn.csv differ",
    ]) {
        let more = match what.split('.').next() {
            Some("train") => "texting,later,0,10,train\n".to_owned(),
            Some("classes") => "phone,selfie\n".to_owned(),
            _ => format!("{},2026-04-01,R-2\n", id(0)),
        };
        fs::write(path, format!("{text}{more}")).unwrap();
        let error = data.refused("a", 3);
        assert!(matches!(error, PartsError::Changed { .. }), "{error}");
        ends(&error, what);
        // One alone that is done anew does not fit the others.
        assert!(!data.part("a", "1/3").unwrap().up_to_date);
        let error = data.refused("a", 3);
        assert!(matches!(error, PartsError::Different { .. }), "{error}");
        fs::write(path, text).unwrap();
        assert!(!data.part("a", "1/3").unwrap().up_to_date);
    }
    // A shard more, which no index names: the others fall to other parts.
    let config = ShardWriterConfig::default();
    let mut writer = ShardWriter::new(&data.at("new"), Provenance::default(), config);
    writer.push(&stored(90)).unwrap();
    let name = writer.finish().unwrap().remove(0);
    fs::copy(
        data.at("new").join(name),
        data.at("shards/test-00000.arrow"),
    )
    .unwrap();
    ends(&data.refused("a", 3), "the list of shards differ");
    for number in 0..3 {
        assert!(!data.part("a", &format!("{number}/3")).unwrap().up_to_date);
    }
    data.merge("a", 3).unwrap();
    let (said, whole) = data.whole();
    assert!(said.contains(&id(90)), "{said}");
    assert!(files(&data.at("a")) == whole);
    // Another index.
    for number in 0..2 {
        data.part("a", &format!("{number}/2")).unwrap();
    }
    write_index(&data.at("shards"), &[], &Provenance::default()).unwrap();
    ends(&data.refused("a", 2), "index.parquet differ");
}

#[test]
fn a_shard_that_cannot_be_read_is_told_and_looked_into_again() {
    let data = Data::new();
    let damaged = data.at("shards/train-00001.arrow");
    let bytes = fs::read(&damaged).unwrap();
    fs::write(&damaged, b"no shard").unwrap();
    let (said, whole) = data.whole();
    for number in 0..2 {
        data.part("a", &format!("{number}/2")).unwrap();
    }
    let part = data.part("a", "1/2").unwrap();
    assert_eq!((part.passed_over, part.up_to_date), (1, false));
    fs::create_dir(data.at("b")).unwrap();
    for (name, bytes) in files(&data.at("a")) {
        let to = data.at("b").join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    let merged = data.command("b", &["merge", "--parts", "2"]).output();
    let merged = text(&merged.unwrap());
    assert!(merged.contains("train-00001.arrow was not looked into"));
    assert!(merged.contains(&said), "{merged}");
    assert!(files(&data.at("b")) == whole);
    // When it can be read, the same command looks into it.
    fs::write(&damaged, bytes).unwrap();
    let part = data.part("a", "1/2").unwrap();
    assert_eq!((part.passed_over, part.up_to_date), (0, false));
    let merged = data.merge("a", 2).unwrap().manifest.unwrap();
    assert_eq!(merged, run(&data.config("whole")).unwrap());
    assert_eq!(merged.unlabelled, 1);
}

#[test]
fn a_merge_that_was_killed_anywhere_goes_on() {
    let data = Data::new();
    let (_, whole) = data.whole();
    let parts = |out: &str| {
        for number in 0..3 {
            data.part(out, &format!("{number}/3")).unwrap();
        }
    };
    // After any number of files that it publishes.
    for published in 0..=whole.len() {
        let out = format!("published{published}");
        parts(&out);
        for (name, bytes) in whole.iter().take(published) {
            fs::write(data.at(&out).join(name), bytes).unwrap();
        }
        data.merge(&out, 3).unwrap();
        assert!(files(&data.at(&out)) == whole, "{out}");
    }
    // While the parts were being removed.
    parts("aside");
    for (name, bytes) in &whole {
        fs::write(data.at("aside").join(name), bytes).unwrap();
    }
    let place = parts_place(&data.config("aside").out);
    artifact::rename(place.folder(), place.merged()).unwrap();
    fs::remove_dir_all(place.merged().join("1-of-3")).unwrap();
    assert!(data.merge("aside", 3).unwrap().up_to_date);
    assert!(files(&data.at("aside")) == whole);
    // Where the card was not written, nothing was merged before.
    fs::remove_file(data.at("aside/data_card.md")).unwrap();
    assert!(matches!(
        data.refused("aside", 3),
        PartsError::NoParts { .. }
    ));
}

#[test]
fn one_run_beside_parts_says_that_they_wait() {
    let data = Data::new();
    data.part("a", "0/2").unwrap();
    let output = data.command("a", &[]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 parts that were never merged"), "{said}");
    let refused = data.command("a", &["--wait"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
}
