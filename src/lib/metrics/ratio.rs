//! Quotients of counts.

/// `a / b`, and 0 where `b` is 0.
pub(super) fn div(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { ratio(a, b) }
}

/// `a / b` of counts.
pub(super) fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}
