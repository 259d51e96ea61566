//! `--forget`: clips that are about to be withdrawn leave a run that goes on from another one's weights.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use incdec::artifact::hash_file;
use incdec::parquet_file;
use incdec::run_record::{RunRecord, checkpoint_file, read_progress, unlearned_file};
use incdec::tables::{Availability, AvailabilityRow, MetricRow, SeenRow, Use};

use super::toy::{Toy, tensors, text};
use super::withdrawal::{note_renewed_inputs, withdraw};

/// A training clip of tasks 0 and 1, one that is chosen by, one that is tested on, and one of no list.
const CLIPS: [&str; 4] = [
    "tr01_000000_000010",
    "va00_000000_000010",
    "te10_000000_000010",
    "zz99_000000_000010",
];

/// A file that names the clips.
fn request(toy: &Toy) -> PathBuf {
    let file = toy.folder.path().join("request.txt");
    fs::write(&file, CLIPS.map(|clip| format!("{clip}\n")).concat()).unwrap();
    file
}

/// The flags that forget the clips, going on from `old`.
fn forget(toy: &Toy, old: &Path, method: &str) -> String {
    let (request, old) = (request(toy), old.display());
    format!(
        "--unlearn {method} --from-run {old} --forget {}",
        request.display()
    )
}

fn seen(run: &Path, clip: &str) -> Vec<(Use, i32, i32, i64)> {
    let rows: Vec<SeenRow> = parquet_file::read(&run.join(SeenRow::FILE)).unwrap();
    let of_clip = rows.into_iter().filter(|row| row.clip_id == clip);
    of_clip
        .map(|row| (row.r#use, row.first_task, row.last_task, row.passes))
        .collect()
}

/// Whether clips have frames in the lists of a task.
fn usable(run: &Path, task: i32) -> BTreeSet<String> {
    let lists = Availability::read(&run.join(AvailabilityRow::FILE)).unwrap();
    let rows = lists.rows.into_iter();
    let rows = rows.filter(|row| row.task == task && row.usable && row.position.is_some());
    rows.map(|row| row.clip_id).collect()
}

/// What unlearning cost a task in passes, by the end of the figure's name.
fn passes(run: &Path, task: i32, set: &str) -> Option<f64> {
    let rows: Vec<MetricRow> = parquet_file::read(&run.join(MetricRow::FILE)).unwrap();
    let name = format!("unlearning_passes_{set}");
    let found = rows
        .iter()
        .find(|row| row.task == task && row.metric == name);
    found.unwrap().value
}

#[test]
fn what_is_to_be_withdrawn_is_unlearned_once_and_is_in_no_list_from_there_on() {
    let toy = Toy::new();
    let old = toy.train("substitution", "old", "");
    let flags = forget(&toy, &old, "neggrad-plus");
    let run = toy.train("substitution", "new", &flags);
    let task_0 = |run: &Path| tensors(&run.join(checkpoint_file(0)));
    assert!(task_0(&run) == task_0(&old));
    assert!(tensors(&run.join(unlearned_file(1))) != task_0(&run));
    let settings = fs::read_to_string(run.join("settings.json")).unwrap();
    assert!(settings.contains("\"forget_at\": 1"), "{settings}");
    for clip in &CLIPS[..3] {
        assert!(
            usable(&run, 0).contains(*clip) && !usable(&run, 1).contains(*clip),
            "{clip}"
        );
        assert!(usable(&old, 1).contains(*clip), "{clip}");
    }
    assert_eq!(seen(&run, CLIPS[0]), [(Use::Train, 0, 0, 1)]);
    assert_eq!(seen(&run, CLIPS[1]), [(Use::Validation, 0, 0, 1)]);
    let record = RunRecord::read(&run).unwrap().unwrap();
    let late = record.predictions.iter().filter(|row| row.task == 1);
    assert!(late.clone().count() > 0);
    assert!(
        late.into_iter()
            .all(|row| !CLIPS.contains(&&row.clip_id[..]))
    );
    // Four clips that the scenario takes away, and the one of the request, five times each.
    assert_eq!(passes(&run, 1, "forget"), Some(5.0));
    let output = toy.command("substitution", "new", &flags).output().unwrap();
    let said = text(&output.stderr);
    assert!(said.contains("is complete; nothing to do"), "{said}");
    // Where the run that it goes on from is not at its end, the next task is the one.
    let flags = forget(&toy, &old, "finetune --forget-at 1");
    let run = toy.train("three-tasks", "three", "--unlearn finetune");
    let again = toy.train(
        "three-tasks",
        "again",
        &flags.replace("runs/old", "runs/three"),
    );
    assert!(task_0(&again) == task_0(&run));
    assert!(!usable(&again, 1).contains(CLIPS[0]) && !usable(&again, 2).contains(CLIPS[0]));
    let last = forget(&toy, &run, "finetune");
    let last = toy.train("three-tasks", "last", &last);
    assert!(usable(&last, 1).contains(CLIPS[0]) && !usable(&last, 2).contains(CLIPS[0]));
    assert_eq!(seen(&last, CLIPS[0]), [(Use::Train, 0, 1, 2)]);
}

#[test]
fn behind_the_unlearning_the_frames_may_go() {
    let toy = Toy::new();
    let old = toy.train("three-tasks", "old", "");
    let flags = forget(&toy, &old, "neggrad-plus --forget-at 1");
    let run = toy.train("three-tasks", "new", &flags);
    let whole = tensors(&run.join(checkpoint_file(2)));
    // Stopped after task 1, and erased.
    let mut progress = read_progress(&run).unwrap().unwrap();
    progress.tasks.truncate(2);
    progress.write(&run).unwrap();
    for name in ["run.json", &checkpoint_file(2)] {
        fs::remove_file(run.join(name)).unwrap();
    }
    let list = withdraw(&toy, "three-tasks", &CLIPS[..3]);
    for run in [&run, &old] {
        note_renewed_inputs(&toy, run, "without-three-tasks");
    }
    let flags = format!("{flags} --withdrawn {}", list.display());
    let run = toy.train("without-three-tasks", "new", &flags);
    assert!(tensors(&run.join(checkpoint_file(2))) == whole);
    assert_eq!(seen(&run, CLIPS[0]), [(Use::Train, 0, 0, 1)]);
}

#[test]
fn rolling_back_for_a_request_is_the_run_in_which_its_clips_were_never_there() {
    let toy = Toy::new();
    let old = toy.train("substitution", "old", "");
    let run = toy.train("substitution", "new", &forget(&toy, &old, "rollback"));
    let mut tasks = Availability::read(&run.join(AvailabilityRow::FILE)).unwrap();
    tasks.keep_list_of(1);
    tasks.publish(&toy.tasks("path"), &old).unwrap();
    let path = toy.train("path", "path", "");
    for (ours, theirs) in [(unlearned_file(1), 0), (checkpoint_file(1), 1)] {
        assert!(tensors(&run.join(ours)) == tensors(&path.join(checkpoint_file(theirs))));
    }
    // Task 0 is trained again, on the three clips that stay.
    assert_eq!(
        (passes(&run, 1, "forget"), passes(&run, 1, "retain")),
        (Some(0.0), Some(1.0))
    );
}

#[test]
fn of_what_has_been_withdrawn_nothing_is_read() {
    let toy = Toy::new();
    let old = toy.train("decremental", "old", "");
    let list = withdraw(&toy, "decremental", &CLIPS[..1]);
    note_renewed_inputs(&toy, &old, "without-decremental");
    let before = hash_file(&old.join("progress.json")).unwrap();
    let flags = |method: &str| {
        let forget = forget(&toy, &old, method);
        format!("{forget} --withdrawn {}", list.display())
    };
    for method in ["neggrad-plus", "scrub", "ssd"] {
        let mut refused = toy.command("without-decremental", "refused", &flags(method));
        let output = refused.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("the frames of 1 of its clips are not read any more"),
            "{said}"
        );
        assert!(
            said.contains("retrain, rollback, finetune, l1-sparse and ct do not"),
            "{said}"
        );
        assert!(
            !said.contains(CLIPS[0]),
            "nobody asked for its name: {said}"
        );
        assert!(!toy.run("refused").join("settings.json").exists());
    }
    for method in ["finetune", "ct", "retrain", "rollback"] {
        let run = toy.train("without-decremental", method, &flags(method));
        // The weights before it knew the clip, and the record says so.
        assert_eq!(seen(&run, CLIPS[0]), [(Use::Train, 0, 0, 1)], "{method}");
        if method == "rollback" {
            let again = run.join("rollback/task-1");
            assert_eq!(seen(&again, CLIPS[0]), []);
        }
    }
    assert_eq!(hash_file(&old.join("progress.json")).unwrap(), before);
}

#[test]
fn a_request_without_meaning_is_refused_by_its_flag() {
    let toy = Toy::new();
    let old = toy.train("substitution", "old", "");
    let (request, old) = (request(&toy).display().to_string(), old.display());
    for (flags, said) in [
        (
            format!("--forget {request}"),
            "--forget: belongs to --from-run RUN",
        ),
        (
            format!("--unlearn scrub --forget {request}"),
            "--forget: belongs to --from-run RUN",
        ),
        (
            format!("--unlearn scrub --from-run {old} --forget-at 1"),
            "--forget-at: belongs to --forget",
        ),
        (
            format!("--unlearn scrub --from-run {old} --forget {request} --forget-at 0"),
            "--forget-at: nothing is trained before task 0",
        ),
        (
            format!("--unlearn scrub --from-run {old} --forget {request} --forget-at 2"),
            "--forget-at: 2 lies behind task 1",
        ),
    ] {
        let output = toy
            .command("substitution", "refused", &flags)
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(2),
            "{flags}\n{}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).contains(said),
            "{}",
            text(&output.stderr)
        );
    }
}
