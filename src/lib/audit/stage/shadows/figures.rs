//! What shadow heads say, as figures.

use super::super::models::Matrix;
use super::super::rows::{About, Figure, PATH};
use super::super::said::{Answers, attack_rows};
use super::super::single::Comparison;
use super::pool::Pool;
use crate::audit::epsilon::{forget_quality, per_clip};
use crate::audit::gap::{difference, final_score};
use crate::audit::klom::{FEWEST_MODELS, klom};
use crate::audit::lira::{Status, Variance, lira};
use crate::audit::scores::{clip_losses, phi};
use crate::audit::{AuditError, Rows, mean, nearest_rank};
use crate::metrics::Criterion;
use crate::tables::AuditRow;

/// What the shadow heads say of the pool, shadow after shadow.
pub(super) struct Shadows {
    count: usize,
    phi: Vec<f64>,
    losses: Vec<f64>,
    status: Vec<Status>,
}

impl Shadows {
    /// Reads the `logits` of the pool by each shadow, which was `dealt` its clips.
    ///
    /// # Errors
    /// Logits that are no numbers.
    pub(super) fn of(
        criterion: Criterion,
        pool: &Pool,
        logits: &[Matrix],
        dealt: &[Vec<Status>],
    ) -> Result<Self, AuditError> {
        let (mut scores, mut losses) = (Vec::new(), Vec::new());
        for logits in logits {
            let rows = logits.rows()?;
            scores.extend(phi(criterion, rows, &pool.labels)?);
            losses.extend(clip_losses(criterion, rows, &pool.labels)?);
        }
        Ok(Self {
            count: logits.len(),
            phi: scores,
            losses,
            status: dealt.concat(),
        })
    }

    /// Every figure of them.
    ///
    /// # Errors
    /// When a measure refuses.
    pub(super) fn rows(
        &self,
        comparison: &Comparison<'_>,
        pool: &Pool,
    ) -> Result<Vec<AuditRow>, AuditError> {
        let (about, clips) = (comparison.about, pool.clips());
        let attack = lira(
            Rows::new(&self.phi, self.count, clips)?,
            &self.status,
            Variance::Auto,
        )?;
        let mut rows = attack_rows(about, "lira", &attack.attack, &[]);
        let own = |measure, value, n| about.row(Figure::new("forget", measure, value, n), None);
        let skipped = attack.skipped as f64;
        rows.push(own("lira_skipped", Some(skipped), self.count * clips));
        rows.extend(self.forget_quality(comparison, pool)?);
        rows.extend(self.klom(about, pool)?);
        for (clip, listed) in pool.of_forget.clips.iter().enumerate() {
            let values =
                |is: fn(&Status) -> bool| mean(&self.of_clip(&self.losses, clip, clips, is));
            let kept = values(|status| *status == Status::Retained);
            let never = values(|status| *status == Status::HeldOut);
            let value = difference(never, kept);
            let figure = Figure::new("forget", "memorisation", value, self.count);
            rows.push(about.row(figure.of(&listed.id), None));
        }
        Ok(rows)
    }

    /// The values of a clip in the shadows whose status `wanted` takes.
    fn of_clip(
        &self,
        values: &[f64],
        clip: usize,
        clips: usize,
        wanted: impl Fn(&Status) -> bool,
    ) -> Vec<f64> {
        let places = (0..self.count).map(|shadow| shadow * clips + clip);
        places
            .filter(|&place| wanted(&self.status[place]))
            .map(|place| values[place])
            .collect()
    }

    /// What shadows that unlearned a clip of F say of it, and what those that never saw it do: beside
    /// each other, and one half of the latter beside the other.
    fn pairs(&self, pool: &Pool, clip: usize) -> [[Vec<f64>; 2]; 2] {
        let of = |wanted| self.of_clip(&self.phi, clip, pool.clips(), |s| *s == wanted);
        let (unlearned, never) = (of(Status::Unlearned), of(Status::HeldOut));
        let (first, second) = never.split_at(never.len() / 2);
        let halves = [first.to_vec(), second.to_vec()];
        [[unlearned, never], halves]
    }

    /// Forget quality of what was unlearned against what was never seen, weighted by the accuracy
    /// that the run kept, and that of one half of the latter against the other.
    fn forget_quality(
        &self,
        comparison: &Comparison<'_>,
        pool: &Pool,
    ) -> Result<Vec<AuditRow>, AuditError> {
        let mut found = [(Vec::new(), usize::MAX), (Vec::new(), usize::MAX)];
        for clip in 0..pool.members {
            for ((epsilons, least), [a, b]) in found.iter_mut().zip(self.pairs(pool, clip)) {
                let (u, r) = (Rows::new(&a, a.len(), 1)?, Rows::new(&b, b.len(), 1)?);
                epsilons.extend(per_clip(u, r)?.into_iter().flatten());
                *least = (*least).min(a.len()).min(b.len());
            }
        }
        let about = comparison.about;
        let [own, floor] = found.map(|(epsilons, least)| (forget_quality(&epsilons, least), least));
        let row = |measure, (value, models): (Option<f64>, usize)| {
            about.row(Figure::new("forget", measure, value, models), None)
        };
        let mut rows = vec![
            row("forget_quality", own),
            row("forget_quality_floor", floor),
        ];
        if let Some(path) = comparison.references.first() {
            let accuracy = |set: &str| {
                let of = |answers: &Answers| answers[set].figures().accuracy;
                (of(&comparison.own.answers), of(&path.answers))
            };
            let value = final_score(own.0, accuracy("retain"), accuracy("test"));
            let figure = Figure::new("all", "forget_quality_final", value, own.1);
            rows.push(about.row(figure, Some(PATH)));
        }
        Ok(rows)
    }

    /// `KLoM` of what was unlearned from what was never seen, and its floor; no row for fewer heads of
    /// a clip than say anything.
    fn klom(&self, about: About<'_>, pool: &Pool) -> Result<Vec<AuditRow>, AuditError> {
        let mut found = [(Vec::new(), usize::MAX), (Vec::new(), usize::MAX)];
        for clip in 0..pool.members {
            for ((values, least), [a, b]) in found.iter_mut().zip(self.pairs(pool, clip)) {
                *least = (*least).min(a.len()).min(b.len());
                if *least > 0 {
                    let (u, r) = (Rows::new(&a, a.len(), 1)?, Rows::new(&b, b.len(), 1)?);
                    values.extend(klom(u, r)?.per_clip);
                }
            }
        }
        if found[0].1 < FEWEST_MODELS {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        for ((mut values, models), end) in found.into_iter().zip(["", "_floor"]) {
            values.sort_by(f64::total_cmp);
            let of = [("mean", mean(&values)), ("p95", nearest_rank(&values, 950))];
            for (name, value) in of {
                let measure = format!("lira_klom_{name}{end}");
                rows.push(about.row(Figure::new("forget", &measure, value, models), None));
            }
        }
        Ok(rows)
    }
}
