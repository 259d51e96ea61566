//! The fused operators and Adam on the CPU, in C++ beside this file, and what Rust calls of them.
//!
//! The network's three parts (stem, bottleneck, last convolution) are one autograd function each on
//! [N, T, H, W, C]. `kernels.cpp` holds the loops, compiled once for each instruction set and
//! chosen when the program runs; `fused*.h` and `fused.cpp` order them. What a bottleneck keeps for
//! its backward pass are its convolutions' outputs alone:
//!
//! * the moments of a batch norm are taken from each tile of a product while it is in the nearest
//!   cache;
//! * batch norm and Swish are computed again wherever their result is read, never stored: the
//!   depthwise convolution reads them from a ring of padded frames, the projection from a tile;
//! * the squeeze-excite gate is multiplied into each clip's projection weights, and its gradient
//!   comes out of the product that gives the projection's;
//! * a norm's backward pass is three factors for each channel, applied where the next product reads
//!   its tile;
//! * in evaluation the expanded clip exists only as that ring of frames.
//!
//! Adam ([`adam`]) is one pass over parameters, gradients and flat moments.

pub mod adam;
pub mod instructions;
mod operators;

pub use operators::exact_convolutions;
pub(super) use operators::{block, fits, keep_memory, stem, tail};
