//! How runs begin and end: what they refuse to start from, and what becomes of a directory that is in use or vanishes.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use incdec::clip::Split;
use incdec::lock::{Lock, Wait};
use incdec::model::{ModelConfig, Movinet, Variant, checkpoint, fill};
use incdec::parquet_file::{self, Provenance, Table};
use incdec::report::{self, ReportConfig};
use incdec::shard::{Shards, write_index};
use incdec::tables::AvailabilityRow;
use tch::Device;
use tch::nn::VarStore;

use super::toy::{Toy, assert_same_contents, labelled, summary, text};

/// Flags of a run that is over in a second.
const SHORT: &str = "--stop-after-first-task";

/// What a command that must not succeed says, and how it ends.
fn refused(command: &mut Command) -> (i32, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = text(&stderr);
    assert!(!status.success(), "{said}");
    (status.code().unwrap(), said)
}

/// The page about a run.
fn page(run: &Path) -> String {
    let out = run.join("report.html");
    report::run(&ReportConfig {
        runs: vec![run.to_owned()],
        out: out.clone(),
        table: None,
        withdrawn: None,
        withdrawals: None,
        frames: None,
        permutations: 20,
    })
    .unwrap();
    fs::read_to_string(out).unwrap()
}

fn settings(run: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(run.join("settings.json")).unwrap()).unwrap()
}

#[test]
fn weights_that_fit_in_part_are_refused_unless_a_part_is_allowed_and_then_every_record_says_so() {
    let toy = Toy::new();
    let store = VarStore::new(Device::Cpu);
    let config = ModelConfig {
        variant: Variant::A1,
        ..ModelConfig::default()
    };
    let _ = Movinet::new(&store.root(), &config);
    fill::fill(&store, 0);
    let file = toy.folder.path().join("a1.safetensors");
    checkpoint::save(&file, &store, &std::collections::BTreeMap::new()).unwrap();
    let pretrained = format!("{SHORT} --pretrained {}", file.display());
    let (code, said) = refused(&mut toy.command("decremental", "run", &pretrained));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("71 of 383 tensors matched; "), "{said}");
    assert!(said.contains(" misshapen: backbone."), "{said}");
    for remedy in ["--variant", "--geometry", "--allow-partial"] {
        assert!(said.contains(remedy), "{said}");
    }
    let run = toy.run("run");
    assert!(
        !run.join("settings.json").exists(),
        "a failed start has claimed its directory"
    );

    // The mended command works in the same directory, and names every tensor that does not fit.
    let partial = format!("{pretrained} --allow-partial");
    let output = toy
        .command("decremental", "run", &partial)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let named = said.lines().filter(|line| line.contains(": backbone."));
    let unfit = named.filter(|line| line.contains(" instead of ") || line.ends_with(" is missing"));
    assert!(unfit.count() >= 383 - 71, "{said}");
    assert_eq!(settings(&run)["pretrained"], "partly (71 of 383)");
    assert_eq!(summary(&run)["pretrained"], "partly (71 of 383)");
    let page = page(&run);
    assert!(page.contains("<td>pretrained weights, partly (71 of 383)</td>"));
    assert!(page.contains("started from weights that fit its model partly (71 of 383)."));
}

#[test]
fn a_start_that_diverges_at_once_leaves_its_directory_to_the_mended_command() {
    let toy = Toy::new();
    let flags = format!("{SHORT} --seed-outputs");
    let wild = format!("{flags} --lr-first-task 1e30 --lr-first-task-head 1e30");
    let (code, said) = refused(&mut toy.command("decremental", "run", &wild));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("task 0, epoch 0: the loss is"), "{said}");
    let mended = toy.train("decremental", "run", SHORT);
    assert_same_contents(&mended, &toy.train("decremental", "fresh", SHORT));
    // Once an epoch is done, the directory is the run's.
    let (code, said) = refused(&mut toy.command("decremental", "run", &wild));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("holds another run"), "{said}");
}

#[test]
fn a_second_training_of_a_run_is_refused_by_the_name_of_the_first_or_waits_for_it() {
    let toy = Toy::new();
    let run = toy.run("run");
    let first = Lock::folder(&run, "incdec-train", Wait::No).unwrap();
    let (code, said) = refused(&mut toy.command("decremental", "run", SHORT));
    assert_eq!(code, 75, "{said}");
    let holder = format!("is in use by incdec-train, process {}", std::process::id());
    assert!(said.contains(&holder) && said.contains("--wait"), "{said}");
    // It has written nothing there.
    let written: Vec<(OsString, String)> = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != incdec::lock::LOCK_FILE)
        .map(|entry| (entry.file_name(), fs::read_to_string(entry.path()).unwrap()))
        .filter(|(_, text)| !text.is_empty())
        .collect();
    assert_eq!(written, []);
    let waiting = format!("{SHORT} --wait");
    let waits = toy
        .command("decremental", "run", &waiting)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = run.join("log.jsonl");
    wait_until(|| fs::read_to_string(&log).is_ok_and(|log| log.contains("waiting for")));
    assert!(!run.join("settings.json").exists());
    drop(first);
    let output = waits.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(run.join("run.json").exists());
}

