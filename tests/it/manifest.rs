//! The manifest joins every labelled clip with its place in the shards, and says what is wrong with the set.

mod croissant;
mod parts;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use incdec::clip::Split;
use incdec::hint::Hint;
use incdec::manifest::audit::Overlap;
use incdec::manifest::{DATA_CARD_FILE, ManifestConfig, ManifestError, run};
use incdec::parquet_file::{self, Provenance, Table};
use incdec::shard::{
    ClipHead, Codec, IndexRow, NewClip, ShardWriter, ShardWriterConfig, SourceFacts, write_index,
};
use incdec::tables::{ClipRow, ClipStatus};
use incdec::taxonomy::Taxonomy;

use crate::support;

const HEADER: &str = "label,youtube_id,time_start,time_end,split\n";

/// Five labelled clips: two with frames, one that failed, one partial, one that decoding never met.
struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write(
            "classes.csv",
            "Category,Subcategory\nphone,texting\nfood,eating cake\nfood,eating chips\nfood,never shown\n",
        );
        write(
            "train.csv",
            &format!(
                "{HEADER}eating cake,a,0,10,train\ntexting,b,5,15,train\neating chips,c,0,10,train\n"
            ),
        );
        write(
            "validation.csv",
            &format!("{HEADER}eating chips,a,20,30,train\n"),
        );
        write("test.csv", &format!("{HEADER}eating cake,a,2,12,train\n"));
        let fixture = Self(folder);
        let mut writer = ShardWriter::new(
            &fixture.shards(),
            Provenance::default(),
            ShardWriterConfig::default(),
        );
        let mut stored = |clip_id: &str, split, status, error: Option<&str>| {
            let clip = NewClip {
                clip_id: clip_id.into(),
                split,
                label_row: 0,
                frames: vec![vec![1, 2, 3]],
                head: ClipHead {
                    codec: Codec::Raw,
                    height: 1,
                    width: 1,
                    fps: 5.0,
                    source: SourceFacts::default(),
                    status,
                    error: error.map(str::to_owned),
                },
            };
            writer.push(&clip).unwrap()
        };
        let cake = stored("a_000000_000010", Split::Train, ClipStatus::Ok, None);
        let partial = stored(
            "a_000002_000012",
            Split::Test,
            ClipStatus::Partial,
            Some("ends early"),
        );
        let unlabelled = stored("z_000000_000010", Split::Train, ClipStatus::Ok, None);
        writer.finish().unwrap();
        let failed = IndexRow {
            clip_id: "b_000005_000015".into(),
            shard: None,
            shard_row: None,
            codec: None,
            content: None,
            status: ClipStatus::Failed,
            error: Some("moov atom not found".into()),
            ..cake.clone()
        };
        let index = [cake, failed, unlabelled, partial];
        write_index(&fixture.shards(), &index, &Provenance::default()).unwrap();
        fixture
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn shards(&self) -> std::path::PathBuf {
        self.path().join("shards")
    }

    fn config(&self) -> ManifestConfig {
        ManifestConfig {
            labels: self.path().to_owned(),
            shards: self.shards().into(),
            out: self.path().join("manifests/clips.parquet"),
            listed: 10,
        }
    }

    /// Publishes the index anew after `change`.
    fn with_index(&self, change: impl FnOnce(&mut Vec<IndexRow>)) {
        let file = self.shards().join("index.parquet");
        let mut rows: Vec<IndexRow> = parquet_file::read(&file).unwrap();
        change(&mut rows);
        parquet_file::write(&file, &rows, &Provenance::default()).unwrap();
    }
}

#[test]
fn every_labelled_clip_has_a_row_with_its_place_or_none() {
    let fixture = Fixture::new();
    let config = fixture.config();
    run(&config).unwrap();
    let rows: Vec<ClipRow> = parquet_file::read(&config.out).unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|r| (r.clip_id.as_str(), r.split, r.row, r.label, r.status))
        .collect();
    assert_eq!(
        told,
        [
            ("a_000000_000010", Split::Train, 0, 1, ClipStatus::Ok),
            ("b_000005_000015", Split::Train, 1, 0, ClipStatus::Failed),
            ("c_000000_000010", Split::Train, 2, 1, ClipStatus::Missing),
            (
                "a_000020_000030",
                Split::Validation,
                0,
                1,
                ClipStatus::Missing
            ),
            ("a_000002_000012", Split::Test, 0, 1, ClipStatus::Partial),
        ]
    );
    let placed: Vec<_> = rows.iter().map(|r| r.shard.is_some()).collect();
    assert_eq!(placed, [true, false, false, false, true]);
    assert_eq!(rows[4].shard.as_deref(), Some("test-00000.arrow"));
    assert_eq!(
        (rows[1].time_start_s, rows[1].time_end_s),
        (Some(5), Some(15))
    );
    assert_eq!(rows[0].source_split, "train");
    assert_eq!(rows[0].category, "food");

    let provenance = parquet_file::provenance(&config.out, &ClipRow::FORMAT).unwrap();
    let taxonomy = Taxonomy::of_settings(&config.out, &provenance.settings).unwrap();
    assert_eq!(
        taxonomy,
        Taxonomy::read(&fixture.path().join("classes.csv")).unwrap()
    );
    let inputs: Vec<_> = provenance.inputs.keys().map(String::as_str).collect();
    let expected = [
        "classes.csv",
        "index.parquet",
        "test.csv",
        "train.csv",
        "validation.csv",
    ];
    assert_eq!(inputs, expected);
}

