//! Videos of one's own: from a folder of files to the page, by label tables that name paths and groups.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use incdec::clip::Split;
use incdec::labels::Labels;
use incdec::own_data::{OwnDataConfig, OwnDataError, Shares, run};
use incdec::parquet_file::{self, Table};
use incdec::tables::{AvailabilityRow, Change, ClipRow, ClipStatus, ScheduleRow};

use crate::support::{self, root};

/// Eight videos of three categories and four customers.
const VIDEOS: [&str; 8] = [
    "calm/aisle/customer B/7.mp4",
    "calm/aisle/customer D/8.avi",
    "fall/stairs/customer A/5.mp4",
    "fall/stairs/customer C/6.mkv",
    "theft/shelf/customer A/1.mp4",
    "theft/shelf/customer B/2.MOV",
    "theft/till/customer C/3.mp4",
    "theft/till/customer D/4.mp4",
];
const BY_CUSTOMER: &str = "^[^/]+/[^/]+/([^/]+)/";

/// A folder of videos, empty files unless they are made.
struct Videos(tempfile::TempDir);

impl Videos {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for video in VIDEOS {
            let path = folder.path().join("videos").join(video);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        Self(folder)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Makes the videos, one second each.
    fn make(&self) {
        for (n, video) in VIDEOS.iter().enumerate() {
            let source = format!("testsrc=size=64x48:rate=10:duration=1:decimals={n}");
            let status = Command::new("ffmpeg")
                .args([
                    "-v", "error", "-y", "-f", "lavfi", "-i", &source, "-c:v", "libx264",
                ])
                .arg(self.at("videos").join(video))
                .stdin(Stdio::null())
                .status()
                .expect("the ffmpeg command line makes the fixtures (apt install ffmpeg)");
            assert!(status.success());
        }
    }

    fn config(&self) -> OwnDataConfig {
        OwnDataConfig {
            clips: self.at("videos"),
            out: self.at("data/Info"),
            taxonomy: None,
            list: None,
            group_by: Some(BY_CUSTOMER.parse().unwrap()),
            shares: Shares::default(),
            seed: 0,
            dry_run: false,
            force: false,
        }
    }
}

/// The label tables of a folder, file by file.
fn tables(folder: &Path) -> [String; 4] {
    ["classes", "train", "validation", "test"]
        .map(|name| fs::read_to_string(folder.join(format!("{name}.csv"))).unwrap())
}

#[test]
fn a_folder_becomes_tables_that_every_stage_reads_and_no_customer_is_divided() {
    let videos = Videos::new();
    let summary = run(&videos.config()).unwrap();
    assert_eq!(
        (summary.clips().iter().sum::<usize>(), summary.groups),
        (8, Some(4))
    );
    let labels = Labels::read(&videos.at("data/Info")).unwrap();
    assert_eq!(labels.len(), 8);
    let names: Vec<_> = labels
        .taxonomy
        .subcategories()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(names, ["aisle", "stairs", "shelf", "till"]);
    for (split, _, label) in labels.iter() {
        let group = label.group.as_deref().unwrap();
        assert!(label.clip.path().unwrap().contains(group));
        let elsewhere = labels.iter().filter(|(other, _, _)| *other != split);
        assert!(
            elsewhere
                .into_iter()
                .all(|(_, _, l)| l.group.as_deref() != Some(group))
        );
    }
}

#[test]
fn tables_that_are_there_are_never_replaced_unless_that_is_asked_for() {
    let videos = Videos::new();
    let mut config = videos.config();
    config.dry_run = true;
    run(&config).unwrap();
    assert!(!config.out.exists());
    config.dry_run = false;
    run(&config).unwrap();
    let first = tables(&config.out);
    // The same tables once more are no offence.
    run(&config).unwrap();
    let other = (1..1000).find(|seed| {
        config.seed = *seed;
        match run(&config) {
            Ok(_) => false,
            Err(OwnDataError::Exists { .. }) => true,
            Err(e) => panic!("{e}"),
        }
    });
    assert!(other.is_some());
    assert_eq!(tables(&config.out), first);
    config.force = true;
    run(&config).unwrap();
    assert_ne!(tables(&config.out), first);
}

#[test]
fn labels_may_stand_in_a_taxonomy_or_a_list() {
    let videos = Videos::new();
    let taxonomy = videos.at("taxonomy.csv");
    fs::write(
        &taxonomy,
        "Category,Subcategory\nquiet,calm\nloud,theft\nloud,fall\n",
    )
    .unwrap();
    let config = OwnDataConfig {
        taxonomy: Some(taxonomy),
        out: videos.at("by taxonomy"),
        ..videos.config()
    };
    run(&config).unwrap();
    let labels = Labels::read(&config.out).unwrap();
    assert_eq!(labels.taxonomy.class_of("fall"), Some(1));
    let list = videos.at("list.txt");
    fs::write(
        &list,
        "calm/aisle/customer B/7.mp4\tpull/push\ntheft/till/customer D/4.mp4\tfall\n",
    )
    .unwrap();
    let config = OwnDataConfig {
        list: Some(list),
        group_by: None,
        out: videos.at("by list"),
        ..videos.config()
    };
    let summary = run(&config).unwrap();
    assert_eq!(summary.unlisted, 6);
    let text = summary.to_string();
    assert!(
        text.contains("renamed: \"pull/push\" is called \"pull_push\""),
        "{text}"
    );
    let [classes, train, ..] = tables(&config.out);
    assert_eq!(
        classes,
        "Category,Subcategory\nfall,fall\npull_push,pull_push\n"
    );
    // Each is alone in its subcategory, which has training clips before any others.
    assert_eq!(
        train,
        "label,clip\nfall,theft/till/customer D/4\npull_push,calm/aisle/customer B/7\n"
    );
}

/// A stage that must succeed; gives what it printed.
fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{error}");
    String::from_utf8_lossy(&output.stdout).into_owned() + &error
}

