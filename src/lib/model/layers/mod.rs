//! The layers of MoViNet, computed by stock operators on [N, C, T, H, W].

mod block;
mod conv;
mod initial;

pub(super) use block::Block;
pub(super) use conv::{Beside, ConvUnit, NORM_EPSILON, NORM_MOMENTUM, Norm, same_padding, swish};
