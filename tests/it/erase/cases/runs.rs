//! Runs that saw a clip which leaves: what stays of them, and what is known of them.

use std::collections::BTreeSet;
use std::fs;

use incdec::clip::Split;
use incdec::erase::{Action, EraseConfig, HeldRow, Ledger, Selector, What, apply, plan, verify};
use incdec::run_record::RunRecord;
use incdec::tables::SeenRow;
use incdec::{artifact, parquet_file};

use super::super::world::{TASKS, World};
use super::{ids, names_one};

#[test]
fn a_finished_run_stays_complete_and_its_figures_stay_and_are_marked() {
    let world = World::new();
    let (test, train) = (&world.clip(Split::Test).id, &world.clip(Split::Train).id);
    let folder = world.path("runs/one");
    let before = RunRecord::read(&folder).unwrap().unwrap();
    let figures = |name: &str| fs::read(folder.join(name)).unwrap();
    let (metrics, history) = (figures("metrics.parquet"), figures("history.parquet"));
    let weights = figures("checkpoints/task-2.safetensors");

    apply(&world.config(ids(&[test, train]))).unwrap();
    // Everything that the record promises is compared on reading.
    let after = RunRecord::read(&folder).unwrap().unwrap();
    assert!(after.summary.is_some());
    assert_eq!(after.metrics, before.metrics);
    assert!(figures("metrics.parquet") == metrics && figures("history.parquet") == history);
    assert!(figures("checkpoints/task-2.safetensors") == weights);
    let mut kept = before.predictions.clone();
    kept.retain(|row| row.clip_id != *test);
    assert!(after.predictions == kept && kept.len() < before.predictions.len());
    // Marked: one of the two was judged with.
    assert_eq!(after.progress.withdrawn_since(), 1);
    assert_eq!(after.progress.erasures[0].number, 1);
    let summary = after.summary.unwrap();
    assert_eq!(summary.erasures[0].judged, 1);
    assert!(summary.skipped_clips.is_empty());
    // What it was given is known under the hashes that the inputs have now.
    let inputs = after.progress.inputs_now(&after.head.inputs);
    for name in [
        "tasks/substitution/seed-0/availability.parquet",
        "shards/index.parquet",
    ] {
        let path = world.path(name);
        let role = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(inputs[role], artifact::hash_file(&path).unwrap(), "{name}");
        assert_ne!(inputs[role], after.head.inputs[role]);
    }
    // Texts lose the lines, and the page goes.
    for name in ["error_analysis/task_0_test_error_analysis.csv", "log.jsonl"] {
        let bytes = figures(name);
        assert!(!names_one(&bytes, &[test, train]), "{name}");
        assert!(
            names_one(&bytes, &[&world.clip(Split::Validation).id]),
            "{name}"
        );
    }
    assert!(!folder.join("report.html").exists());
    assert!(verify(&world.places()).unwrap().is_clean());
}

/// The files that saw a clip.
pub(super) fn taints(world: &World, clip: &str) -> Vec<(String, What)> {
    let plan = plan(&world.places(), &ids(&[clip])).unwrap();
    let taints = plan
        .held
        .into_iter()
        .filter(|row| row.action == Action::Taint);
    taints.map(|row| (row.file, row.what)).collect()
}

#[test]
fn checkpoints_that_saw_a_clip_are_known_by_name_also_through_weights_that_a_run_began_with() {
    let world = World::new();
    let (train, valid) = (
        &world.clip(Split::Train).id,
        &world.clip(Split::Validation).id,
    );
    let rows = world.availability();
    let first = rows
        .iter()
        .filter(|row| row.clip_id == *train && row.position.is_some());
    let first = first.map(|row| row.task).min().unwrap();
    let taints = |clip: &str| taints(&world, clip);
    let checkpoint = |task| format!("runs/one/checkpoints/task-{task}.safetensors");
    let expected: Vec<_> = (first as usize..TASKS)
        .map(|task| (checkpoint(task), What::Trained))
        .collect();
    assert_eq!(taints(train), expected);
    assert_eq!(taints(valid).len(), TASKS);
    assert!(
        taints(valid)
            .iter()
            .all(|(_, what)| *what == What::Selected)
    );
    assert!(
        taints(&world.clip(Split::Test).id).is_empty(),
        "nothing is learned from the test lists"
    );

    // A run that begins with the last weights of the first.
    let hash = artifact::hash_file(&world.path(&checkpoint(TASKS - 1))).unwrap();
    let child = world.fake_run("two");
    let mut head = incdec::run_record::RunHead::read(&child).unwrap().unwrap();
    head.inputs.insert("pretrained".into(), hash);
    head.write(&child).unwrap();
    fs::remove_file(child.join("availability.parquet")).unwrap();
    let of_child = |clip: &str| {
        taints(clip)
            .iter()
            .filter(|(file, _)| file.starts_with("runs/two"))
            .count()
    };
    assert_eq!(of_child(train), TASKS);

    fs::remove_dir_all(&child).unwrap();
    apply(&world.config(ids(&[train]))).unwrap();
    // What the run saw stands in a table of its own, now that its lists no longer say so.
    let seen: Vec<SeenRow> = parquet_file::read(&world.path("runs/one/seen.parquet")).unwrap();
    assert!(
        seen.iter()
            .any(|row| row.clip_id == *train && row.passes >= 2)
    );
    assert_eq!(taints(train), expected);
    let ledger = Ledger::read(&world.places().data).unwrap();
    assert!(
        ledger.rows()[0]
            .runs
            .contains("checkpoints/task-2.safetensors\":\"trained")
    );
    assert!(verify(&world.places()).unwrap().is_clean());
}