#[test]
fn make_report_goes_from_ones_own_videos_to_the_page_while_a_customer_leaves() {
    let videos = Videos::new();
    videos.make();
    // The customers of the training table are known before: who is to leave must be one of them.
    let customers = |labels: &Labels| -> BTreeSet<String> {
        labels
            .of(Split::Train)
            .iter()
            .filter_map(|label| label.group.clone())
            .collect()
    };
    let leaver = (0..50).find_map(|seed| {
        let (seed, force) = (seed, true);
        run(&OwnDataConfig {
            seed,
            force,
            ..videos.config()
        })
        .unwrap();
        let customers = customers(&Labels::read(&videos.at("data/Info")).unwrap());
        customers.into_iter().nth(1)
    });
    let leaver = leaver.expect("some seed gives two customers to training");
    fs::write(
        videos.at("events.csv"),
        format!("task,change,group\n1,leaves,{leaver}\n"),
    )
    .unwrap();
    let bin = Path::new(support::binary("incdec-train")).parent().unwrap();
    let mut command = Command::new("make");
    command
        .current_dir(root())
        .args(["-s", "report", "SCENARIO=events", "FRAME_SIZE=36x36", "DEVICE=cpu", "JOBS=1"])
        .arg(format!("BIN={}", bin.display()))
        .arg(format!("DATA={}", videos.at("data").display()))
        .arg(format!("RAW={}", videos.at("videos").display()))
        .arg(format!("EVENTS={}", videos.at("events.csv").display()))
        .arg("TRAIN_FLAGS=--threads 1 --workers 1 --frames 4 --resize 36 --size 32 --geometry tf --epochs 1 --batch-size 2")
        .env("OMP_NUM_THREADS", "1");
    for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        command.env_remove(variable);
    }
    let said = succeed(&mut command);
    assert!(said.contains("--seed changes nothing"), "{said}");

    let clips: Vec<ClipRow> =
        parquet_file::read(&videos.at("data/manifests/clips.parquet")).unwrap();
    assert_eq!(clips.len(), 8);
    for clip in &clips {
        assert_eq!(clip.status, ClipStatus::Ok, "{}", clip.clip_id);
        assert_eq!(
            (&clip.youtube_id, clip.time_start_s, clip.time_end_s),
            (&None, None, None)
        );
        assert!(clip.clip_id.contains(clip.group.as_deref().unwrap()));
    }
    let tasks = videos.at("data/tasks/events/seed-0");
    let rows: Vec<AvailabilityRow> =
        parquet_file::read(&tasks.join(AvailabilityRow::FILE)).unwrap();
    let gone: Vec<_> = rows
        .iter()
        .filter(|row| row.change == Change::Removed)
        .collect();
    assert!(!gone.is_empty());
    assert!(
        gone.iter()
            .all(|row| row.task == 1 && row.group.as_deref() == Some(&leaver))
    );
    let run = videos.at("data/runs/events-finetune-seed-0");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("theft"), "the page names the categories");

    // The same table from another program, without our metadata and without a schedule, trains the same way.
    let foreign = videos.at("foreign");
    fs::create_dir(&foreign).unwrap();
    as_another_program(
        &tasks.join(AvailabilityRow::FILE),
        &foreign.join(AvailabilityRow::FILE),
    );
    let mut command = Command::new(support::binary("incdec-train"));
    command
        .args("--device cpu --threads 1 --workers 1 --frames 4 --resize 36 --size 32 --geometry tf --epochs 1".split(' '))
        .args(["--batch-size", "2", "--shards"])
        .arg(videos.at("data/shards"))
        .arg("--availability")
        .arg(&foreign)
        .arg("--out")
        .arg(videos.at("run"))
        .env("OMP_NUM_THREADS", "1");
    let said = succeed(&mut command);
    assert!(said.contains("another program has written it"), "{said}");
    let settings = fs::read_to_string(videos.at("run/settings.json")).unwrap();
    let hash = incdec::artifact::hash_file(&foreign.join(AvailabilityRow::FILE)).unwrap();
    assert!(settings.contains(&hash), "its hash is taken");
    let mut command = Command::new(support::binary("incdec-report"));
    succeed(
        command
            .arg("--out")
            .arg(videos.at("report.html"))
            .arg(videos.at("run")),
    );
}

