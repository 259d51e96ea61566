//! The methods of unlearning against the goldens of an independent implementation, on tiny networks.

use std::collections::BTreeMap;
use std::rc::Rc;

use incdec::model::{Mode, Output};
use incdec::train::learner::{Learner, Network, NetworkBuilder};
use incdec::train::settings::{CriterionName, UnlearnName};
use incdec::train::unlearn::{
    BadTeacher, Batch, Batches, Clips, Finetune, GradientAscent, Importance, L1Sparse, Msg,
    NegGradPlus, RandomLabel, Recipe, Relearn, Report, RuleName, SalUn, Scrub, Set, Ssd, StepSize,
    Unlearning, distance, refresh, relearn, transposed, unlearn,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tch::nn::{self, Init};
use tch::{Device, Kind, Tensor, no_grad};

use crate::golden::{Case, Fields};
use crate::support;

/// The file of the goldens of unlearning.
const GOLDENS: &str = "unlearning_goldens.json";
/// Steps of the size that default rates are for.
const STEP: StepSize = StepSize {
    batch_size: 128,
    batches: 1,
};
/// Batch norm of the goldens' networks.
const NORM: (f64, f64) = (0.1, 1e-3);

#[derive(Deserialize)]
struct Goldens {
    fixtures: BTreeMap<String, Fixture>,
    methods: Vec<Method>,
    pieces: Vec<Case>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    network: String,
    sizes: BTreeMap<String, i64>,
    weights: Weights,
    bad_teacher: Weights,
    forget: Points,
    retain: Points,
    heldout: Points,
}

type Weights = BTreeMap<String, Flat>;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    shape: Vec<i64>,
    values: Vec<f32>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Points {
    x: Vec<Vec<f32>>,
    y: Vec<i64>,
}

// The field is named as the file has it.
#[allow(clippy::struct_field_names)]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Method {
    id: String,
    method: String,
    fixture: String,
    criterion: CriterionName,
    settings: Fields,
    #[serde(default)]
    epochs: Vec<Epoch>,
    #[serde(default)]
    inputs: Inputs,
    expected: BTreeMap<String, Value>,
    tolerance: BTreeMap<String, f64>,
    #[serde(rename = "checked_against")]
    _checked_against: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Epoch {
    #[serde(default)]
    forget: Vec<Vec<usize>>,
    #[serde(default)]
    retain: Vec<Vec<usize>>,
    #[serde(default)]
    union: Vec<Vec<usize>>,
    #[serde(default)]
    labels: Vec<i64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default)]
    redraw: BTreeMap<String, Vec<f32>>,
}

/// A network of the goldens: swish of a linear map, with batch norm in between or not, then a linear head.
struct Mlp {
    first: Tensor,
    first_bias: Option<Tensor>,
    norm: Option<[Tensor; 4]>,
    head: Tensor,
    head_bias: Tensor,
}

impl Network for Mlp {
    fn forward(&self, clips: &Tensor, mode: Mode) -> Output {
        let mut x = clips.matmul(&self.first.tr());
        if let Some(bias) = &self.first_bias {
            x += bias;
        }
        if let Some([weight, bias, mean, variance]) = &self.norm {
            let train = mode.moves_statistics();
            let (momentum, epsilon) = NORM;
            x = x.batch_norm(
                Some(weight),
                Some(bias),
                Some(mean),
                Some(variance),
                train,
                momentum,
                epsilon,
                false,
            );
        }
        let features = &x * x.sigmoid();
        Output {
            logits: features.matmul(&self.head.tr()) + &self.head_bias,
            features,
        }
    }
}

