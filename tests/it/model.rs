//! `MoViNet` against the seed's own answers, and its ways of computing against each other.

use std::collections::BTreeMap;
use std::process::Command;

use incdec::model::{Geometry, Mode, ModelConfig, ModelPath, Movinet, Precision, Variant, fill};
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

/// Logits, features, every gradient and every running statistic of one pass, by name, in 64-bit floats.
fn pass(store: &VarStore, model: &Movinet, clips: &Tensor, mode: Mode) -> BTreeMap<String, Tensor> {
    // A copy, also where nothing needs converting: what is read later must not be what another pass has written since.
    let double = |t: &Tensor| {
        t.detach()
            .copy()
            .to_device(Device::Cpu)
            .to_kind(Kind::Double)
    };
    for mut variable in store.trainable_variables() {
        variable.zero_grad();
    }
    let output = model.forward(clips, mode);
    let weights = |name, t: &Tensor| {
        fill::input(name, &t.size())
            .to_device(t.device())
            .to_kind(t.kind())
    };
    let loss = (&output.logits * weights("parity/logits", &output.logits)).sum(None::<Kind>)
        + (&output.features * weights("parity/features", &output.features)).sum(None::<Kind>);
    loss.backward();
    let mut all = BTreeMap::from([
        ("logits".to_owned(), double(&output.logits)),
        ("features".to_owned(), double(&output.features)),
    ]);
    for (name, variable) in store.variables() {
        if variable.requires_grad() {
            all.insert(format!("gradient of {name}"), double(&variable.grad()));
        } else {
            all.insert(name, double(&variable));
        }
    }
    all
}

/// What the paths are compared on.
#[derive(Clone, Copy, Debug)]
struct Case {
    variant: Variant,
    geometry: Geometry,
    shape: [i64; 5],
    mode: Mode,
    checkpoint_blocks: bool,
}

/// A path's pass from the goldens' fill, which is made in 32 bits, so that its values are the same in 64. Every pass has a
/// model of its own, so that nothing is left of another's.
fn pass_of(case: Case, path: ModelPath, kind: Kind) -> BTreeMap<String, Tensor> {
    let mut store = VarStore::new(device());
    let config = ModelConfig {
        variant: case.variant,
        geometry: case.geometry,
        dropout: 0.0,
        checkpoint_blocks: case.checkpoint_blocks,
        path,
        ..ModelConfig::default()
    };
    let model = Movinet::new(&store.root(), &config);
    fill::fill(&store, 0);
    if kind == Kind::Double {
        store.double();
    }
    let clips = fill::input("parity", &case.shape)
        .to_device(device())
        .to_kind(kind);
    pass(&store, &model, &clips, case.mode)
}

/// In 64 bits the paths differ by rounding alone: by 1e-9 of a tensor's norm, and by 1e-11 where a gradient is zero but for
/// rounding (a norm's bias in front of another norm).
fn check_parity(case: Case) {
    let [reference, others @ ..] = PATHS.map(|path| pass_of(case, path, Kind::Double));
    for (other, path) in others.iter().zip(&PATHS[1..]) {
        assert_eq!(reference.len(), other.len());
        for (name, expected) in &reference {
            let distance = (expected - &other[name]).norm().double_value(&[]);
            let allowed = 1e-9 * expected.norm().double_value(&[]) + 1e-11;
            assert!(
                distance <= allowed,
                "{path} {case:?}: {name} differs by {distance}, of {expected}"
            );
        }
    }
}

#[test]
fn every_path_equals_the_plain_one_forward_and_backward() {
    use Geometry::{Seed, Tf};
    use Mode::{Evaluate, Train, TrainFrozenNorms};
    // Odd and even sizes, more frames than a kernel and fewer, every variant's kernels and strides.
    for (variant, geometry, shape, mode, checkpoint_blocks) in [
        (Variant::A0, Seed, [2, 3, 3, 61, 70], Train, false),
        (Variant::A0, Seed, [1, 3, 6, 64, 75], Train, true),
        (Variant::A0, Tf, [1, 3, 3, 44, 57], Train, false),
        (Variant::A0, Tf, [1, 3, 4, 47, 64], Evaluate, false),
        (Variant::A1, Seed, [1, 3, 2, 65, 64], TrainFrozenNorms, true),
        (Variant::A3, Tf, [1, 3, 2, 33, 40], Train, false),
    ] {
        check_parity(Case {
            variant,
            geometry,
            shape,
            mode,
            checkpoint_blocks,
        });
    }
}

#[test]
fn the_loops_for_older_processors_equal_the_plain_path_too() {
    // Which loops are taken is decided once a process.
    for capability in ["default", "avx2"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "model::every_path_equals_the_plain_one_forward_and_backward",
            ])
            .env("ATEN_CPU_CAPABILITY", capability)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("1 passed"), "{capability}: {said}");
    }
}

