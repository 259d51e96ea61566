//! What a test smuggles back into each place, verify finds; what it cannot look into, it names.

use std::fs;
use std::path::{Path, PathBuf};

use incdec::clip::Split;
use incdec::erase::{Place, Selector, What, apply, verify};
use incdec::manifest::StoredRow;
use incdec::parquet_file::{self, Provenance, Table};
use incdec::shard::{ShardWriter, ShardWriterConfig, SourceFacts};
use incdec::tables::{
    AvailabilityRow, ClipRow, ClipStatus, ErasureRow, IndexRow, LedgerRow, PREDICTIONS,
    read_predictions, write_predictions,
};

use super::derived::figure;
use super::world::{World, tar_of};

/// A world before and after a clip was erased.
struct Smuggler {
    world: World,
    clip: String,
    /// The data folder as it was before.
    before: std::collections::BTreeMap<String, Vec<u8>>,
}

impl Smuggler {
    fn new() -> Self {
        let world = World::new();
        let clip = world.clip(Split::Test).id.clone();
        fs::create_dir_all(world.path("frames")).unwrap();
        fs::create_dir_all(world.path("archives")).unwrap();
        fs::create_dir_all(world.path("cache")).unwrap();
        let before = world.files();
        apply(&world.config(vec![Selector::Ids(vec![clip.clone()])])).unwrap();
        let verdict = verify(&world.places()).unwrap();
        assert!(verdict.is_clean(), "{verdict}");
        Self {
            world,
            clip,
            before,
        }
    }