fn builder(fixture: &Fixture) -> NetworkBuilder {
    let fixture = fixture.clone();
    Box::new(move |root: &nn::Path<'_>| {
        let [inputs, hidden, classes] = ["inputs", "hidden", "classes"].map(|s| fixture.sizes[s]);
        let zero = Init::Const(0.0);
        let fc1 = root / "backbone" / "fc1";
        let norm = root / "backbone" / "norm";
        let plain = fixture.network == "mlp";
        Box::new(Mlp {
            first: fc1.var("weight", &[hidden, inputs], zero),
            first_bias: plain.then(|| fc1.var("bias", &[hidden], zero)),
            norm: (!plain).then(|| {
                [
                    norm.var("weight", &[hidden], zero),
                    norm.var("bias", &[hidden], zero),
                    norm.zeros_no_train("running_mean", &[hidden]),
                    norm.zeros_no_train("running_var", &[hidden]),
                ]
            }),
            head: (root / "heads").var("weight", &[classes, hidden], zero),
            head_bias: (root / "heads").var("bias", &[classes], zero),
        })
    })
}

fn learner(fixture: &Fixture, weights: &Weights, criterion: CriterionName) -> Learner {
    let learner = Learner::new(builder(fixture), Device::Cpu, criterion);
    let mut variables = learner.store().variables();
    assert!(
        variables
            .keys()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .eq(weights.keys())
    );
    no_grad(|| {
        for (name, flat) in weights {
            let values = Tensor::from_slice(&flat.values).reshape(&flat.shape);
            variables.get_mut(name).unwrap().copy_(&values);
        }
    });
    learner
}

/// The clips of a case, with the batches that its golden states.
struct Stated {
    fixture: Fixture,
    epochs: Vec<Epoch>,
    sample: Vec<usize>,
}

impl Stated {
    fn points(&self, set: Set) -> Points {
        let (forget, retain) = (&self.fixture.forget, &self.fixture.retain);
        match set {
            Set::Forget => forget.clone(),
            Set::Retain => retain.clone(),
            Set::HeldOut => self.fixture.heldout.clone(),
            Set::Union | Set::UnionWithSample => Points {
                x: [&forget.x[..], &retain.x].concat(),
                y: [&forget.y[..], &retain.y].concat(),
            },
            Set::RetainSample => Points {
                x: self.sample.iter().map(|&i| retain.x[i].clone()).collect(),
                y: self.sample.iter().map(|&i| retain.y[i]).collect(),
            },
        }
    }

    fn lists(&self, set: Set, epoch: usize) -> &[Vec<usize>] {
        let epoch = &self.epochs[epoch % self.epochs.len()];
        match set {
            Set::Forget => &epoch.forget,
            Set::Retain => &epoch.retain,
            _ => &epoch.union,
        }
    }

    fn batch(&self, set: Set, places: &[usize]) -> Batch {
        let points = self.points(set);
        let rows: Vec<f32> = places.iter().flat_map(|&i| points.x[i].clone()).collect();
        let labels: Vec<i64> = places.iter().map(|&i| points.y[i]).collect();
        Batch {
            clips: Tensor::from_slice(&rows).reshape([places.len() as i64, -1]),
            labels: Tensor::from_slice(&labels),
            places: places.to_vec(),
        }
    }
}

impl Clips for Stated {
    fn task(&self) -> usize {
        1
    }

    fn count(&self, set: Set) -> usize {
        self.points(set).y.len()
    }

    fn batches(&self, set: Set) -> usize {
        self.lists(set, 0).len()
    }

    fn pass(&self, set: Set, epoch: u32) -> Batches<'_> {
        let lists = self.lists(set, epoch as usize).iter();
        Box::new(lists.map(move |places| Ok(self.batch(set, places))))
    }

    fn in_order(&self, set: Set, most: Option<usize>) -> Batches<'_> {
        let places: Vec<usize> = (0..self.count(set)).collect();
        let size = most.unwrap_or(places.len()).max(1);
        let batches: Vec<_> = places
            .chunks(size)
            .map(|c| Ok(self.batch(set, c)))
            .collect();
        Box::new(batches.into_iter())
    }

    fn wrong_labels(&self, epoch: u32) -> Vec<i64> {
        self.epochs[epoch as usize].labels.clone()
    }
}

