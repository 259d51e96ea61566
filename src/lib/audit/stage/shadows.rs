//! Many models at once: ridge heads on the features of one run, one for every deal of a pool of
//! clips to trained and unlearned, trained and kept, never seen.
//!
//! All share what stays, R. With A = G + l I over R, the head that also has the clips r of the pool
//! says of the pool mu + K[., r] (K[r, r] + l I)^-1 (Y[r] - mu[r]), where K = l H A^-1 H' and
//! mu = H A^-1 Q: one factor and two matrix products over the feature table serve every head, and a
//! head costs a system of the pool's size. What is unlearned is subtracted, so that it equals what
//! was never seen: an attack on it must find nothing, which tests the attack and the audit.

use tch::{Kind, Tensor};

use super::super::epsilon::{forget_quality, per_clip};
use super::super::lira::{SHADOWS, Status, Variance, deal, lira};
use super::super::scores::{clip_losses, phi};
use super::super::{AuditError, Rows, mean};
use super::AuditStageError;
use super::models::{Matrix, Model};
use super::rows::{About, Figure};
use super::said::attack_rows;
use super::sets::{ClipSet, Sets};
use crate::cholesky::Cholesky;
use crate::tables::AuditRow;

/// The ridge, as a share of trace(G) / M: that of an exact head without validation clips.
const RIDGE: f64 = 1e-2;

/// The figures of the shadow heads of a run whose model is a ridge head on features.
///
/// # Errors
/// When features are missing, or a measure refuses.
pub(super) fn rows(
    about: About<'_>,
    sets: &Sets,
    model: &Model,
) -> Result<Vec<AuditRow>, AuditStageError> {
    let pool = Pool::of(sets);
    if pool.members == 0 || pool.clips() == pool.members || sets.retain.clips.is_empty() {
        return Ok(Vec::new());
    }
    let base = Base::of(&pool, sets, model, about.run.taxonomy.classes())?;
    let failed = AuditStageError::of(&about.run.name);
    let Some(base) = base else {
        return Ok(Vec::new());
    };
    let mut shadows = Shadows::default();
    for shadow in 0..SHADOWS as u64 {
        let status = deal(about.seed_evaluate, shadow, pool.clips());
        let Some(logits) = base.logits(&pool, &status) else {
            return Ok(Vec::new());
        };
        let measured = || -> Result<_, AuditError> {
            let rows = logits.rows()?;
            let criterion = about.run.criterion();
            Ok((
                phi(criterion, rows, &pool.labels)?,
                clip_losses(criterion, rows, &pool.labels)?,
            ))
        };
        let (phi, losses) = measured().map_err(&failed)?;
        shadows.phi.extend(phi);
        shadows.losses.extend(losses);
        shadows.status.extend(status);
    }
    shadows.rows(about, &pool).map_err(failed)
}

/// F, and as many test clips of its subcategories, by id.
struct Pool {
    of_forget: ClipSet,
    of_others: ClipSet,
    labels: Vec<usize>,
    /// How many are of F; they come first.
    members: usize,
}

impl Pool {
    fn of(sets: &Sets) -> Self {
        let (of_forget, mut of_others) = (sets.forget.clone(), sets.like_forget.clone());
        of_others.clips.truncate(of_forget.clips.len());
        Self {
            labels: [of_forget.labels(), of_others.labels()].concat(),
            members: of_forget.clips.len(),
            of_forget,
            of_others,
        }
    }

    fn clips(&self) -> usize {
        self.labels.len()
    }
}

/// What all shadow heads share.
struct Base {
    /// l.
    ridge: f64,
    /// K, `[m, m]`.
    kernel: Vec<f64>,
    /// mu, `[m, C]`.
    scores: Vec<f64>,
    classes: usize,
}

impl Base {
    /// The base of `pool` on what stays; none where its equations cannot be solved.
    fn of(
        pool: &Pool,
        sets: &Sets,
        model: &Model,
        classes: usize,
    ) -> Result<Option<Self>, AuditStageError> {
        let retained = with_one(&model.features(&sets.retain)?);
        let others = [&pool.of_forget, &pool.of_others].map(|set| model.features(set));
        let [forget, others] = others;
        let own = Tensor::cat(&[with_one(&forget?), with_one(&others?)], 0);
        let labels = sets.retain.labels().into_iter();
        let labels: Vec<i64> = labels.map(|c| i64::try_from(c).unwrap_or(0)).collect();
        let count = i64::try_from(classes).unwrap_or(i64::MAX);
        let targets = Tensor::from_slice(&labels)
            .one_hot(count)
            .to_kind(Kind::Double);
        let gram = retained.tr().matmul(&retained);
        let width = gram.size()[0];
        let ridge = RIDGE * gram.trace().double_value(&[]) / width as f64;
        let matrix = gram + Tensor::eye(width, (Kind::Double, tch::Device::Cpu)) * ridge;
        let (factor, failed) = matrix.f_linalg_cholesky_ex(false, false)?;
        if failed.int64_value(&[]) != 0 {
            return Ok(None);
        }
        let kernel = own.matmul(&own.tr().f_cholesky_solve(&factor, false)?) * ridge;
        let weights = retained
            .tr()
            .matmul(&targets)
            .f_cholesky_solve(&factor, false)?;
        let flat = |tensor: Tensor| Vec::<f64>::try_from(tensor.contiguous().reshape([-1]));
        Ok(Some(Self {
            ridge,
            kernel: flat(kernel)?,
            scores: flat(own.matmul(&weights))?,
            classes,
        }))
    }

