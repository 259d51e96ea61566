//! Sums from which something can be taken back as if it had never been added.

/// Sums of 64-bit floats, each with what rounding has cut off it (Knuth's two-sum): what is added
/// and then subtracted leaves nothing behind, however small what stays is. A small ridge would
/// magnify what a plain sum keeps of it.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    rounded: Vec<f64>,
    cut_off: Vec<f64>,
}

impl Sums {
    /// So many sums of nothing.
    pub(super) fn new(count: usize) -> Self {
        Self {
            rounded: vec![0.0; count],
            cut_off: vec![0.0; count],
        }
    }

    /// Adds `parts` to the sums from `first` on, one to each.
    pub(super) fn add(&mut self, first: usize, parts: impl Iterator<Item = f64>) {
        let sums = self.rounded[first..].iter_mut();
        for ((sum, cut_off), part) in sums.zip(&mut self.cut_off[first..]).zip(parts) {
            let before = *sum;
            *sum += part;
            let added = *sum - before;
            *cut_off += (before - (*sum - added)) + (part - added);
        }
    }

    /// The sum at `place`.
    pub(super) fn at(&self, place: usize) -> f64 {
        self.rounded[place] + self.cut_off[place]
    }

    /// All sums.
    pub(super) fn all(&self) -> Vec<f64> {
        (0..self.rounded.len())
            .map(|place| self.at(place))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_leaves_nothing() {
        let mut sums = Sums::new(2);
        sums.add(1, [1e-9].into_iter());
        for part in [1e9, 0.1, -1e9, -0.1] {
            sums.add(1, [part].into_iter());
        }
        let [none, small] = sums.all()[..] else {
            unreachable!("there are two")
        };
        assert!(none.abs() < f64::MIN_POSITIVE, "{none}");
        // A plain sum has 0.1 less what 1e9 cuts off it, twice.
        assert!((small - 1e-9).abs() < 1e-21, "{small}");
    }
}
