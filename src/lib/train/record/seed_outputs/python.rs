//! Numbers as Python prints them.

use std::fmt::{Debug, LowerExp};

/// From this value on Python prints an exponent.
const LEAST_LARGE: f64 = 1e16;
/// Below this value Python prints an exponent.
const LEAST_PLAIN: f64 = 1e-4;

/// Python's `%.3f`: three decimals, `nan` for what is undefined.
pub(super) fn three_decimals(value: Option<f64>) -> String {
    value.map_or_else(|| "nan".to_owned(), |value| format!("{value:.3}"))
}

/// The shortest decimal that gives back the value, of 32 or 64 bits, as `repr` and numpy write it:
/// with a point or an exponent, exponents with a sign and two digits at least.
pub(super) fn shortest<F: Copy + Debug + LowerExp + Into<f64>>(value: F) -> String {
    let size = value.into().abs();
    if size == 0.0 || (LEAST_PLAIN..LEAST_LARGE).contains(&size) || !size.is_finite() {
        return format!("{value:?}").replace("NaN", "nan");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_decimals_keep_the_sign_of_zero() {
        assert_eq!(three_decimals(Some(0.12345)), "0.123");
        assert_eq!(three_decimals(Some(-0.0001)), "-0.000");
        assert_eq!(three_decimals(None), "nan");
    }

    #[test]
    fn numbers_are_the_shortest_that_give_back_the_value() {
        for (value, text) in [
            (500.0, "500.0"),
            (0.0005, "0.0005"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (2.5e-10, "2.5e-10"),
            (1e9, "1000000000.0"),
            (9_007_199_254_740_992.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (2.5e100, "2.5e+100"),
            (63.279, "63.279"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(shortest(value), text);
        }
        for (value, text) in [
            (0.1_f32, "0.1"),
            (1e-5, "1e-05"),
            (0.333_333_34, "0.33333334"),
            (1.0, "1.0"),
        ] {
            assert_eq!(shortest(value), text);
        }
    }
}
