//! The order of events: which epoch is kept, when rates fall, when a task ends, computed once more from what the history
//! says of each epoch.

use std::path::Path;

use incdec::clip::Split;

use super::toy::{Toy, history, summary};

/// Learning rates at which the toy model changes from epoch to epoch.
const QUICK: &str =
    "--lr-first-task 1e-3 --lr-first-task-head 1e-3 --lr-backbone 1e-3 --lr-head 1e-3";

/// One epoch as the history has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    pub(super) mean_ap: f64,
    pub(super) loss: f64,
    pub(super) lr_head: f64,
    pub(super) lr_backbone: f64,
}

/// The epochs of one task of a run.
pub(super) fn epochs(run: &Path, task: i32) -> Vec<Epoch> {
    let of = |metric, split| {
        let rows = history(run, metric, split).into_iter();
        rows.filter(move |row| row.0 == task).map(|row| row.2)
    };
    let validated = of("mean_ap", Split::Validation).zip(of("loss", Split::Validation));
    let rates = of("lr_head", Split::Train).zip(of("lr_backbone", Split::Train));
    validated
        .zip(rates)
        .map(|((mean_ap, loss), (lr_head, lr_backbone))| Epoch {
            mean_ap,
            loss,
            lr_head,
            lr_backbone,
        })
        .collect()
}

/// The first epoch that no later one exceeds.
pub(super) fn best_epoch(epochs: &[Epoch]) -> usize {
    let mut best = 0;
    for (k, epoch) in epochs.iter().enumerate() {
        if epoch.mean_ap > epochs[best].mean_ap {
            best = k;
        }
    }
    best
}

/// The rates that a plateau of `figures` gives, beginning with `rate`: PyTorch's rule with a relative threshold of 1e-4.
pub(super) fn plateau(
    figures: &[f64],
    more_is_better: bool,
    patience: u32,
    mut rate: f64,
) -> Vec<f64> {
    let mut best = if more_is_better {
        f64::NEG_INFINITY
    } else {
        f64::INFINITY
    };
    let mut bad = 0;
    let mut rates = Vec::new();
    for &figure in figures {
        rates.push(rate);
        let better = if more_is_better {
            figure > best * 1.0001
        } else {
            figure < best * 0.9999
        };
        if better {
            (best, bad) = (figure, 0);
        } else {
            bad += 1;
        }
        if bad > patience {
            (rate, bad) = (rate * 0.1, 0);
        }
    }
    rates
}

#[track_caller]
pub(super) fn assert_rates(epochs: &[Epoch], expected: &[f64]) {
    for (epoch, expected) in epochs.iter().zip(expected) {
        assert!(
            (epoch.lr_head / expected - 1.0).abs() < 1e-9,
            "{epochs:?}: {expected}"
        );
    }
}

#[test]
fn a_task_ends_after_so_many_epochs_without_a_better_one_and_keeps_the_best() {
    let toy = Toy::new();
    let run = toy.train(
        "substitution",
        "early",
        &format!("--epochs 40 --early-stop 3 {QUICK}"),
    );
    let summary = summary(&run);
    for task in 0..2 {
        let epochs = epochs(&run, task);
        let told = &summary["tasks"][usize::try_from(task).unwrap()];
        let best = best_epoch(&epochs);
        assert_eq!(told["best_epoch"], best);
        assert_eq!(told["epochs"], epochs.len());
        assert_eq!(told["ended_by"], "early stop");
        assert_eq!(epochs.len(), best + 1 + 3);
        assert_eq!(
            final_validation(&run, task).to_bits(),
            epochs[best].mean_ap.to_bits()
        );
    }
}

/// The validation mAP at the end of a task, with the weights that were kept.
pub(super) fn final_validation(run: &Path, task: i32) -> f64 {
    let rows: Vec<incdec::tables::MetricRow> =
        incdec::parquet_file::read(&run.join("metrics.parquet")).unwrap();
    let found = rows
        .iter()
        .find(|r| r.task == task && r.split == Split::Validation && r.metric == "mean_ap");
    found.unwrap().value.unwrap()
}

#[test]
fn multi_step_falls_after_20_epochs_and_ends_the_task_by_the_heads_rate() {
    let toy = Toy::new();
    let run = |name: &str, head: &str, backbone: &str| {
        toy.train(
            "substitution",
            name,
            &format!(
                "--scheduler multi-step --epochs 22 --stop-after-first-task --lr-first-task-head {head} --lr-first-task {backbone}"
            ),
        )
    };
    // 5e-5 falls below 1e-5 at the first step.
    let spent = run("spent", "5e-5", "1e-3");
    assert_eq!(summary(&spent)["tasks"][0]["ended_by"], "rate spent");
    assert_eq!(epochs(&spent, 0).len(), 20);
    let goes_on = run("goes-on", "1e-3", "5e-5");
    assert_eq!(summary(&goes_on)["tasks"][0]["ended_by"], "epochs");
    let epochs = epochs(&goes_on, 0);
    for (k, epoch) in epochs.iter().enumerate() {
        let factor = if k < 20 { 1.0 } else { 0.1 };
        assert!(
            (epoch.lr_head / (1e-3 * factor) - 1.0).abs() < 1e-9,
            "{k}: {epoch:?}"
        );
        assert!(
            (epoch.lr_backbone / (5e-5 * factor) - 1.0).abs() < 1e-9,
            "{k}: {epoch:?}"
        );
    }
}

#[test]
fn a_plateau_of_the_watched_figure_lowers_the_rates() {
    let toy = Toy::new();
    for (check, more_is_better) in [("map", true), ("loss", false)] {
        let flags = format!(
            "--scheduler reduce-on-plateau --plateau-check {check} --patience 1 --epochs 8 {QUICK}"
        );
        let run = toy.train("substitution", check, &flags);
        for task in 0..2 {
            let epochs = epochs(&run, task);
            let watched = |e: &Epoch| if more_is_better { e.mean_ap } else { e.loss };
            let figures: Vec<f64> = epochs.iter().map(watched).collect();
            assert_rates(&epochs, &plateau(&figures, more_is_better, 1, 1e-3));
        }
    }
}
