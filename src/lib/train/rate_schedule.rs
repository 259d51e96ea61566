//! Learning-rate schedules: plain arithmetic, one step an epoch, numerically PyTorch's
//! `MultiStepLR` and `ReduceLROnPlateau`.

use super::settings::{PlateauCheck, SchedulerName, Settings};

/// Epochs after which `multi-step` lowers the rates.
const MULTI_STEP_EPOCHS: [u32; 2] = [20, 40];
/// What a rate is multiplied with when it falls.
const DECAY: f64 = 0.1;
/// A figure must be better than the best by this share of it to count as an improvement.
const PLATEAU_THRESHOLD: f64 = 1e-4;
/// A rate that would fall by less than this stays.
const PLATEAU_LEAST_FALL: f64 = 1e-8;
/// Schedules other than `fixed` end a task when the rate of the first group is below this.
pub(super) const LEAST_RATE: f64 = 1e-5;

/// Which direction of the watched figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Larger values, as of mAP.
    More,
    /// Smaller values, as of a loss.
    Less,
}

/// The schedule of one task's learning rates.
#[derive(Clone, Debug)]
pub struct RateSchedule {
    rule: Rule,
    /// The rate of each parameter group.
    rates: Vec<f64>,
}

#[derive(Clone, Debug)]
enum Rule {
    Fixed,
    MultiStep {
        epochs: u32,
    },
    Plateau {
        better: Better,
        patience: u32,
        best: Option<f64>,
        bad_epochs: u32,
    },
}

impl RateSchedule {
    /// The schedule of `task` for parameter groups that start with `rates`.
    #[must_use]
    pub fn new(settings: &Settings, task: usize, rates: Vec<f64>) -> Self {
        let rule = match settings.scheduler {
            SchedulerName::Fixed => Rule::Fixed,
            SchedulerName::MultiStep => Rule::MultiStep { epochs: 0 },
            SchedulerName::ReduceOnPlateau => Rule::Plateau {
                better: plateau_direction(settings, task),
                patience: settings.patience,
                best: None,
                bad_epochs: 0,
            },
        };
        Self { rule, rates }
    }

    /// The rates now, one for each group.
    #[must_use]
    pub fn rates(&self) -> &[f64] {
        &self.rates
    }

    /// What the schedule has counted and seen: epochs (of `multi-step` all, of the plateau those
    /// without improvement), and the best figure.
    #[must_use]
    pub fn seen(&self) -> (u32, Option<f64>) {
        match &self.rule {
            Rule::Fixed => (0, None),
            Rule::MultiStep { epochs } => (*epochs, None),
            Rule::Plateau {
                best, bad_epochs, ..
            } => (*bad_epochs, *best),
        }
    }

    /// Goes on from the rates and from what [`RateSchedule::seen`] said of a schedule of the same
    /// task.
    pub fn put_back(&mut self, rates: Vec<f64>, counted: u32, seen: Option<f64>) {
        self.rates = rates;
        match &mut self.rule {
            Rule::Fixed => {}
            Rule::MultiStep { epochs } => *epochs = counted,
            Rule::Plateau {
                best, bad_epochs, ..
            } => (*bad_epochs, *best) = (counted, seen),
        }
    }

    /// Ends an epoch whose watched figure was `figure` (not a number where undefined). Says whether
    /// the rate of the first group changed.
    pub fn step(&mut self, figure: f64) -> bool {
        let before = self.rates.first().copied();
        match &mut self.rule {
            Rule::Fixed => {}
            Rule::MultiStep { epochs } => {
                *epochs += 1;
                if MULTI_STEP_EPOCHS.contains(epochs) {
                    self.rates.iter_mut().for_each(|rate| *rate *= DECAY);
                }
            }
            Rule::Plateau {
                better,
                patience,
                best,
                bad_epochs,
            } => {
                if improves(*better, figure, *best) {
                    *best = Some(figure);
                    *bad_epochs = 0;
                } else {
                    *bad_epochs += 1;
                }
                if *bad_epochs > *patience {
                    *bad_epochs = 0;
                    for rate in &mut self.rates {
                        let fallen = *rate * DECAY;
                        if *rate - fallen > PLATEAU_LEAST_FALL {
                            *rate = fallen;
                        }
                    }
                }
            }
        }
        before != self.rates.first().copied()
    }

    /// Whether the task ends because the rate of the first group has fallen so low. `fixed` never
    /// ends a task.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        !matches!(self.rule, Rule::Fixed)
            && self.rates.first().is_some_and(|rate| *rate < LEAST_RATE)
    }
}

/// The direction in which the plateau check of `task` looks.
fn plateau_direction(settings: &Settings, task: usize) -> Better {
    match settings.plateau_check {
        PlateauCheck::Loss => Better::Less,
        PlateauCheck::Map if !settings.is_first(task) && settings.compat.plateau_map_minimised => {
            Better::Less
        }
        PlateauCheck::Map => Better::More,
    }
}