/// Synaptic dampening, or its label-free kin, with a golden's settings.
pub(crate) fn ssd(method: &str, settings: &Fields) -> Ssd {
    Ssd {
        importance: if method == "ssd" {
            Importance::OfLabels
        } else {
            Importance::OfOutputs
        },
        alpha: settings.number("alpha"),
        lambda: settings.number("lambda"),
        batch_size: settings.whole("batch_size"),
    }
}

impl Method {
    fn stated(&self, fixture: &Fixture) -> Stated {
        let sample = self.settings.has("retain_sample");
        Stated {
            fixture: fixture.clone(),
            epochs: self.epochs.clone(),
            sample: if sample {
                self.settings.parse("retain_sample")
            } else {
                Vec::new()
            },
        }
    }

    fn recipe(&self) -> Recipe {
        let of = |name: &str| {
            if self.settings.has(name) {
                self.settings.number(name)
            } else {
                0.0
            }
        };
        Recipe {
            rule: self.settings.text("optimizer").parse::<RuleName>().unwrap(),
            rate: of("lr"),
            momentum: of("momentum"),
            weight_decay: of("weight_decay"),
            epochs: u32::try_from(self.epochs.len()).unwrap(),
            accumulation: 1,
        }
    }

    fn make(&self, fixture: &Fixture, rewind: bool) -> Box<dyn Unlearning> {
        let s = &self.settings;
        match self.method.as_str() {
            "finetune" => Box::new(Finetune {
                recipe: self.recipe(),
            }),
            "gradient_ascent" => Box::new(GradientAscent {
                recipe: self.recipe(),
                threshold: s.maybe("threshold"),
                check_every: Some(s.whole("check_every")),
            }),
            "neggrad_plus" => Box::new(NegGradPlus {
                recipe: self.recipe(),
                alpha: s.number("alpha"),
                anchor: s.number("anchor"),
            }),
            "scrub" => Box::new(Scrub {
                recipe: self.recipe(),
                gamma: s.number("gamma"),
                alpha: s.number("alpha"),
                temperature: s.number("temperature"),
                msteps: s.parse("msteps"),
                decay_after: s.parse("decay_after"),
                decay: s.number("decay_factor"),
                rewind,
            }),
            "random_label" => Box::new(RandomLabel {
                recipe: self.recipe(),
            }),
            "salun" => Box::new(SalUn {
                recipe: self.recipe(),
                share: s.number("share"),
            }),
            "l1_sparse" => Box::new(L1Sparse {
                recipe: self.recipe(),
                l1: s.number("l1"),
                without_l1: s.parse("without_l1"),
            }),
            "bad_teacher" => {
                let new = learner(fixture, &fixture.bad_teacher, self.criterion).teacher();
                let mut method = BadTeacher::new(new, STEP);
                method.recipe = self.recipe();
                Box::new(method)
            }
            "ssd" | "lfssd" => Box::new(ssd(&self.method, s)),
            "msg" => {
                let redraw = self.inputs.redraw.clone();
                assert!(redraw.keys().eq(["backbone.fc1.weight"]));
                Box::new(Msg {
                    recipe: self.recipe(),
                    share: s.number("share"),
                    kept_factor: s.number("kept_factor"),
                    redrawn: |name| name == "backbone.fc1.weight",
                    redraw: Box::new(move |name, shape| {
                        Tensor::from_slice(&redraw[name]).reshape(shape)
                    }),
                })
            }
            other => panic!("{}: no method is called {other}", self.id),
        }
    }

    /// Holds numbers against the golden's, to the tolerance of 32-bit floats.
    fn close(&self, what: &str, ours: &[f64]) {
        let Some(golden) = self.expected.get(what) else {
            panic!("{}: there is no {what}", self.id)
        };
        let golden: Vec<f64> = serde_json::from_value(golden.clone()).unwrap();
        self.near(what, &golden, ours);
    }

