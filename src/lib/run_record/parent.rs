//! The weights that a checkpoint was trained from, as its header names them.

use serde::{Deserialize, Serialize};

use crate::choice::choice;

/// The key under which a checkpoint's header names the weights that it was trained from: a JSON list of [`Parent`].
pub const PARENTS: &str = "incdec.parents";

/// The role of the weights to start from, among a run's inputs.
pub const PRETRAINED_INPUT: &str = "pretrained";

choice! {
    /// What weights were to a checkpoint that was trained from them.
    pub enum ParentRole: "role of a parent" {
        /// The task before of the same run ended with them.
        TaskBefore = "task before",
        /// The run within this one ended with them that trained again what came before.
        RolledBack = "rolled back",
        /// The file to start from.
        Pretrained = "pretrained",
        /// The backbone whose features a head is applied to.
        Backbone = "backbone",
    }
}

/// The weights that a checkpoint was trained from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// What they were to it.
    pub role: ParentRole,
    /// The hash of their file.
    pub blake3: String,
    /// Whether the file does not say that a run of this program wrote it: what it has seen stands in no record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub foreign: bool,
}

impl Parent {
    /// Weights of which it is known that a run of this program wrote them.
    #[must_use]
    pub fn known(role: ParentRole, blake3: String) -> Self {
        Self {
            role,
            blake3,
            foreign: false,
        }
    }
}
