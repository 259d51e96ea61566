//! The two random generators and the set order that the published splits were dealt with.
//!
//! Both generators are the 32-bit Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), seeded
//! and read in the two ways that numpy's legacy `RandomState` and CPython's `random` have. They
//! exist to deal the same clips; everything else in this crate draws from [`crate::random`].

use rand_mt::Mt;

/// numpy's `RandomState(seed)`.
#[derive(Clone, Debug)]
pub struct NumpyRandom(Mt);

impl NumpyRandom {
    /// The stream under `seed` (the reference `init_genrand`).
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self(Mt::new(seed))
    }

    /// A number in 0..=`max`, uniform by rejection under a bit mask. Draws at least once.
    fn interval(&mut self, max: u32) -> u32 {
        let mask = u32::MAX.checked_shr(max.leading_zeros()).unwrap_or(0);
        loop {
            let value = self.0.next_u32() & mask;
            if value <= max {
                return value;
            }
        }
    }

    /// Shuffles in place as `RandomState.shuffle` does. Nothing is drawn for fewer than two items.
    ///
    /// # Panics
    /// With 2^32 items or more, which numpy draws otherwise.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        assert!(u32::try_from(items.len()).is_ok(), "fewer than 2^32 items");
        for i in (1..items.len()).rev() {
            #[allow(clippy::cast_possible_truncation)] // Fewer than 2^32 items, as asserted.
            let j = self.interval(i as u32);
            items.swap(i, j as usize);
        }
    }
}

/// CPython's `random.Random(seed)`.
#[derive(Clone, Debug)]
pub struct PythonRandom(Mt);

impl PythonRandom {
    /// The stream under `seed` (the reference `init_by_array` with the seed's only 32-bit digit).
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self(Mt::new_with_key([seed]))
    }

    /// `randint(0, count - 1)`. Draws one or more times, also where `count` is 1.
    ///
    /// # Panics
    /// When `count` is 0 or needs more than 32 bits.
    pub fn below(&mut self, count: usize) -> usize {
        let bits = usize::BITS - count.leading_zeros();
        assert!((1..=32).contains(&bits), "between 1 and 2^32 - 1 items");
        loop {
            let value = (self.0.next_u32() >> (32 - bits)) as usize;
            if value < count {
                return value;
            }
        }
    }
}

/// Slots of an empty table, and the least that any table has.
const LEAST_SLOTS: usize = 8;
/// Slots tried in a row, beside the first, before the probe jumps.
const LINEAR_PROBES: usize = 9;
/// Bits that the probe's perturbation loses at each jump.
const PERTURB_SHIFT: u32 = 5;
/// Above this many members a table grows twofold rather than fourfold.
const LARGE_SET: usize = 50_000;

/// The order in which CPython (3.7 to 3.13) iterates over a set of `rows` inserted one by one into
/// an empty set.
///
/// A small integer is its own hash, so the order follows from the table alone.
///
/// # Panics
/// When a row stands in `rows` twice: such a set does not arise.
#[must_use]
pub fn set_order(rows: &[u32]) -> Vec<u32> {
    let mut table = vec![None; LEAST_SLOTS];
    let mut members = 0;
    for &row in rows {
        place(&mut table, row);
        members += 1;
        if members * 5 >= (table.len() - 1) * 3 {
            let wanted = members * if members > LARGE_SET { 2 } else { 4 };
            let mut slots = LEAST_SLOTS;
            while slots <= wanted {
                slots *= 2;
            }
            let mut larger = vec![None; slots];
            for row in table.into_iter().flatten() {
                place(&mut larger, row);
            }
            table = larger;
        }
    }
    table.into_iter().flatten().collect()
}

/// Puts a row into the first empty slot of its probe sequence. The table always has one: it grows
/// at three fifths.
fn place(table: &mut [Option<u32>], row: u32) {
    let mask = table.len() - 1;
    let mut perturb = row as usize;
    let mut slot = row as usize & mask;
    loop {
        let last = if slot + LINEAR_PROBES <= mask {
            slot + LINEAR_PROBES
        } else {
            slot
        };
        for candidate in &mut table[slot..=last] {
            match candidate {
                None => {
                    *candidate = Some(row);
                    return;
                }
                Some(present) => assert_ne!(*present, row, "a row stands in a set once"),
            }
        }
        perturb >>= PERTURB_SHIFT;
        slot = (slot * 5 + 1 + perturb) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_draws_are_those_of_numpy_and_of_cpython() {
        let mut numpy = NumpyRandom::new(0);
        let first = [(); 3].map(|()| numpy.0.next_u32());
        assert_eq!(first, [2_357_136_044, 2_546_248_239, 3_071_714_933]);
        let mut python = PythonRandom::new(0);
        let first = [(); 3].map(|()| python.0.next_u32());
        assert_eq!(first, [3_626_764_237, 1_654_615_998, 3_255_389_356]);
    }

    #[test]
    fn shuffles_are_numpys() {
        let shuffled = |seed| {
            let mut items: Vec<u32> = (0..10).collect();
            NumpyRandom::new(seed).shuffle(&mut items);
            items
        };
        assert_eq!(shuffled(0), [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]);
        assert_eq!(shuffled(7), [8, 5, 0, 2, 1, 9, 7, 3, 6, 4]);
    }

    #[test]
    fn nothing_is_drawn_for_fewer_than_two_items() {
        let mut numpy = NumpyRandom::new(0);
        numpy.shuffle::<u32>(&mut []);
        numpy.shuffle(&mut [1]);
        assert_eq!(numpy.0.next_u32(), 2_357_136_044);
    }

    #[test]
    fn choices_are_cpythons_and_one_of_one_is_drawn_too() {
        let mut python = PythonRandom::new(0);
        let drawn = [14, 3, 3, 5, 12, 1, 1].map(|count| python.below(count));
        assert_eq!(drawn, [13, 1, 1, 0, 4, 0, 0]);
    }

    #[test]
    fn sets_are_read_in_cpythons_order() {
        let range = |range: std::ops::Range<u32>| range.collect::<Vec<u32>>();
        let both = |a, b| [range(a), range(b)].concat();
        assert_eq!(set_order(&range(60..70)), both(64..70, 60..64));
        assert_eq!(set_order(&range(1000..1100)), both(1024..1100, 1000..1024));
        assert_eq!(set_order(&[8, 16, 24, 32]), [8, 16, 32, 24]);
        assert_eq!(set_order(&[8, 16, 24, 32, 40]), [32, 8, 40, 16, 24]);
        assert_eq!(set_order(&[7, 15, 23]), [15, 23, 7]);
        assert_eq!(set_order(&[3, 35, 67, 99, 131]), [99, 35, 67, 3, 131]);
        assert_eq!(set_order(&[]), [0_u32; 0]);
    }

    proptest! {
        #[test]
        fn a_sets_order_is_a_permutation_of_its_members(rows in proptest::collection::btree_set(any::<u32>(), 0..300)) {
            let rows: Vec<u32> = rows.into_iter().collect();
            let mut ordered = set_order(&rows);
            ordered.sort_unstable();
            prop_assert_eq!(ordered, rows);
        }
    }
}
