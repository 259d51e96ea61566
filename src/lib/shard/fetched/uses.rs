//! When each shard is needed again, as far as the order of the clips is known. Pure.

use std::collections::{BTreeMap, VecDeque};

/// A shard is fetched whole where at least one in this many of its clips is going to be asked for
/// before what it drives out of the cache is needed again; else single clips are fetched.
const FETCHED_PER_USE: usize = 8;

/// The clips that are going to be asked for, by shard.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// The places of a shard's clips, those still to come.
    ahead: BTreeMap<String, VecDeque<usize>>,
    /// The place behind the last of each order that was announced, one order behind the other.
    ends: Vec<usize>,
}

impl Uses {
    /// Forgets what was known, and takes the shards of an order of clips, one name a clip.
    pub(super) fn announce<'a>(&mut self, order: impl Iterator<Item = &'a str>) {
        self.ahead.clear();
        self.ends.clear();
        self.announce_behind(order);
    }

    /// Takes the shards of clips that are going to be asked for behind those that are known.
    pub(super) fn announce_behind<'a>(&mut self, order: impl Iterator<Item = &'a str>) {
        let mut end = self.ends.last().copied().unwrap_or_default();
        for shard in order {
            match self.ahead.get_mut(shard) {
                Some(places) => places.push_back(end),
                None => drop(self.ahead.insert(shard.to_owned(), [end].into())),
            }
            end += 1;
        }
        self.ends.push(end);
    }

    /// A clip of this shard has been asked for. Says whether it was the last one of its order.
    pub(super) fn used(&mut self, shard: &str) -> bool {
        let Some(places) = self.ahead.get_mut(shard) else {
            return false;
        };
        let used = places.pop_front();
        let next = places.front().copied();
        if next.is_none() {
            self.ahead.remove(shard);
        }
        let order = |place| self.ends.partition_point(|&end| end <= place);
        used.map(order) != next.map(order)
    }

    /// The place of the next clip of this shard, `None` where none is known to come.
    pub(super) fn next(&self, shard: &str) -> Option<usize> {
        self.ahead.get(shard)?.front().copied()
    }

    /// The shards in the order in which they are needed.
    pub(super) fn in_order(&self) -> Vec<&str> {
        let mut shards: Vec<&str> = self.ahead.keys().map(String::as_str).collect();
        shards.sort_by_key(|shard| self.next(shard));
        shards
    }

    /// Whether fetching this shard of `clips` clips repays driving out one that is needed again at
    /// `needed_again`, where that is known.
    pub(super) fn repays(&self, shard: &str, clips: usize, needed_again: Option<usize>) -> bool {
        let places = self.ahead.get(shard).into_iter().flatten();
        let before = places.take_while(|&&place| needed_again.is_none_or(|end| place < end));
        before.count() * FETCHED_PER_USE >= clips
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(order: &[&str]) -> Uses {
        let mut uses = Uses::default();
        uses.announce(order.iter().copied());
        uses
    }

    #[test]
    fn shards_come_in_the_order_of_their_next_use() {
        let mut uses = uses(&["b", "a", "b", "c"]);
        assert_eq!(uses.in_order(), ["b", "a", "c"]);
        assert!(!uses.used("b"));
        assert_eq!(uses.in_order(), ["a", "b", "c"]);
        assert_eq!((uses.next("b"), uses.next("x")), (Some(2), None));
        assert!(uses.used("b"));
        assert!(!uses.used("b"), "none was left");
        assert_eq!(uses.in_order(), ["a", "c"]);
        uses.announce(["d"].into_iter());
        assert_eq!(uses.in_order(), ["d"]);
    }

    #[test]
    fn what_follows_is_needed_after_what_is_under_way() {
        let mut uses = uses(&["a", "b", "a"]);
        uses.announce_behind(["c", "a"].into_iter());
        assert_eq!(uses.in_order(), ["a", "b", "c"]);
        assert!(!uses.used("a"));
        assert!(uses.used("b"), "nobody needs it again");
        assert!(uses.used("a"), "it is done with until the next order");
        assert_eq!(uses.next("a"), Some(4));
        assert_eq!(uses.in_order(), ["c", "a"]);
        assert!(uses.used("a"));
        assert_eq!(uses.in_order(), ["c"]);
    }

    #[test]
    fn a_shard_is_worth_fetching_where_its_clips_are_needed_before_the_one_it_drives_out() {
        // One after the other: what is done with goes, and the next one serves all its clips.
        let one_by_one = uses(&["a", "a", "b", "b"]);
        assert!(one_by_one.repays("b", 2, None));
        assert!(!one_by_one.repays("b", 2, Some(0)), "a comes first");
        // A few clips of a large shard.
        assert!(!one_by_one.repays("b", 100, None));
        assert!(one_by_one.repays("b", 2 * FETCHED_PER_USE, None));
        // Nobody asks for it.
        assert!(!one_by_one.repays("x", 1, None));
    }
}
