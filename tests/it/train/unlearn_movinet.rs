//! The methods of unlearning on a whole `MoViNet` against the goldens of an independent implementation.

use std::collections::BTreeMap;

use incdec::model::{Mode, ModelConfig, fill};
use incdec::train::learner::{Learner, movinet};
use incdec::train::settings::CriterionName;
use incdec::train::unlearn::{
    Batch, Batches, Clips, Ct, NegGradPlus, Recipe, Report, RuleName, Scrub, Set, StepSize,
    Unlearning, is_redrawn, transposed, unlearn,
};
use serde::Deserialize;
use serde_json::Value;
use tch::Tensor;

use super::unlearn::method::ssd;
use crate::golden::{Case, Fields};
use crate::support::{self, device};

const STEP: StepSize = StepSize {
    batch_size: 128,
    batches: 1,
};

#[derive(Deserialize)]
struct Goldens {
    movinet: Vec<Golden>,
    pieces: Vec<Case>,
}

#[derive(Deserialize)]
struct Golden {
    id: String,
    method: String,
    variant: String,
    criterion: CriterionName,
    input_shape: Vec<i64>,
    inputs: BTreeMap<String, String>,
    labels: BTreeMap<String, Vec<i64>>,
    settings: Fields,
    #[serde(default)]
    logits_before: BTreeMap<String, Vec<Vec<f64>>>,
    expected: BTreeMap<String, Value>,
}

/// One batch of what leaves and one of what stays.
struct TwoBatches<'a>(&'a Golden);

impl TwoBatches<'_> {
    fn part(&self, name: &str) -> (Tensor, Tensor) {
        let clips = fill::input(&self.0.inputs[name], &self.0.input_shape);
        let labels = Tensor::from_slice(&self.0.labels[name]);
        (clips.to_device(device()), labels.to_device(device()))
    }

    fn whole(&self, set: Set) -> (Tensor, Tensor) {
        match set {
            Set::Forget => self.part("forget"),
            Set::Retain => self.part("retain"),
            Set::Union => {
                let ((a, x), (b, y)) = (self.part("forget"), self.part("retain"));
                (Tensor::cat(&[a, b], 0), Tensor::cat(&[x, y], 0))
            }
            other => panic!("nothing asks for {other:?}"),
        }
    }
}

impl Clips for TwoBatches<'_> {
    fn task(&self) -> usize {
        1
    }

    fn count(&self, set: Set) -> usize {
        self.whole(set).1.size()[0] as usize
    }

    fn batches(&self, _: Set) -> usize {
        1
    }

    fn pass(&self, set: Set, _: u32) -> Batches<'_> {
        self.in_order(set, None)
    }

    fn in_order(&self, set: Set, most: Option<usize>) -> Batches<'_> {
        let (clips, labels) = self.whole(set);
        let count = labels.size()[0];
        let size = most.map_or(count, |most| most as i64);
        let batch = move |start: i64| {
            let size = size.min(count - start);
            Ok(Batch {
                clips: clips.narrow(0, start, size),
                labels: labels.narrow(0, start, size),
                places: (start as usize..(start + size) as usize).collect(),
            })
        };
        Box::new((0..count).step_by(size as usize).map(batch))
    }

    fn wrong_labels(&self, _: u32) -> Vec<i64> {
        panic!("nothing asks for wrong labels")
    }
}

impl Golden {
    fn learner(&self) -> Learner {
        let config = ModelConfig {
            variant: self.variant.parse().unwrap(),
            dropout: 0.0,
            ..ModelConfig::default()
        };
        let learner = Learner::new(movinet(config), device(), self.criterion);
        fill::fill(learner.store(), 0);
        learner
    }

    fn recipe(&self) -> Recipe {
        Recipe {
            rule: RuleName::Sgd,
            rate: self.settings.number("lr"),
            momentum: self.settings.number("momentum"),
            weight_decay: self.settings.number("weight_decay"),
            epochs: self.settings.parse("steps"),
            accumulation: 1,
        }
    }

    /// The method, or `None` for a golden of what is measured before one.
    fn make(&self) -> Option<Box<dyn Unlearning>> {
        let s = &self.settings;
        Some(match self.method.as_str() {
            "neggrad_plus" => Box::new(NegGradPlus {
                recipe: self.recipe(),
                alpha: s.number("alpha"),
                anchor: 0.0,
            }),
            "scrub" => Box::new(Scrub {
                recipe: self.recipe(),
                gamma: s.number("gamma"),
                alpha: s.number("alpha"),
                temperature: s.number("temperature"),
                msteps: s.parse("steps"),
                decay_after: Vec::new(),
                ..Scrub::new(STEP, false)
            }),
            "ct" => {
                let mut ct = Ct::new(STEP);
                ct.recipe.epochs = 0;
                Box::new(ct)
            }
            "ssd" | "lfssd" => Box::new(ssd(&self.method, s)),
            _ => return None,
        })
    }

