//! Each quirk of the seed, on and off, in a whole run: the figure that it changes. One test a field of
//! [`incdec::train::Compat`]; the first holds that none is left out.

use std::path::PathBuf;

use incdec::clip::Split;
use incdec::train::Compat;

use super::events::{assert_rates, epochs, final_validation, plateau};
use super::toy::{Toy, events, history, parameters, summary, tensors};

#[test]
fn every_field_has_a_test_here() {
    let fields = serde_json::to_value(Compat::default()).unwrap();
    let here = include_str!("quirks.rs");
    for field in fields.as_object().unwrap().keys() {
        assert!(here.contains(&format!("fn {field}_changes_")), "{field}");
    }
}

#[test]
fn augment_per_frame_changes_the_training_loss() {
    let toy = Toy::new();
    let loss = |name: &str, flags: &str| {
        let run = toy.train(
            "decremental",
            name,
            &format!("--stop-after-first-task {flags}"),
        );
        history(&run, "loss", Split::Train)[0].2
    };
    let ours = loss("ours", "");
    assert_eq!(ours.to_bits(), loss("again", "--compat none").to_bits());
    assert!(ours != loss("seed", "--compat augment_per_frame"));
}

#[test]
fn frozen_statistics_move_changes_the_running_statistics_of_later_tasks() {
    let toy = Toy::new();
    let moved = |name: &str, flags: &str| {
        let run = toy.train("decremental", name, &format!("--freeze-bn {flags}"));
        let statistics = |task| parameters(&run, task, |name| name.contains("running_"));
        let norms = |task| parameters(&run, task, |name| name.ends_with("norm.weight"));
        assert_eq!(norms(0), norms(1), "frozen weights stay in any case");
        statistics(0) != statistics(1)
    };
    assert!(!moved("ours", ""));
    assert!(moved("seed", "--compat frozen_statistics_move"));
}

#[test]
fn freeze_backbone_only_finetune_changes_the_backbone_of_the_other_approaches() {
    let toy = Toy::new();
    let moved = |name: &str, flags: &str| {
        let run = toy.train("decremental", name, &format!("--freeze-backbone {flags}"));
        let head = |task| parameters(&run, task, |name| name.starts_with("heads."));
        assert!(head(0) != head(1), "the head is free");
        let weights = |task| {
            parameters(&run, task, |name| {
                name.starts_with("backbone.") && name.ends_with("conv3d.weight")
            })
        };
        weights(0) != weights(1)
    };
    for approach in ["lwf", "fd", "ewc"] {
        let ours = format!("--approach {approach}");
        assert!(!moved(&format!("ours-{approach}"), &ours));
        let seed = format!("{ours} --compat freeze_backbone_only_finetune");
        assert!(moved(&format!("seed-{approach}"), &seed));
    }
    assert!(!moved("finetune", "--compat freeze_backbone_only_finetune"));
}

/// A rate falls at the first epoch that is no improvement.
const PLATEAU: &str = "--scheduler reduce-on-plateau --patience 0 --from-scratch --epochs 6 --lr-first-task 1e-3 --lr-first-task-head 1e-3 \
    --lr-backbone 1e-3 --lr-head 1e-3";

#[test]
fn plateau_loss_fed_map_changes_the_rates() {
    let toy = Toy::new();
    let rates = |name: &str, compat: &str, fed: fn(&super::events::Epoch) -> f64| {
        let flags =
            format!("{PLATEAU} --plateau-check loss --stop-after-first-task --compat {compat}");
        let epochs = epochs(&toy.train("substitution", name, &flags), 0);
        let figures: Vec<f64> = epochs.iter().map(fed).collect();
        assert_rates(&epochs, &plateau(&figures, false, 0, 1e-3));
        epochs.iter().map(|e| e.lr_head).collect::<Vec<_>>()
    };
    let ours = rates("ours", "none", |e| e.loss);
    let seed = rates("seed", "plateau_loss_fed_map", |e| e.mean_ap);
    assert!(ours != seed, "lr_head: {ours:?}");
}

#[test]
fn ewc_penalty_counted_twice_changes_the_penalty() {
    let toy = Toy::new();
    // One step an epoch, and the first step of task 1 feels no penalty: so the second is taken from the same weights.
    let penalty = |name: &str, flags: &str| {
        let flags = format!("--approach ewc --ewc-lambda 1 --accumulation 1000 --epochs 2 {flags}");
        let run = toy.train("decremental", name, &flags);
        let of_task_1: Vec<f64> = history(&run, "penalty", Split::Train)
            .into_iter()
            .filter(|row| row.0 == 1)
            .map(|row| row.2)
            .collect();
        assert_eq!(of_task_1[0].to_bits(), 0.0_f64.to_bits());
        of_task_1[1]
    };
    let ours = penalty("ours", "");
    let seed = penalty("seed", "--compat ewc_penalty_counted_twice");
    assert!(ours > 0.0);
    assert!((seed / ours - 2.0).abs() < 1e-6, "{seed} {ours}");
}

