//! A figure with everything that it must be read beside: its interval, its n, and chance.

use crate::audit::interval::t_interval;
use crate::metrics::{Figures, mean_and_deviation, mean_defined, quantile_of, quantile_of_figures};

/// The ends of a 95 % interval among the sorted draws.
const ENDS: [f64; 2] = [0.025, 0.975];

/// The ends of a 95 % interval of every figure.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    low: Figures,
    high: Figures,
}

impl Bounds {
    pub(super) fn of(draws: &[Figures]) -> Self {
        let draws: Vec<&Figures> = draws.iter().collect();
        let [low, high] = ENDS.map(|end| quantile_of_figures(&draws, end));
        Self { low, high }
    }

    pub(super) fn pick(&self, metric: &str, place: Place) -> Option<Interval> {
        Interval::new(
            pick(&self.low, metric, place),
            pick(&self.high, metric, place),
        )
    }
}

/// A 95 % interval: of one run by the bootstrap over its test clips, of several over their seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    fn new(low: Option<f64>, high: Option<f64>) -> Option<Self> {
        let (low, high) = low.zip(high)?;
        Some(Self { low, high })
    }

    /// The interval of one value from its draws.
    pub(super) fn of(draws: &[Option<f64>]) -> Option<Self> {
        let [low, high] = ENDS.map(|end| quantile_of(draws, end));
        Self::new(low, high)
    }
}

/// What a figure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The whole test set.
    Overall,
    /// A class, by its number.
    Class(usize),
    /// A subcategory, by its number in the taxonomy.
    Subcategory(usize),
}

/// A figure with everything that it must be read beside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Judgement {
    pub(super) value: Option<f64>,
    pub(super) interval: Option<Interval>,
    pub(super) forgetting: Option<f64>,
    pub(super) forgetting_interval: Option<Interval>,
    /// The mean and the asked quantile of permuted labels.
    pub(super) chance: Option<f64>,
    pub(super) chance_quantile: Option<f64>,
    /// Test clips that it is about.
    pub(super) clips: Option<usize>,
}

/// One of the figures.
pub(super) fn pick(figures: &Figures, metric: &str, place: Place) -> Option<f64> {
    let of = |lists: &[(&str, &[Option<f64>])], k: usize| {
        let list = lists.iter().find(|(name, _)| *name == metric)?.1;
        list.get(k).copied().flatten()
    };
    match place {
        Place::Overall => {
            let overall = figures.overall();
            overall.iter().find(|(name, _)| *name == metric)?.1
        }
        Place::Class(class) => of(&figures.per_class(), class),
        Place::Subcategory(subcategory) => of(&figures.per_subcategory(), subcategory),
    }
}

/// Mean, standard deviation (n - 1) and interval of the defined values, with their number.
pub(super) fn over_runs(values: impl IntoIterator<Item = Option<f64>>) -> Spread {
    let values: Vec<f64> = values.into_iter().flatten().collect();
    let (mean, deviation) = mean_and_deviation(&values);
    let t = t_interval(&values.iter().copied().map(Some).collect::<Vec<_>>());
    Spread {
        runs: values.len(),
        mean,
        deviation,
        interval: Interval::new(t.low, t.high),
        ..Spread::default()
    }
}

/// Value and forgetting of a figure over several runs, the value with the mean of the runs' levels
/// of chance, both with the test clips that they are about.
pub(super) fn judged_over_runs(judged: &[Judgement]) -> [Spread; 2] {
    let defined = || judged.iter().filter(|j| j.value.is_some());
    let counts = || defined().filter_map(|j| j.clips);
    let clips = counts().min().zip(counts().max());
    let value = over_runs(judged.iter().map(|j| j.value));
    let forgetting = over_runs(judged.iter().map(|j| j.forgetting));
    [
        Spread {
            chance: mean_defined(judged.iter().map(|j| j.chance)),
            clips,
            ..value
        },
        Spread {
            clips,
            ..forgetting
        },
    ]
}

/// A figure over several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    /// Runs in which it is defined.
    pub(super) runs: usize,
    pub(super) mean: Option<f64>,
    /// Standard deviation with n - 1; `None` with one run.
    pub(super) deviation: Option<f64>,
    /// Student's 95 % interval of the mean; `None` with one run.
    pub(super) interval: Option<Interval>,
    /// The mean over the runs of what permuted labels reach on average; `None` where that is not
    /// known, and of forgetting.
    pub(super) chance: Option<f64>,
    /// The fewest and the most test clips that it is about in a run.
    pub(super) clips: Option<(usize, usize)>,
}
