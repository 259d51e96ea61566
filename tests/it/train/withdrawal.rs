//! Withdrawn clips and runs: what a run says that it has seen, what it refuses, and how a new one
//! goes on without them.

mod buffers;
mod descent;
mod erased;
mod rollback;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use incdec::artifact::hash_file;
use incdec::clip::Split;
use incdec::parquet_file::{self, Table};
use incdec::run_record::{REMEDIES, Remedy, RunRecord, checkpoint_file, state_file};
use incdec::tables::{AvailabilityRow, ErasureRow, SeenRow, Use};

use rollback::assert_same_run;

use super::toy::{Toy, text};
use crate::support::delete_clips;

/// A training clip that arrives with task 1 of the scenarios whose clips come and go.
const ARRIVES: &str = "tr02_000000_000010";
const VALIDATION: &str = "va00_000000_000010";
const TEST: &str = "te10_000000_000010";

/// Withdraws clips as erasing does: from shards and index, from the lists, and into the list of
/// withdrawn clips, whose path this gives. The tasks without them lie in the folder
/// `without-<scenario>`.
pub(super) fn withdraw(toy: &Toy, scenario: &str, clips: &[&str]) -> PathBuf {
    let gone = clips.iter().map(|&clip| clip.to_owned()).collect();
    delete_clips(&toy.shards(), &gone).unwrap();
    let (from, to) = (
        toy.tasks(scenario),
        toy.tasks(&format!("without-{scenario}")),
    );
    fs::create_dir_all(&to).unwrap();
    fs::copy(from.join("schedule.parquet"), to.join("schedule.parquet")).unwrap();
    let table = from.join(AvailabilityRow::FILE);
    let mut rows: Vec<AvailabilityRow> = parquet_file::read(&table).unwrap();
    for row in &mut rows {
        row.usable &= !gone.contains(&row.clip_id);
    }
    let provenance = parquet_file::provenance(&table, &AvailabilityRow::FORMAT).unwrap();
    parquet_file::write(&to.join(AvailabilityRow::FILE), &rows, &provenance).unwrap();
    let list = toy.folder.path().join("withdrawn.csv");
    let lines: String = clips
        .iter()
        .map(|clip| format!("{clip},2026-03-31,R-1\n"))
        .collect();
    fs::write(&list, format!("clip_id,withdrawn_on,request\n{lines}")).unwrap();
    list
}

/// The header and the tensors of a safetensors file.
#[allow(clippy::type_complexity)] // Both parts of the file.
fn weights(
    path: &Path,
) -> (
    BTreeMap<String, String>,
    BTreeMap<String, (Vec<usize>, Vec<u8>)>,
) {
    let bytes = fs::read(path).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let header = metadata
        .metadata()
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter();
    let tensors = tensors.map(|(name, t)| (name, (t.shape().to_vec(), t.data().to_vec())));
    (header, tensors.collect())
}

