//! U-LiRA: a likelihood-ratio attack that knows how the unlearning method treats each clip (Hayes
//! et al., <https://arxiv.org/abs/2403.01218>; Carlini et al., <https://arxiv.org/abs/2112.03570>).
//!
//! Every shadow model has trained on a clip and unlearned it, has trained on it and retained it, or
//! has never seen it. Each shadow in turn is the target and leaves the fit. A method that forgets
//! exactly gives 0.5 within the interval.

use rand::RngExt;

use super::error::same_length;
use super::membership::{Attack, attack, auc};
use super::{AuditError, Rows};
use crate::random::stream;

/// Shadow models by default.
pub const SHADOWS: usize = 128;
/// Fewer shadow models are refused by the stage.
pub const FEWEST_SHADOWS: usize = 16;
/// Scaled confidences are clipped to plus and minus this.
pub(super) const CLIP: f64 = 100.0;
/// No standard deviation counts as less.
const LEAST_DEVIATION: f64 = 1e-3;
/// Where the median number of models behind a Gaussian is below this, variances are pooled over
/// clips.
const POOLED_BELOW: f64 = 64.0;

/// What a shadow model did with a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Trained on it, then unlearned it.
    Unlearned,
    /// Trained on it and kept it.
    Retained,
    /// Never saw it.
    HeldOut,
}

/// How the variances of the Gaussians are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variance {
    /// Pooled over clips where there are few models for each, else per clip.
    Auto,
    /// One for each clip and side.
    PerClip,
    /// One for each side.
    Pooled,
}

/// What shadow `shadow` does with each of `clips`, a third each, drawn in the order of their ids.
#[must_use]
pub fn deal(seed: u64, shadow: u64, clips: usize) -> Vec<Status> {
    let mut rng = stream(seed, "lira", &[shadow]);
    let status = |_| match rng.random_range(0..3_u32) {
        0 => Status::Unlearned,
        1 => Status::Retained,
        _ => Status::HeldOut,
    };
    (0..clips).map(status).collect()
}

/// What the attack found.
#[derive(Clone, Debug, PartialEq)]
pub struct Lira {
    /// Whether variances were pooled over clips.
    pub pooled: bool,
    /// ln N(phi; unlearned) - ln N(phi; never seen), row-major `[shadows, clips]`; `None` where the
    /// clip was retained, and where a side has fewer than two other models.
    pub scores: Vec<Option<f64>>,
    /// The attack over all pairs of a shadow and a clip, members those unlearned.
    pub attack: Attack,
    /// Pairs without a score because a side had fewer than two other models.
    pub skipped: usize,
    /// The AUC of each clip over shadows, `[clips]`; `None` where a side is empty.
    pub auc_per_clip: Vec<Option<f64>>,
}

/// Attacks shadow models by `phi` `[shadows, clips]`, whose clips were treated as `status` says,
/// row-major.
///
/// # Errors
/// Lengths that disagree; a phi that is no number (an infinite one is clipped).
pub fn lira(phi: Rows<'_>, status: &[Status], variance: Variance) -> Result<Lira, AuditError> {
    same_length(
        "marks of clips in shadows",
        phi.values().len(),
        status.len(),
    )?;
    phi.numbers("scaled confidences")?;
    let clipped: Vec<f64> = phi.values().iter().map(|v| v.clamp(-CLIP, CLIP)).collect();
    let shadows = Shadows {
        phi: &clipped,
        status,
        clips: phi.width(),
    };
    let sides: Vec<[Side; 2]> = (0..phi.width()).map(|clip| shadows.sides(clip)).collect();
    let pooled = match variance {
        Variance::PerClip => false,
        Variance::Pooled => true,
        Variance::Auto => median_count(&sides).is_some_and(|m| m < POOLED_BELOW),
    };
    let (mut scores, mut skipped) = (Vec::with_capacity(status.len()), 0);
    for row in 0..phi.count() {
        let fits = shadows.without(row, &sides);
        let pool = [0, 1].map(|side| pooled.then(|| pooled_variance(&fits, side)).flatten());
        for (clip, fit) in fits.iter().enumerate() {
            let at = row * phi.width() + clip;
            let score = shadows.score(at, fit, pooled.then_some(pool));
            skipped += usize::from(score.is_none() && status[at] != Status::Retained);
            scores.push(score);
        }
    }
    let every = |places: &mut dyn Iterator<Item = usize>| {
        let (mut members, mut others) = (Vec::new(), Vec::new());
        for at in places {
            match (scores[at], status[at]) {
                (Some(score), Status::Unlearned) => members.push(score),
                (Some(score), Status::HeldOut) => others.push(score),
                _ => {}
            }
        }
        (members, others)
    };
    let (members, others) = every(&mut (0..scores.len()));
    let auc_per_clip = (0..phi.width()).map(|clip| {
        let (members, others) = every(&mut (clip..scores.len()).step_by(phi.width()));
        auc(&members, &others)
    });
    Ok(Lira {
        pooled,
        attack: attack(&members, &others)?,
        skipped,
        auc_per_clip: auc_per_clip.collect::<Result<_, _>>()?,
        scores,
    })
}

