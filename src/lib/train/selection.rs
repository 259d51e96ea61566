//! Which epoch's weights a task keeps, and when falling rates bring them back: the order of events
//! within an epoch.

use super::TrainError;

/// Weights that can be copied and put back.
pub(super) trait Weights {
    /// A copy of them.
    type Copy;

    /// Copies the weights as they are now.
    fn copy(&self) -> Result<Self::Copy, TrainError>;

    /// Makes the weights what they were.
    fn put_back(&self, copy: &Self::Copy) -> Result<(), TrainError>;
}

/// The best epoch so far.
#[derive(Debug)]
pub(super) struct Best<C> {
    /// Its validation mAP; `None` where undefined.
    pub(super) mean_ap: Option<f64>,
    /// The epoch.
    pub(super) epoch: u32,
    /// Its weights.
    pub(super) weights: C,
}

/// The choice among a task's epochs.
pub(super) struct Selection<C> {
    best: Option<Best<C>>,
    without_better: u32,
    rollback_before_best: bool,
}

impl<C> Selection<C> {
    /// Nothing chosen yet. `rollback_before_best` is the seed's quirk.
    pub(super) fn new(rollback_before_best: bool) -> Self {
        Self {
            best: None,
            without_better: 0,
            rollback_before_best,
        }
    }

    /// Judges an epoch by its validation mAP: strictly better than all before, it becomes the best
    /// (the first always does); where the rate has just changed, the best weights so far are put
    /// back.
    pub(super) fn judge<W: Weights<Copy = C>>(
        &mut self,
        weights: &W,
        epoch: u32,
        mean_ap: Option<f64>,
        rate_changed: bool,
    ) -> Result<(), TrainError> {
        if rate_changed && self.rollback_before_best {
            self.roll_back(weights)?;
        }
        // `None < Some`, so a defined figure beats an undefined one.
        if self.best.as_ref().is_none_or(|best| mean_ap > best.mean_ap) {
            self.best = Some(Best {
                mean_ap,
                epoch,
                weights: weights.copy()?,
            });
            self.without_better = 0;
        } else {
            self.without_better += 1;
        }
        if rate_changed && !self.rollback_before_best {
            self.roll_back(weights)?;
        }
        Ok(())
    }

    fn roll_back<W: Weights<Copy = C>>(&self, weights: &W) -> Result<(), TrainError> {
        self.best
            .as_ref()
            .map_or(Ok(()), |best| weights.put_back(&best.weights))
    }

    /// Epochs in a row without a better one.
    pub(super) fn without_better(&self) -> u32 {
        self.without_better
    }

    /// The best epoch, if any was judged.
    pub(super) fn best(&self) -> Option<&Best<C>> {
        self.best.as_ref()
    }

    /// Goes on from what another selection had chosen.
    pub(super) fn put_back(&mut self, best: Option<Best<C>>, without_better: u32) {
        self.best = best;
        self.without_better = without_better;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Weights that are one number: the epoch that trained them.
    impl Weights for Cell<u32> {
        type Copy = u32;

        fn copy(&self) -> Result<u32, TrainError> {
            Ok(self.get())
        }

        fn put_back(&self, copy: &u32) -> Result<(), TrainError> {
            self.set(*copy);
            Ok(())
        }
    }

    /// Judges epochs of (mAP, whether the rate changed); gives the selection and the weights in the
    /// end.
    fn after(quirk: bool, epochs: &[(Option<f64>, bool)]) -> (Selection<u32>, u32) {
        let (weights, mut selection) = (Cell::new(0), Selection::new(quirk));
        for (epoch, (mean_ap, rate_changed)) in (0..).zip(epochs) {
            weights.set(10 + epoch);
            selection
                .judge(&weights, epoch, *mean_ap, *rate_changed)
                .unwrap();
        }
        (selection, weights.get())
    }

    #[test]
    fn the_first_epoch_counts_and_only_strictly_better_ones_after_it() {
        let epochs = [
            (Some(0.0), false),
            (Some(0.0), false),
            (Some(0.5), false),
            (Some(0.5), false),
        ];
        let (selection, _) = after(false, &epochs);
        assert_eq!(selection.without_better(), 1);
        let best = selection.best().unwrap();
        assert_eq!((best.epoch, best.weights, best.mean_ap), (2, 12, Some(0.5)));
    }

    #[test]
    fn a_defined_figure_beats_an_undefined_one() {
        let (selection, _) = after(false, &[(None, false), (Some(0.0), false), (None, false)]);
        assert_eq!(selection.best().unwrap().epoch, 1);
    }

    #[test]
    fn a_changed_rate_brings_the_best_weights_back() {
        let (_, weights) = after(false, &[(Some(0.5), false), (Some(0.4), true)]);
        assert_eq!(weights, 10);
    }

    #[test]
    fn the_seed_saves_old_weights_under_a_new_epochs_figure() {
        let epochs = [(Some(0.5), false), (Some(0.6), true)];
        let ours = after(false, &epochs).0;
        let ours = ours.best().unwrap();
        assert_eq!((ours.epoch, ours.weights), (1, 11));
        let seeds = after(true, &epochs).0;
        let seeds = seeds.best().unwrap();
        assert_eq!((seeds.epoch, seeds.weights), (1, 10));
    }
}