/// The figure that the plateau check is fed, of an epoch's validation loss and mAP.
#[must_use]
pub fn watched_figure(settings: &Settings, loss: f64, mean_ap: Option<f64>) -> f64 {
    match settings.plateau_check {
        PlateauCheck::Loss if !settings.compat.plateau_loss_fed_map => loss,
        _ => mean_ap.unwrap_or(f64::NAN),
    }
}

fn improves(better: Better, figure: f64, best: Option<f64>) -> bool {
    match (better, best) {
        (_, None) => !figure.is_nan(),
        (Better::Less, Some(best)) => figure < best * (1.0 - PLATEAU_THRESHOLD),
        (Better::More, Some(best)) => figure > best * (1.0 + PLATEAU_THRESHOLD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::settings::Compat;

    fn settings(scheduler: SchedulerName, patience: u32) -> Settings {
        Settings {
            scheduler,
            patience,
            ..Settings::default()
        }
    }

    /// The rate after each epoch.
    fn trace(schedule: &mut RateSchedule, figures: &[f64]) -> Vec<f64> {
        figures
            .iter()
            .map(|&figure| {
                schedule.step(figure);
                schedule.rates()[0]
            })
            .collect()
    }

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12)
    }

    #[test]
    fn fixed_never_changes_and_never_ends() {
        let mut schedule = RateSchedule::new(&settings(SchedulerName::Fixed, 0), 0, vec![1e-6]);
        assert!(close(&trace(&mut schedule, &[0.1; 50]), &[1e-6; 50]));
        assert!(!schedule.is_spent());
    }

    #[test]
    fn multi_step_falls_after_20_and_40_epochs_and_then_ends_below_the_least_rate() {
        let mut schedule =
            RateSchedule::new(&settings(SchedulerName::MultiStep, 0), 0, vec![1e-4, 1e-3]);
        let rates = trace(&mut schedule, &[0.0; 45]);
        assert!(close(&rates[..19], &[1e-4; 19]));
        assert!(close(&rates[19..39], &[1e-5; 20]));
        assert!(close(&rates[39..], &[1e-6; 6]));
        assert!((schedule.rates()[1] - 1e-5).abs() < 1e-12);
        assert!(schedule.is_spent());
    }

    #[test]
    fn a_plateau_counts_from_the_last_improvement_by_more_than_the_threshold() {
        // Of PyTorch's ReduceLROnPlateau(mode="max", factor=0.1, patience=2): the third epoch in a
        // row without improvement lowers the rate; 0.50004 is within the threshold of 0.5.
        let mut schedule =
            RateSchedule::new(&settings(SchedulerName::ReduceOnPlateau, 2), 0, vec![1.0]);
        let figures = [0.4, 0.5, 0.500_04, 0.5, 0.49, 0.6, 0.6, 0.6, 0.6, 0.6];
        let expected = [1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01];
        assert!(close(&trace(&mut schedule, &figures), &expected));
    }

    #[test]
    fn the_seed_looks_for_a_falling_map_after_task_0() {
        let rising = [0.1, 0.2, 0.3, 0.4];
        let ours = settings(SchedulerName::ReduceOnPlateau, 1);
        let seeds = Settings {
            compat: Compat {
                plateau_map_minimised: true,
                ..Compat::default()
            },
            ..ours.clone()
        };
        let last = |settings: &Settings, task| {
            trace(&mut RateSchedule::new(settings, task, vec![1.0]), &rising)[3]
        };
        assert!((last(&ours, 1) - 1.0).abs() < 1e-12);
        assert!((last(&seeds, 0) - 1.0).abs() < 1e-12);
        assert!((last(&seeds, 1) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn the_loss_is_watched_where_asked_and_the_seed_watches_the_map_instead() {
        let mut settings = settings(SchedulerName::ReduceOnPlateau, 0);
        let watched = |settings: &Settings| watched_figure(settings, 0.7, Some(0.2));
        assert!((watched(&settings) - 0.2).abs() < 1e-12);
        settings.plateau_check = PlateauCheck::Loss;
        assert!((watched(&settings) - 0.7).abs() < 1e-12);
        settings.compat.plateau_loss_fed_map = true;
        assert!((watched(&settings) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn a_schedule_goes_on_from_what_it_has_seen_as_if_it_had_never_stopped() {
        let figures: Vec<f64> = (0..45).map(|i| f64::from(i % 7)).collect();
        for scheduler in SchedulerName::ALL {
            let settings = settings(scheduler, 2);
            let new = || RateSchedule::new(&settings, 0, vec![1.0, 0.5]);
            let (mut whole, mut stopped) = (new(), new());
            for &figure in &figures {
                let (counted, best) = stopped.seen();
                let rates = stopped.rates().to_vec();
                stopped = new();
                stopped.put_back(rates, counted, best);
                assert_eq!(whole.step(figure), stopped.step(figure));
                assert!(whole.rates() == stopped.rates(), "{scheduler}");
            }
        }
    }

    #[test]
    fn an_undefined_figure_is_no_improvement() {
        let mut schedule =
            RateSchedule::new(&settings(SchedulerName::ReduceOnPlateau, 0), 0, vec![1.0]);
        assert!(schedule.step(f64::NAN));
    }
}