#[test]
fn clips_that_have_left_the_tasks_for_good_are_chosen() {
    let world = World::new();
    let rows = world.availability();
    let listed = |task: i32| -> BTreeSet<&str> {
        let rows = rows
            .iter()
            .filter(|row| row.task == task && row.position.is_some());
        rows.map(|row| row.clip_id.as_str()).collect()
    };
    let expected: BTreeSet<&str> = listed(0).difference(&listed(1)).copied().collect();
    assert!(!expected.is_empty());
    let selector = Selector::Departed {
        availability: world.path("tasks/substitution/seed-0/availability.parquet"),
        task: 1,
    };
    let plan = plan(&world.places(), &[selector]).unwrap();
    assert_eq!(
        plan.clips,
        expected.into_iter().map(str::to_owned).collect()
    );
}

/// What a task under way has learned is not gone on with: the checkpoints inside it go, and it begins anew.
#[test]
fn a_checkpoint_inside_a_task_goes_with_a_clip_of_that_task_and_no_other() {
    let world = World::new();
    let folder = world.path("runs/one");
    fs::remove_file(folder.join("run.json")).unwrap();
    let mut progress = incdec::run_record::read_progress(&folder).unwrap().unwrap();
    progress.tasks.pop();
    progress.write(&folder).unwrap();
    let inside = folder.join("checkpoints/task-2-epoch-1-training-4.safetensors");
    fs::write(&inside, "weights").unwrap();
    let rows = world.availability();
    let listed = |task: i32| -> BTreeSet<&str> {
        let trained = rows
            .iter()
            .filter(|row| row.split == Split::Train && row.position.is_some());
        let of_task = trained.filter(|row| row.task == task);
        of_task.map(|row| row.clip_id.as_str()).collect()
    };
    let gone = *listed(0).difference(&listed(2)).next().unwrap();
    // What it comes from knows the clip all the same, and so do the weights that have unlearned it.
    let unlearned = folder.join("checkpoints/task-2-unlearned.safetensors");
    fs::write(&unlearned, "weights").unwrap();
    let files = taints(&world, gone);
    for path in [&inside, &unlearned] {
        let name = world.places().name_of(path);
        assert!(files.contains(&(name, What::Trained)), "{files:?}");
    }
    apply(&world.config(ids(&[gone]))).unwrap();
    assert!(inside.exists());
    let ledger = Ledger::read(&world.places().data).unwrap();
    for path in [&inside, &unlearned] {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(ledger.rows()[0].runs.contains(name), "{name}");
    }
    let known = *listed(2).iter().next().unwrap();
    let plan = plan(&world.places(), &ids(&[known])).unwrap();
    let of_file = |row: &&HeldRow| row.file.contains("epoch-1");
    assert_eq!(plan.held.iter().filter(of_file).count(), 1, "it goes");
    let held = plan.held.iter().find(of_file);
    let held = held.unwrap();
    assert_eq!((held.action, held.bytes), (Action::Erase, 7));
    assert_eq!(held.note.as_deref(), Some("task 2 begins anew"));
    let second = EraseConfig {
        request: "R-2".into(),
        ..world.config(ids(&[known]))
    };
    apply(&second).unwrap();
    assert!(!inside.exists());
    assert!(verify(&world.places()).unwrap().is_clean());
}
