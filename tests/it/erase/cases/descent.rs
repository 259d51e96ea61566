//! What checkpoints know through the weights that they come from, as their headers say it.

use std::fs;
use std::path::Path;

use incdec::artifact;
use incdec::clip::Split;
use incdec::erase::{What, apply, plan, verify};
use incdec::parquet_file::{self, Provenance};
use incdec::run_record::{
    PARENTS, Parent, ParentRole, RunHead, RunProgress, checkpoint_file, rollback_folder,
};
use incdec::tables::{AvailabilityRow, FeatureRow, write_features};

use super::super::world::{TASKS, World};
use super::ids;
use super::runs::taints;

/// Writes weights of `task` whose header names this parent, and notes their hash.
fn descend(run: &Path, task: usize, parents: &[Parent]) {
    let parents = serde_json::json!(parents).to_string();
    let header = serde_json::json!({"__metadata__": {PARENTS: parents}}).to_string();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let path = run.join(checkpoint_file(task));
    fs::write(&path, bytes).unwrap();
    let mut progress = RunProgress::read(run).unwrap().unwrap();
    let hashes = progress.tasks[task].hashes.as_mut().unwrap();
    hashes
        .files
        .insert(checkpoint_file(task), artifact::hash_file(&path).unwrap());
    progress.write(run).unwrap();
}

fn hash_of(run: &Path, task: usize) -> String {
    artifact::hash_file(&run.join(checkpoint_file(task))).unwrap()
}

/// The tasks of the run `name` whose weights saw the clip.
fn tainted(world: &World, name: &str, clip: &str) -> Vec<usize> {
    let found = taints(world, clip);
    let is_there = |task: &usize| {
        let file = format!("runs/{name}/{}", checkpoint_file(*task));
        found.iter().any(|(name, _)| *name == file)
    };
    (0..TASKS).filter(is_there).collect()
}

/// A run whose lists do not have the clip.
fn run_without(world: &World, name: &str, clip: &str) {
    let path = world.fake_run(name).join(AvailabilityRow::FILE);
    let mut rows: Vec<AvailabilityRow> = parquet_file::read(&path).unwrap();
    rows.retain(|row| row.clip_id != clip);
    parquet_file::write(&path, &rows, &Provenance::default()).unwrap();
}

#[test]
fn what_was_rolled_back_or_trained_anew_knows_no_more_than_what_it_comes_from() {
    let world = World::new();
    let train = &world.clip(Split::Train).id;
    let all: Vec<usize> = tainted(&world, "one", train);
    assert_eq!(all.last(), Some(&(TASKS - 1)));
    let run = world.path("runs/one");
    // The clip is in no list of the last task.
    let path = run.join(AvailabilityRow::FILE);
    let mut rows: Vec<AvailabilityRow> = parquet_file::read(&path).unwrap();
    rows.retain(|row| row.clip_id != *train || row.task < 2);
    parquet_file::write(&path, &rows, &Provenance::default()).unwrap();
    assert_eq!(tainted(&world, "one", train), all);
    let before = &all[..all.len() - 1];

    descend(&run, 2, &[]);
    assert_eq!(tainted(&world, "one", train), before, "new weights");
    let inner = format!("one/{}", rollback_folder(2));
    run_without(&world, &inner, train);
    let hash = hash_of(&world.path("runs").join(&inner), 1);
    descend(&run, 2, &[Parent::known(ParentRole::RolledBack, hash)]);
    assert_eq!(tainted(&world, "one", train), before, "rolled back");
    // Without that run nobody knows what it was spared.
    fs::remove_dir_all(run.join("rollback")).unwrap();
    assert_eq!(tainted(&world, "one", train), all);
}

#[test]
fn heads_know_what_the_backbone_of_their_features_knows() {
    let world = World::new();
    let train = &world.clip(Split::Train).id;
    let table = world.path("features/features.parquet");
    let backbone = hash_of(&world.path("runs/one"), TASKS - 1);
    let provenance = Provenance {
        inputs: [("checkpoint".to_owned(), backbone.clone())].into(),
        ..Provenance::default()
    };
    fs::create_dir_all(table.parent().unwrap()).unwrap();
    let row = FeatureRow {
        clip_id: world.clip(Split::Test).id.clone(),
        split: Split::Test,
        content: "c".into(),
        feature: vec![0.5],
    };
    write_features(&table, &[&row], &provenance).unwrap();
    run_without(&world, "head", train);
    let all: Vec<usize> = (0..TASKS).collect();
    assert_eq!(tainted(&world, "head", train), all);
    // The table may be computed anew: what the header says stays.
    let parent = Parent::known(ParentRole::Backbone, backbone);
    for task in 0..TASKS {
        descend(
            &world.path("runs/head"),
            task,
            std::slice::from_ref(&parent),
        );
    }
    fs::remove_file(&table).unwrap();
    assert_eq!(tainted(&world, "head", train), all);
    apply(&world.config(ids(&[train]))).unwrap();
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
}

#[test]
fn weights_of_which_no_run_has_a_record_are_said() {
    let world = World::new();
    let train = &world.clip(Split::Train).id;
    let child = world.fake_run("two");
    let mut head = RunHead::read(&child).unwrap().unwrap();
    head.inputs.insert("pretrained".into(), "ab".into());
    head.write(&child).unwrap();
    let plan = plan(&world.places(), &ids(&[train])).unwrap();
    let said = "not known: runs/two comes from weights of which no run has a record (ab)";
    assert!(plan.to_string().contains(said), "{plan}");
    assert_eq!(plan.unrecorded.len(), 1);
    let own = plan.held.iter().any(|row| {
        row.what == What::Trained && row.file == format!("runs/two/{}", checkpoint_file(TASKS - 1))
    });
    assert!(own, "what it has seen itself is known");
}