    /// Puts something into a file, and sees that it is found there; then the file is as it was.
    fn finds(&self, place: Place, what: What, name: &str, put: impl FnOnce(&PathBuf)) {
        let path = self.world.path(name);
        let was = fs::read(&path).ok();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        put(&path);
        let verdict = verify(&self.world.places()).unwrap();
        let found = verdict.left.iter().any(|row| {
            row.place == place
                && row.what == what
                && row.clip_id == self.clip
                && name.starts_with(&row.file)
        });
        assert!(found, "{name}: {verdict}");
        match was {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let verdict = verify(&self.world.places()).unwrap();
        assert!(verdict.is_clean(), "{name}: {verdict}");
    }
}

/// The table at `path` with rows changed by `change`.
fn edit<T: Table>(path: &Path, change: impl FnOnce(&mut Vec<T>)) {
    let mut rows: Vec<T> = parquet_file::read(path).unwrap();
    change(&mut rows);
    parquet_file::write(path, &rows, &Provenance::default()).unwrap();
}

#[test]
fn what_is_smuggled_back_is_found_wherever_it_is_put() {
    let smuggler = Smuggler::new();
    let (world, clip) = (&smuggler.world, smuggler.clip.as_str());
    let video = format!("video of {clip}");
    let write = |bytes: &str| {
        let bytes = bytes.to_owned();
        move |path: &PathBuf| fs::write(path, bytes).unwrap()
    };
    smuggler.finds(
        Place::Raw,
        What::Video,
        &format!("raw/x/{clip}.mkv"),
        write("other bytes"),
    );
    smuggler.finds(Place::Raw, What::Copy, "raw/holiday.mp4", write(&video));
    smuggler.finds(
        Place::Raw,
        What::Copy,
        "raw/x/other_000000_000010.mp4",
        write(&video),
    );
    let staged = format!("raw/.incdec-download/staging/ab/{clip}.mp4");
    smuggler.finds(Place::Staging, What::Video, &staged, write("part"));
    let record = "raw/.incdec-download/records/ab.json";
    smuggler.finds(
        Place::Staging,
        What::Bytes,
        record,
        write(&format!("[\"{clip}\"]")),
    );
    let frame = format!("frames/id_{clip}/jpgs/image_00001.jpg");
    smuggler.finds(Place::FrameFolders, What::Frames, &frame, write("frame"));
    smuggler.finds(Place::Archives, What::Member, "archives/a.tar", |path| {
        tar_of(path, &format!("x/{clip}.mp4"), b"v");
    });
    smuggler.finds(Place::Downloads, What::Row, "downloads.parquet", |path| {
        edit::<LedgerRow>(path, |rows| rows[0].name = clip.to_owned());
    });
    smuggler.finds(
        Place::Shards,
        What::StoredFrames,
        "shards/test-00900.arrow",
        |path| {
            stored(world, path, clip, 1);
        },
    );
    // The same frames under another name: their hash stands in the ledger.
    let number = world.clips.iter().position(|made| made.id == clip).unwrap();
    smuggler.finds(
        Place::Shards,
        What::Copy,
        "shards/test-00901.arrow",
        |path| {
            stored(world, path, "other_000000_000010", number);
        },
    );
    smuggler.finds(Place::Shards, What::Row, "shards/index.parquet", |path| {
        edit::<IndexRow>(path, |rows| {
            let row = rows.iter_mut().find(|row| row.clip_id == clip).unwrap();
            row.status = ClipStatus::Missing;
        });
    });
    smuggler.finds(Place::Shards, What::Row, "shards/index.parquet", |path| {
        edit::<IndexRow>(path, |rows| {
            let row = rows.iter_mut().find(|row| row.clip_id == clip).unwrap();
            row.source_blake3 = Some("ab".into());
        });
    });
    smuggler.finds(
        Place::Manifest,
        What::Row,
        "manifests/clips.parquet",
        |path| {
            edit::<ClipRow>(path, |rows| {
                let row = rows.iter_mut().find(|row| row.clip_id == clip).unwrap();
                row.shard = Some("test-00000.arrow".into());
            });
        },
    );
    let tasks = "tasks/substitution/seed-0/availability.parquet";
    smuggler.finds(Place::Tasks, What::Row, tasks, |path| {
        edit::<AvailabilityRow>(path, |rows| {
            let row = rows.iter_mut().find(|row| row.clip_id == clip).unwrap();
            row.usable = true;
        });
    });
    let lists = "runs/one/availability.parquet";
    smuggler.finds(Place::Runs, What::Row, lists, write_back(&smuggler, lists));
    let predictions = "runs/one/predictions.parquet";
    smuggler.finds(Place::Runs, What::Prediction, predictions, |path| {
        let (categories, mut rows) = read_predictions(path).unwrap();
        let provenance = parquet_file::provenance(path, &PREDICTIONS).unwrap();
        rows[0].clip_id = clip.to_owned();
        write_predictions(path, &categories, &rows, &provenance).unwrap();
    });
    for text in [
        "runs/one/log.jsonl",
        "runs/one/error_analysis/task_0_test_error_analysis.csv",
    ] {
        smuggler.finds(Place::Runs, What::Lines, text, write_back(&smuggler, text));
    }
    smuggler.finds(
        Place::Runs,
        What::Page,
        "runs/overview.html",
        write(&format!("<p>{clip}")),
    );
    smuggler.finds(
        Place::Runs,
        What::Bytes,
        "runs/one/tensorboard/events",
        write(&format!("\u{0}{clip}\u{1}")),
    );
    // The very bytes of its file, wherever and whatever they are called.
    for (place, name) in [
        (Place::Runs, "runs/one/blob"),
        (Place::Runs, "audit/clip.mp4"),
        (Place::Manifest, "manifests/notes.json"),
        (Place::Shards, "shards/x.mp4"),
        (Place::Shards, "shards/x.bin"),
        (Place::Tasks, "tasks/x.txt"),
        (Place::Data, "y.webm"),
        (Place::Labels, "Info/x.csv"),
        (
            Place::FrameFolders,
            "frames/id_other_000000_000010/jpgs/image_00001.jpg",
        ),
        (Place::Archives, "archives/loose.mov"),
    ] {
        smuggler.finds(place, What::Copy, name, write(&video));
    }
    smuggler.finds(Place::Archives, What::Copy, "archives/b.tar", |path| {
        tar_of(path, "x/other_000000_000010.mp4", video.as_bytes());
    });
    smuggler.finds(Place::Labels, What::Lines, "Info/notes.txt", write(clip));
    smuggler.finds(Place::Data, What::Lines, "download.jsonl", write(clip));
    let croissant = "manifests/croissant.json";
    smuggler.finds(Place::Manifest, What::Bytes, croissant, write(clip));
    let part = "manifests/manifest-parts/0-of-1/stored.parquet";
    smuggler.finds(Place::Manifest, What::Row, part, |path| {
        let row = StoredRow {
            shard: "test-00000.arrow".into(),
            clip_id: Some(clip.to_owned()),
        };
        parquet_file::write(path, &[row], &Provenance::default()).unwrap();
    });
    let part = "shards/parts/0-of-1/test-00000.arrow";
    smuggler.finds(Place::Shards, What::StoredFrames, part, |path| {
        stored(world, path, clip, 1);
    });
    let fetched = "cache/0123456789abcdef/test-00000.arrow";
    smuggler.finds(Place::Cache, What::StoredFrames, fetched, |path| {
        stored(world, path, clip, 1);
    });
    let index = "cache/0123456789abcdef/index.parquet";
    let was = write_back(&smuggler, "shards/index.parquet");
    smuggler.finds(Place::Cache, What::Row, index, was);
    smuggler.finds(Place::Runs, What::Figure, "audit/audit.parquet", |path| {
        parquet_file::write(path, &[figure(Some(clip))], &Provenance::default()).unwrap();
    });
    // A table that no stage of ours has written.
    smuggler.finds(Place::Runs, What::Row, "runs/mine.parquet", |path| {
        let rows = [seen(clip)];
        parquet_file::write(path, &rows, &Provenance::default()).unwrap();
    });
}

/// The file as it was before the clip was erased.
fn write_back<'a>(smuggler: &'a Smuggler, name: &'a str) -> impl FnOnce(&PathBuf) + 'a {
    move |path| fs::write(path, &smuggler.before[name]).unwrap()
}

/// A row of a table of somebody's own.
fn seen(clip: &str) -> Own {
    Own {
        remark: format!("about {clip}"),
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Own {
    remark: String,
}

impl Table for Own {
    const FORMAT: parquet_file::Format = parquet_file::Format::new("own.table", 1, "by hand");

    fn columns() -> Vec<arrow::datatypes::Field> {
        vec![parquet_file::column::text("remark")]
    }
}

/// Writes a shard of one clip at `path`.
fn stored(world: &World, path: &PathBuf, clip: &str, number: usize) {
    let folder = tempfile::tempdir().unwrap();
    let settings = world.decoding().provenance();
    let mut writer = ShardWriter::new(folder.path(), settings, ShardWriterConfig::default());
    let clip = world.stored(clip, Split::Test, number, SourceFacts::default());
    writer.push(&clip).unwrap();
    let name = writer.finish().unwrap().remove(0);
    fs::copy(folder.path().join(name), path).unwrap();
}

#[test]
fn a_list_a_ledger_or_a_place_that_is_not_whole_is_named() {
    let smuggler = Smuggler::new();
    let (world, clip) = (&smuggler.world, smuggler.clip.as_str());
    let problems = || verify(&world.places()).unwrap().problems.join("; ");
    // The list no longer names it.
    let list = world.path("Info/withdrawn.csv");
    let was = fs::read(&list).unwrap();
    fs::write(&list, "clip_id,withdrawn_on,request\n").unwrap();
    assert!(
        problems().contains(&format!("{clip} was erased and is not in the list")),
        "{}",
        problems()
    );
    fs::write(&list, was).unwrap();
    // A row of the ledger was edited.
    let ledger = world.path("erasures.parquet");
    let was = fs::read(&ledger).unwrap();
    edit::<ErasureRow>(&ledger, |rows| rows[0].request = "R-0".into());
    assert!(
        problems().contains("row 1 is not as it was written"),
        "{}",
        problems()
    );
    fs::write(&ledger, was).unwrap();
    assert_eq!(problems(), "");
    // A run that was trained on it turned up.
    let valid = world.clip(Split::Validation).id.clone();
    apply(&world.config(vec![Selector::Ids(vec![valid])])).unwrap();
    fs::rename(world.path("runs/one"), world.path("runs/copy")).unwrap();
    assert!(
        problems().contains("runs/copy/checkpoints/task-0.safetensors saw a withdrawn clip"),
        "{}",
        problems()
    );
    fs::rename(world.path("runs/copy"), world.path("runs/one")).unwrap();
    assert_eq!(problems(), "");
    // What cannot be read was not searched.
    fs::write(world.path("shards/test-00902.arrow"), b"no shard").unwrap();
    let mut places = world.places();
    let beside = world
        .path("runs")
        .ancestors()
        .nth(2)
        .unwrap()
        .join("elsewhere");
    places.runs.push(beside);
    let verdict = verify(&places).unwrap();
    let named: Vec<_> = verdict
        .unsearched
        .iter()
        .map(|(path, _)| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(named, ["test-00902.arrow", "elsewhere"]);
    assert!(!verdict.is_clean());
    let out = world.erase(&["verify"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        String::from_utf8(out.stdout)
            .unwrap()
            .contains("not searched: ")
    );
}