    fn near(&self, what: &str, golden: &[f64], ours: &[f64]) {
        assert_eq!(golden.len(), ours.len(), "{} {what}", self.id);
        for (i, (golden, ours)) in golden.iter().zip(ours).enumerate() {
            assert!(
                (golden - ours).abs() <= self.tolerance["f32"],
                "{} {what}[{i}]: {golden} is the golden, {ours} ours",
                self.id
            );
        }
    }

    fn weights(&self, learner: &Learner) {
        let golden: BTreeMap<String, Vec<f64>> =
            serde_json::from_value(self.expected["weights"].clone()).unwrap();
        let ours = learner.store().variables();
        assert_eq!(golden.len(), ours.len(), "{}", self.id);
        for (name, golden) in golden {
            self.near(&name, &golden, &values(&ours[&name]));
        }
    }

    fn report(&self, report: &Report) {
        let whole = |name: &str| {
            self.expected
                .get(name)
                .map(|v| v.as_u64().unwrap() as usize)
        };
        if self.expected.contains_key("losses") {
            self.close("losses", &report.losses);
        }
        if let Some(steps) = whole("steps") {
            assert_eq!(report.losses.len(), steps, "{}", self.id);
            self.close("checks", &report.checks);
            let target = self.expected["target"].as_f64().unwrap();
            self.near("target", &[target], &[report.target.unwrap()]);
            let ended_by = if report.stopped { "stop" } else { "epochs" };
            assert_eq!(self.expected["ended_by"], ended_by, "{}", self.id);
        }
        if let Some(selected) = whole("selected") {
            assert_eq!(report.selected, Some(selected), "{}", self.id);
        }
    }
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(
        tensor
            .detach()
            .to_kind(Kind::Double)
            .reshape([-1])
            .contiguous(),
    )
    .unwrap()
}

fn goldens() -> Vec<Goldens> {
    let files = support::goldens(GOLDENS);
    files.iter().map(|file| support::read_json(file)).collect()
}

#[test]
fn every_method_ends_at_the_goldens_weights() {
    for goldens in goldens() {
        assert!(!goldens.methods.is_empty());
        for case in goldens
            .methods
            .iter()
            .filter(|case| case.method != "relearn")
        {
            let fixture = &goldens.fixtures[&case.fixture];
            let learner = learner(fixture, &fixture.weights, case.criterion);
            let clips = case.stated(fixture);
            let report = unlearn(&mut *case.make(fixture, false), &learner, &clips).unwrap();
            case.report(&report);
            case.weights(&learner);
        }
    }
}

#[test]
fn scrub_goes_back_to_the_goldens_epoch() {
    for goldens in goldens() {
        for case in goldens.methods.iter().filter(|case| case.method == "scrub") {
            let fixture = &goldens.fixtures[&case.fixture];
            let run = |epochs: usize, rewind| {
                let learner = learner(fixture, &fixture.weights, case.criterion);
                let mut clips = case.stated(fixture);
                clips.epochs.truncate(epochs);
                let mut method = case.make(fixture, rewind);
                if !rewind {
                    // The weights that going back must end at: those of a run of that many epochs.
                    let mut scrub = Scrub::new(STEP, false);
                    let s = &case.settings;
                    scrub.recipe = Recipe {
                        epochs: epochs as u32,
                        ..case.recipe()
                    };
                    (scrub.gamma, scrub.alpha) = (s.number("gamma"), s.number("alpha"));
                    (scrub.temperature, scrub.msteps) =
                        (s.number("temperature"), s.parse("msteps"));
                    (scrub.decay_after, scrub.decay) =
                        (s.parse("decay_after"), s.number("decay_factor"));
                    method = Box::new(scrub);
                }
                let report = unlearn(&mut *method, &learner, &clips).unwrap();
                let weights = learner.store().variables();
                let sorted: BTreeMap<String, Vec<f64>> = weights
                    .iter()
                    .map(|(name, t)| (name.clone(), values(t)))
                    .collect();
                (report, sorted)
            };
            let (report, rewound) = run(case.epochs.len(), true);
            case.close("forget_error", &report.forget_errors);
            case.close("heldout_error", &report.heldout_errors);
            let epoch = report.rewound_epoch;
            assert_eq!(case.expected["rewound_epoch"], json!(epoch), "{}", case.id);
            let (_, shorter) = run(epoch.unwrap(), false);
            assert_eq!(rewound, shorter, "{}", case.id);
        }
    }
}

