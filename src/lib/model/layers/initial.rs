//! First weights, as the seed draws them, from named streams: one per tensor, so that no weight
//! depends on the order in which the layers are made.

use rand::Rng;
use tch::Tensor;

use crate::random;

/// Uniform in the open interval (0, 1).
fn unit(rng: &mut impl Rng) -> f64 {
    // 53 random bits, moved half a step off zero so that a logarithm of it is finite.
    #[allow(clippy::cast_precision_loss)] // 53 bits fit the mantissa.
    let integer = (rng.next_u64() >> 11) as f64;
    (integer + 0.5) * 2.0_f64.powi(-53)
}

fn numbers(shape: &[i64], mut draw: impl FnMut() -> f64) -> Tensor {
    let count: i64 = shape.iter().product();
    #[allow(clippy::cast_possible_truncation)] // Weights are 32-bit floats.
    let values: Vec<f32> = (0..count).map(|_| draw() as f32).collect();
    Tensor::from_slice(&values).view(shape)
}

/// A backbone convolution's weight: normal, standard deviation sqrt(2 / fan out), fan out = output
/// channels x kernel volume, groups not divided out (seed `models.py`; He et al. 2015).
pub(super) fn kaiming_fan_out(seed: u64, name: &str, shape: &[i64]) -> Tensor {
    let rng = random::stream(seed, &format!("model weights {name}"), &[]);
    kaiming_from(rng, shape)
}

/// The same from a stream of the caller's.
pub(crate) fn kaiming_from(mut rng: impl Rng, shape: &[i64]) -> Tensor {
    #[allow(clippy::cast_precision_loss)] // A layer has far fewer than 2^52 weights.
    let fan_out = (shape[0] * shape[2..].iter().product::<i64>()) as f64;
    let deviation = (2.0 / fan_out).sqrt();
    // Box and Muller's pair: both halves are used, one after the other.
    let mut second = None;
    numbers(shape, || {
        deviation
            * second.take().unwrap_or_else(|| {
                let radius = (-2.0 * unit(&mut rng).ln()).sqrt();
                let (sine, cosine) = (std::f64::consts::TAU * unit(&mut rng)).sin_cos();
                second = Some(radius * sine);
                radius * cosine
            })
    })
}

/// A head's weight or bias: uniform in +-1/sqrt(fan in), `PyTorch`'s default.
pub(super) fn head_uniform(seed: u64, name: &str, shape: &[i64], fan_in: i64) -> Tensor {
    let mut rng = random::stream(seed, &format!("model weights {name}"), &[]);
    #[allow(clippy::cast_precision_loss)] // A layer has far fewer than 2^52 inputs.
    let bound = 1.0 / (fan_in as f64).sqrt();
    numbers(shape, || bound * (2.0 * unit(&mut rng) - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn moments_are_those_of_the_named_distributions() {
        let weight = kaiming_fan_out(3, "a", &[64, 16, 3, 3, 3]).to_kind(Kind::Double);
        let expected = (2.0 / (64.0 * 27.0_f64)).sqrt();
        assert!((weight.std(false).double_value(&[]) / expected - 1.0).abs() < 0.02);
        assert!(weight.mean(Kind::Double).double_value(&[]).abs() < 0.02 * expected);
        let head = head_uniform(3, "b", &[100, 400], 400);
        assert!(head.abs().max().double_value(&[]) <= 0.05);
        assert!(head.abs().max().double_value(&[]) > 0.0499);
    }

    #[test]
    fn a_tensor_depends_on_seed_and_name_alone() {
        let draw = |seed, name| kaiming_fan_out(seed, name, &[8, 4, 1, 1, 1]);
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }
}
