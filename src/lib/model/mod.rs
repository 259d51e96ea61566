//! MoViNet, equal to the seed's for equal parameters: architectures as rows ([`table`]), the
//! network itself ([`Movinet`]), its first weights, and files of its weights ([`state_dict`],
//! [`checkpoint`]).
//!
//! Every parameter carries the seed's `state_dict` name
//! (`backbone.blocks.b0_l0.deep.conv_1.conv3d.weight`), so checkpoints pass between this crate and
//! PyTorch by name.
//!
//! | file | what it is for |
//! |---|---|
//! | `config`, [`table`], `precision` | settings; the six architectures as rows |
//! | `layers`, `movinet` | the layers by stock operators; the network |
//! | `frames`, `fused` | the two faster ways to compute it |
//! | [`device`], `criterion` | where a model computes; what its logits stand for |
//! | [`fill`] | weights and inputs from a formula, for tests and benchmarks |
//! | [`state_dict`] | named tensors in files: safetensors, and PyTorch's archives |
//! | [`checkpoint`] | between such a file and a model's variables |
//!
//! # Three ways to compute
//! [`ModelPath::Reference`] is one stock operator after another on [N, C, T, H, W].
//! [`ModelPath::Frames`] is stock operators too, on frames as a batch of pictures with their
//! channels last (see `frames`): it runs on any device and in bfloat16 ([`Precision`]).
//! [`ModelPath::Fast`] computes the stem, each bottleneck and the last convolution as one autograd
//! function each, in C++ (see `fused`): on the CPU in 32-bit and 64-bit floats; anywhere else it is
//! [`ModelPath::Frames`].

pub mod checkpoint;
mod config;
mod criterion;
pub mod device;
pub mod fill;
mod frames;
mod fused;
mod layers;
mod movinet;
mod precision;
pub mod state_dict;
pub mod table;

pub use config::{Geometry, Mode, ModelConfig, ModelPath, Variant};
pub use criterion::CriterionName;
pub use fused::instructions::Instructions;
pub use fused::{adam, exact_convolutions, instructions};
pub(crate) use layers::{NORM_MOMENTUM, initial};
pub use movinet::{Movinet, Output, Stages};
pub use precision::{Precision, processor_has_bf16};
pub use table::MovinetConfig;
