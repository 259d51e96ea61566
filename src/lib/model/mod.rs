//! `MoViNet`, equal to the seed's for equal parameters: architectures as rows ([`table`]), the network itself
//! ([`Movinet`]), its first weights, and its checkpoints ([`checkpoint`]).
//!
//! Every parameter carries the seed's `state_dict` name (`backbone.blocks.b0_l0.deep.conv_1.conv3d.weight`), so
//! checkpoints pass between this crate and `PyTorch` by name.
//!
//! # Three ways to compute
//! [`ModelPath::Reference`] is one stock operator after another on [N, C, T, H, W]. [`ModelPath::Frames`] is stock operators
//! too, on frames as a batch of pictures with their channels last (see `frames`): it runs on any device and in bfloat16
//! ([`Precision`]). [`ModelPath::Fast`] computes the stem, each bottleneck and the last convolution as one autograd function
//! each on [N, T, H, W, C], in C++ beside this file: `kernels.cpp` holds the loops, compiled once for each instruction set and
//! chosen when the program runs; `fused*.h` and `fused.cpp` order them. It computes on the CPU in 32-bit and 64-bit floats;
//! anywhere else it is [`ModelPath::Frames`]. What a bottleneck keeps for its backward pass are its convolutions' outputs
//! alone:
//!
//! * the moments of a batch norm are taken from each tile of a product while it is in the nearest cache;
//! * batch norm and Swish are computed again wherever their result is read, never stored: the depthwise convolution
//!   reads them from a ring of padded frames, the projection from a tile;
//! * the squeeze-excite gate is multiplied into each clip's projection weights, and its gradient comes out of the
//!   product that gives the projection's;
//! * a norm's backward pass is three factors for each channel, applied where the next product reads its tile;
//! * in evaluation the expanded clip exists only as that ring of frames.
//!
//! Adam ([`adam`]) is one pass over parameters, gradients and flat moments.
//!
//! Measured by `tests/bench/step.py` in one run on an AMD EPYC (Zen 3): A0, clips of 50x172x172, one thread,
//! processor seconds a clip, the least of two rounds.
//!
//! | | training step | batch of 4 | evaluation | memory a clip |
//! |---|---|---|---|---|
//! | `PyTorch` 2.11, eager `nn.Conv3d` | 2.730 | 3.351 | 0.393 | 1,058 MB |
//! | `PyTorch` 2.11, `torch.compile` | 2.090 | 2.327 | 0.429 | 566 MB |
//! | reference | 2.333 | 2.969 | 0.422 | 1,077 MB |
//! | frames | 1.577 | 1.724 | 0.250 | 816 MB |
//! | fast | 0.619 | 0.586 | 0.168 | 342 MB |
//! | fast, [`ModelConfig::checkpoint_blocks`] | 0.770 | 0.859 | 0.155 | 274 MB |
//!
//! So training takes 3.4 times less than the best of the others and 4.4 times less than eager, evaluation 2.3 times less; in an
//! earlier run it was 4.6 and 2.7 times less than eager (0.494 and 0.128): how busy the machine is with others' work counts.
//! Two threads are 1.75 times as fast as one by the clock, the least of five rounds. Memory a clip is a third of what peaks
//! at batch 4 above what peaks at batch 1.
//!
//! What each part gains, by leaving it out: A0 as above, the least of 18 runs taken in turns (of 6 for the last three, at a batch
//! of 4 for the last two; of 2 for the bottlenecks). A few in a hundred are noise: an earlier series of six runs each (0.512 with
//! all of them) showed no gain of the moments (0.507), the activations (0.503), the gate (0.499) and Adam (0.511), and 3 % of
//! the norms' backward pass (0.529).
//!
//! | left out | seconds, with and without | gain |
//! |---|---|---|
//! | bottlenecks (stock operators on frames instead) | 0.512, 1.055 | 2.1 times |
//! | moments taken from each tile | 0.489, 0.522 | 6 % |
//! | a norm's backward pass within the next product | 0.489, 0.522 | 6 % |
//! | activations computed again instead of stored (forward alone) | 0.489, 0.512 | 4 % |
//! | Adam in one pass | 0.489, 0.512 | 4 % |
//! | the gate within the projection's weights (forward alone) | 0.489, 0.505 | 3 % |
//! | the stem | 0.489, 0.490 | none; 43 MB a clip |
//! | the last convolution | 0.489, 0.494 | none; 19 MB a clip |
//! | evaluation without anything stored | 0.142, 0.159 | 12 % |
//! | memory kept from step to step, batch of 4 | 0.490, 0.520 | 6 % |
//! | large pages, batch of 4 | 0.490, 0.505 | 3 % |

pub mod adam;
pub mod checkpoint;
pub mod fill;
mod frames;
mod fused;
pub(crate) mod initial;
pub mod instructions;
mod layers;
mod movinet;
mod pickle;
mod precision;
pub mod state_dict;
pub mod table;
mod torch_archive;

pub use fused::exact_convolutions;
pub use instructions::Instructions;
pub(crate) use layers::NORM_MOMENTUM;
pub use movinet::{Movinet, Output, Stages};
pub use precision::{Precision, processor_has_bf16};
pub use table::MovinetConfig;

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
    /// Share of the features that is dropped in training, 0.2 in the seed. Drawn from libtorch's generator: seed it with
    /// `tch::manual_seed` before a step whose draws must repeat.
    pub dropout: f64,
    /// How to compute.
    pub path: ModelPath,
    /// In which floats to compute; [`Precision::Bf16`] always takes [`ModelPath::Frames`].
    pub precision: Precision,
    /// Seed of the first weights.
    pub seed: u64,
    /// Keep only each block's input for the backward pass and compute the rest again there: less memory, more time. The
    /// fused operators do; the stock ones keep everything.
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
