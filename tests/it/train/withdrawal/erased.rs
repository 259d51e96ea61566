//! From a request to a run without the clips, by the programs themselves: nothing of it is imitated.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use incdec::clip::Split;
use incdec::erase::{What, verify};
use incdec::parquet_file;
use incdec::run_record::{checkpoint_file, read_progress};
use incdec::tables::AvailabilityRow;

use super::rollback::assert_same_run;
use super::weights;
use crate::support;
use crate::train::toy::{Toy, text};

fn run(program: &str, flags: &[(&str, &Path)], words: &str) {
    let mut command = Command::new(support::binary(program));
    command.args(words.split_whitespace());
    for (flag, path) in flags {
        command.arg(flag).arg(path);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{program}: {}",
        text(&output.stderr)
    );
}

/// Nothing is left of what was erased, but for clips of other splits that have the same frames in this toy.
pub(super) fn assert_erased(toy: &Toy) {
    let verdict = verify(&toy.places()).unwrap();
    let are_others = verdict.left.iter().all(|row| row.what == What::Copy);
    let is_whole = verdict.problems.is_empty() && verdict.unsearched.is_empty();
    assert!(are_others && is_whole, "{verdict}");
}

/// Deals two tasks from the toy's manifest.
fn deal(toy: &Toy, name: &str, without: &[(&str, &Path)]) {
    let manifest = toy.folder.path().join("manifests/clips.parquet");
    let out = toy.tasks(name);
    let places = [("--manifest", &*manifest), ("--out", &*out)];
    run(
        "incdec-tasks",
        &[&places[..], without].concat(),
        "--scenario substitution --seed 0 --tasks 2",
    );
}

/// A clip that task 1 is the first to train on.
fn arrival(toy: &Toy) -> String {
    let table = toy.tasks("dealt").join(AvailabilityRow::FILE);
    let rows: Vec<AvailabilityRow> = parquet_file::read(&table).unwrap();
    let listed = |task: i32| -> BTreeSet<&str> {
        let rows = rows.iter().filter(|row| {
            row.task == task && row.split == Split::Train && row.position.is_some() && row.usable
        });
        rows.map(|row| row.clip_id.as_str()).collect()
    };
    let mut arrived = listed(1)
        .difference(&listed(0))
        .map(|&clip| clip.to_owned())
        .collect::<Vec<_>>();
    arrived.remove(0)
}

#[test]
fn a_request_is_carried_out_and_the_run_rolled_back_to_what_it_would_have_been() {
    let toy = Toy::new();
    toy.label();
    let at = |name: &str| toy.folder.path().join(name);
    let (labels, shards) = (at("Info"), toy.shards());
    let manifest = at("manifests/clips.parquet");
    let places = [
        ("--labels", &*labels),
        ("--shards", &*shards),
        ("--out", &*manifest),
    ];
    run("incdec-manifest", &places, "");
    deal(&toy, "dealt", &[]);
    let clip = arrival(&toy);
    // Beside the data: what lies among them would be found to name the clip.
    let request = tempfile::tempdir().unwrap();
    let ids = request.path().join("ids");
    fs::write(&ids, format!("{clip}\n")).unwrap();
    deal(&toy, "without", &[("--without", &*ids)]);
    let flags = "--approach ewc";
    let reference = toy.train("without", "reference", flags);
    let old = toy.train("dealt", "old", flags);
    // As if it had been killed before it could say that it is complete.
    fs::remove_file(old.join("run.json")).unwrap();

    run(
        "incdec-erase",
        &[("--data", toy.folder.path()), ("--clips", &*ids)],
        "apply --request R-1",
    );
    let withdrawals = format!(
        "{flags} --withdrawn {} --withdrawals {}",
        toy.withdrawn().display(),
        at("erasures.parquet").display()
    );
    let output = toy.command("dealt", "old", &withdrawals).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let told = "saw 1 clip of those that have been withdrawn since, from task 1 on";
    assert!(said.contains(told), "{said}");
    let way_out = "task 0 is the last that never knew it: `--from-run";
    assert!(said.contains(way_out), "{said}");

    let roll = format!(
        "{withdrawals} --from-run {} --on-tainted rollback",
        old.display()
    );
    let output = toy.command("dealt", "new", &roll).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 of 2 done tasks never knew"), "{said}");
    let new = toy.run("new");
    assert_same_run(&new, &reference);
    // What was written later carries the ledger's chain, and the old run stays as erasing left it.
    let header = weights(&new.join(checkpoint_file(0))).0;
    assert!(header.contains_key("incdec.withdrawals"));
    let progress = read_progress(&old).unwrap().unwrap();
    assert_eq!((progress.tasks.len(), progress.erasures.len()), (2, 1));
    assert_erased(&toy);
}
