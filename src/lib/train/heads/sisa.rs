//! SISA on features: linear heads in shards, trained slice after slice; a withdrawal goes back to
//! before the first slice that holds a withdrawn clip and trains from there without it. Cost: the
//! share of a whole training's visits that the log tells.

use std::collections::{BTreeMap, BTreeSet};

use super::features::{Features, HeadClip};
use super::head::Head;
use super::linear::{Key, Linear};
use crate::clip::Split;
use crate::train::TrainError;
use crate::train::settings::Settings;
use crate::unlearning::linear_head::LinearHead;
use crate::unlearning::sets::change;
use crate::unlearning::sisa::{Place, plan};

/// The ensemble, with what it needs to go back.
pub(super) struct Sisa<'a> {
    settings: &'a Settings,
    features: &'a Features,
    shards: usize,
    /// For each shard its weights after each slice.
    checkpoints: Vec<Vec<Linear>>,
    /// The stage at which each clip that is there arrived.
    slices: BTreeMap<String, usize>,
}

impl<'a> Sisa<'a> {
    pub(super) fn new(settings: &'a Settings, features: &'a Features, shards: usize) -> Self {
        Self {
            settings,
            features,
            shards,
            checkpoints: (0..shards).map(|_| Vec::new()).collect(),
            slices: BTreeMap::new(),
        }
    }

    /// The first slice that each shard trains at `stage`, and what that costs.
    fn restarts(&mut self, stage: usize) -> BTreeMap<usize, usize> {
        let ids = self.features.train_ids();
        let found = change(&ids, stage);
        let forget: BTreeSet<String> = found.forget.iter().map(|id| (*id).to_owned()).collect();
        let before = stage.checked_sub(1);
        let before = before.map_or(&[][..], |stage| self.features.list(stage, Split::Train));
        let places: Vec<Place> = before
            .iter()
            .map(|clip| Place {
                id: clip.id.clone(),
                position_in_category: clip.position_in_category,
                slice: self.slices.get(&clip.id).copied().unwrap_or(0),
            })
            .collect();
        let plan = plan(&places, &forget, self.shards);
        if let Some(cost) = plan.cost.filter(|_| !forget.is_empty()) {
            tracing::info!(
                "task {}: sisa trains {} of {} shards again, {cost:.3} of the visits of a whole training",
                self.features.tasks()[stage],
                plan.restart.len(),
                self.shards
            );
        }
        for id in &forget {
            self.slices.remove(id);
        }
        for id in found.arrived {
            self.slices.insert(id.to_owned(), stage);
        }
        plan.restart
    }

    /// Trains `shard` from the slice `first` to that of `stage`.
    fn train(&mut self, shard: usize, first: usize, stage: usize) -> Result<(), TrainError> {
        let (width, classes) = (self.features.width(), self.features.classes());
        self.checkpoints[shard].truncate(first);
        let list = self.features.list(stage, Split::Train);
        let own = list
            .iter()
            .filter(|clip| clip.position_in_category % self.shards == shard);
        let own: Vec<(usize, &HeadClip)> = own
            .map(|clip| (self.slices.get(&clip.id).copied().unwrap_or(stage), clip))
            .collect();
        for slice in first..=stage {
            let mut head = match self.checkpoints[shard].last() {
                Some(head) => head.copy(),
                None => Linear::new(self.settings.seed, shard, width, classes),
            };
            // A slice without clips of its own leaves the head as it is, and the first that has
            // some is trained by the recipe of task 0: so it is where they were never there.
            if own.iter().any(|(arrived, _)| *arrived == slice) {
                let begun = own.iter().any(|(arrived, _)| *arrived < slice);
                let (_, rate) = self.settings.rates(usize::from(begun));
                let until = own.iter().filter(|(arrived, _)| *arrived <= slice);
                let clips: Vec<&HeadClip> = until.map(|(_, clip)| *clip).collect();
                let key = Key {
                    shard,
                    slice: self.features.tasks()[slice],
                };
                head.train(self.settings, rate, key, &clips)?;
            }
            self.checkpoints[shard].push(head);
        }
        Ok(())
    }
}

impl Head for Sisa<'_> {
    fn advance(&mut self, stage: usize) -> Result<LinearHead, TrainError> {
        let restarts = self.restarts(stage);
        let mut shards = Vec::new();
        for shard in 0..self.shards {
            let first = restarts.get(&shard).copied().unwrap_or(stage);
            self.train(shard, first, stage)?;
            let mut holds = vec![false; self.features.classes()];
            for clip in self.features.list(stage, Split::Train) {
                if clip.position_in_category % self.shards == shard {
                    holds[clip.class] = true;
                }
            }
            // Slice after slice was pushed just now.
            shards.extend(self.checkpoints[shard].last().map(|head| head.shard(holds)));
        }
        Ok(LinearHead {
            projection: None,
            shards: shards.into_iter().collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(id: usize) -> HeadClip {
        let value = |i: usize| (((id * 7 + i * 3) % 11) as f64 - 5.0) / 4.0;
        HeadClip {
            id: format!("{id:02}"),
            class: id % 2,
            position_in_category: (id / 2) % 3,
            feature: (0..4).map(value).collect(),
        }
    }

    fn last(lists: &[Vec<usize>]) -> LinearHead {
        let settings = Settings {
            epochs: 2,
            batch_size: 2,
            lr_first_task_head: 1e-2,
            lr_head: 3e-3,
            // libtorch draws dropout from a generator of the process, from which the tests beside this one draw, too.
            dropout: 0.0,
            ..Settings::default()
        };
        let lists: Vec<Vec<HeadClip>> = lists
            .iter()
            .map(|list| list.iter().map(|id| clip(*id)).collect())
            .collect();
        let stages = lists.len();
        let features = Features::of(lists, 4, 2);
        let mut sisa = Sisa::new(&settings, &features, 3);
        let heads = (0..stages).map(|stage| sisa.advance(stage).unwrap());
        heads.last().unwrap()
    }

    #[test]
    fn what_left_leaves_to_the_bit_the_ensemble_that_never_had_it() {
        let all: Vec<usize> = (0..12).collect();
        let more: Vec<usize> = (0..18).collect();
        // One clip of slice 0 and one of slice 1 leave; a clip of another shard stays trained.
        let kept: Vec<usize> = (0..18).filter(|id| ![3, 14].contains(id)).collect();
        let without = |list: &[usize]| -> Vec<usize> {
            list.iter()
                .copied()
                .filter(|id| kept.contains(id))
                .collect()
        };
        let withdrawn = last(&[all.clone(), more.clone(), kept.clone()]);
        let never = last(&[without(&all), without(&more), kept.clone()]);
        assert_eq!(withdrawn, never);
        assert_ne!(withdrawn, last(&[all, more.clone(), more]));
    }

    #[test]
    fn a_shard_that_loses_its_first_slice_begins_as_if_it_had_never_been() {
        let early = vec![0, 1, 2, 3, 4, 5];
        let late: Vec<usize> = (0..12).collect();
        // Shard 1 holds clips 2, 3 (slice 0) and 8, 9 (slice 1).
        let kept: Vec<usize> = late
            .iter()
            .copied()
            .filter(|id| ![2, 3].contains(id))
            .collect();
        let without = vec![0, 1, 4, 5];
        assert_eq!(
            last(&[early, late, kept.clone()]),
            last(&[without, kept.clone(), kept])
        );
    }
}
