//! Every approach under every scenario.

use std::path::Path;
use std::thread;

use incdec::clip::Split;
use incdec::tasks::Scenario;
use incdec::train::settings::ApproachName;

use super::toy::{Toy, history, parameters};

/// The toy's scenarios in which no clip arrives.
const NOTHING_NEW: [&str; 2] = ["decremental", "events"];

/// The approaches whose model is a network; heads on features have tests of their own.
fn networks() -> impl Iterator<Item = &'static str> {
    let networks = ApproachName::ALL.into_iter();
    networks
        .filter(|approach| !approach.is_on_features())
        .map(ApproachName::name)
}

/// Trains every approach under `scenario`, with its own defaults, and compares it with finetune.
fn differ_from_finetune(scenario: Scenario) {
    let toy = Toy::new();
    let [scenario, finetune] = [scenario.name(), ApproachName::Finetune.name()];
    let weights = |run: &Path| parameters(run, 1, |_| true);
    let base = toy.train(scenario, finetune, "--epochs 2");
    for approach in networks() {
        let is_finetune = approach == finetune;
        let run = if is_finetune {
            base.clone()
        } else {
            let flags = format!("--approach {approach} --epochs 2");
            toy.train(scenario, approach, &flags)
        };
        let penalties = history(&run, "penalty", Split::Train);
        assert_eq!(penalties.len(), 4);
        // What is replayed is a part of the classification loss.
        let adds = !["finetune", "er", "gdumb"].contains(&approach);
        for (task, epoch, penalty) in penalties {
            assert_eq!(
                penalty > 0.0,
                adds && task > 0,
                "{scenario} {approach}, task {task}, epoch {epoch}: {penalty}"
            );
        }
        // With nothing new, and room for all that there is, experience replay is finetuning.
        let is_alike = is_finetune || (approach == "er" && NOTHING_NEW.contains(&scenario));
        assert!(
            is_alike || weights(&run) != weights(&base),
            "{scenario} {approach}"
        );
    }
}

/// All pairs, by the lists of their names: one that is added is tried, too.
#[test]
fn every_approach_trains_under_every_scenario() {
    thread::scope(|scope| {
        for scenario in Scenario::ALL {
            scope.spawn(move || differ_from_finetune(scenario));
        }
    });
}

#[test]
fn every_approach_trains_with_the_other_criterion_too() {
    let toy = Toy::new();
    for flags in [
        "lwf --lwf-temperature 2",
        "fd --fd-distance cosine",
        "fd --fd-distance mse",
        "ewc",
    ] {
        let name = flags.replace(' ', "-");
        let flags = format!("--criterion multiclass --epochs 2 --approach {flags}");
        let run = toy.train("substitution", &name, &flags);
        for (task, epoch, penalty) in history(&run, "penalty", Split::Train) {
            assert_eq!(
                penalty > 0.0,
                task > 0,
                "{name}, task {task}, epoch {epoch}"
            );
        }
    }
}

/// The seed crashes here: what is frozen has no new Fisher information to merge.
#[test]
fn ewc_keeps_the_fisher_information_of_what_is_frozen() {
    let toy = Toy::new();
    let fisher = |run: &Path, task: usize| {
        super::toy::tensors(&run.join(format!("checkpoints/task-{task}-state.safetensors")))
    };
    let norms = toy.train(
        "decremental",
        "norms",
        "--approach ewc --freeze-bn --epochs 2",
    );
    let (first, second) = (fisher(&norms, 0), fisher(&norms, 1));
    assert!(first.keys().eq(second.keys()));
    for (name, values) in &first {
        let frozen = name.ends_with("norm.weight") || name.ends_with("norm.bias");
        // Elsewhere the merge halves at least what was there.
        assert!(!frozen || *values == second[name], "{name}");
    }
    let weight = "backbone.conv7.conv_1.conv3d.weight";
    assert!(first[weight] != second[weight]);
    assert!(history(&norms, "penalty", Split::Train).last().unwrap().2 > 0.0);
    let all = toy.train("decremental", "all", "--approach ewc --freeze-backbone");
    assert!(fisher(&all, 0) == fisher(&all, 1));
    assert!(
        history(&all, "penalty", Split::Train)
            .iter()
            .all(|row| row.2 == 0.0)
    );
}

#[test]
fn from_scratch_begins_each_task_with_new_weights() {
    let toy = Toy::new();
    let still = "--lr-first-task 0 --lr-first-task-head 0 --lr-backbone 0 --lr-head 0";
    let statistics = |name: &str, flags: &str| {
        let run = toy.train("decremental", name, flags);
        [0, 1].map(|task| {
            parameters(&run, task, |name| {
                name == "backbone.conv7.conv_1.norm.running_mean"
            })
        })
    };
    // At rate zero only the running statistics move, and from scratch they begin anew.
    let kept = statistics("kept", still);
    let anew = statistics("anew", &format!("{still} --from-scratch"));
    assert_eq!(kept[0], anew[0]);
    assert!(kept[1] != anew[1]);
}

