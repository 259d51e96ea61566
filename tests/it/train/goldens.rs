//! The approaches' terms against the seed's own answers.

use std::collections::BTreeMap;

use incdec::model::{Mode, ModelConfig, Output, fill};
use incdec::train::approach::{DeviceBatch, Fisher, distance, distillation, estimate, quadratic};
use incdec::train::learner::{Learner, movinet};
use incdec::train::settings::{CriterionName, FeatureDistance, FisherEstimate};
use serde::Deserialize;
use tch::{Tensor, no_grad};

use crate::support::{self, device, tolerance};

/// Relative tolerance of what comes out of gradients.
const GRADIENT_TOLERANCE: f64 = 1e-3;

#[derive(Deserialize)]
struct Goldens {
    approaches: Approaches,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approaches {
    backbone: String,
    input: String,
    input_shape: Vec<i64>,
    labels: Vec<i64>,
    new_salt: u32,
    old_salt: u32,
    #[serde(rename = "mode")]
    _mode: String,
    lwf_multilabel: Lwf,
    lwf_multiclass: Lwf,
    #[serde(rename = "lwf_multiclass_T2")]
    lwf_multiclass_t2: Lwf,
    fd: Fd,
    ewc_multilabel: Ewc,
    classes: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lwf {
    lambda_: f64,
    #[serde(rename = "T")]
    temperature: f64,
    cls: f64,
    penalty: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fd {
    lambda_: f64,
    cls: f64,
    penalty: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ewc {
    lambda_: f64,
    fisher_input: String,
    fisher_input_shape: Vec<i64>,
    fisher_batches: i64,
    fisher_batch_size: i64,
    fisher_model_salt: u32,
    fisher_l2: BTreeMap<String, f64>,
    cls: f64,
    penalty_as_seed: f64,
    #[serde(rename = "note")]
    _note: String,
}

#[track_caller]
fn close(ours: f64, golden: f64, tolerance: f64, what: &str) {
    assert!(
        (ours - golden).abs() <= tolerance,
        "{what}: {ours} instead of {golden}"
    );
}

impl Approaches {
    /// A model filled by the goldens' formula.
    fn learner(&self, salt: u32, criterion: CriterionName) -> Learner {
        let config = ModelConfig {
            variant: self.backbone.parse().unwrap(),
            classes: self.classes,
            dropout: 0.0,
            ..ModelConfig::default()
        };
        let learner = Learner::new(movinet(config), device(), criterion);
        fill::fill(learner.store(), salt);
        learner
    }

    fn output(&self, salt: u32) -> Output {
        let clips = fill::input(&self.input, &self.input_shape).to_device(device());
        no_grad(|| {
            self.learner(salt, CriterionName::Multilabel)
                .forward(&clips, Mode::Evaluate)
        })
    }
}

#[test]
fn penalties_and_losses_equal_the_seeds() {
    for file in support::goldens("model_goldens.json") {
        let goldens: Goldens = support::read_json(&file);
        let case = goldens.approaches;
        let (new, old) = (case.output(case.new_salt), case.output(case.old_salt));
        let labels = Tensor::from_slice(&case.labels).to_device(device());
        let lwf = [
            (CriterionName::Multilabel, &case.lwf_multilabel),
            (CriterionName::Multiclass, &case.lwf_multiclass),
            (CriterionName::Multiclass, &case.lwf_multiclass_t2),
        ];
        for (criterion, golden) in lwf {
            let what = format!("LwF {criterion} T {}", golden.temperature);
            close(
                criterion.loss(&new.logits, &labels).double_value(&[]),
                golden.cls,
                tolerance(),
                &what,
            );
            let term = distillation(criterion, &new.logits, &old.logits, golden.temperature);
            close(
                term.double_value(&[]) * golden.lambda_,
                golden.penalty,
                tolerance(),
                &what,
            );
        }
        let loss = CriterionName::Multilabel
            .loss(&new.logits, &labels)
            .double_value(&[]);
        close(loss, case.fd.cls, tolerance(), "FD");
        close(loss, case.ewc_multilabel.cls, tolerance(), "EWC");
        let term = distance(FeatureDistance::L2, &new.features, &old.features);
        close(
            term.double_value(&[]) * case.fd.lambda_,
            case.fd.penalty,
            tolerance(),
            "FD",
        );
    }
}

#[test]
fn the_fisher_information_and_its_penalty_equal_the_seeds() {
    for file in support::goldens("model_goldens.json") {
        let goldens: Goldens = support::read_json(&file);
        let (case, golden) = (&goldens.approaches, &goldens.approaches.ewc_multilabel);
        let learner = case.learner(golden.fisher_model_salt, CriterionName::Multilabel);
        let clips =
            fill::input(&golden.fisher_input, &golden.fisher_input_shape).to_device(device());
        let size = golden.fisher_batch_size;
        let mut batches = (0..golden.fisher_batches).map(|i| {
            Ok(DeviceBatch {
                clips: clips.narrow(0, i * size, size),
                labels: Tensor::zeros([size], (tch::Kind::Int64, device())),
            })
        });
        let fisher: Fisher = estimate(&learner, FisherEstimate::Batch, 0, &mut batches).unwrap();
        for (name, norm) in &golden.fisher_l2 {
            let ours = fisher[&format!("backbone.{name}")].norm().double_value(&[]);
            close(ours, *norm, GRADIENT_TOLERANCE * norm + 1e-9, name);
        }
        let old: Fisher = learner
            .backbone()
            .map(|(name, t)| (name.to_owned(), t.detach().copy()))
            .collect();
        let new = case.learner(case.new_salt, CriterionName::Multilabel);
        let q = quadratic(new.backbone(), &fisher, &old)
            .unwrap()
            .double_value(&[]);
        let penalty = q + golden.lambda_ * q;
        close(
            penalty,
            golden.penalty_as_seed,
            GRADIENT_TOLERANCE * golden.penalty_as_seed,
            "EWC",
        );
    }
}
