//! The layers of MoViNet, computed by stock operators on [N, C, T, H, W].

mod block;
mod conv;
pub(crate) mod initial;

pub(crate) use conv::NORM_MOMENTUM;

pub(super) use block::Block;
pub(super) use conv::{Beside, ConvUnit, NORM_EPSILON, Norm, same_padding, swish};