#[test]
fn in_32_bits_every_path_is_as_close_to_64_as_the_plain_one() {
    let case = Case {
        variant: Variant::A0,
        geometry: Geometry::Seed,
        shape: [2, 3, 12, 64, 64],
        mode: Mode::Train,
        checkpoint_blocks: false,
    };
    let exact = pass_of(case, ModelPath::Reference, Kind::Double);
    let [plain, others @ ..] = PATHS.map(|path| pass_of(case, path, Kind::Float));
    let error = |pass: &BTreeMap<String, Tensor>, name: &str| {
        (&pass[name] - &exact[name]).norm().double_value(&[])
    };
    for (other, path) in others.iter().zip(&PATHS[1..]) {
        assert_eq!(exact.len(), other.len());
        // Of pixels with their channels last, which frames are, torch's norms sum one after the other in 32 bits: eleven times
        // the plain path's rounding was seen. Ours sum in 64.
        let times = if *path == ModelPath::Fast { 4.0 } else { 15.0 };
        for (name, value) in &exact {
            let (ours, stock) = (error(other, name), error(&plain, name));
            let norm = value.norm().double_value(&[]);
            assert!(
                ours <= tolerance().max(1e-4) * norm + times * stock,
                "{path}: {name} is {ours} from its exact value, the plain path {stock}; the norm is {norm}"
            );
        }
    }
}

#[test]
fn every_path_trains_to_the_same_losses() {
    let losses = PATHS.map(|path| losses(path, Precision::F32, 20));
    assert!(
        losses[0][19] < 0.8 * losses[0][0],
        "it must learn: {losses:?}"
    );
    for (path, other) in PATHS.iter().zip(&losses).skip(1) {
        for (reference, loss) in losses[0].iter().zip(other) {
            assert!((reference - loss).abs() <= 1e-4, "{path}: {losses:?}");
        }
    }
}

/// The losses of `steps` steps of Adam on two clips from the goldens' fill, whose alpha is not 0, so that the blocks count.
fn losses(path: ModelPath, precision: Precision, steps: usize) -> Vec<f64> {
    let (store, mut model) = filled(Variant::A0, Geometry::Seed, 5, path);
    model.set_precision(precision);
    let clips = fill::input("path", &[2, 3, 4, 64, 64]).to_device(device());
    let labels = Tensor::from_slice(&[0_i64, 3]).to_device(device());
    let mut adam = Adam::default().wd(5e-4).build(&store, 1e-4).unwrap();
    let step = |_| {
        let loss = loss(&model.forward_t(&clips, true).logits, &labels, true);
        adam.backward_step(&loss);
        loss.double_value(&[])
    };
    (0..steps).map(step).collect()
}

#[test]
fn bfloat16_stays_close_to_32_bits_and_learns() {
    let (_store, mut model) = filled(Variant::A0, Geometry::Seed, 5, ModelPath::Fast);
    let clips = fill::input("bf16", &[1, 3, 4, 64, 64]).to_device(device());
    let [wide, narrow] = [Precision::F32, Precision::Bf16].map(|precision| {
        model.set_precision(precision);
        tch::no_grad(|| model.forward_t(&clips, false))
    });
    for (wide, narrow, what) in [
        (&wide.logits, &narrow.logits, "logits"),
        (&wide.features, &narrow.features, "features"),
    ] {
        assert_eq!(narrow.kind(), Kind::Float, "{what}");
        let far = (wide - narrow).norm().double_value(&[]) / wide.norm().double_value(&[]);
        // bfloat16 rounds to 2^-9 at each of some fifty layers; equal numbers would mean that nothing was rounded.
        assert!(far > 1e-5 && far < 0.05, "{what}: {far}");
    }
    let [wide, narrow] = [Precision::F32, Precision::Bf16].map(|p| losses(ModelPath::Fast, p, 6));
    assert!(narrow[5] < 0.95 * narrow[0], "it must learn: {narrow:?}");
    for (a, b) in wide.iter().zip(&narrow) {
        assert!((a - b).abs() < 0.02, "{wide:?} {narrow:?}");
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        tch::set_num_threads(threads);
        let (store, model) = filled(Variant::A0, Geometry::Seed, 5, ModelPath::Fast);
        let clips = fill::input("threads", &[1, 3, 5, 64, 64]).to_device(device());
        let loss = model
            .forward_t(&clips, true)
            .features
            .square()
            .sum(None::<Kind>);
        loss.backward();
        // Behind the blocks stock operators follow, whose sums may be cut by threads.
        let variables = store.variables();
        variables["backbone.blocks.b0_l0.deep.conv_1.norm.running_var"].copy()
    };
    assert_eq!(run(1), run(3));
    tch::set_num_threads(1);
}
