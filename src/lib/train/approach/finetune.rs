//! Plain training on each task's clips: the baseline that the others are measured against.

use super::Approach;

/// Adds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finetune;

impl Approach for Finetune {}
