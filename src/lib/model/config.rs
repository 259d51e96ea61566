//! What a network is made of, and how it is computed.

use super::precision::Precision;
use super::table::{self, MovinetConfig};
use crate::choice::choice;

choice! {
    /// Which of the six architectures.
    #[derive(PartialOrd, Ord)]
    pub enum Variant: "MoViNet variant" {
        /// The smallest, 1.9 million parameters with five classes.
        A0 = "A0" (seed "movinetA0") (also "a0"),
        /// 3.5 million parameters.
        A1 = "A1" (seed "movinetA1") (also "a1"),
        /// 4.0 million parameters.
        A2 = "A2" (seed "movinetA2") (also "a2"),
        /// Twice as deep as A1.
        A3 = "A3" (seed "movinetA3") (also "a3"),
        /// Wider and deeper than A3.
        A4 = "A4" (seed "movinetA4") (also "a4"),
        /// The largest.
        A5 = "A5" (seed "movinetA5") (also "a5"),
    }
}

impl Variant {
    /// The architecture's rows.
    #[must_use]
    pub fn config(self) -> &'static MovinetConfig {
        match self {
            Self::A0 => &table::A0,
            Self::A1 => &table::A1,
            Self::A2 => &table::A2,
            Self::A3 => &table::A3,
            Self::A4 => &table::A4,
            Self::A5 => &table::A5,
        }
    }
}

choice! {
    /// Where zeros are put around what a convolution or pooling sees.
    pub enum Geometry: "geometry" {
        /// The seed's explicit paddings, the same on both sides.
        Seed = "seed",
        /// `TensorFlow`'s `SAME`, which the published weights were trained with.
        Tf = "tf",
    }
}

choice! {
    /// How the network is computed. All give the same numbers but for rounding.
    #[derive(Default)]
    pub enum ModelPath: "model path" {
        /// The fused operators where they apply, stock ones on frames elsewhere.
        #[default]
        Fast = "fast",
        /// Stock operators on frames as a batch of pictures, channels last.
        Frames = "frames",
        /// One stock operator after another, for comparison.
        Reference = "reference",
    }
}

/// What the batch norms and the dropout do in a forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Statistics of the batch, which move the running ones; dropout active.
    Train,
    /// Running statistics, which stay as they are; dropout active. For frozen batch norms.
    TrainFrozenNorms,
    /// Running statistics; no dropout.
    Evaluate,
}

impl Mode {
    /// Whether batch norms use the batch's statistics.
    #[must_use]
    pub fn moves_statistics(self) -> bool {
        self == Self::Train
    }

    /// Whether dropout is active.
    #[must_use]
    pub fn drops(self) -> bool {
        self != Self::Evaluate
    }
}

/// Settings of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Which architecture.
    pub variant: Variant,
    /// Which padding.
    pub geometry: Geometry,
    /// Outputs of the head.
    pub classes: i64,
    /// Share of the features that is dropped in training, 0.2 in the seed. Drawn from libtorch's
    /// generator: seed it with `tch::manual_seed` before a step whose draws must repeat.
    pub dropout: f64,
    /// How to compute.
    pub path: ModelPath,
    /// In which floats to compute; [`Precision::Bf16`] always takes [`ModelPath::Frames`].
    pub precision: Precision,
    /// Seed of the first weights.
    pub seed: u64,
    /// Keep only each block's input for the backward pass and compute the rest again there: less
    /// memory, more time. The fused operators do; the stock ones keep everything.
    pub checkpoint_blocks: bool,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            variant: Variant::A0,
            geometry: Geometry::Seed,
            classes: 5,
            dropout: 0.2,
            path: ModelPath::default(),
            precision: Precision::default(),
            seed: 0,
            checkpoint_blocks: false,
        }
    }
}
