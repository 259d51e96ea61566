//! Deals groups out to the three splits; the rule stands in the module's documentation. Pure.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;

use super::Shares;
use crate::clip::Split;
use crate::random::stream;

/// Purpose of the random stream of this module.
const PURPOSE: &str = "splits of own data";
/// The order in which splits that fall equally short are served.
const SERVED: [Split; 3] = [Split::Train, Split::Test, Split::Validation];

/// The split of each clip, given by its subcategory (one of `subcategories`) and its group.
pub(super) fn deal(
    clips: &[(usize, &str)],
    subcategories: usize,
    shares: Shares,
    seed: u64,
) -> Vec<Split> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut sizes = vec![0_u32; subcategories];
    for (clip, (subcategory, group)) in clips.iter().enumerate() {
        groups.entry(group).or_default().push(clip);
        sizes[*subcategory] += 1;
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.shuffle(&mut stream(seed, PURPOSE, &[]));
    let total: u32 = shares.0.iter().sum();
    let share = |split: Split| f64::from(shares.0[split as usize]) / f64::from(total);
    // How far `has` falls short of a split's share of `all`, as a part of that share.
    let short =
        |split: Split, has: u32, all: u32| 1.0 - f64::from(has) / (share(split) * f64::from(all));
    let all: u32 = sizes.iter().sum();
    let mut dealt = vec![[0_u32; 3]; subcategories];
    let mut dealt_in_all = [0_u32; 3];
    let mut splits = vec![Split::Train; clips.len()];
    for group in groups {
        let shortage = |split: Split| -> (f64, bool, f64) {
            let of_clip = |clip: &usize| {
                let x = clips[*clip].0;
                short(split, dealt[x][split as usize], sizes[x])
            };
            let in_all = short(split, dealt_in_all[split as usize], all);
            (
                group.iter().map(of_clip).sum(),
                split == Split::Train,
                in_all,
            )
        };
        let mut best = SERVED[0];
        for split in SERVED {
            if shortage(split) > shortage(best) {
                best = split;
            }
        }
        for clip in group {
            splits[clip] = best;
            dealt[clips[clip].0][best as usize] += 1;
            dealt_in_all[best as usize] += 1;
        }
    }
    splits
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// How many clips each split got.
    fn counts(splits: &[Split]) -> [usize; 3] {
        Split::ALL.map(|split| splits.iter().filter(|s| **s == split).count())
    }

    #[test]
    fn shares_are_met_and_few_groups_reach_every_split() {
        let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        for (groups, expected) in [
            (100, [80, 10, 10]),
            (10, [8, 1, 1]),
            (3, [1, 1, 1]),
            (2, [1, 0, 1]),
            (1, [1, 0, 0]),
        ] {
            let clips: Vec<(usize, &str)> =
                names[..groups].iter().map(|n| (0, n.as_str())).collect();
            assert_eq!(counts(&deal(&clips, 1, Shares::default(), 7)), expected);
        }
    }

    #[test]
    fn the_seed_decides_and_the_order_of_the_clips_does_not() {
        let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let clips: Vec<(usize, &str)> = names.iter().map(|n| (n.len() - 1, n.as_str())).collect();
        let first = deal(&clips, 2, Shares::default(), 0);
        assert_eq!(deal(&clips, 2, Shares::default(), 0), first);
        assert_ne!(deal(&clips, 2, Shares::default(), 1), first);
        let mut turned = clips.clone();
        turned.reverse();
        let mut again = deal(&turned, 2, Shares::default(), 0);
        again.reverse();
        assert_eq!(again, first);
    }

    #[test]
    fn a_subcategory_with_one_clip_has_it_for_training() {
        let clips = [(0, "a"), (1, "b"), (2, "c"), (3, "d")];
        for seed in 0..20 {
            assert_eq!(counts(&deal(&clips, 4, Shares::default(), seed)), [4, 0, 0]);
        }
    }

    #[test]
    fn few_groups_that_are_in_several_subcategories_reach_every_split() {
        // Each of four customers is in two of four subcategories.
        let clips = [
            (0, "b"),
            (0, "d"),
            (1, "a"),
            (1, "c"),
            (2, "a"),
            (2, "b"),
            (3, "c"),
            (3, "d"),
        ];
        for seed in 0..50 {
            let counts = counts(&deal(&clips, 4, Shares::default(), seed));
            assert!(counts.iter().all(|n| *n > 0), "seed {seed}: {counts:?}");
        }
    }

    proptest! {
        #[test]
        fn no_group_is_ever_divided(
            clips in prop::collection::vec((0_usize..5, 0_u32..20), 1..200),
            seed in any::<u64>(),
            shares in [1_u32..100, 1..100, 1..100],
        ) {
            let names: Vec<String> = clips.iter().map(|(_, group)| group.to_string()).collect();
            let clips: Vec<(usize, &str)> =
                clips.iter().zip(&names).map(|((x, _), name)| (*x, name.as_str())).collect();
            let splits = deal(&clips, 5, Shares(shares), seed);
            let places: BTreeSet<(&str, usize)> =
                clips.iter().zip(&splits).map(|((_, group), split)| (*group, *split as usize)).collect();
            let groups: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            prop_assert_eq!(places.len(), groups.len());
        }
    }
}