    fn logits(&self, learner: &Learner, golden: &BTreeMap<String, Vec<Vec<f64>>>, what: &str) {
        for (name, golden) in golden {
            let (clips, _) = TwoBatches(self).part(name);
            let ours = tch::no_grad(|| learner.forward(&clips, Mode::Evaluate).logits);
            let ours: Vec<Vec<f64>> = ours.to_kind(tch::Kind::Double).try_into().unwrap();
            for (golden, ours) in golden.iter().flatten().zip(ours.iter().flatten()) {
                assert!(
                    (golden - ours).abs() <= 1e-3,
                    "{} {what} {name}: {golden} {ours}",
                    self.id
                );
            }
        }
    }

    fn losses(&self, report: &Report) {
        let Some(golden) = self.expected.get("losses_forget_retain") else {
            return;
        };
        let golden: Vec<[f64; 2]> = serde_json::from_value(golden.clone()).unwrap();
        let alpha = self.settings.number("alpha");
        let golden: Vec<f64> = if self.method == "neggrad_plus" {
            golden
                .iter()
                .map(|[f, r]| alpha * r - (1.0 - alpha) * f)
                .collect()
        } else {
            // The first half of the goldens' epochs is a step on what leaves, the second one on what stays.
            golden.concat()
        };
        assert_eq!(golden.len(), report.losses.len(), "{}", self.id);
        for (golden, ours) in golden.iter().zip(&report.losses) {
            let tolerance = 1e-5 + 1e-3 * golden.abs();
            assert!(
                (golden - ours).abs() <= tolerance,
                "{}: {golden} {ours}",
                self.id
            );
        }
    }
}

#[test]
fn methods_on_a_whole_network_end_where_the_goldens_do() {
    for file in support::goldens("unlearning_goldens.json") {
        let goldens: Goldens = support::read_json(&file);
        for golden in &goldens.movinet {
            let Some(mut method) = golden.make() else {
                continue;
            };
            let learner = golden.learner();
            golden.logits(&learner, &golden.logits_before, "before");
            let before: BTreeMap<String, Tensor> = learner
                .store()
                .variables()
                .into_iter()
                .map(|(name, tensor)| (name, tensor.detach().copy()))
                .collect();
            let report = unlearn(&mut *method, &learner, &TwoBatches(golden)).unwrap();
            golden.losses(&report);
            if let Some(changes) = golden.expected.get("change_l2") {
                let changes: BTreeMap<String, f64> =
                    serde_json::from_value(changes.clone()).unwrap();
                let after = learner.store().variables();
                for (name, change) in changes {
                    let ours = (&after[&name] - &before[&name]).norm().double_value(&[]);
                    assert!(
                        (change - ours).abs() <= 5e-3 * change,
                        "{} {name}: {change} {ours}",
                        golden.id
                    );
                }
            }
            if let Some(selected) = golden.expected.get("selected").and_then(Value::as_f64) {
                let ours = report.selected.unwrap() as f64;
                assert!(
                    (selected - ours).abs() <= 2e-3 * selected,
                    "{}: {selected} {ours}",
                    golden.id
                );
            }
            let after = golden.expected["logits_after"].clone();
            golden.logits(&learner, &serde_json::from_value(after).unwrap(), "after");
        }
    }
}

#[test]
fn the_tensors_that_ct_and_msg_change_are_the_goldens() {
    for file in support::goldens("unlearning_goldens.json") {
        let goldens: Goldens = support::read_json(&file);
        for case in goldens
            .pieces
            .iter()
            .filter(|c| c.function == "movinet_tensors")
        {
            let config = ModelConfig {
                variant: case.inputs.text("variant").parse().unwrap(),
                ..ModelConfig::default()
            };
            let learner = Learner::new(movinet(config), device(), CriterionName::Multilabel);
            let tensors: BTreeMap<String, Tensor> =
                learner.store().variables().into_iter().collect();
            let names = |wanted: &dyn Fn(&str, &Tensor) -> bool| -> Vec<&String> {
                tensors
                    .iter()
                    .filter(|(name, t)| wanted(name, t))
                    .map(|(name, _)| name)
                    .collect()
            };
            let ours = serde_json::json!({
                "transposed": names(&|_, tensor| transposed(tensor).is_some()),
                "redrawn": names(&|name, _| is_redrawn(name)),
            });
            case.compare(&file, &ours);
        }
    }
}
