//! The ways of computing against each other: outputs, gradients, training, instruction sets, threads.

use std::collections::BTreeMap;
use std::process::Command;

use incdec::model::{Geometry, Mode, ModelConfig, ModelPath, Movinet, Precision, Variant, fill};
use tch::nn::{Adam, OptimizerConfig, VarStore};
use tch::{Device, Kind, Tensor};

use super::{PATHS, filled, loss};
use crate::support::{device, tolerance};

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
                "model::paths::every_path_equals_the_plain_one_forward_and_backward",
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
fn running_statistics_that_are_moved_apart_are_those_that_training_leaves() {
    for path in [ModelPath::Fast, ModelPath::Frames, ModelPath::Reference] {
        let clips =
            ["one", "two"].map(|name| fill::input(name, &[2, 3, 4, 64, 64]).to_device(device()));
        let statistics = |store: &VarStore| -> BTreeMap<String, Tensor> {
            let all = store.variables().into_iter();
            all.filter(|(name, _)| name.contains("running_") || name.contains("num_batches"))
                .map(|(name, tensor)| (name, tensor.copy()))
                .collect()
        };
        let (trained, model) = filled(Variant::A0, Geometry::Tf, 5, path);
        for clips in &clips {
            let _ = model.forward_t(clips, true);
        }
        let (apart, model) = filled(Variant::A0, Geometry::Tf, 5, path);
        let before = statistics(&apart);
        // The second batch first: who computed it is of no interest.
        let [second, first] =
            [1, 0].map(|i| model.forward_apart(&clips[i], Mode::Train).1.unwrap());
        assert_eq!(statistics(&apart), before, "{path}");
        model.move_statistics(&first);
        model.move_statistics(&second);
        assert_eq!(statistics(&apart), statistics(&trained), "{path}");
        assert_ne!(statistics(&apart), before, "{path}");
        let (_, none) = model.forward_apart(&clips[0], Mode::TrainFrozenNorms);
        assert!(none.is_none(), "{path}");
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
