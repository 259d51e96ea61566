//! A linear head on cached features as plain numbers: what a run on features keeps of a task, and
//! what an audit applies.

use super::exact_head::{ExactHead, Expansion, Ridge};
use super::sisa::ensemble;

/// One or more linear maps of features whose logits are merged class by class.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHead {
    /// What features go through first; none for heads on the features themselves.
    pub projection: Option<Expansion>,
    /// The maps, one for each shard; a head that is no ensemble has one.
    pub shards: Vec<Shard>,
}

/// One linear map.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// `[M, C]`, row-major, M the width of what enters.
    pub weight: Vec<f64>,
    /// `[C]`.
    pub bias: Vec<f64>,
    /// Whether the shard holds clips of a class, `[C]`; its logits of other classes do not count.
    pub holds: Vec<bool>,
}

impl LinearHead {
    /// The head with the logits of an exact one, 4 (2 s - 1) of its scores s.
    #[must_use]
    pub fn of_exact(head: &ExactHead, ridge: &Ridge) -> Self {
        let classes = head.classes();
        let scaled: Vec<f64> = ridge.weights.iter().map(|w| 8.0 * w).collect();
        let (projection, weight, last) = match head.expansion() {
            // The last row of W is that of the 1 behind the feature.
            Expansion::Ridge { width } => {
                let (weight, last) = scaled.split_at(width * classes);
                (None, weight, last)
            }
            projection @ Expansion::Projection { .. } => {
                (Some(projection.clone()), &scaled[..], &[][..])
            }
        };
        let constant = |class: usize| last.get(class).copied().unwrap_or_default();
        Self {
            projection,
            shards: vec![Shard {
                weight: weight.to_vec(),
                bias: (0..classes).map(|class| constant(class) - 4.0).collect(),
                holds: vec![true; classes],
            }],
        }
    }

    /// The logits `[C]` of a feature `[d]`: for each class the mean over the shards that hold it.
    #[must_use]
    pub fn logits(&self, feature: &[f64]) -> Vec<f64> {
        let expanded = self.projection.as_ref().map(|p| p.expand(feature));
        let input = expanded.as_deref().unwrap_or(feature);
        let logits: Vec<Vec<f64>> = self.shards.iter().map(|s| s.logits(input)).collect();
        let logits: Vec<&[f64]> = logits.iter().map(Vec::as_slice).collect();
        let holds: Vec<Vec<bool>> = self.shards.iter().map(|s| s.holds.clone()).collect();
        ensemble(&logits, &holds)
    }
}

impl Shard {
    fn logits(&self, input: &[f64]) -> Vec<f64> {
        let mut logits = self.bias.clone();
        for (x, row) in input
            .iter()
            .zip(self.weight.chunks_exact(logits.len().max(1)))
        {
            for (logit, weight) in logits.iter_mut().zip(row) {
                *logit += x * weight;
            }
        }
        logits
    }
}

#[cfg(test)]
mod tests {
    use super::super::exact_head::Clip;
    use super::*;

    #[test]
    fn a_class_is_judged_by_the_shards_that_hold_it() {
        let shard = |weight: [f64; 2], holds: [bool; 2]| Shard {
            weight: weight.to_vec(),
            bias: vec![1.0, 0.0],
            holds: holds.to_vec(),
        };
        let head = LinearHead {
            projection: None,
            shards: vec![
                shard([1.0, 2.0], [true, false]),
                shard([3.0, 4.0], [true, false]),
            ],
        };
        // (1 + 2 and 1 + 6) / 2, and a class that nobody holds.
        assert_eq!(head.logits(&[2.0]), [5.0, -20.0]);
    }

    fn clip<'a>(id: &'a str, feature: &'a [f64], class: usize) -> Clip<'a> {
        Clip { id, feature, class }
    }

    #[test]
    fn the_linear_head_of_an_exact_one_has_its_logits() {
        for expansion in [Expansion::Ridge { width: 2 }, Expansion::random(1, 2, 5)] {
            let mut head = ExactHead::new(expansion, 2);
            head.add(clip("a", &[0.5, -1.0], 1)).unwrap();
            head.add(clip("b", &[1.5, 0.25], 0)).unwrap();
            let ridge = head.fit(&[]).unwrap().unwrap();
            let feature = [0.75, 0.5];
            let linear = LinearHead::of_exact(&head, &ridge).logits(&feature);
            for (a, b) in linear.iter().zip(head.logits(&ridge, &feature)) {
                assert!((a - b).abs() < 1e-12, "{a} {b}");
            }
        }
    }
}
