//! What was computed of clips goes with them: features, and the figures of audits.

use std::fs;
use std::path::Path;

use incdec::artifact::hash_file;
use incdec::clip::Split;
use incdec::erase::{self, Selector};
use incdec::parquet_file::{self, Provenance};
use incdec::run_record::{RunHead, RunProgress};
use incdec::tables::{AuditRow, FEATURES_INPUT, FeatureRow, read_features, write_features};

use super::world::World;

fn write(path: &Path, rows: &[&FeatureRow]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_features(path, rows, &Provenance::default()).unwrap();
}

/// The figure of one clip, or of all.
pub(super) fn figure(clip: Option<&str>) -> AuditRow {
    AuditRow {
        run: Some("ridge-0".to_owned()),
        method: "ridge".to_owned(),
        moment: "end".to_owned(),
        task: 1,
        population: "forget".to_owned(),
        group: clip.map(str::to_owned),
        measure: "memorisation".to_owned(),
        reference: None,
        seed_train: Some(0),
        seed_unlearn: Some(0),
        seed_evaluate: 0,
        value: Some(0.5),
        low: None,
        high: None,
        t_low: None,
        t_high: None,
        n: 128,
    }
}

#[test]
fn features_and_figures_of_a_clip_go_and_those_of_others_stay() {
    let world = World::new();
    let rows = world.features();
    let all: Vec<&FeatureRow> = rows.iter().collect();
    let tables = [
        "features/features.parquet",
        "audit/features/of-a-checkpoint.parquet",
    ];
    for table in tables {
        write(&world.path(table), &all);
    }
    let run = world.fake_run("on-features");
    let gone = world.clip(Split::Train).id.clone();
    let audit = world.path("audit").join(AuditRow::FILE);
    let figures = [figure(None), figure(Some(&gone)), figure(Some("another"))];
    parquet_file::write(&audit, &figures, &Provenance::default()).unwrap();

    let selectors = vec![Selector::Ids(vec![gone.clone()])];
    let plan = erase::plan(&world.places(), &selectors)
        .unwrap()
        .to_string();
    for said in [
        format!("rewrite   feature of {gone} in features/features.parquet"),
        format!("rewrite   feature of {gone} in audit/features/of-a-checkpoint.parquet"),
        format!("rewrite   figure of an audit of {gone} in audit/audit.parquet"),
    ] {
        assert!(plan.contains(&said), "{said}: {plan}");
    }
    erase::apply(&world.config(selectors)).unwrap();

    let kept: Vec<&FeatureRow> = rows.iter().filter(|row| row.clip_id != gone).collect();
    let without = world.path("without.parquet");
    // By the list as it is now.
    let list = world.path("Info/withdrawn.csv");
    let provenance = Provenance::default().with_input(&list).unwrap();
    write_features(&without, &kept, &provenance).unwrap();
    for table in tables {
        // The bytes are those that the stage would give.
        let [ours, theirs] = [world.path(table), without.clone()].map(|p| fs::read(p).unwrap());
        assert!(ours == theirs, "{table}");
    }
    fs::remove_file(&without).unwrap();
    let figures: Vec<AuditRow> = parquet_file::read(&audit).unwrap();
    assert_eq!(figures, [figure(None), figure(Some("another"))]);
    // The run's input is the same table, less a clip.
    let head = RunHead::read(&run).unwrap().unwrap();
    let progress = RunProgress::read(&run).unwrap().unwrap();
    let now = hash_file(&world.path(tables[0])).unwrap();
    assert_ne!(head.inputs[FEATURES_INPUT], now);
    assert_eq!(progress.inputs_now(&head.inputs)[FEATURES_INPUT], now);

    let verdict = erase::verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    // A table that comes back is found.
    write(&world.path(tables[0]), &all);
    let verdict = erase::verify(&world.places()).unwrap();
    assert!(
        verdict
            .to_string()
            .contains(&format!("left: feature of {gone}")),
        "{verdict}"
    );
    assert_eq!(
        read_features(&world.path(tables[0])).unwrap().1.len(),
        rows.len()
    );
}
