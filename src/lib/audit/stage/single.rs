//! One withdrawal of one run at one moment: every measure that two models and their outputs allow.

use std::rc::Rc;

use super::super::gap::{self, SetFigures, aus, nomus, tow};
use super::super::membership::attack;
use super::super::probe::{self, ProbeSet, STRENGTH};
use super::super::scores::{activation_distance, js_divergence, zrf};
use super::super::{AuditError, cka, weight_distance};
use super::AuditStageError;
use super::models::Model;
use super::rows::{About, Figure};
use super::runs::AuditedRun;
use super::said::{Answers, Said, attack_rows, metrics};
use super::sets::{ClipSet, Sets};
use crate::metrics::Metrics;
use crate::tables::{AuditRow, CurveRow};

/// One side of a comparison.
pub(super) struct Side<'a> {
    /// The reference's name in tables; none for the run itself.
    pub(super) reference: Option<&'static str>,
    /// What its own rows are called.
    pub(super) name: String,
    pub(super) run: &'a AuditedRun,
    pub(super) model: Rc<Model>,
    pub(super) answers: Answers,
}

/// A withdrawal at a moment: the run, its references, and the model before it.
pub(super) struct Comparison<'a> {
    pub(super) about: About<'a>,
    pub(super) sets: Sets,
    pub(super) own: Side<'a>,
    /// Path first, then scratch where there is one.
    pub(super) references: Vec<Side<'a>>,
    pub(super) before: Answers,
    pub(super) before_model: Rc<Model>,
    /// What a network with new weights says; none for heads on features.
    pub(super) untrained: Option<Answers>,
    /// The path reference of another seed: how far two references are apart.
    pub(super) another: Option<Rc<Model>>,
}

/// A figure of a set of clips.
type OfSet = fn(SetFigures) -> Option<f64>;

