//! A checkpoint applied to videos says what the run said of its own test clips.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use incdec::clip::Split;
use incdec::model::state_dict;
use incdec::tables::{PredictionRow, read_predictions};
use serde_json::Value;
use walkdir::WalkDir;

use super::{Reference, reference, succeed};

/// How far an answer may lie from the run's own.
const TOLERANCE: f64 = 1e-6;

/// What the reference's run was given, as flags.
const FLAGS: &str = "--fps 5 --frame-size 36x36 --codec jpeg --quality 90 --subsampling 4:2:0 --max-frames 50 \
    --geometry tf --frames 4 --resize 36 --size 32 --criterion multilabel";

impl Reference {
    fn run_folder(&self) -> PathBuf {
        self.root.path().join("run")
    }

    /// The videos by the clips' ids.
    fn videos(&self) -> BTreeMap<String, PathBuf> {
        let files = WalkDir::new(self.root.path().join("raw")).into_iter();
        let files = files.map(|entry| entry.unwrap().into_path());
        files
            .filter(|path| path.extension().is_some_and(|ending| ending == "mp4"))
            .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
            .collect()
    }

    /// What the run said of its test clips in `task`, and the categories.
    fn said(&self, task: i32) -> (Vec<String>, Vec<PredictionRow>) {
        let (categories, mut rows) =
            read_predictions(&self.run_folder().join("predictions.parquet")).unwrap();
        rows.retain(|row| row.task == task && row.split == Split::Test);
        assert!(rows.len() >= 5, "{} test clips", rows.len());
        (categories, rows)
    }
}

