//! What the logits stand for: the classification loss, and the probabilities that go with it.

use tch::{Kind, Tensor};

use crate::choice::choice;

choice! {
    /// What the classification loss compares.
    pub enum CriterionName: "criterion" {
        /// Binary cross-entropy of each class's sigmoid.
        Multilabel = "multilabel",
        /// Cross-entropy of the softmax.
        Multiclass = "multiclass",
    }
}

impl CriterionName {
    /// Probabilities [N, C] of the classes from their logits: sigmoids or the softmax.
    pub fn probabilities(self, logits: &Tensor) -> Tensor {
        match self {
            Self::Multilabel => logits.sigmoid(),
            Self::Multiclass => logits.softmax(-1, Kind::Float),
        }
    }
}
