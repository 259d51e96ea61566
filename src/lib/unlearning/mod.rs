//! What unlearning decides on plain data: who leaves and who stays, which weights change, at which
//! rates, and heads on cached features that take clips out exactly.
//!
//! | file | what it is for |
//! |---|---|
//! | [`sets`] | the clips that leave at a task and those that stay; three populations of groups |
//! | [`masks`] | which weights a method changes, and how much it dampens them |
//! | [`rates`] | how rates and penalties run over epochs; which epoch SCRUB goes back to |
//! | [`exact_head`] | ridge and RanPAC: sums that add what arrives and subtract what leaves |
//! | [`linear_head`] | what a head on features comes to, and its logits |
//! | [`sisa`] | heads in shards and slices: what a withdrawal trains again |

pub mod exact_head;
pub mod linear_head;
pub mod masks;
pub mod rates;
pub mod sets;
pub mod sisa;

/// floor(share x count), where a product that only rounding keeps below a whole number counts as
/// that number.
#[must_use]
pub fn share_of(share: f64, count: usize) -> usize {
    // A share of a count of weights is far below 2^52 and not negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let part = (share * count as f64 + 1e-9).floor() as usize;
    part.min(count)
}