fn wait_until(happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !happened() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_run_directory_that_is_removed_in_mid_run_is_an_error_and_stays_removed() {
    let toy = Toy::new();
    let run = toy.run("run");
    let flags = "--epochs 1000 --early-stop 1000 --seed-outputs";
    let child = toy
        .command("decremental", "run", flags)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(|| run.join("history.parquet").exists());
    let (code, said) = refused(&mut toy.command("decremental", "run", flags));
    assert_eq!(code, 75, "two trainings in one run: {said}");
    // Removing may meet a file that is just being published.
    wait_until(|| fs::remove_dir_all(&run).is_ok() || !run.exists());
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(
        said.contains("has gone while this run was at work"),
        "{said}"
    );
    for name in ["settings.json", "run.json", "checkpoints", "parameters.csv"] {
        assert!(!run.join(name).exists(), "{name} is back");
    }
}

/// Flips a byte of the stored frames of `clips`.
fn damage(shards: &Path, clips: &[String]) {
    let opened = Shards::open(shards).unwrap();
    for row in opened
        .index()
        .iter()
        .filter(|row| clips.contains(&row.clip_id))
    {
        let (shard, place) = (row.shard.clone().unwrap(), row.shard_row.unwrap());
        let frame = opened.clip(&shard, place).unwrap().frames()[0].to_vec();
        let path = shards.join(shard);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(frame.len()).position(|w| w == frame).unwrap();
        bytes[at + 100] ^= 1;
        // A new file, since the old one is mapped.
        let new = path.with_extension("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, path).unwrap();
    }
}

/// The training clips of the toy.
fn training_clips() -> Vec<String> {
    let clips = labelled()
        .into_iter()
        .filter(|clip| clip.split == Split::Train);
    clips.map(|clip| clip.clip_id).collect()
}

#[test]
fn skipped_clips_are_counted_and_end_the_run_past_their_share() {
    let toy = Toy::new();
    let bad = training_clips()[0].clone();
    damage(&toy.shards(), std::slice::from_ref(&bad));
    let (code, said) = refused(&mut toy.command("decremental", "run", SHORT));
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("--on-bad-clip skip --max-bad SHARE"),
        "{said}"
    );
    let skip = format!("{SHORT} --on-bad-clip skip");
    let (code, said) = refused(&mut toy.command("decremental", "run", &skip));
    assert_eq!(code, 65, "{said}");
    let counted =
        "1 of the 11 clips of a list cannot be read, a share of 0.0909; --max-bad allows 0: ";
    assert!(said.contains(&format!("{counted}{bad}")), "{said}");
    let run = toy.train("decremental", "run", &format!("{skip} --max-bad 0.1"));
    assert_eq!(summary(&run)["skipped_clips"], serde_json::json!([bad]));
    let page = page(&run);
    assert!(page.contains("1 clips of run could not be read and were passed over."));
    assert!(page.contains(&bad));
}

#[test]
fn a_list_of_which_no_clip_can_be_read_is_an_error_whatever_share_is_allowed() {
    let toy = Toy::new();
    damage(&toy.shards(), &training_clips());
    let flags = format!("{SHORT} --on-bad-clip skip --max-bad 1");
    let (code, said) = refused(&mut toy.command("decremental", "run", &flags));
    assert_eq!(code, 65, "{said}");
    let named = "task 0: none of 11 clips in the train list could be read";
    assert!(said.contains(named), "{said}");
    assert!(!toy.run("run").join("run.json").exists());
}

#[test]
fn a_usable_clip_that_the_shards_lack_ends_the_run_before_its_first_step() {
    let toy = Toy::new();
    let lacking = &training_clips()[..2];
    let mut index = Shards::open(&toy.shards()).unwrap().index().to_vec();
    index.retain(|row| !lacking.contains(&row.clip_id));
    write_index(&toy.shards(), &index, &Provenance::default()).unwrap();
    let flags = format!("{SHORT} --on-bad-clip skip --max-bad 1");
    let (code, said) = refused(&mut toy.command("decremental", "run", &flags));
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("2 clips that the availability table calls usable"),
        "{said}"
    );
    assert!(said.contains(&lacking.join(", ")), "{said}");
    assert!(
        said.contains("make decode") && said.contains("make tasks"),
        "{said}"
    );
    assert!(!toy.run("run").join("settings.json").exists());
}

#[test]
fn an_availability_table_that_makes_no_sense_is_refused_by_its_row() {
    let toy = Toy::new();
    let path: PathBuf = toy.tasks("decremental").join("availability.parquet");
    let provenance = parquet_file::provenance(&path, &AvailabilityRow::FORMAT).unwrap();
    let good: Vec<AvailabilityRow> = parquet_file::read(&path).unwrap();
    let try_with = |change: fn(&mut Vec<AvailabilityRow>)| {
        let mut rows = good.clone();
        change(&mut rows);
        parquet_file::write(&path, &rows, &provenance).unwrap();
        let (code, said) = refused(&mut toy.command("decremental", "run", SHORT));
        assert_eq!(code, 65, "{said}");
        assert!(said.contains("make tasks"), "{said}");
        said
    };
    let before_0 = try_with(|rows| rows.iter_mut().for_each(|row| row.task -= 1));
    assert!(
        before_0.contains("row 0 (task -1, train, clip "),
        "{before_0}"
    );
    let twice = try_with(|rows| rows[3].clip_id = rows[1].clip_id.clone());
    assert!(twice.contains("row 3 (task 0, train, clip "), "{twice}");
    assert!(twice.contains("stands in this list twice"), "{twice}");
    let position = try_with(|rows| rows[2].position = Some(1));
    assert!(position.contains("position 1, expected 2"), "{position}");
    let stranger = try_with(|rows| rows[0].label = 7);
    assert!(
        stranger.contains("label 7 is not the class of \"food\""),
        "{stranger}"
    );
    assert!(!toy.run("run").join("settings.json").exists());
}
