//! Intervals over seeds and over clips.

use rand::RngExt;

use super::error::same_length;
use super::{AuditError, mean, nearest_rank};
use crate::metrics::mean_and_deviation;
use crate::random::stream;

/// Bootstrap replicates by default.
pub const REPLICATES: u64 = 2000;
/// The places of a 95 % interval's ends among the sorted replicates, in thousandths.
const ENDS: [usize; 2] = [25, 975];
/// The share of Student's t within the interval's ends.
const WITHIN: f64 = 0.95;

/// A mean over seeds with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TInterval {
    /// The mean.
    pub mean: Option<f64>,
    /// The lower end; `None` with fewer than two seeds.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// Student's t interval of the mean of `values`, one for each seed: mean +- t(0.975, J - 1) s /
/// sqrt(J). All `None` where a value is, since runs are paired by seed.
#[must_use]
pub fn t_interval(values: &[Option<f64>]) -> TInterval {
    let Some(values) = values.iter().copied().collect::<Option<Vec<f64>>>() else {
        return TInterval::default();
    };
    let (mean, deviation) = mean_and_deviation(&values);
    let half = deviation.map(|s| t_quantile(values.len() - 1) * s / (values.len() as f64).sqrt());
    let end = |sign: f64| Some(mean? + sign * half?);
    TInterval {
        mean,
        low: end(-1.0),
        high: end(1.0),
    }
}

/// The 97.5 % quantile of Student's t with `freedom` degrees, at least 1.
///
/// With theta = atan(t / sqrt(freedom)) the share within +-t is a finite sum of powers of
/// cos(theta) (Abramowitz and Stegun, 26.7.3 and 26.7.4), which halving inverts to the last bit.
fn t_quantile(freedom: usize) -> f64 {
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    loop {
        let theta = f64::midpoint(low, high);
        if theta <= low || theta >= high {
            return (freedom as f64).sqrt() * theta.tan();
        }
        if share_within(theta, freedom) < WITHIN {
            low = theta;
        } else {
            high = theta;
        }
    }
}

fn share_within(theta: f64, freedom: usize) -> f64 {
    let (sine, cosine) = theta.sin_cos();
    let is_odd = freedom % 2 == 1;
    let (mut term, mut sum) = if is_odd { (cosine, 0.0) } else { (1.0, 0.0) };
    // The powers go up by two, to that of freedom - 2.
    let first = usize::from(is_odd);
    for power in (first..freedom.saturating_sub(1)).step_by(2) {
        sum += term;
        term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
    }
    if is_odd {
        (theta + sine * sum) / std::f64::consts::FRAC_PI_2
    } else {
        sine * sum
    }
}

/// What one bootstrap replicate draws: seeds, and for each stratum places in its list, both with
/// replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Places among the seeds.
    pub seeds: Vec<usize>,
    /// For each stratum, as many places in it as it has clips.
    pub clips: Vec<Vec<usize>>,
}

impl Draw {
    /// Replicate `replicate` under `seed`: first `seeds` seeds, then each stratum in order.
    #[must_use]
    pub fn new(seed: u64, replicate: u64, seeds: usize, strata: &[Vec<usize>]) -> Self {
        let mut rng = stream(seed, "bootstrap", &[replicate]);
        // 64-bit draws give the same places on every platform.
        let mut places = |count: usize| -> Vec<usize> {
            let end = count as u64;
            let place = |_| usize::try_from(rng.random_range(0..end)).unwrap_or(usize::MAX);
            (0..count).map(place).collect()
        };
        Self {
            seeds: places(seeds),
            clips: strata.iter().map(|stratum| places(stratum.len())).collect(),
        }
    }

    fn check(&self, seeds: usize, strata: &[Vec<usize>]) -> Result<(), AuditError> {
        same_length("strata of a draw", strata.len(), self.clips.len())?;
        below("seed", &self.seeds, seeds)?;
        let mut pairs = self.clips.iter().zip(strata);
        pairs.try_for_each(|(places, stratum)| below("clip of a stratum", places, stratum.len()))
    }
}

fn below(what: &'static str, places: &[usize], count: usize) -> Result<(), AuditError> {
    match places.iter().position(|&p| p >= count) {
        None => Ok(()),
        Some(at) => Err(AuditError::Index {
            what,
            index: places[at],
            at,
            count,
        }),
    }
}

/// Whose figure is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The unlearned model's.
    Unlearned,
    /// The reference's.
    Reference,
}

/// A difference of an unlearned model and its reference with its bootstrap interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// The mean over seeds of u - r on all clips.
    pub estimate: Option<f64>,
    /// The same on each draw.
    pub replicates: Vec<Option<f64>>,
    /// The lower end of the 95 % interval of the defined replicates.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// How many replicates are defined.
    pub defined: usize,
}