#[test]
fn fisher_over_training_loader_changes_the_fisher_information() {
    let toy = Toy::new();
    let values = |name: &str, flags: &str| {
        let run = toy.train(
            "decremental",
            name,
            &format!("--approach ewc --stop-after-first-task {flags}"),
        );
        tensors(&run.join("checkpoints/task-0-state.safetensors"))
    };
    let ours = values("ours", "");
    assert!(ours.keys().all(|name| name.starts_with("backbone.")));
    assert!(ours == values("again", "--compat none"));
    assert!(ours != values("seed", "--compat fisher_over_training_loader"));
    assert!(ours != values("each", "--fisher per-sample"));
}

#[test]
fn final_metrics_at_last_epoch_changes_the_step_that_they_are_logged_at() {
    let toy = Toy::new();
    // Ended by early stop, a task's last epoch is not its best.
    let steps = |name: &str, flags: &str| {
        let flags = format!("--epochs 40 --early-stop 1 --stop-after-first-task {flags}");
        let run = toy.train("decremental", name, &flags);
        let task = &summary(&run)["tasks"][0];
        assert_eq!(task["ended_by"], "early stop");
        let logged: Vec<i64> = events(&run)
            .into_iter()
            .filter(|(tag, ..)| tag.contains("_dataset_0/task_0_"))
            .map(|(_, step, _)| step)
            .collect();
        // Three scalars and a picture for each of two lists.
        assert_eq!(logged.len(), 8);
        assert!(logged.iter().all(|step| *step == logged[0]));
        let number = |name: &str| task[name].as_i64().unwrap();
        (logged[0], number("best_epoch"), number("epochs") - 1)
    };
    let (step, best, last) = steps("ours", "");
    assert_eq!((step, best + 1), (best, last));
    let (step, _, last) = steps("seed", "--compat final_metrics_at_last_epoch");
    assert_eq!(step, last);
}

/// A task 1 whose validation mAP rises late: it begins with untrained weights, and only the order of the frames, dark to
/// bright or bright to dark, tells the class.
fn rising_late(name: &str, flags: &str) -> (Toy, PathBuf) {
    let toy = Toy::lit(|class, t| {
        if class == 0 {
            60 + 30 * t
        } else {
            150 - 30 * t
        }
    });
    let rates = "--lr-first-task 1e-6 --lr-first-task-head 1e-6 --lr-backbone 1e-3 --lr-head 1e-3";
    let plateau = "--scheduler reduce-on-plateau --plateau-check map";
    let run = toy.train("substitution", name, &format!("{plateau} {rates} {flags}"));
    let task_1 = epochs(&run, 1);
    assert!(
        task_1[0].mean_ap < task_1[1].mean_ap,
        "the toy must rise late: {task_1:?}"
    );
    (toy, run)
}

#[test]
fn plateau_map_minimised_changes_the_rates_after_task_0() {
    let rates = |name: &str, compat: &str, more_is_better: bool| {
        let (_toy, run) = rising_late(name, &format!("--patience 2 --epochs 7 --compat {compat}"));
        let epochs = epochs(&run, 1);
        let figures: Vec<f64> = epochs.iter().map(|e| e.mean_ap).collect();
        assert_rates(&epochs, &plateau(&figures, more_is_better, 2, 1e-3));
        epochs.iter().map(|e| e.lr_head).collect::<Vec<_>>()
    };
    let ours = rates("ours", "none", true);
    let seed = rates("seed", "plateau_map_minimised", false);
    assert!(ours != seed, "lr_head: {ours:?}");
}

#[test]
fn rollback_before_best_changes_the_weights_that_are_kept() {
    // With the mAP minimised the rate falls at the very epoch whose mAP is the best.
    let kept = |name: &str, compat: &str| {
        let flags = format!("--patience 0 --epochs 2 --compat plateau_map_minimised{compat}");
        let (_toy, run) = rising_late(name, &flags);
        let epochs = epochs(&run, 1);
        assert_eq!(summary(&run)["tasks"][1]["best_epoch"], 1, "{epochs:?}");
        let [first, best] = [0, 1].map(|k| epochs[k].mean_ap.to_bits());
        (first, best, final_validation(&run, 1).to_bits())
    };
    let (first, best, ours) = kept("ours", "");
    assert!(ours == best && best != first);
    let (first, best, seed) = kept("seed", ",rollback_before_best");
    assert!(seed == first && best != first);
}
