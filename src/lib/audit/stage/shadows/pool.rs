//! The clips that are dealt to shadow heads.

use super::super::sets::{ClipSet, Sets};

/// F, and as many test clips of its subcategories, by id.
pub(super) struct Pool {
    pub(super) of_forget: ClipSet,
    pub(super) of_others: ClipSet,
    pub(super) labels: Vec<usize>,
    /// How many are of F; they come first.
    pub(super) members: usize,
}

impl Pool {
    pub(super) fn of(sets: &Sets) -> Self {
        let (of_forget, mut of_others) = (sets.forget.clone(), sets.like_forget.clone());
        of_others.clips.truncate(of_forget.clips.len());
        Self {
            labels: [of_forget.labels(), of_others.labels()].concat(),
            members: of_forget.clips.len(),
            of_forget,
            of_others,
        }
    }

    pub(super) fn clips(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are clips that left, and others like them.
    pub(super) fn has_both(&self) -> bool {
        self.members > 0 && self.clips() > self.members
    }
}
