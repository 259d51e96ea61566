//! SISA: heads trained apart in shards, slice after slice, so that a withdrawal trains again only
//! what came after (Bourtoule et al., <https://arxiv.org/abs/1912.03817>).

use std::collections::{BTreeMap, BTreeSet};

/// Shards by default: the smallest category has that many subcategories.
pub const SHARDS: usize = 3;
/// The logit of a class that no shard holds a clip of.
pub const ABSTENTION: f64 = -20.0;

/// A clip's place in a SISA ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The clip's id.
    pub id: String,
    /// The position of its subcategory in its category's list of the taxonomy.
    pub position_in_category: usize,
    /// The task at which it arrived.
    pub slice: usize,
}

/// What a withdrawal trains again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retraining {
    /// For each shard that holds a clip of F, the first slice that does: it goes back to the
    /// checkpoint before.
    pub restart: BTreeMap<usize, usize>,
    /// Clips visited again in one epoch of every slice.
    pub visits: usize,
    /// Clips visited in a whole training without F.
    pub visits_of_a_whole_training: usize,
    /// The ratio of both, 0..1; `None` where nothing is left.
    pub cost: Option<f64>,
}

/// The plan of withdrawing `forget` from `clips` in `shards` shards, at least 1. What is not there
/// costs nothing.
///
/// # Panics
/// When `shards` is 0.
#[must_use]
pub fn plan(clips: &[Place], forget: &BTreeSet<String>, shards: usize) -> Retraining {
    let shard = |clip: &Place| clip.position_in_category % shards;
    let mut restart = BTreeMap::new();
    for clip in clips.iter().filter(|clip| forget.contains(&clip.id)) {
        let first = restart.entry(shard(clip)).or_insert(clip.slice);
        *first = clip.slice.min(*first);
    }
    let slices = clips.iter().map(|clip| clip.slice + 1).max().unwrap_or(0);
    // A clip is visited in its own slice and in every later one.
    let visits_from = |from: &dyn Fn(usize) -> usize| -> usize {
        let kept = clips.iter().filter(|clip| !forget.contains(&clip.id));
        kept.map(|clip| slices - clip.slice.max(from(shard(clip))).min(slices))
            .sum()
    };
    let visits = visits_from(&|shard| restart.get(&shard).copied().unwrap_or(slices));
    let whole = visits_from(&|_| 0);
    Retraining {
        cost: (whole > 0).then(|| visits as f64 / whole as f64),
        restart,
        visits,
        visits_of_a_whole_training: whole,
    }
}

/// The ensemble's logits of one clip: for each class the mean over the shards that hold clips of
/// it, [`ABSTENTION`] if none does.
///
/// `logits` and `holds` have a row for each shard and a column for each class.
///
/// # Panics
/// When rows differ in length.
#[must_use]
pub fn ensemble(logits: &[&[f64]], holds: &[Vec<bool>]) -> Vec<f64> {
    let classes = holds.first().map_or(0, Vec::len);
    let of = |class: usize| {
        let held = logits.iter().zip(holds).filter(|(_, holds)| holds[class]);
        let held: Vec<f64> = held.map(|(logits, _)| logits[class]).collect();
        if held.is_empty() {
            ABSTENTION
        } else {
            held.iter().sum::<f64>() / held.len() as f64
        }
    };
    (0..classes).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_all_leave_there_is_no_cost_to_state() {
        let clip = Place {
            id: "a".to_owned(),
            position_in_category: 4,
            slice: 2,
        };
        let found = plan(&[clip], &BTreeSet::from(["a".to_owned()]), 3);
        assert_eq!(
            (found.cost, found.restart),
            (None, BTreeMap::from([(1, 2)]))
        );
    }
}