/// The reference is trained by task 0's recipe: neither what is set for later tasks nor an approach moves it.
#[test]
fn from_scratch_trains_every_task_as_the_first_whatever_the_approach() {
    let toy = Toy::new();
    let first = "--from-scratch --lr-first-task 1e-3 --lr-first-task-head 2e-3 --epochs 2";
    let weights = |run: &Path| [0, 1].map(|task| parameters(run, task, |_| true));
    let plain = format!("{first} --lr-backbone 1e-3 --lr-head 2e-3");
    let plain = weights(&toy.train("substitution", "plain", &plain));
    for approach in networks() {
        let later = "--lr-backbone 0 --lr-head 0 --freeze-bn --freeze-backbone";
        let flags = format!("{first} --approach {approach} {later}");
        let run = toy.train("substitution", approach, &flags);
        assert!(weights(&run) == plain, "{approach}");
        let penalties = history(&run, "penalty", Split::Train);
        assert!(penalties.iter().all(|row| row.2 == 0.0), "{approach}");
        assert!(!run.join("checkpoints/task-0-state.safetensors").exists());
    }
}

#[test]
fn each_part_moves_at_its_own_rate() {
    let toy = Toy::new();
    let moved = |name: &str, flags: &str| {
        let run = toy.train("substitution", name, flags);
        ["backbone.", "heads."].map(|part| {
            let weights = |task| {
                parameters(&run, task, |name| {
                    name.starts_with(part)
                        && (name.ends_with("conv3d.weight") || name.ends_with("conv3d.bias"))
                })
            };
            weights(0) != weights(1)
        })
    };
    assert_eq!(
        moved("head", "--lr-backbone 0 --lr-head 1e-3"),
        [false, true]
    );
    assert_eq!(
        moved("backbone", "--lr-backbone 1e-3 --lr-head 0"),
        [true, false]
    );
}

/// Gradients of several batches make one step, also those of the last few.
#[test]
fn accumulated_batches_make_one_step() {
    let toy = Toy::new();
    let rate = 1e-3;
    // Adam's first step moves a weight by the rate at most, and every later one can move it on.
    let farthest = |name: &str, accumulation: u32| {
        let flags = |rate: f64| {
            format!(
                "--stop-after-first-task --weight-decay 0 --accumulation {accumulation} --lr-first-task {rate} --lr-first-task-head {rate}"
            )
        };
        let still = toy.train("substitution", &format!("{name}-still"), &flags(0.0));
        let moved = toy.train("substitution", name, &flags(rate));
        let weights = |run: &Path| {
            let file = run.join("checkpoints/task-0.safetensors");
            let mut tensors = incdec::model::state_dict::read(&file).unwrap().tensors;
            tensors.retain(|name, _| name.ends_with("conv3d.weight"));
            tensors
        };
        let (before, after) = (weights(&still), weights(&moved));
        before
            .iter()
            .map(|(name, tensor)| (&after[name] - tensor).abs().max().double_value(&[]))
            .fold(0.0, f64::max)
    };
    let (each, all) = (farthest("each", 0), farthest("all", 1000));
    assert!(each > 1.2 * rate, "{each}");
    assert!(all > 0.9 * rate && all < 1.01 * rate, "{all}");
}

#[test]
fn pretrained_weights_give_the_backbone_and_the_head_is_new() {
    let toy = Toy::new();
    let trained = toy.train(
        "substitution",
        "trained",
        "--seed-outputs --stop-after-first-task",
    );
    let file = trained.join("best_mAP_task_0_model.pth");
    let still = "--stop-after-first-task --seed 1 --lr-first-task 0 --lr-first-task-head 0";
    let pretrained = format!("{still} --pretrained {}", file.display());
    let output = toy
        .command("substitution", "taken", &pretrained)
        .output()
        .unwrap();
    let said = super::toy::text(&output.stderr);
    assert!(
        output.status.success() && said.contains(" tensors matched"),
        "{said}"
    );
    let taken = toy.run("taken");
    let fresh = toy.train("substitution", "fresh", still);
    let weights = |run: &Path, part: &str| {
        parameters(run, 0, |name| {
            name.starts_with(part) && !name.contains("running_") && !name.contains("num_batches")
        })
    };
    assert_eq!(weights(&taken, "backbone."), weights(&trained, "backbone."));
    assert!(weights(&taken, "backbone.") != weights(&fresh, "backbone."));
    assert_eq!(weights(&taken, "heads."), weights(&fresh, "heads."));
    // Which weights they were is part of the run: others are another run.
    let settings = std::fs::read_to_string(taken.join("settings.json")).unwrap();
    assert!(settings.contains("\"pretrained\":"), "{settings}");
    let other = toy
        .command("substitution", "taken", still)
        .output()
        .unwrap();
    assert!(super::toy::text(&other.stderr).contains("inputs.pretrained"));
}
