//! A method as the goldens state it.

use std::collections::BTreeMap;

use incdec::train::learner::Learner;
use incdec::train::settings::CriterionName;
use incdec::train::unlearn::{
    BadTeacher, Finetune, GradientAscent, Importance, L1Sparse, Msg, NegGradPlus, RandomLabel,
    Recipe, Report, RuleName, SalUn, Scrub, Ssd, StepSize, Unlearning,
};
use serde::Deserialize;
use serde_json::Value;
use tch::Tensor;

use super::fixture::{Fixture, Inputs, Stated, learner};
use super::values;
use crate::golden::Fields;

/// Steps of the size that default rates are for.
pub(super) const STEP: StepSize = StepSize {
    batch_size: 128,
    batches: 1,
};

/// Batch norm of the goldens' networks.
pub(super) const NORM: (f64, f64) = (0.1, 1e-3);

// The field is named as the file has it.
#[allow(clippy::struct_field_names)]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Method {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) fixture: String,
    pub(super) criterion: CriterionName,
    pub(super) settings: Fields,
    #[serde(default)]
    pub(super) epochs: Vec<Epoch>,
    #[serde(default)]
    pub(super) inputs: Inputs,
    pub(super) expected: BTreeMap<String, Value>,
    pub(super) tolerance: BTreeMap<String, f64>,
    #[serde(rename = "checked_against")]
    pub(super) _checked_against: Option<String>,
    #[serde(rename = "note")]
    pub(super) _note: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Epoch {
    #[serde(default)]
    pub(super) forget: Vec<Vec<usize>>,
    #[serde(default)]
    pub(super) retain: Vec<Vec<usize>>,
    #[serde(default)]
    pub(super) union: Vec<Vec<usize>>,
    #[serde(default)]
    pub(super) labels: Vec<i64>,
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
    pub(super) fn stated(&self, fixture: &Fixture) -> Stated {
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

    pub(super) fn recipe(&self) -> Recipe {
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

    pub(super) fn make(&self, fixture: &Fixture, rewind: bool) -> Box<dyn Unlearning> {
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
    pub(super) fn close(&self, what: &str, ours: &[f64]) {
        let Some(golden) = self.expected.get(what) else {
            panic!("{}: there is no {what}", self.id)
        };
        let golden: Vec<f64> = serde_json::from_value(golden.clone()).unwrap();
        self.near(what, &golden, ours);
    }

    pub(super) fn near(&self, what: &str, golden: &[f64], ours: &[f64]) {
        assert_eq!(golden.len(), ours.len(), "{} {what}", self.id);
        for (i, (golden, ours)) in golden.iter().zip(ours).enumerate() {
            assert!(
                (golden - ours).abs() <= self.tolerance["f32"],
                "{} {what}[{i}]: {golden} is the golden, {ours} ours",
                self.id
            );
        }
    }

    pub(super) fn weights(&self, learner: &Learner) {
        let golden: BTreeMap<String, Vec<f64>> =
            serde_json::from_value(self.expected["weights"].clone()).unwrap();
        let ours = learner.store().variables();
        assert_eq!(golden.len(), ours.len(), "{}", self.id);
        for (name, golden) in golden {
            self.near(&name, &golden, &values(&ours[&name]));
        }
    }

    pub(super) fn report(&self, report: &Report) {
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
