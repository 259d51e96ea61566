//! Each quirk of the seed, on and off: the figure that it changes. (Those of the schedules, of the choice of the best
//! epoch and of EWC's penalty are tested beside their code.)

use std::path::Path;

use incdec::clip::Split;

use super::toy::{Toy, events, history, tensors};

/// The running statistics and the backbone's weights after a task.
fn parts(run: &Path, task: usize, wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    tensors(&run.join(format!("checkpoints/task-{task}.safetensors")))
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .map(|(_, values)| values)
        .collect()
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
        let statistics = |task| parts(&run, task, |name| name.contains("running_"));
        let norms = |task| parts(&run, task, |name| name.ends_with("norm.weight"));
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
        let head = |task| parts(&run, task, |name| name.starts_with("heads."));
        assert!(head(0) != head(1), "the head is free");
        let weights = |task| {
            parts(&run, task, |name| {
                name.starts_with("backbone.") && name.ends_with("conv3d.weight")
            })
        };
        weights(0) != weights(1)
    };
    assert!(!moved("ours", "--approach lwf"));
    assert!(moved(
        "seed",
        "--approach lwf --compat freeze_backbone_only_finetune"
    ));
    assert!(!moved("finetune", "--compat freeze_backbone_only_finetune"));
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
    assert!(ours != values("seed", "--compat fisher_over_training_loader"));
    assert!(ours != values("each", "--fisher per-sample"));
}

#[test]
fn final_metrics_at_last_epoch_changes_the_step_that_they_are_logged_at() {
    let toy = Toy::new();
    // At rate zero, and with batch norm's statistics moving too little to matter, no epoch is strictly better than the
    // best; what matters here is that the two steps differ wherever best and last do.
    let steps = |name: &str, flags: &str| {
        let run = toy.train(
            "decremental",
            name,
            &format!("--epochs 3 --stop-after-first-task {flags}"),
        );
        let summary: serde_json::Value =
            serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
        let step = events(&run)
            .into_iter()
            .find(|(tag, ..)| tag == "test_dataset_0/task_0_mAP")
            .unwrap()
            .1;
        (step, summary["tasks"][0]["best_epoch"].as_i64().unwrap())
    };
    let still = "--lr-first-task 0 --lr-first-task-head 0";
    let (step, best) = steps("ours", still);
    assert_eq!(step, best);
    let (step, _) = steps(
        "seed",
        &format!("{still} --compat final_metrics_at_last_epoch"),
    );
    assert_eq!(step, 2);
}