fn predict(checkpoint: &Path, flags: &str, videos: &[&PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-predict"));
    command.args(["--device", "cpu", "--threads", "1", "--checkpoint"]);
    command.arg(checkpoint).args(flags.split_whitespace());
    command.args(videos).env("OMP_NUM_THREADS", "1");
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", stderr(output)))
}

/// The probabilities of each clip in the answer.
fn probabilities(answer: &Value, categories: &[String]) -> Vec<Vec<f64>> {
    let clips = answer["clips"].as_array().unwrap().iter();
    clips
        .map(|clip| {
            let of = |name: &String| clip["probabilities"][name].as_f64().unwrap();
            categories.iter().map(of).collect()
        })
        .collect()
}

/// The largest difference between an answer and what the run said.
fn difference(answer: &Value, categories: &[String], rows: &[PredictionRow]) -> f64 {
    let answers = probabilities(answer, categories);
    assert_eq!(answers.len(), rows.len());
    let pairs = answers.iter().zip(rows);
    pairs
        .flat_map(|(ours, row)| ours.iter().zip(&row.probabilities))
        .map(|(ours, theirs)| (ours - f64::from(*theirs)).abs())
        .fold(0.0, f64::max)
}

#[test]
fn a_run_says_of_its_test_videos_what_its_predictions_say() {
    let r = reference();
    let videos = r.videos();
    for (task, flags) in [(1, "--json"), (0, "--json --task 0")] {
        let (categories, rows) = r.said(task);
        let files: Vec<&PathBuf> = rows.iter().map(|row| &videos[&row.clip_id]).collect();
        let output = predict(&r.run_folder(), flags, &files);
        assert!(output.status.success(), "{}", stderr(&output));
        // Everything is known, so nothing is said.
        assert_eq!(stderr(&output), "");
        let answer = json(&output);
        assert_eq!(answer["categories"], Value::from(categories.clone()));
        assert_eq!(answer["settings"]["decoding"]["frame_size"], "36x36");
        let far = difference(&answer, &categories, &rows);
        assert!(far <= TOLERANCE, "task {task}: {far}");
        for (clip, row) in answer["clips"].as_array().unwrap().iter().zip(&rows) {
            let named = &categories[usize::try_from(row.prediction).unwrap()];
            assert_eq!(clip["prediction"], **named, "{}", row.clip_id);
        }
    }
    // The clips are told apart, or equal answers would mean nothing.
    let (_, rows) = r.said(1);
    let first: Vec<f32> = rows.iter().map(|row| row.probabilities[0]).collect();
    let spread = first.iter().copied().fold(f32::MIN, f32::max)
        - first.iter().copied().fold(f32::MAX, f32::min);
    assert!(f64::from(spread) > 100.0 * TOLERANCE, "{spread}");
}

#[test]
fn a_file_that_says_nothing_takes_its_settings_from_flags_and_that_is_said() {
    let r = reference();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("foreign.safetensors");
    let own = r.run_folder().join("checkpoints/task-1.safetensors");
    let header = state_dict::read(&own).unwrap().metadata;
    assert!(header["incdec.decoding"].contains(r#""frame_size":"36x36""#));
    let mut convert = Command::new(env!("CARGO_BIN_EXE_incdec-weights"));
    convert.arg("convert").arg(&own);
    succeed(convert.args(["--to", "safetensors", "--out"]).arg(&file));
    let (categories, rows) = r.said(1);
    let videos = r.videos();
    let files: Vec<&PathBuf> = rows.iter().map(|row| &videos[&row.clip_id]).collect();
    let names = format!("--categories {}", categories.join(","));

    let output = predict(&file, &format!("{FLAGS} {names} --json"), &files);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(difference(&json(&output), &categories, &rows) <= TOLERANCE);
    let said = stderr(&output);
    assert!(
        said.contains(
            "does not say in full how videos become frames; taken are --fps 5, --frame-size 36x36, "
        ),
        "{said}"
    );
    assert!(said.contains("--geometry tf"), "{said}");

    // The frames pass through the codec: another quality gives another answer.
    let coarse = FLAGS.replace("--quality 90", "--quality 5");
    let output = predict(&file, &format!("{coarse} {names} --json"), &files);
    assert!(difference(&json(&output), &categories, &rows) > 10.0 * TOLERANCE);

    // Without names the classes go by their numbers, and that is said too.
    let output = predict(&file, FLAGS, &files[..1]);
    assert!(stderr(&output).contains("they go by their numbers"));
    let table = String::from_utf8(output.stdout).unwrap();
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head[..4], ["video", "start", "frames", "prediction"]);
    assert_eq!(head[4..], ["0", "1", "2", "3", "4"]);

    // Weights of another network are refused, and -v lists every tensor that found no place.
    let other = |flag: &str| {
        let output = predict(&file, &format!("{FLAGS} --variant A1 {flag}"), &files[..1]);
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    let (quiet, usual, verbose) = (other("-q"), other(""), other("-v"));
    assert!(usual.contains("does not fit this model"), "{usual}");
    assert!(!quiet.contains("taken are") && usual.contains("taken are"));
    let listed = |said: &str| {
        said.lines()
            .filter(|line| line.ends_with(" is missing"))
            .count()
    };
    assert_eq!((listed(&quiet), listed(&usual)), (0, 0));
    assert!(listed(&verbose) > 10, "{verbose}");

    // What the run itself says no flag may contradict.
    let output = predict(&own, "--fps 10", &files[..1]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("was trained with 5, not with 10"));
}

#[test]
fn several_clips_of_a_video_begin_at_intervals() {
    let r = reference();
    let (categories, rows) = r.said(1);
    let videos = r.videos();
    let video = &videos[&rows[0].clip_id];
    let output = predict(&r.run_folder(), "--every 0.4 --json", &[video]);
    let answer = json(&output);
    let clips = answer["clips"].as_array().unwrap();
    let of = |name: &str| -> Vec<f64> {
        let values = clips.iter().map(|clip| clip[name].as_f64().unwrap());
        values.collect()
    };
    // 1.2 s at 5 frames a second.
    assert_eq!(of("frames"), [6.0, 4.0, 2.0]);
    let starts = of("start_s");
    assert!(
        starts
            .iter()
            .zip([0.0, 0.4, 0.8])
            .all(|(a, b)| (a - b).abs() < 1e-9)
    );
    let answers = probabilities(&answer, &categories);
    let first = rows[0].probabilities.iter().zip(&answers[0]);
    assert!(
        first
            .clone()
            .all(|(a, b)| (f64::from(*a) - b).abs() <= TOLERANCE)
    );
    assert_ne!(answers[0], answers[2]);
    let output = predict(&r.run_folder(), "--every 0.1", &[video]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn a_video_that_cannot_be_decoded_costs_itself_alone() {
    let r = reference();
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.mp4");
    std::fs::write(&broken, "no video at all").unwrap();
    let absent = folder.path().join("absent.mp4");
    let videos = r.videos();
    let fine: Vec<&PathBuf> = videos.values().take(2).collect();
    let asked = [fine[0], &broken, &absent, fine[1]];

    let output = predict(&r.run_folder(), "", &asked);
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    for (line, video) in lines[1..].iter().zip(&fine) {
        assert!(line.starts_with(video.to_str().unwrap()), "{line}");
    }
    let said = stderr(&output);
    assert!(
        said.contains("error: 2 of 4 videos have no answer: "),
        "{said}"
    );
    assert!(
        said.contains("broken.mp4: ") && said.contains("absent.mp4: "),
        "{said}"
    );

    let output = predict(&r.run_folder(), "--json", &asked);
    assert_eq!(output.status.code(), Some(1));
    let answer = json(&output);
    assert_eq!(answer["clips"].as_array().unwrap().len(), 2);
    assert_eq!(answer["failed"].as_array().unwrap().len(), 2);
}

#[test]
fn what_holds_no_checkpoint_is_refused_with_a_hint() {
    let r = reference();
    let videos = r.videos();
    let video = videos.values().next().unwrap();
    let refused = |checkpoint: &Path, flags: &str| {
        let output = predict(checkpoint, flags, &[video]);
        assert!(output.stdout.is_empty());
        (output.status.code(), stderr(&output))
    };
    let (status, said) = refused(&r.root.path().join("shards"), "");
    assert_eq!(status, Some(1));
    assert!(
        said.contains("it is no run directory") && said.contains("hint: "),
        "{said}"
    );
    let (status, said) = refused(&r.run_folder(), "--task 2");
    assert_eq!(status, Some(1));
    assert!(said.contains("has finished 2 tasks"), "{said}");
    let own = r.run_folder().join("checkpoints/task-0.safetensors");
    assert_eq!(refused(&own, "--task 0").0, Some(2));
    assert_eq!(refused(&own, "--categories a,b").0, Some(2));
    let (status, said) = refused(video, "");
    assert_eq!(status, Some(1));
    assert!(said.contains("hint: "), "{said}");
}