/// Bootstraps the mean over seeds of `statistic(u, seed, clips) - statistic(r, seed, clips)`.
///
/// `strata` hold the places of clips; `statistic` gets the places drawn, stratum after stratum. The
/// same draw serves both sides and all seeds, so what they share cancels out.
///
/// # Errors
/// [`AuditError`] of a draw that does not fit, or of the statistic.
pub fn paired_bootstrap(
    seeds: usize,
    strata: &[Vec<usize>],
    draws: impl IntoIterator<Item = Draw>,
    statistic: impl Fn(Side, usize, &[usize]) -> Result<Option<f64>, AuditError>,
) -> Result<Bootstrap, AuditError> {
    let value = |seeds: &[usize], clips: &[usize]| -> Result<Option<f64>, AuditError> {
        let mut differences = Vec::with_capacity(seeds.len());
        for &seed in seeds {
            let u = statistic(Side::Unlearned, seed, clips)?;
            let r = statistic(Side::Reference, seed, clips)?;
            differences.push(super::gap::difference(u, r));
        }
        let defined: Option<Vec<f64>> = differences.into_iter().collect();
        Ok(defined.and_then(|values| mean(&values)))
    };
    let estimate = value(&(0..seeds).collect::<Vec<_>>(), &strata.concat())?;
    let mut replicates = Vec::new();
    for draw in draws {
        draw.check(seeds, strata)?;
        let pairs = strata.iter().zip(&draw.clips);
        let clips: Vec<usize> = pairs
            .flat_map(|(stratum, places)| places.iter().map(|&place| stratum[place]))
            .collect();
        replicates.push(value(&draw.seeds, &clips)?);
    }
    let mut sorted: Vec<f64> = replicates.iter().flatten().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let [low, high] = ENDS.map(|end| nearest_rank(&sorted, end));
    Ok(Bootstrap {
        estimate,
        replicates,
        low,
        high,
        defined: sorted.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_equal_the_tables() {
        let table = [
            (1, 12.706_204_736_4),
            (2, 4.302_652_729_91),
            (3, 3.182_446_305_28),
            (4, 2.776_445_105_2),
            (9, 2.262_157_162_74),
            (30, 2.042_272_456_3),
            (1000, 1.962_339_080_83),
        ];
        for (freedom, golden) in table {
            assert!((t_quantile(freedom) - golden).abs() < 1e-8, "{freedom}");
        }
    }

    #[test]
    fn one_seed_has_a_mean_and_no_interval() {
        let found = t_interval(&[Some(0.5)]);
        assert_eq!((found.mean, found.low, found.high), (Some(0.5), None, None));
    }

    #[test]
    fn draws_repeat_and_keep_to_their_strata() {
        let strata = vec![vec![4, 5, 6], vec![], vec![7]];
        let draw = Draw::new(1, 2, 3, &strata);
        assert_eq!(draw, Draw::new(1, 2, 3, &strata));
        assert_ne!(draw, Draw::new(1, 3, 3, &strata));
        draw.check(3, &strata).unwrap();
        assert_eq!(
            draw.clips.iter().map(Vec::len).collect::<Vec<_>>(),
            [3, 0, 1]
        );
    }

    #[test]
    fn the_same_model_twice_differs_by_nothing_on_every_draw() {
        let strata = vec![vec![0, 1, 2, 3]];
        let draws = (0..50).map(|b| Draw::new(0, b, 2, &strata));
        let scores = [[0.1, 0.9, 0.4, 0.3], [0.2, 0.7, 0.5, 0.8]];
        let found = paired_bootstrap(2, &strata, draws, |_, seed, clips| {
            Ok(mean(
                &clips.iter().map(|&c| scores[seed][c]).collect::<Vec<_>>(),
            ))
        });
        let found = found.unwrap();
        assert_eq!(
            (found.low, found.high, found.defined),
            (Some(0.0), Some(0.0), 50)
        );
    }

    #[test]
    fn a_draw_that_does_not_fit_is_refused() {
        let strata = vec![vec![0, 1]];
        let draw = |seeds: &[usize], clips: &[usize]| Draw {
            seeds: seeds.to_vec(),
            clips: vec![clips.to_vec()],
        };
        let none = |_, _, _: &[usize]| Ok(None);
        assert!(paired_bootstrap(1, &strata, [draw(&[1], &[0])], none).is_err());
        assert!(paired_bootstrap(1, &strata, [draw(&[0], &[2])], none).is_err());
        let found = paired_bootstrap(1, &strata, [draw(&[0], &[1])], none).unwrap();
        assert_eq!((found.defined, found.low), (0, None));
    }
}