impl Comparison<'_> {
    /// Every figure of the run, of its references, and of their differences.
    ///
    /// # Errors
    /// When a measure refuses.
    pub(super) fn rows(&self) -> Result<Vec<AuditRow>, AuditStageError> {
        let mut rows = self.gaps()?;
        let failed = AuditStageError::of(&self.about.run.name);
        rows.extend(self.scores());
        rows.extend(self.attacks().map_err(&failed)?);
        rows.extend(self.outputs().map_err(&failed)?);
        rows.extend(self.zero_retrain().map_err(&failed)?);
        rows.extend(self.probes()?);
        rows.extend(self.similarity()?);
        rows.extend(self.weights()?);
        // The model before is one, whatever moment it is looked at beside.
        rows.retain(|row| {
            row.moment != super::rows::BEFORE || self.about.moment == super::rows::END
        });
        Ok(rows)
    }

    /// The curves of the attack by confidence.
    pub(super) fn curves(&self) -> Vec<CurveRow> {
        let of = |about: About<'_>, answers: &Answers| {
            about.curve("phi", &answers["forget"].phi, &answers["like_forget"].phi)
        };
        let mut rows = of(self.about, &self.own.answers);
        let before = About {
            moment: super::rows::BEFORE,
            ..self.about
        };
        rows.extend(of(before, &self.before));
        for side in &self.references {
            rows.extend(of(self.of(side), &side.answers));
        }
        rows
    }

    /// What rows of a reference itself are about.
    pub(super) fn of<'b>(&'b self, side: &'b Side<'_>) -> About<'b> {
        About {
            run: side.run,
            method: &side.name,
            ..self.about
        }
    }

    /// A figure of every side: the run's own, each reference's own, and the differences.
    fn beside<'f>(
        &self,
        figure: impl Fn(&Answers) -> Option<f64>,
        shape: impl Fn(Option<f64>) -> Figure<'f>,
    ) -> Vec<AuditRow> {
        let own = figure(&self.own.answers);
        let mut rows = vec![self.about.row(shape(own), None)];
        let before = About {
            moment: super::rows::BEFORE,
            ..self.about
        };
        rows.push(before.row(shape(figure(&self.before)), None));
        for side in &self.references {
            let theirs = figure(&side.answers);
            rows.push(self.of(side).row(shape(theirs), None));
            let difference = gap::difference(own, theirs);
            rows.push(self.about.row(shape(difference), side.reference));
        }
        rows
    }

    /// The gap table: accuracy, loss and confidence of each set, mean AP where it means something.
    fn gaps(&self) -> Result<Vec<AuditRow>, AuditStageError> {
        let mut rows = Vec::new();
        for set in self.sets.judged() {
            let n = set.clips.len();
            let figures: [(&str, OfSet); 3] = [
                ("accuracy", |f| f.accuracy),
                ("loss", |f| f.loss),
                ("phi", |f| f.phi),
            ];
            for (measure, of) in figures {
                rows.extend(self.beside(
                    |answers| of(answers[set.name].figures()),
                    |value| Figure::new(set.name, measure, value, n),
                ));
            }
        }
        for set in [&self.sets.retain, &self.sets.test] {
            let metrics = |answers: &Answers| self.metrics(set, &answers[set.name]);
            // Refused predictions would have been refused above.
            let mean_ap = |a: &Answers| metrics(a).ok().flatten()?.figures.mean_ap;
            let n = set.clips.len();
            rows.extend(self.beside(mean_ap, |v| Figure::new(set.name, "mean_ap", v, n)));
        }
        rows.extend(self.of_subcategories()?);
        Ok(rows)
    }

    /// The AP of each subcategory on the test clips.
    fn of_subcategories(&self) -> Result<Vec<AuditRow>, AuditStageError> {
        let set = &self.sets.test;
        let names: Vec<&str> = self
            .about
            .run
            .taxonomy
            .subcategories()
            .map(|s| s.1)
            .collect();
        let aps = |answers: &Answers| -> Result<Vec<Option<f64>>, AuditStageError> {
            let metrics = self.metrics(set, &answers[set.name])?;
            Ok(metrics.map_or_else(Vec::new, |m| m.figures.ap_per_subcategory))
        };
        let sides = self.references.iter().map(|side| aps(&side.answers));
        let sides = sides.collect::<Result<Vec<_>, _>>()?;
        let (own, before) = (aps(&self.own.answers)?, aps(&self.before)?);
        let mut rows = Vec::new();
        for (place, name) in names.iter().enumerate() {
            let n = set.clips.iter().filter(|c| c.subcategory == place).count();
            let at = |aps: &Vec<Option<f64>>| aps.get(place).copied().flatten();
            let figure = |value| Figure::new("test", "ap", value, n).of(name);
            rows.push(self.about.row(figure(at(&own)), None));
            let earlier = About {
                moment: super::rows::BEFORE,
                ..self.about
            };
            rows.push(earlier.row(figure(at(&before)), None));
            for (side, aps) in self.references.iter().zip(&sides) {
                rows.push(self.of(side).row(figure(at(aps)), None));
                let difference = gap::difference(at(&own), at(aps));
                rows.push(self.about.row(figure(difference), side.reference));
            }
        }
        Ok(rows)
    }

    /// The figures of a run of predictions; none for no clip.
    fn metrics(&self, set: &ClipSet, said: &Said) -> Result<Option<Metrics>, AuditStageError> {
        metrics(self.about.run, set, said)
    }

    /// Scores made of accuracies.
    fn scores(&self) -> Vec<AuditRow> {
        let accuracy = |answers: &Answers, set: &str| answers[set].figures().accuracy;
        let mut rows = Vec::new();
        for side in &self.references {
            let pairs = ["forget", "retain", "test"].map(|set| {
                let own = accuracy(&self.own.answers, set);
                (own, accuracy(&side.answers, set))
            });
            let figure = Figure::new("all", "tow", tow(&pairs), 0);
            rows.push(self.about.row(figure, side.reference));
        }
        let own = |set| accuracy(&self.own.answers, set);
        let value = aus(accuracy(&self.before, "test"), own("test"), own("forget"));
        rows.push(self.about.row(Figure::new("all", "aus", value, 0), None));
        rows
    }

    /// Membership by confidence.
    fn attacks(&self) -> Result<Vec<AuditRow>, AuditError> {
        let of = |answers: &Answers| attack(&answers["forget"].phi, &answers["like_forget"].phi);
        let own = of(&self.own.answers)?;
        let mut rows = attack_rows(self.about, "phi", &own, &[]);
        for side in &self.references {
            let theirs = of(&side.answers)?;
            rows.extend(attack_rows(self.of(side), "phi", &theirs, &[]));
            let reference = side.reference.unwrap_or_default();
            rows.extend(attack_rows(
                self.about,
                "phi",
                &own,
                &[(reference, &theirs)],
            ));
        }
        let before = About {
            moment: super::rows::BEFORE,
            ..self.about
        };
        rows.extend(attack_rows(before, "phi", &of(&self.before)?, &[]));
        let test = self.own.answers["test"].figures().accuracy;
        let value = nomus(test, own.balanced_cv);
        rows.push(self.about.row(Figure::new("all", "nomus", value, 0), None));
        Ok(rows)
    }

    /// How far the outputs on F are from the references'.
    fn outputs(&self) -> Result<Vec<AuditRow>, AuditError> {
        let criterion = self.about.run.criterion();
        let mut rows = Vec::new();
        for side in &self.references {
            for set in ["forget", "retain", "test"] {
                let (own, theirs) = (&self.own.answers[set], &side.answers[set]);
                let (u, r) = (own.logits.rows()?, theirs.logits.rows()?);
                let distance = activation_distance(criterion, u, r)?;
                let js = js_divergence(criterion, u, r)?;
                for (measure, value) in [("activation_distance", distance), ("js", js)] {
                    let figure = Figure::new(set, measure, value, own.right.len());
                    rows.push(self.about.row(figure, side.reference));
                }
            }
        }
        Ok(rows)
    }

    /// Zero retrain forgetting: how near the outputs on F are to those of a network that knows nothing.
    fn zero_retrain(&self) -> Result<Vec<AuditRow>, AuditError> {
        let Some(untrained) = &self.untrained else {
            return Ok(Vec::new());
        };
        let criterion = self.about.run.criterion();
        let nothing = &untrained["forget"].logits;
        let of = |answers: &Answers| -> Result<Option<f64>, AuditError> {
            let said = &answers["forget"].logits;
            zrf(criterion, said.rows()?, nothing.rows()?)
        };
        let figure = |value| Figure::new("forget", "zrf", value, nothing.count);
        let own = of(&self.own.answers)?;
        let before = About {
            moment: super::rows::BEFORE,
            ..self.about
        };
        let mut rows = vec![
            self.about.row(figure(own), None),
            before.row(figure(of(&self.before)?), None),
        ];
        for side in &self.references {
            let theirs = of(&side.answers)?;
            rows.push(self.of(side).row(figure(theirs), None));
            let difference = gap::difference(own, theirs);
            rows.push(self.about.row(figure(difference), side.reference));
        }
        Ok(rows)
    }

    /// Whether the features still tell what left from its siblings, and from the rest.
    fn probes(&self) -> Result<Vec<AuditRow>, AuditStageError> {
        let mut rows = Vec::new();
        for (group, siblings) in [("siblings", true), ("others", false)] {
            let (train, judged) = self.probe_sets(siblings);
            let ap = |model: &Model| self.probe(model, &train, &judged);
            let (own, before) = (ap(&self.own.model)?, ap(&self.before_model)?);
            let n = judged.clips.len();
            let figure = |value| Figure::new("forget", "probe_ap", value, n).of(group);
            rows.push(self.about.row(figure(own), None));
            for side in &self.references {
                let theirs = ap(&side.model)?;
                rows.push(self.of(side).row(figure(theirs), None));
                let own = gap::difference(own, theirs);
                rows.push(self.about.row(figure(own), side.reference));
                let earlier = About {
                    moment: super::rows::BEFORE,
                    ..self.about
                };
                let before = gap::difference(before, theirs);
                rows.push(earlier.row(figure(before), side.reference));
            }
        }
        Ok(rows)
    }

    /// What a probe is trained on and judged on: F's kind first, which is positive.
    fn probe_sets(&self, siblings: bool) -> (ClipSet, ClipSet) {
        let forget = &self.sets.forget.clips;
        let classes: Vec<usize> = forget.iter().map(|clip| clip.class).collect();
        let lost: Vec<usize> = forget.iter().map(|clip| clip.subcategory).collect();
        let wanted = |clip: &&super::runs::ListedClip| {
            classes.contains(&clip.class) == siblings && !lost.contains(&clip.subcategory)
        };
        let with = |mut set: ClipSet, from: &ClipSet| {
            set.clips.extend(from.clips.iter().filter(wanted).cloned());
            set
        };
        (
            with(self.sets.forget.clone(), &self.sets.retain),
            with(self.sets.like_forget.clone(), &self.sets.test),
        )
    }

    fn probe(
        &self,
        model: &Model,
        train: &ClipSet,
        judged: &ClipSet,
    ) -> Result<Option<f64>, AuditStageError> {
        let lost: Vec<usize> = self
            .sets
            .forget
            .clips
            .iter()
            .map(|c| c.subcategory)
            .collect();
        let positive = |set: &ClipSet| -> Vec<bool> {
            let clips = set.clips.iter();
            clips.map(|clip| lost.contains(&clip.subcategory)).collect()
        };
        let (x, y) = (model.features(train)?, model.features(judged)?);
        let (of_train, of_judged) = (positive(train), positive(judged));
        let fitted = || -> Result<_, AuditError> {
            let train = ProbeSet {
                features: x.rows()?,
                positive: &of_train,
            };
            let judged = ProbeSet {
                features: y.rows()?,
                positive: &of_judged,
            };
            probe::probe(train, judged, STRENGTH)
        };
        let found = fitted().map_err(AuditStageError::of(&self.about.run.name))?;
        Ok(found.map(|probe| probe.ap))
    }

    /// How alike the features of two models are.
    fn similarity(&self) -> Result<Vec<AuditRow>, AuditStageError> {
        let mut rows = Vec::new();
        for set in [&self.sets.forget, &self.sets.retain, &self.sets.test] {
            let n = set.clips.len();
            let mut pairs = Vec::new();
            for side in &self.references {
                pairs.push((side.reference, "", &self.own.model, &side.model));
            }
            if let (Some(path), Some(another)) = (self.references.first(), &self.another) {
                pairs.push((path.reference, "_floor", another, &path.model));
            }
            for (reference, end, a, b) in pairs {
                let (x, y) = (a.features(set)?, b.features(set)?);
                let found = || cka::cka(x.rows()?, y.rows()?);
                let found = found().map_err(AuditStageError::of(&self.about.run.name))?;
                for (measure, value) in [("cka", found.debiased), ("cka_biased", found.biased)] {
                    let measure = format!("{measure}{end}");
                    let figure = Figure::new(set.name, &measure, value, n);
                    rows.push(self.about.row(figure, reference));
                }
            }
        }
        Ok(rows)
    }

    /// How far the weights of two models are apart, by part of the network.
    fn weights(&self) -> Result<Vec<AuditRow>, AuditStageError> {
        let mut pairs = Vec::new();
        for side in &self.references {
            pairs.push((side.reference, "", &self.own.model, &side.model));
        }
        if let (Some(path), Some(another)) = (self.references.first(), &self.another) {
            pairs.push((path.reference, "_floor", another, &path.model));
        }
        let mut rows = Vec::new();
        for (reference, end, a, b) in pairs {
            let found = weight_distance::weight_distance(&a.weights()?, &b.weights()?);
            let found = found.map_err(AuditStageError::of(&self.about.run.name))?;
            for (group, distance) in found {
                let l2 = ("weight_distance", Some(distance.l2));
                for (measure, value) in [l2, ("weight_distance_relative", distance.relative)] {
                    let measure = format!("{measure}{end}");
                    let figure = Figure::new("all", &measure, value, 0).of(&group);
                    rows.push(self.about.row(figure, reference));
                }
            }
        }
        Ok(rows)
    }
}