/// Copies an availability table as pandas would write it, by the tests' python.
fn as_another_program(from: &Path, to: &Path) {
    let script = "import sys, pyarrow as pa, pyarrow.parquet as pq\n\
        table = pq.read_table(sys.argv[1]).replace_schema_metadata(None)\n\
        names = table.column_names\n\
        wide = {pa.int32(): pa.int64(), pa.string(): pa.large_string()}\n\
        fields = [pa.field(f.name, pa.float64() if f.name == 'position' else wide.get(f.type, f.type)) for f in table.schema]\n\
        pq.write_table(table.cast(pa.schema(fields)), sys.argv[2], store_schema=False)\n";
    let mut python = Command::new(support::python());
    succeed(python.args(["-c", script]).arg(from).arg(to));
}

#[test]
fn of_the_published_labels_tables_have_the_columns_of_before_and_one_more() {
    let names = |fields: Vec<arrow::datatypes::Field>| {
        fields
            .iter()
            .map(|field| field.name().clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(ClipRow::columns()),
        [
            "clip_id",
            "group",
            "youtube_id",
            "time_start_s",
            "time_end_s",
            "split",
            "source_split",
            "row",
            "category",
            "label",
            "subcategory",
            "shard",
            "shard_row",
            "status",
        ]
    );
    assert_eq!(
        names(AvailabilityRow::columns()),
        [
            "task",
            "split",
            "position",
            "row",
            "clip_id",
            "group",
            "category",
            "label",
            "subcategory",
            "change",
            "usable",
        ]
    );
    let schedule = names(ScheduleRow::columns());
    assert_eq!(
        schedule,
        ["task", "category", "subcategory", "position", "event"]
    );
}
