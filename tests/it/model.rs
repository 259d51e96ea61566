//! `MoViNet` against the seed's own answers.

mod paths;

use std::collections::BTreeMap;

use incdec::model::{Geometry, Mode, ModelConfig, ModelPath, Movinet, Variant, fill};
use serde::Deserialize;
use tch::nn::{Adam, OptimizerConfig, VarStore};
use tch::{Device, Kind, Tensor};

use crate::support::{self, device, tolerance};

/// All ways of computing, the one that the others are compared with first.
const PATHS: [ModelPath; 3] = [ModelPath::Reference, ModelPath::Frames, ModelPath::Fast];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Summary {
    shape: Vec<i64>,
    mean: f64,
    l2: f64,
    first: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Evaluation {
    input: String,
    input_shape: Vec<i64>,
    logits: Vec<Vec<f64>>,
    features: Summary,
    after_conv1: Summary,
    after_blocks: Summary,
    classes: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Training {
    input: String,
    input_shape: Vec<i64>,
    labels: Vec<i64>,
    lr: f64,
    weight_decay: f64,
    losses: Vec<f64>,
    grad_l2_step1: Option<BTreeMap<String, f64>>,
    eval_logits_after: Vec<Vec<f64>>,
    running_mean_after: Summary,
    running_var_after: Summary,
    classes: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelGoldens {
    eval: Evaluation,
    train_multilabel: Training,
    train_multiclass: Training,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Goldens {
    models: BTreeMap<String, ModelGoldens>,
    /// The penalties: the approaches' own tests read them.
    #[serde(rename = "approaches")]
    _approaches: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantCase {
    input_shape: Vec<i64>,
    logits: Vec<Vec<f64>>,
    parameters: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllVariants {
    #[serde(rename = "note")]
    _note: String,
    variants: BTreeMap<String, BTreeMap<String, VariantCase>>,
    classes: i64,
}

/// A model filled by the goldens' formula, without dropout.
fn filled(
    variant: Variant,
    geometry: Geometry,
    classes: i64,
    path: ModelPath,
) -> (VarStore, Movinet) {
    let store = VarStore::new(device());
    let config = ModelConfig {
        variant,
        geometry,
        classes,
        dropout: 0.0,
        path,
        ..ModelConfig::default()
    };
    let model = Movinet::new(&store.root(), &config);
    fill::fill(&store, 0);
    (store, model)
}

fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    Vec::try_from(tensor.to_device(Device::Cpu).to_kind(Kind::Double)).unwrap()
}

#[track_caller]
fn assert_rows(ours: &Tensor, golden: &[Vec<f64>], tolerance: f64, what: &str) {
    let ours = rows(ours);
    assert_eq!(ours.len(), golden.len(), "{what}: rows");
    for (a, b) in ours.iter().flatten().zip(golden.iter().flatten()) {
        assert!(
            (a - b).abs() <= tolerance,
            "{what}: {ours:?} instead of {golden:?}"
        );
    }
    assert!(
        ours.iter().zip(golden).all(|(a, b)| a.len() == b.len()),
        "{what}: columns"
    );
}

/// Compares shape, mean, norm and first elements; the norm relatively, the rest absolutely.
#[track_caller]
fn assert_summary(tensor: &Tensor, golden: &Summary, tolerance: f64, what: &str) {
    let tensor = tensor.to_device(Device::Cpu).to_kind(Kind::Double);
    let numel: i64 = golden.shape.iter().product();
    assert_eq!(
        i64::try_from(tensor.numel()).unwrap(),
        numel,
        "{what}: elements"
    );
    let mean = tensor.mean(Kind::Double).double_value(&[]);
    assert!(
        (mean - golden.mean).abs() <= tolerance,
        "{what}: mean {mean} instead of {}",
        golden.mean
    );
    let l2 = tensor.norm().double_value(&[]);
    assert!(
        (l2 / golden.l2 - 1.0).abs() <= tolerance,
        "{what}: norm {l2} instead of {}",
        golden.l2
    );
    let flat: Vec<f64> = Vec::try_from(tensor.contiguous().view(-1)).unwrap();
    for (a, b) in flat.iter().zip(&golden.first) {
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "{what}: {a} instead of {b}"
        );
    }
}

#[test]
fn evaluation_gives_the_seeds_outputs_inside_and_out() {
    for file in support::goldens("model_goldens.json") {
        let goldens: Goldens = support::read_json(&file);
        for ((name, golden), path) in goldens.models.iter().flat_map(|m| PATHS.map(|p| (m, p))) {
            let golden = &golden.eval;
            let (_store, model) =
                filled(name.parse().unwrap(), Geometry::Seed, golden.classes, path);
            let clips = fill::input(&golden.input, &golden.input_shape).to_device(device());
            let stages = tch::no_grad(|| model.forward_stages(&clips, Mode::Evaluate));
            let what = |stage: &str| format!("{name}, {path}, {stage}");
            assert_rows(
                &stages.output.logits,
                &golden.logits,
                tolerance(),
                &what("logits"),
            );
            for (tensor, summary, stage) in [
                (&stages.after_conv1, &golden.after_conv1, "after_conv1"),
                (&stages.after_blocks, &golden.after_blocks, "after_blocks"),
                (&stages.output.features, &golden.features, "features"),
            ] {
                assert_summary(tensor, summary, tolerance(), &what(stage));
            }
        }
    }
}

#[test]
fn all_variants_in_both_geometries_give_the_seeds_logits() {
    for file in support::goldens("movinet_all_variants.json") {
        let goldens: AllVariants = support::read_json(&file);
        for (name, cases) in &goldens.variants {
            for (input, case) in cases {
                let geometry = match input.split('/').next() {
                    Some("tf") => Geometry::Tf,
                    Some("g1") => Geometry::Seed,
                    other => panic!("geometry {other:?} of {input} is not understood"),
                };
                let variant = name.parse().unwrap();
                let (store, mut model) =
                    filled(variant, geometry, goldens.classes, ModelPath::Fast);
                let clips = fill::input(input, &case.input_shape).to_device(device());
                for path in PATHS {
                    model.set_path(path);
                    let logits = tch::no_grad(|| model.forward_t(&clips, false)).logits;
                    assert_rows(
                        &logits,
                        &case.logits,
                        tolerance(),
                        &format!("{name}, {input}, {path}"),
                    );
                }
                if let Some(parameters) = case.parameters {
                    let ours: usize = store.trainable_variables().iter().map(Tensor::numel).sum();
                    assert_eq!(i64::try_from(ours).unwrap(), parameters, "{name}");
                }
            }
        }
    }
}

fn loss(logits: &Tensor, labels: &Tensor, multilabel: bool) -> Tensor {
    if multilabel {
        let targets = labels.one_hot(logits.size()[1]).to_kind(logits.kind());
        logits.binary_cross_entropy_with_logits::<Tensor>(
            &targets,
            None,
            None,
            tch::Reduction::Mean,
        )
    } else {
        logits.cross_entropy_for_logits(labels)
    }
}

fn check_training(name: &str, path: ModelPath, golden: &Training, multilabel: bool) {
    let what = format!("{name}, {path}, multilabel {multilabel}");
    let (store, model) = filled(name.parse().unwrap(), Geometry::Seed, golden.classes, path);
    let clips = fill::input(&golden.input, &golden.input_shape).to_device(device());
    let labels = Tensor::from_slice(&golden.labels).to_device(device());
    let mut adam = Adam::default()
        .wd(golden.weight_decay)
        .build(&store, golden.lr)
        .unwrap();
    for (step, expected) in golden.losses.iter().enumerate() {
        adam.zero_grad();
        let loss = loss(&model.forward_t(&clips, true).logits, &labels, multilabel);
        let value = loss.double_value(&[]);
        let allowed = if step == 0 {
            tolerance()
        } else {
            1e-3 * expected.abs()
        };
        assert!(
            (value - expected).abs() <= allowed,
            "{what}: loss {step} is {value} instead of {expected}"
        );
        loss.backward();
        if let (0, Some(norms)) = (step, &golden.grad_l2_step1) {
            let variables = store.variables();
            let trainable = variables.values().filter(|v| v.requires_grad()).count();
            assert_eq!(norms.len(), trainable, "{what}: parameters");
            for (parameter, norm) in norms {
                let ours = variables[parameter]
                    .grad()
                    .to_kind(Kind::Double)
                    .norm()
                    .double_value(&[]);
                assert!(
                    (ours - norm).abs() <= 1e-3 * norm.abs() + 1e-6,
                    "{what}: gradient of {parameter} {ours} instead of {norm}"
                );
            }
        }
        adam.step();
    }
    let variables = store.variables();
    let running = |leaf: &str| &variables[&format!("backbone.conv1.conv_1.norm.{leaf}")];
    assert_summary(
        running("running_mean"),
        &golden.running_mean_after,
        1e-3,
        &what,
    );
    assert_summary(
        running("running_var"),
        &golden.running_var_after,
        1e-3,
        &what,
    );
    let steps = i64::try_from(golden.losses.len()).unwrap();
    assert_eq!(
        running("num_batches_tracked").int64_value(&[]),
        steps,
        "{what}"
    );
    let after = tch::no_grad(|| model.forward_t(&clips, false)).logits;
    let largest = golden
        .eval_logits_after
        .iter()
        .flatten()
        .fold(0.0_f64, |m, v| m.max(v.abs()));
    assert_rows(
        &after,
        &golden.eval_logits_after,
        1e-3 * largest.max(1.0),
        &what,
    );
}

#[test]
fn three_adam_steps_follow_the_seeds() {
    for file in support::goldens("model_goldens.json") {
        let goldens: Goldens = support::read_json(&file);
        for ((name, golden), path) in goldens.models.iter().flat_map(|m| PATHS.map(|p| (m, p))) {
            check_training(name, path, &golden.train_multilabel, true);
            check_training(name, path, &golden.train_multiclass, false);
        }
    }
}
