//! Where a clip belongs, and when it is there.

/// Where each clip of a split belongs: class, and index of the subcategory in the category's list;
/// by row.
pub type Places = Vec<(usize, usize)>;

/// The tasks in whose lists a clip stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// The clip's row.
    pub row: u32,
    /// The first of the tasks.
    pub from: usize,
    /// The task that no longer has it.
    pub until: usize,
}