#[test]
fn relearning_takes_the_goldens_steps() {
    for goldens in goldens() {
        for case in goldens
            .methods
            .iter()
            .filter(|case| case.method == "relearn")
        {
            let fixture = &goldens.fixtures[&case.fixture];
            let s = &case.settings;
            let start = if s.has("start") && s.text("start") == "bad_teacher" {
                &fixture.bad_teacher
            } else {
                &fixture.weights
            };
            let clips = case.stated(fixture);
            let how = |target, most_steps| Relearn {
                recipe: case.recipe(),
                target,
                check_every: s.whole("check_every"),
                most_steps,
            };
            let known = learner(fixture, &fixture.weights, case.criterion);
            let first = relearn(&known, &clips, &how(f64::INFINITY, 0))
                .unwrap()
                .unwrap()
                .checks[0];
            let target = s.maybe("target").unwrap_or(1.05 * first);
            case.near(
                "target",
                &[case.expected["target"].as_f64().unwrap()],
                &[target],
            );
            let model = learner(fixture, start, case.criterion);
            let found = relearn(&model, &clips, &how(target, s.whole("max_steps")))
                .unwrap()
                .unwrap();
            assert_eq!(case.expected["steps"], json!(found.steps), "{}", case.id);
            assert_eq!(
                case.expected["censored"],
                json!(found.censored),
                "{}",
                case.id
            );
            case.close("checks", &found.checks);
            case.weights(&model);
        }
    }
}

#[test]
fn pieces_over_tensors_equal_the_goldens() {
    let file = std::path::Path::new(GOLDENS);
    for goldens in goldens() {
        for case in &goldens.pieces {
            let inputs = &case.inputs;
            match case.function.as_str() {
                "distance" => {
                    let tensor = |name| {
                        let rows: Vec<Vec<f64>> = inputs.parse(name);
                        Tensor::from_slice2(&rows)
                    };
                    let student = tensor("student").set_requires_grad(true);
                    let criterion = inputs.text("criterion").parse().unwrap();
                    let far = distance(
                        criterion,
                        &student,
                        &tensor("teacher"),
                        inputs.number("temperature"),
                    );
                    far.backward();
                    let width = student.size()[1] as usize;
                    let gradient = values(&student.grad());
                    let rows: Vec<&[f64]> = gradient.chunks(width).collect();
                    let ours = json!({"value": far.double_value(&[]), "gradient": rows});
                    case.compare(file, &ours);
                }
                "transpose_kernel" => {
                    let shape: Vec<i64> = inputs.parse("shape");
                    let kernel = Tensor::from_slice(&inputs.numbers("values")).reshape(&shape);
                    let swapped = transposed(&kernel).unwrap_or(kernel);
                    case.compare(file, &json!({"values": values(&swapped)}));
                }
                "refreshed_norms" => {
                    let fixture = &goldens.fixtures[inputs.text("fixture")];
                    let learner = learner(fixture, &fixture.weights, CriterionName::Multilabel);
                    let clips = Stated {
                        fixture: fixture.clone(),
                        epochs: Vec::new(),
                        sample: Vec::new(),
                    };
                    refresh(&learner, &clips, inputs.whole("batch_size")).unwrap();
                    let ours = learner.store().variables();
                    for (name, golden) in case.expected.as_object().unwrap() {
                        let golden: Vec<f64> = serde_json::from_value(golden.clone()).unwrap();
                        for (golden, ours) in golden.iter().zip(values(&ours[name])) {
                            assert!((golden - ours).abs() < 2e-6, "{}: {golden} {ours}", case.id);
                        }
                    }
                }
                "outcome by method and set sizes" => outcomes(case, &goldens.fixtures),
                _ => {}
            }
        }
    }
}