    /// The logits of the pool by the head that was trained on what stays and, of the pool, on what
    /// `status` says was kept; none where its equations cannot be solved.
    fn logits(&self, pool: &Pool, status: &[Status]) -> Option<Matrix> {
        let (clips, classes) = (pool.clips(), self.classes);
        let kept: Vec<usize> = (0..clips)
            .filter(|&clip| status[clip] == Status::Retained)
            .collect();
        let mut scores = self.scores.clone();
        if !kept.is_empty() {
            let size = kept.len();
            let at = |row: usize, column: usize| self.kernel[row * clips + column];
            let mut system = vec![0.0; size * size];
            let mut missing = vec![0.0; size * classes];
            for (i, &row) in kept.iter().enumerate() {
                for (j, &column) in kept.iter().enumerate() {
                    system[i * size + j] = at(row, column) + if i == j { self.ridge } else { 0.0 };
                }
                for class in 0..classes {
                    let target = f64::from(u8::from(pool.labels[row] == class));
                    missing[i * classes + class] = target - self.scores[row * classes + class];
                }
            }
            let solved = Cholesky::new(&system, size)?.solve(&missing, classes);
            for clip in 0..clips {
                for (i, &column) in kept.iter().enumerate() {
                    for class in 0..classes {
                        scores[clip * classes + class] +=
                            at(clip, column) * solved[i * classes + class];
                    }
                }
            }
        }
        Some(Matrix {
            // The link of exact heads.
            values: scores.into_iter().map(|s| 4.0 * (2.0 * s - 1.0)).collect(),
            count: clips,
            width: classes,
        })
    }
}

/// Features with a 1 behind each.
fn with_one(features: &Matrix) -> Tensor {
    let rows = i64::try_from(features.count).unwrap_or(i64::MAX);
    let matrix = Tensor::from_slice(&features.values).reshape([rows, -1]);
    let ones = Tensor::ones([rows, 1], (Kind::Double, tch::Device::Cpu));
    Tensor::cat(&[matrix, ones], 1)
}

/// What the shadow heads say, shadow after shadow.
#[derive(Default)]
struct Shadows {
    phi: Vec<f64>,
    losses: Vec<f64>,
    status: Vec<Status>,
}

impl Shadows {
    fn rows(&self, about: About<'_>, pool: &Pool) -> Result<Vec<AuditRow>, AuditError> {
        let clips = pool.clips();
        let attack = lira(
            Rows::new(&self.phi, SHADOWS, clips)?,
            &self.status,
            Variance::Auto,
        )?;
        let mut rows = attack_rows(about, "lira", &attack.attack, &[]);
        let own = |measure, value, n| about.row(Figure::new("forget", measure, value, n), None);
        let skipped = attack.skipped as f64;
        rows.push(own("lira_skipped", Some(skipped), SHADOWS * clips));
        rows.extend(self.forget_quality(about, pool)?);
        for (clip, listed) in pool.of_forget.clips.iter().enumerate() {
            let losses = |seen: bool| {
                let is = |status: &Status| (*status == Status::Retained) == seen;
                mean(&self.of_clip(&self.losses, clip, clips, is))
            };
            let value = super::super::gap::difference(losses(false), losses(true));
            let figure = Figure::new("forget", "memorisation", value, SHADOWS);
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
        let places = (0..SHADOWS).map(|shadow| shadow * clips + clip);
        places
            .filter(|&place| wanted(&self.status[place]))
            .map(|place| values[place])
            .collect()
    }

    /// Forget quality of what was unlearned against what was never seen, and that of one half of
    /// the latter against the other.
    fn forget_quality(&self, about: About<'_>, pool: &Pool) -> Result<Vec<AuditRow>, AuditError> {
        let clips = pool.clips();
        let mut found = [(Vec::new(), usize::MAX), (Vec::new(), usize::MAX)];
        for clip in 0..pool.members {
            let of = |wanted: Status| self.of_clip(&self.phi, clip, clips, |s| *s == wanted);
            let (unlearned, never) = (of(Status::Unlearned), of(Status::HeldOut));
            let (first, second) = never.split_at(never.len() / 2);
            for ((epsilons, least), (a, b)) in found
                .iter_mut()
                .zip([(&unlearned[..], &never[..]), (first, second)])
            {
                let (u, r) = (Rows::new(a, a.len(), 1)?, Rows::new(b, b.len(), 1)?);
                epsilons.extend(per_clip(u, r)?.into_iter().flatten());
                *least = (*least).min(a.len()).min(b.len());
            }
        }
        let rows = found
            .into_iter()
            .zip(["forget_quality", "forget_quality_floor"])
            .map(|((epsilons, models), measure)| {
                let value = forget_quality(&epsilons, models);
                about.row(Figure::new("forget", measure, value, models), None)
            });
        Ok(rows.collect())
    }
}
