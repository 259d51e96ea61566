//! What unlearning cost in passes: how often it went over the clips of a withdrawal.

use serde::{Deserialize, Serialize};

use super::clips::{Batch, Set};

/// Visits of clips, training and evaluation alike, and how many clips there are: of F (what leaves),
/// of R (what stays), of H (held-out clips like F).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visits {
    /// How many clips each has.
    pub clips: [usize; 3],
    /// How often one of them was looked at.
    pub visits: [usize; 3],
}

/// The sets in the order in which arrays hold them, as tables call them.
const SETS: [&str; 3] = ["forget", "retain", "held_out"];

impl Visits {
    /// The beginning of the names of these figures in tables.
    pub const METRIC: &'static str = "unlearning_passes_";

    /// Counts a batch of `set`.
    pub fn add(&mut self, set: Set, batch: &Batch) {
        let leaving = |place: &&usize| **place < self.clips[0];
        let of_forget = match set {
            Set::Forget => batch.count(),
            Set::Union | Set::UnionWithSample => batch.places.iter().filter(leaving).count(),
            Set::Retain | Set::RetainSample | Set::HeldOut => 0,
        };
        let others = if set == Set::HeldOut { 2 } else { 1 };
        self.visits[0] += of_forget;
        self.visits[others] += batch.count() - of_forget;
    }

    /// Visits over clips, by the name of the figure: 1 is a whole pass; `None` for a set without a
    /// clip.
    pub fn passes(&self) -> impl Iterator<Item = (String, Option<f64>)> {
        let each = SETS
            .into_iter()
            .zip(self.visits.into_iter().zip(self.clips));
        each.map(|(set, (visits, clips))| {
            let passes = (clips > 0).then(|| visits as f64 / clips as f64);
            (format!("{}{set}", Self::METRIC), passes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    #[test]
    fn a_union_is_counted_by_what_its_batches_hold() {
        let batch = |places: &[usize]| Batch {
            clips: Tensor::from(0.0),
            labels: Tensor::from(0),
            places: places.to_vec(),
        };
        let mut visits = Visits {
            clips: [2, 4, 0],
            ..Visits::default()
        };
        visits.add(Set::Union, &batch(&[0, 1, 2]));
        visits.add(Set::Forget, &batch(&[1]));
        visits.add(Set::RetainSample, &batch(&[0, 1]));
        visits.add(Set::HeldOut, &batch(&[0]));
        let passes: Vec<_> = visits.passes().map(|(_, passes)| passes).collect();
        assert_eq!(passes, [Some(1.5), Some(0.75), None]);
        assert_eq!(visits.visits, [3, 3, 1]);
    }
}
