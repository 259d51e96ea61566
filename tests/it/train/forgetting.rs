//! Unlearning within runs on the toy data: every method ends, takes part in what it promises, and is refused where it makes no sense.

use std::collections::BTreeMap;
use std::path::Path;

use incdec::parquet_file;
use incdec::run_record::{checkpoint_file, unlearned_file};
use incdec::tables::MetricRow;
use incdec::train::settings::UnlearnName;

use super::toy::{Toy, assert_same_contents, parameters, tensors, text};

/// Tasks that withdraw clips and add none.
const SCENARIO: &str = "decremental";

/// What each method says of itself that it costs where 3 clips leave, 8 stay and one held-out clip is
/// like them, in passes over F, R and H.
const PASSES: [(UnlearnName, [f64; 3]); 15] = {
    use UnlearnName as Name;
    [
        (Name::Retrain, [0.0, 0.0, 0.0]),
        (Name::Rollback, [0.0, 1.0, 0.0]),
        (Name::Finetune, [0.0, 10.0, 0.0]),
        // F has one batch and R two.
        (Name::NegGradPlus, [10.0, 5.0, 0.0]),
        (Name::Scrub, [3.0, 5.0, 0.0]),
        (Name::ScrubR, [9.0, 5.0, 6.0]),
        (Name::RandomLabel, [5.0, 5.0, 0.0]),
        (Name::SalUn, [6.0, 5.0, 0.0]),
        (Name::L1Sparse, [0.0, 10.0, 0.0]),
        (Name::BadTeacher, [1.0, 0.25, 0.0]),
        (Name::Ssd, [2.0, 1.0, 0.0]),
        (Name::Lfssd, [2.0, 1.0, 0.0]),
        (Name::Msg, [1.0, 5.375, 0.0]),
        (Name::Ct, [0.0, 3.0, 0.0]),
        // A look at H for the target, and at F; the model may be where it is to end.
        (Name::GradientAscent, [1.0, 0.0, 1.0]),
    ]
};

/// What unlearning cost at a task's start, in passes by the set.
fn passes(run: &Path, task: i32) -> BTreeMap<String, Option<f64>> {
    let rows: Vec<MetricRow> = parquet_file::read(&run.join(MetricRow::FILE)).unwrap();
    let of_task = rows.into_iter().filter(|row| row.task == task);
    let named = of_task.filter_map(|row| {
        let set = row.metric.strip_prefix("unlearning_passes_")?.to_owned();
        Some((set, row.value))
    });
    named.collect()
}

#[test]
fn every_method_runs_at_a_task_that_withdraws_and_changes_the_model() {
    let toy = Toy::new();
    let plain = toy.train(SCENARIO, "none", "--unlearn none");
    let settings = std::fs::read_to_string(plain.join("settings.json")).unwrap();
    assert!(!settings.contains("unlearn"), "{settings}");
    let after = parameters(&plain, 1, |_| true);
    assert!(passes(&plain, 1).is_empty());
    let costs = BTreeMap::from(PASSES.map(|(method, cost)| (method.name(), cost)));
    for method in UnlearnName::ALL.iter().filter(|m| **m != UnlearnName::None) {
        let run = toy.train(SCENARIO, method.name(), &format!("--unlearn {method}"));
        assert!(
            parameters(&run, 0, |_| true) == parameters(&plain, 0, |_| true),
            "{method}"
        );
        // A forget set of the toy's size may leave nothing for SSD to dampen, and a model that has
        // hardly learned may be where the ascent ends.
        let may_rest = [
            UnlearnName::Ssd,
            UnlearnName::Lfssd,
            UnlearnName::GradientAscent,
        ];
        if !may_rest.contains(method) {
            assert!(parameters(&run, 1, |_| true) != after, "{method}");
        }
        // It costs what it says.
        assert!(passes(&run, 0).is_empty(), "{method}");
        let made = passes(&run, 1);
        let cost = costs[method.name()];
        for (set, least) in ["forget", "retain", "held_out"].into_iter().zip(cost) {
            let made = made[set].unwrap();
            if *method == UnlearnName::GradientAscent && set == "forget" {
                // At most 5 passes, each with 5 looks.
                assert!(
                    (least..=30.0 + least).contains(&made),
                    "{method} {set}: {made}"
                );
            } else {
                assert!((made - least).abs() < 1e-12, "{method} {set}: {made}");
            }
        }
    }
}

#[test]
fn unlearning_goes_with_every_approach_and_repeats_to_the_byte() {
    let toy = Toy::new();
    for approach in ["lwf", "fd", "ewc"] {
        let flags = format!("--approach {approach} --unlearn salun");
        let once = toy.train(SCENARIO, &format!("{approach}-once"), &flags);
        let again = toy.train(SCENARIO, &format!("{approach}-again"), &flags);
        assert_same_contents(&once, &again);
    }
}

#[test]
fn new_weights_have_nothing_to_unlearn() {
    let toy = Toy::new();
    let output = toy
        .command(SCENARIO, "both", "--from-scratch --unlearn finetune")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("--unlearn"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn another_seed_of_unlearning_draws_another_one_from_the_same_training() {
    let toy = Toy::new();
    let flags = "--seed 5 --batch-size 4 --unlearn random-label";
    let run = |name: &str, seed: &str| toy.train(SCENARIO, name, &format!("{flags} {seed}"));
    let plain = run("plain", "");
    let [same, other, again] = [
        run("same", "--unlearn-seed 5"),
        run("other", "--unlearn-seed 6"),
        run("again", "--unlearn-seed 6"),
    ];
    let weights = |run: &Path, name: String| tensors(&run.join(name));
    for run in [&same, &other, &again] {
        let trained = weights(run, checkpoint_file(0));
        assert!(
            trained == weights(&plain, checkpoint_file(0)),
            "{}",
            run.display()
        );
    }
    // What is unlearned is drawn from it, and what is trained behind it is not.
    let unlearned = |run: &Path| weights(run, unlearned_file(1));
    assert!(unlearned(&same) == unlearned(&plain));
    assert!(unlearned(&other) != unlearned(&plain));
    assert!(unlearned(&again) == unlearned(&other));
    assert_same_contents(&other, &again);
}
