//! Every approach under every scenario.

use incdec::clip::Split;

use super::toy::{SCENARIOS, Toy, history, tensors};

/// Trains every approach under `scenario` and compares it with finetune.
fn differs_from_finetune(scenario: &str) {
    let toy = Toy::new();
    let weights = |run: &std::path::Path| tensors(&run.join("checkpoints/task-1.safetensors"));
    let finetune = toy.train(scenario, "finetune", "");
    assert!(
        history(&finetune, "penalty", Split::Train)
            .iter()
            .all(|row| row.2 == 0.0)
    );
    for approach in ["lwf", "fd", "ewc"] {
        let run = toy.train(
            scenario,
            approach,
            &format!("--approach {approach} --ewc-lambda 1e9"),
        );
        for (task, _, penalty) in history(&run, "penalty", Split::Train) {
            assert_eq!(
                penalty > 0.0,
                task > 0,
                "{scenario} {approach} task {task}: {penalty}"
            );
        }
        assert!(weights(&run) != weights(&finetune), "{scenario} {approach}");
    }
}

#[test]
fn under_substitution() {
    differs_from_finetune(SCENARIOS[0]);
}

#[test]
fn under_decremental() {
    differs_from_finetune(SCENARIOS[1]);
}

#[test]
fn under_incremental_decremental() {
    differs_from_finetune(SCENARIOS[2]);
}

#[test]
fn under_joint_incremental() {
    differs_from_finetune(SCENARIOS[3]);
}

#[test]
fn from_scratch_begins_each_task_with_new_weights() {
    let toy = Toy::new();
    let still = "--lr-first-task 0 --lr-first-task-head 0 --lr-backbone 0 --lr-head 0";
    let weights = |name: &str, flags: &str| {
        let run = toy.train("decremental", name, flags);
        [0, 1].map(|task| tensors(&run.join(format!("checkpoints/task-{task}.safetensors")))["backbone.conv7.conv_1.norm.running_mean"].clone())
    };
    // At rate zero only the running statistics move, and from scratch they begin anew.
    let kept = weights("kept", still);
    let anew = weights("anew", &format!("{still} --from-scratch"));
    assert_eq!(kept[0], anew[0]);
    assert!(kept[1] != anew[1]);
}
