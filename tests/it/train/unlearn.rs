//! The methods of unlearning against the goldens of an independent implementation, on tiny networks.

mod fixture;
pub(super) mod method;

use std::collections::BTreeMap;
use std::rc::Rc;

use incdec::model::{Mode, Output};
use incdec::train::learner::{Learner, Network, NetworkBuilder};
use incdec::train::settings::{CriterionName, UnlearnName};
use incdec::train::unlearn::{
    Finetune, Recipe, Relearn, Scrub, distance, refresh, relearn, transposed, unlearn,
};
use serde::Deserialize;
use serde_json::json;
use tch::nn::Init;
use tch::{Device, Kind, Tensor};

use crate::golden::{Case, Fields};
use crate::support;
use fixture::{Fixture, Stated, learner};
use method::{Epoch, Method, STEP};

/// The file of the goldens of unlearning.
const GOLDENS: &str = "unlearning_goldens.json";

#[derive(Deserialize)]
struct Goldens {
    fixtures: BTreeMap<String, Fixture>,
    methods: Vec<Method>,
    pieces: Vec<Case>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Points {
    pub(super) x: Vec<Vec<f32>>,
    pub(super) y: Vec<i64>,
}

pub(super) fn values(tensor: &Tensor) -> Vec<f64> {
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
                head_rate: case.recipe().rate,
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