/// Every method on empty sets: nothing changes where nothing leaves; where nothing stays most refuse, and change nothing either.
fn outcomes(case: &Case, fixtures: &BTreeMap<String, Fixture>) {
    let rows: Vec<Fields> = case.inputs.parse("rows");
    let golden: Vec<String> = serde_json::from_value(case.expected.clone()).unwrap();
    for (row, golden) in rows.iter().zip(golden) {
        let Ok(name) = row.text("method").replace('_', "-").parse::<UnlearnName>() else {
            continue;
        };
        let mut fixture = fixtures["A"].clone();
        for (points, count) in [
            (&mut fixture.forget, "forget"),
            (&mut fixture.retain, "retain"),
        ] {
            points.x.truncate(row.whole(count));
            points.y.truncate(row.whole(count));
        }
        let learner = learner(&fixture, &fixture.weights, CriterionName::Multilabel);
        let before: Vec<f64> = values(&learner.store().variables()["heads.weight"]);
        let whole = |points: &Points| vec![(0..points.y.len()).collect::<Vec<usize>>()];
        let epoch = Epoch {
            forget: whole(&fixture.forget),
            ..Epoch::default()
        };
        let clips = Stated {
            fixture: fixture.clone(),
            epochs: vec![epoch],
            sample: Vec::new(),
        };
        // What trains again changes no weights that there are.
        let made = incdec::train::unlearn::make(name, STEP, 0, || learner.teacher());
        let Some(mut method) = made else { continue };
        let found = unlearn(&mut *method, &learner, &clips);
        let after = values(&learner.store().variables()["heads.weight"]);
        let outcome = match found {
            Err(_) => "refused",
            Ok(_) if before == after => "unchanged",
            Ok(_) => "runs",
        };
        assert_eq!(
            outcome,
            golden,
            "{name} {}/{}",
            row.whole("forget"),
            row.whole("retain")
        );
        assert!(outcome == "runs" || before == after, "{name}");
    }
}

/// A model of one weight that forgets by a loss that is no number.
struct Diverging(Rc<Tensor>);

impl Network for Diverging {
    fn forward(&self, clips: &Tensor, _: Mode) -> Output {
        let logits = clips.narrow(1, 0, 2) * &*self.0;
        Output {
            features: logits.shallow_clone(),
            logits,
        }
    }
}

#[test]
fn a_loss_that_is_no_number_is_an_error_and_the_weights_are_put_back() {
    let fixture = Fixture {
        network: String::new(),
        sizes: BTreeMap::new(),
        weights: BTreeMap::new(),
        bad_teacher: BTreeMap::new(),
        forget: Points {
            x: vec![vec![1.0, 2.0]],
            y: vec![0],
        },
        retain: Points {
            x: vec![vec![1.0, 2.0], vec![f32::NAN, 1.0]],
            y: vec![0, 1],
        },
        heldout: Points {
            x: Vec::new(),
            y: Vec::new(),
        },
    };
    let clips = Stated {
        fixture,
        epochs: vec![Epoch {
            retain: vec![vec![0], vec![1]],
            ..Epoch::default()
        }],
        sample: Vec::new(),
    };
    let build: NetworkBuilder = Box::new(|root| {
        Box::new(Diverging(Rc::new((root / "heads").var(
            "weight",
            &[2],
            Init::Const(0.5),
        ))))
    });
    let learner = Learner::new(build, Device::Cpu, CriterionName::Multilabel);
    let mut method = Finetune::new(STEP);
    assert!(unlearn(&mut method, &learner, &clips).is_err());
    assert_eq!(
        values(&learner.store().variables()["heads.weight"]),
        [0.5, 0.5]
    );
}