#[test]
fn a_run_says_what_it_has_seen_and_what_its_weights_come_from() {
    let toy = Toy::new();
    let run = toy.train("substitution", "run", "--approach finetune --epochs 2");
    let seen: Vec<SeenRow> = parquet_file::read(&run.join("seen.parquet")).unwrap();
    let of = |clip: &str| {
        let rows = seen.iter().filter(|row| row.clip_id == clip);
        rows.map(|r| (r.r#use, r.first_task, r.last_task, r.passes))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("tr00_000000_000010"), [(Use::Train, 0, 0, 2)]);
    assert_eq!(of("tr01_000000_000010"), [(Use::Train, 0, 1, 4)]);
    assert_eq!(of(ARRIVES), [(Use::Train, 1, 1, 2)]);
    assert_eq!(of(VALIDATION), [(Use::Validation, 0, 1, 4)]);
    assert!(of(TEST).is_empty());
    let parents = |task| -> serde_json::Value {
        let header = weights(&run.join(checkpoint_file(task))).0;
        serde_json::from_str(&header["incdec.parents"]).unwrap()
    };
    assert_eq!(parents(0), serde_json::json!([]));
    let hash = hash_file(&run.join(checkpoint_file(0))).unwrap();
    assert_eq!(
        parents(1),
        serde_json::json!([{"role": "task before", "blake3": hash}])
    );
    // A run that begins with these weights says so.
    let flags = format!(
        "--approach finetune --pretrained {}",
        run.join(checkpoint_file(1)).display()
    );
    let child = toy.train("substitution", "child", &flags);
    let header = weights(&child.join(checkpoint_file(0))).0;
    let hash = hash_file(&run.join(checkpoint_file(1))).unwrap();
    let parents: serde_json::Value = serde_json::from_str(&header["incdec.parents"]).unwrap();
    assert_eq!(
        parents,
        serde_json::json!([{"role": "pretrained", "blake3": hash}])
    );
}

#[test]
fn shards_that_still_hold_a_withdrawn_clip_are_refused() {
    let toy = Toy::new();
    let list = toy.folder.path().join("withdrawn.csv");
    fs::write(
        &list,
        format!("clip_id,withdrawn_on,request\n{ARRIVES},2026-03-31,R-1\n"),
    )
    .unwrap();
    let flags = format!("--approach finetune --withdrawn {}", list.display());
    let output = toy.command("substitution", "run", &flags).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("frames of 1 withdrawn clip\n"), "{said}");
    assert!(!said.contains(ARRIVES), "nobody asked for its name: {said}");
    let named = format!("{flags} --log-ids");
    let output = toy.command("substitution", "run", &named).output().unwrap();
    let told = text(&output.stderr);
    let first = format!("frames of 1 withdrawn clip, the first of them {ARRIVES}");
    assert!(told.contains(&first), "{told}");
    assert!(
        said.contains("hint: erase them first, with `make erase"),
        "{said}"
    );
    // The index no longer names it, and the shard still has it.
    let index = toy.shards().join("index.parquet");
    let mut rows: Vec<incdec::shard::IndexRow> = parquet_file::read(&index).unwrap();
    rows.retain(|row| row.clip_id != ARRIVES);
    incdec::shard::write_index(&toy.shards(), &rows, &parquet_file::Provenance::default()).unwrap();
    let output = toy.command("substitution", "run", &flags).output().unwrap();
    assert!(
        text(&output.stderr).contains("frames of 1 withdrawn clip"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_run_that_saw_a_withdrawn_clip_is_not_gone_on_with_and_one_that_did_not_is() {
    let toy = Toy::new();
    let flags = "--approach finetune";
    let run = toy.train("substitution", "run", flags);
    // Stopped after task 0: what task 1 left is taken away.
    let unfinish = |run: &Path| {
        let mut progress = incdec::run_record::read_progress(run).unwrap().unwrap();
        progress.tasks.truncate(1);
        progress.write(run).unwrap();
        for name in ["run.json", &checkpoint_file(1)] {
            fs::remove_file(run.join(name)).unwrap();
        }
    };
    unfinish(&run);
    let list = withdraw(&toy, "substitution", &["tr00_000000_000010"]);
    // What was erased from its inputs is noted, as erasing does it.
    note_renewed_inputs(&toy, &run, "without-substitution");
    let again = format!("{flags} --withdrawn {}", list.display());
    let output = toy
        .command("without-substitution", "run", &again)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("saw 1 clip of those that have been withdrawn since, from task 0 on"),
        "{said}"
    );
    let log = fs::read_to_string(run.join("log.jsonl")).unwrap_or_default();
    for text in [&said, &log] {
        assert!(!text.contains("tr00_000000_000010"), "{text}");
    }
    let named = format!("{again} --log-ids");
    let output = toy
        .command("without-substitution", "run", &named)
        .output()
        .unwrap();
    let told = text(&output.stderr);
    assert!(
        told.contains("the first of them tr00_000000_000010"),
        "{told}"
    );
    assert!(
        said.contains("no task is without it") && said.contains("--on-tainted rollback --out NEW"),
        "{said}"
    );
    let output = toy
        .command(
            "without-substitution",
            "run",
            &format!("{again} --on-tainted warn"),
        )
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("going on all the same"));
    // A clip of the next task was never seen: the run goes on without it.
    let toy = Toy::new();
    let run = toy.train("substitution", "run", flags);
    unfinish(&run);
    let list = withdraw(&toy, "substitution", &[ARRIVES]);
    note_renewed_inputs(&toy, &run, "without-substitution");
    let again = format!("{flags} --withdrawn {}", list.display());
    toy.train("without-substitution", "run", &again);
    let reference = toy.train("without-substitution", "reference", flags);
    assert_same_run(&run, &reference);
    // A complete run stays complete.
    let output = toy
        .command("without-substitution", "run", &again)
        .output()
        .unwrap();
    assert!(
        text(&output.stderr).contains("is complete; nothing to do"),
        "{}",
        text(&output.stderr)
    );
}

/// Writes into a run's record what its inputs have become, and gives it its lists anew.
pub(super) fn note_renewed_inputs(toy: &Toy, run: &Path, tasks: &str) {
    let table = toy.tasks(tasks).join("availability.parquet");
    fs::copy(&table, run.join("availability.parquet")).unwrap();
    let hash = hash_file(&table).unwrap();
    let mut progress = incdec::run_record::read_progress(run).unwrap().unwrap();
    progress
        .files
        .insert("availability.parquet".into(), hash.clone());
    let index = hash_file(&toy.shards().join("index.parquet")).unwrap();
    progress.erasures.push(incdec::run_record::RunErasure {
        number: 1,
        judged: 0,
        inputs: BTreeMap::from([
            ("availability.parquet".into(), hash),
            ("index.parquet".into(), index),
        ]),
    });
    progress.write(run).unwrap();
}

#[test]
fn a_run_of_other_settings_or_lists_is_not_taken_over() {
    let toy = Toy::new();
    let old = toy.train("substitution", "old", "--approach finetune");
    let list = withdraw(&toy, "substitution", &[ARRIVES]);
    let roll = format!(
        "--withdrawn {} --from-run {} --on-tainted rollback",
        list.display(),
        old.display()
    );
    let refused = |tasks: &str, name: &str, flags: &str| {
        let output = toy
            .command(tasks, name, &format!("{flags} {roll}"))
            .output()
            .unwrap();
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let said = refused("without-substitution", "a", "--approach lwf");
    assert!(
        said.contains("cannot be taken over: it is another run"),
        "{said}"
    );
    let output = toy
        .command(
            "without-substitution",
            "c",
            &format!("--approach finetune --from-run {}", old.display()),
        )
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn checkpoints_carry_the_newest_value_of_the_ledgers_chain() {
    let toy = Toy::new();
    let ledger = toy.folder.path().join("erasures.parquet");
    let row = |number: i64, chain: Option<&str>| ErasureRow {
        number,
        request: "R-1".into(),
        selector: "--source x".into(),
        clips: "[]".into(),
        begun: "2026-03-31T10:00:00Z".into(),
        finished: chain.map(|_| "2026-03-31T10:00:01Z".into()),
        places: "{}".into(),
        files: "{}".into(),
        erased: "{}".into(),
        runs: "{}".into(),
        left: "[]".into(),
        archives: None,
        crate_version: "0".into(),
        previous: None,
        chain: chain.map(str::to_owned),
    };
    let rows = [row(1, Some("ab")), row(2, Some("cd")), row(3, None)];
    parquet_file::write(&ledger, &rows, &parquet_file::Provenance::default()).unwrap();
    let flags = format!("--withdrawals {}", ledger.display());
    let run = toy.train("substitution", "run", &flags);
    let plain = toy.train("substitution", "plain", "");
    for task in [0, 1] {
        let header = |run: &Path| weights(&run.join(checkpoint_file(task))).0;
        assert_eq!(header(&run)["incdec.withdrawals"], "cd");
        assert!(!header(&plain).contains_key("incdec.withdrawals"));
    }
    // What is said of it changes nothing else.
    assert_same_run(&run, &plain);
}

/// A task of which every clip is withdrawn is passed over; the next is trained as the first, by its own number's draws.
#[test]
fn what_an_approach_keeps_says_tensor_by_tensor_what_becomes_of_it() {
    let toy = Toy::new();
    let run = toy.train("decremental", "ewc", "--approach ewc --epochs 1");
    for task in 0..2 {
        let (header, tensors) = weights(&run.join(state_file(task)));
        let said: BTreeMap<Remedy, BTreeSet<String>> =
            serde_json::from_str(&header[REMEDIES]).unwrap();
        // Fisher information is made anew from the clips that stay.
        assert_eq!(said[&Remedy::Rebuilt], tensors.into_keys().collect());
        assert_eq!(said.len(), 1);
        // The weights themselves know every clip.
        let (header, _) = weights(&run.join(checkpoint_file(task)));
        assert!(!header.contains_key(REMEDIES));
    }
}

#[test]
fn a_task_without_clips_leaves_nothing_and_the_next_is_trained_as_the_first() {
    let toy = Toy::new();
    let rates = "--lr-first-task 1e-3 --lr-first-task-head 1e-3 --lr-backbone 1e-4 --lr-head 1e-4";
    let table = toy.tasks("substitution").join(AvailabilityRow::FILE);
    let rows: Vec<AvailabilityRow> = parquet_file::read(&table).unwrap();
    let listed = |task: i32| -> BTreeSet<&str> {
        let is_trained = |row: &&AvailabilityRow| {
            row.task == task && row.split == Split::Train && row.position.is_some()
        };
        rows.iter()
            .filter(is_trained)
            .map(|row| row.clip_id.as_str())
            .collect()
    };
    // What task 1 has without the clips that it shares with task 0.
    let gone: Vec<&str> = listed(0).into_iter().collect();
    assert!(listed(1).iter().any(|clip| !gone.contains(clip)));
    withdraw(&toy, "substitution", &gone);
    let scratch = format!("--approach finetune --from-scratch {rates}");
    let scratch = toy.train("without-substitution", "scratch", &scratch);
    for approach in ["finetune", "lwf", "fd", "ewc"] {
        let flags = format!("--approach {approach} {rates}");
        let run = toy.train("without-substitution", approach, &flags);
        let record = RunRecord::read(&run).unwrap().unwrap();
        let [passed, trained] = &record.progress.tasks[..] else {
            panic!("two tasks");
        };
        assert_eq!((passed.epochs, passed.ended_by.as_str()), (0, "no clips"));
        assert!(trained.was_trained());
        assert!(!run.join(checkpoint_file(0)).exists());
        assert!(record.metrics.iter().all(|row| row.task == 1));
        assert!(record.history.iter().all(|row| row.task == 1));
        assert!(record.predictions.iter().all(|row| row.task == 1));
        let seen: Vec<SeenRow> = parquet_file::read(&run.join(SeenRow::FILE)).unwrap();
        assert!(seen.iter().all(|row| row.first_task == 1));
        let of_task_1 = |run: &Path| weights(&run.join(checkpoint_file(1))).1;
        assert!(of_task_1(&run) == of_task_1(&scratch), "{approach}");
        // Taken up behind the task that was passed over, it comes to the same.
        let mut progress = record.progress.clone();
        progress.tasks.truncate(1);
        progress.write(&run).unwrap();
        let before = of_task_1(&run);
        for name in ["run.json", &checkpoint_file(1)] {
            fs::remove_file(run.join(name)).unwrap();
        }
        toy.train("without-substitution", approach, &flags);
        assert!(of_task_1(&run) == before, "{approach}");
    }
}