#[test]
fn the_data_card_counts_every_clip_names_its_inputs_and_no_clip() {
    let fixture = Fixture::new();
    let config = fixture.config();
    run(&config).unwrap();
    let path = config.out.with_file_name(DATA_CARD_FILE);
    let text = fs::read_to_string(&path).unwrap();
    assert!(incdec::card::is_sealed(&text), "{text}");
    for said in [
        "5 labelled clips, 2 of them with frames",
        "| train | 1 | 0 | 1 | 1 | 0 |",
        "| food | eating cake | 1 | 0 | 1 |",
        "index.parquet",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("_000000_000010"), "{text}");
}

#[test]
fn the_command_prints_summary_and_audit_and_writes_the_same_bytes_again() {
    let fixture = Fixture::new();
    let config = fixture.config();
    let told = || {
        let mut command = Command::cargo_bin("incdec-manifest").unwrap();
        command.arg("--labels").arg(&config.labels);
        command.arg("--shards").arg(config.shards.shown());
        command.arg("--out").arg(&config.out);
        let output = command.assert().success().get_output().stdout.clone();
        (
            String::from_utf8(output).unwrap(),
            fs::read(&config.out).unwrap(),
        )
    };
    let (text, bytes) = told();
    assert_eq!(told(), (text.clone(), bytes));
    insta::assert_snapshot!(text, @"
    split       labelled       ok  partial   failed  missing
    train              3        1        0        1        1
    validation         1        0        0        0        1
    test               1        0        1        0        0

    clips with frames / labelled
                         train  validation        test
    phone                  0/1         0/0         0/0
      texting              0/1         0/0         0/0
    food                   1/2         0/1         1/1
      eating cake          1/1         0/0         1/1
      eating chips         0/1         0/1         0/0
      never shown          0/0         0/0         0/0

    audit
      clips without a file: 2
        c_000000_000010 (train, eating chips)
        a_000020_000030 (validation, eating chips)
      clips without a single frame: 1
        b_000005_000015 (train, texting): moov atom not found
      clips with fewer frames than promised: 1
        a_000002_000012 (test, eating cake): ends early
      YouTube ids in several splits: 1
        a_000000_000010 (train, eating cake), a_000020_000030 (validation, eating chips), a_000002_000012 (test, eating cake)
      YouTube ids in several subcategories: 1
        a_000000_000010 (train, eating cake), a_000020_000030 (validation, eating chips), a_000002_000012 (test, eating cake)
      pairs of clips that overlap in time: 1
        a_000000_000010 (train, eating cake) and a_000002_000012 (test, eating cake): 8 s
      clips of less than half the length that their label says: 0
      files that are clips of several ids in several splits: 0
      files that are clips of several ids in one split: 0
      clips in the shards that no label table names (erase them with `make erase ERASE='--unlabelled' REQUEST=<name of the request>`): 1
        z_000000_000010
    ");
}

#[test]
fn an_index_that_contradicts_itself_or_its_shards_is_refused() {
    let refused = |fixture: &Fixture| run(&fixture.config()).unwrap_err();
    let fixture = Fixture::new();
    fixture.with_index(|rows| rows[0].shard = None);
    let error = refused(&fixture);
    assert!(matches!(error, ManifestError::Index { .. }), "{error}");
    fixture.with_index(|rows| rows[0] = rows[1].clone());
    assert!(refused(&fixture).to_string().contains("stands in it twice"));

    let fixture = Fixture::new();
    for shard in [
        "../train-00000.arrow",
        "/train-00000.arrow",
        "index.parquet",
    ] {
        fixture.with_index(|rows| rows[0].shard = Some(shard.into()));
        let error = refused(&fixture).to_string();
        assert!(error.contains("whose name is no shard's"), "{error}");
    }

    let fixture = Fixture::new();
    fs::remove_file(fixture.shards().join("train-00000.arrow")).unwrap();
    let error = refused(&fixture);
    assert!(
        matches!(error, ManifestError::ShardMissing { .. }),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("make decode"));
    fs::remove_file(fixture.shards().join("index.parquet")).unwrap();
    assert!(refused(&fixture).hint().unwrap().contains("make decode"));
    fs::remove_file(fixture.path().join("test.csv")).unwrap();
    assert!(matches!(refused(&fixture), ManifestError::Labels(_)));
    assert!(!fixture.config().out.exists());
}

/// What is known of the published tables: 15 videos in two subcategories of the training table, 5 pairs of these clips
/// overlapping; one test clip that shares 8 s with a training clip.
#[test]
fn the_audit_finds_what_is_known_of_the_published_tables() {
    let Some(labels) = support::optional_data("labels") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write_index(folder.path(), &[], &Provenance::default()).unwrap();
    let config = ManifestConfig {
        labels,
        shards: folder.path().into(),
        out: folder.path().join("clips.parquet"),
        listed: 0,
    };
    let summary = run(&config).unwrap();
    assert_eq!(summary.splits.map(|c| c.missing), [3700, 370, 370]);
    let rows: Vec<ClipRow> = parquet_file::read(&config.out).unwrap();
    let found = incdec::manifest::audit::audit(&rows);
    let within_train = |clips: &[usize]| clips.iter().all(|&i| rows[i].split == Split::Train);
    let in_train = found
        .in_several_subcategories
        .iter()
        .filter(|v| within_train(v));
    assert_eq!(in_train.count(), 15);
    let (train, across): (Vec<Overlap>, Vec<Overlap>) = found
        .overlaps
        .iter()
        .copied()
        .partition(|o| within_train(&[o.first, o.second]));
    assert_eq!(train.len(), 5);
    let across: Vec<i32> = across.iter().map(|o| o.seconds).collect();
    assert_eq!(across, [8]);
}

#[test]
fn a_withdrawn_clip_keeps_its_row_without_a_place_and_what_is_stored_of_it_is_told() {
    let fixture = Fixture::new();
    let config = fixture.config();
    fs::write(
        fixture.path().join("withdrawn.csv"),
        "clip_id,withdrawn_on,request\na_000000_000010,2026-03-31,R-1\nc_000000_000010,2026-03-31,R-1\n",
    )
    .unwrap();
    let told = run(&config).unwrap().to_string();
    let rows: Vec<ClipRow> = parquet_file::read(&config.out).unwrap();
    for row in [&rows[0], &rows[2]] {
        assert_eq!(row.status, ClipStatus::Withdrawn);
        assert!(row.shard.is_none() && row.shard_row.is_none());
    }
    assert_eq!(rows.len(), 5);
    for said in [
        "2 clips have been withdrawn",
        "clips without a file: 1\n",
        "withdrawn clips whose frames are still stored (erase them with `make erase ERASE='--clips <labels>/withdrawn.csv'",
        "REQUEST=<name of the request>`): 1\n    a_000000_000010\n",
    ] {
        assert!(told.contains(said), "{told}");
    }
    let provenance = parquet_file::provenance(&config.out, &ClipRow::FORMAT).unwrap();
    assert!(provenance.inputs.contains_key("withdrawn.csv"));
}

/// Decoding drops the index's row of a clip whose label went; its frames stay in the shard.
#[test]
fn stored_clips_that_nothing_names_any_more_are_told_with_the_command_that_erases_them() {
    let fixture = Fixture::new();
    fixture.with_index(|rows| rows.retain(|row| row.clip_id != "z_000000_000010"));
    let told = run(&fixture.config()).unwrap();
    assert_eq!(told.unlabelled, 1);
    let said = "no label table names (erase them with `make erase ERASE='--unlabelled' REQUEST=<name of the request>`): 1\n    z_000000_000010\n";
    assert!(told.to_string().contains(said), "{told}");
}

#[test]
fn of_kinetics_the_group_is_the_youtube_id_and_the_rest_stays() {
    let fixture = Fixture::new();
    let config = fixture.config();
    run(&config).unwrap();
    let rows: Vec<ClipRow> = parquet_file::read(&config.out).unwrap();
    for row in rows {
        assert_eq!(row.group, row.youtube_id, "{}", row.clip_id);
        let video = row.clip_id.split('_').next();
        assert_eq!(row.youtube_id.as_deref(), video);
        assert!(row.time_start_s.is_some() && row.time_end_s.is_some());
    }
}