/// The models of one side of one clip: their number, mean and sum of squared deviations.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    count: usize,
    mean: f64,
    squares: f64,
}

impl Side {
    fn of(values: &[f64]) -> Self {
        let mean = super::mean(values).unwrap_or(0.0);
        Self {
            count: values.len(),
            mean,
            squares: values.iter().map(|v| (v - mean).powi(2)).sum(),
        }
    }

    fn variance(&self) -> f64 {
        self.squares / (self.count as f64 - 1.0)
    }
}

struct Shadows<'a> {
    phi: &'a [f64],
    status: &'a [Status],
    clips: usize,
}

/// The two sides in the order in which arrays hold them.
const SIDES: [Status; 2] = [Status::Unlearned, Status::HeldOut];

impl Shadows<'_> {
    /// What the models of each side say of `clip`, without the one in `left_out`.
    fn fit(&self, clip: usize, left_out: Option<usize>) -> [Side; 2] {
        SIDES.map(|side| {
            let places = (clip..self.phi.len()).step_by(self.clips);
            let values = places
                .enumerate()
                .filter(|&(row, at)| Some(row) != left_out && self.status[at] == side)
                .map(|(_, at)| self.phi[at]);
            Side::of(&values.collect::<Vec<_>>())
        })
    }

    fn sides(&self, clip: usize) -> [Side; 2] {
        self.fit(clip, None)
    }

    /// The fits of every clip when shadow `row` is the target. Only a side that the target is on
    /// changes.
    fn without(&self, row: usize, sides: &[[Side; 2]]) -> Vec<[Side; 2]> {
        let of = |(clip, all): (usize, &[Side; 2])| match self.status[row * self.clips + clip] {
            Status::Retained => *all,
            _ => self.fit(clip, Some(row)),
        };
        sides.iter().enumerate().map(of).collect()
    }

    /// The score of the target's clip at place `at`.
    fn score(&self, at: usize, fit: &[Side; 2], pool: Option<[Option<f64>; 2]>) -> Option<f64> {
        if self.status[at] == Status::Retained || fit.iter().any(|side| side.count < 2) {
            return None;
        }
        let log_density = |side: usize| {
            let variance = match pool {
                None => fit[side].variance(),
                Some(pool) => pool[side]?,
            };
            let deviation = variance.sqrt().max(LEAST_DEVIATION);
            let z = (self.phi[at] - fit[side].mean) / deviation;
            Some(-0.5 * z * z - deviation.ln())
        };
        Some(log_density(0)? - log_density(1)?)
    }
}

/// The variance within clips of one side over all clips that two models or more speak of; `None` if
/// there is none.
fn pooled_variance(fits: &[[Side; 2]], side: usize) -> Option<f64> {
    let several = fits.iter().map(|fit| fit[side]).filter(|s| s.count >= 2);
    let (squares, freedom) = several.fold((0.0, 0), |(squares, freedom), side| {
        (squares + side.squares, freedom + side.count - 1)
    });
    (freedom > 0).then(|| squares / freedom as f64)
}

/// The median, over clips and sides, of the number of models behind a Gaussian.
fn median_count(sides: &[[Side; 2]]) -> Option<f64> {
    let mut counts: Vec<usize> = sides.iter().flatten().map(|side| side.count).collect();
    counts.sort_unstable();
    let n = counts.len();
    (n > 0).then(|| f64::midpoint(counts[(n - 1) / 2] as f64, counts[n / 2] as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shadows_are_dealt_in_thirds_and_repeat() {
        let dealt = deal(0, 3, 3000);
        assert_eq!(dealt, deal(0, 3, 3000));
        assert_ne!(dealt, deal(0, 4, 3000));
        for status in [Status::Unlearned, Status::Retained, Status::HeldOut] {
            let count = dealt.iter().filter(|s| **s == status).count();
            assert!((900..1100).contains(&count), "{status:?}: {count}");
        }
    }

    #[test]
    fn a_score_is_the_difference_of_two_log_densities() {
        // The target (first row) leaves: the unlearned are 0 and 2, the unseen 4 and 8.
        let phi = [1.0, 0.0, 2.0, 4.0, 8.0];
        let status = [
            Status::Unlearned,
            Status::Unlearned,
            Status::Unlearned,
            Status::HeldOut,
            Status::HeldOut,
        ];
        let found = lira(Rows::new(&phi, 5, 1).unwrap(), &status, Variance::PerClip).unwrap();
        let unlearned = -0.5 * 2.0_f64.ln();
        let unseen = -25.0 / 16.0 - 0.5 * 8.0_f64.ln();
        assert!((found.scores[0].unwrap() - (unlearned - unseen)).abs() < 1e-12);
        // An unseen target leaves one unseen model behind.
        assert_eq!((found.scores[3], found.skipped), (None, 2));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let phi = [f64::NAN];
        let rows = Rows::new(&phi, 1, 1).unwrap();
        assert!(lira(rows, &[Status::Unlearned], Variance::Auto).is_err());
        assert!(lira(rows, &[], Variance::Auto).is_err());
        let none = lira(Rows::new(&[], 0, 0).unwrap(), &[], Variance::Auto).unwrap();
        assert_eq!(none.attack, Attack::default());
    }
}
