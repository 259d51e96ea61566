//! Withdrawn clips, features, and the heads on them.

use std::fs;
use std::path::Path;

use incdec::artifact::hash_file;
use incdec::tables::read_features;

use super::{features, summary, with_table};
use crate::train::toy::text;

#[test]
fn features_are_not_computed_while_a_withdrawn_clip_is_stored_and_say_by_which_list_they_were() {
    let (toy, table) = with_table();
    let checkpoint = toy.run("backbone").join("checkpoints/task-0.safetensors");
    let list = toy.folder.path().join("withdrawn.csv");
    let clip = "te10_000000_000010";
    fs::write(&list, "clip_id,withdrawn_on,request\n").unwrap();
    let flags = format!("--json --withdrawn {}", list.display());
    let listed = summary(&features(&toy, &checkpoint, &table, &flags));
    // Another list changes no feature.
    assert_eq!(
        (&listed["computed"], &listed["kept"]),
        (&0.into(), &20.into())
    );
    let input = |table: &Path| {
        read_features(table)
            .unwrap()
            .0
            .inputs
            .remove("withdrawn.csv")
    };
    assert_eq!(input(&table), Some(hash_file(&list).unwrap()));
    let before = fs::read(&table).unwrap();
    summary(&features(&toy, &checkpoint, &table, &flags));
    assert_eq!(fs::read(&table).unwrap(), before);

    fs::write(
        &list,
        format!("clip_id,withdrawn_on,request\n{clip},2026-03-31,R-1\n"),
    )
    .unwrap();
    let output = features(&toy, &checkpoint, &table, &flags);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("still holds the frames of 1 withdrawn clips"),
        "{said}"
    );
    assert!(
        said.contains("hint: erase them first, with `make erase"),
        "{said}"
    );
    assert_eq!(fs::read(&table).unwrap(), before);
}

#[test]
fn a_head_that_saw_a_withdrawn_clip_is_trained_anew_and_knows_its_backbone() {
    let (toy, table) = with_table();
    let flags = format!("--approach ridge --features {}", table.display());
    let run = toy.train("decremental", "head", &flags);
    let bytes = fs::read(run.join("checkpoints/task-1.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let parents = &header.metadata().as_ref().unwrap()["incdec.parents"];
    let backbone = hash_file(&toy.run("backbone").join("checkpoints/task-0.safetensors")).unwrap();
    assert!(
        parents.contains("\"task before\"") && parents.contains(&backbone),
        "{parents}"
    );

    fs::remove_file(run.join("run.json")).unwrap();
    let place = toy.places().features.join("features.parquet");
    fs::create_dir_all(toy.places().features).unwrap();
    fs::rename(&table, &place).unwrap();
    toy.erase("R-1", &["tr00_000000_000010"]);
    let listed = format!("--withdrawn {}", toy.withdrawn().display());
    let flags = format!("--approach ridge --features {} {listed}", place.display());
    let output = toy.command("decremental", "head", &flags).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    // The backbone saw the clip, too: another head on the same features is no way out.
    assert!(
        said.contains("the weights come from a run that saw 1 clip of those"),
        "{said}"
    );
    assert!(said.contains("with features of such a backbone"), "{said}");

    // A backbone of which nothing is known here.
    fs::rename(toy.run("backbone"), toy.folder.path().join("elsewhere")).unwrap();
    let output = toy.command("decremental", "head", &flags).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("saw 1 clip of those that have been withdrawn since, from task 0 on"),
        "{said}"
    );
    assert!(
        said.contains("hint: --approach ridge is trained anew in seconds: choose another --out"),
        "{said}"
    );
    assert!(!said.contains("--from-run"), "{said}");
    assert!(
        said.contains("whether they saw a withdrawn clip is not known here"),
        "{said}"
    );
    toy.train("decremental", "anew", &flags);
}
