//! Parameters and inputs from a formula, so that tests and benchmarks on any machine, in any
//! language, start from the same numbers without storing them. Tests compare with the seed's
//! answers for the same fill.

use tch::nn::VarStore;
use tch::{Kind, Tensor};

/// FNV-1a, 32 bits.
fn fnv1a32(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    })
}

/// Element `index` of the tensor called `name`, in [0, 1).
fn unit(name_hash: u32, salt: u32, index: u32) -> f64 {
    let mut v = index
        .wrapping_mul(2_654_435_761)
        .wrapping_add(name_hash)
        .wrapping_add(salt.wrapping_mul(97_531));
    v = (v ^ (v >> 16)).wrapping_mul(0x045d_9f3b);
    v ^= v >> 16;
    f64::from(v >> 8) / f64::from(1_u32 << 24)
}

fn tensor_of(name: &str, salt: u32, shape: &[i64], value: impl Fn(f64) -> f64) -> Tensor {
    let hash = fnv1a32(name);
    let count: i64 = shape.iter().product();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // The formula counts elements modulo 2^32 and rounds to 32-bit floats.
    let values: Vec<f32> = (0..count)
        .map(|i| value(unit(hash, salt, i as u32)) as f32)
        .collect();
    Tensor::from_slice(&values).view(shape)
}

/// The input called `name`: uniform in [-1, 1), 32-bit floats.
pub fn input(name: &str, shape: &[i64]) -> Tensor {
    tensor_of(name, 0, shape, |u| 2.0 * u - 1.0)
}

/// Fills every variable of `store` by its name, except the counters of batches.
pub fn fill(store: &VarStore, salt: u32) {
    let _guard = tch::no_grad_guard();
    for (name, mut variable) in store.variables() {
        if variable.kind() == Kind::Int64 {
            continue;
        }
        let shape = variable.size();
        #[allow(clippy::cast_precision_loss)] // Far fewer than 2^52 inputs.
        let fan_in = shape.iter().skip(1).product::<i64>() as f64;
        let filled = tensor_of(&name, salt, &shape, |u| {
            if name.ends_with("running_var") || name.ends_with("norm.weight") {
                0.5 + u
            } else if name.ends_with("running_mean") || name.ends_with("bias") {
                0.2 * (2.0 * u - 1.0)
            } else if name.ends_with("alpha") {
                0.5 + 0.5 * u
            } else {
                (2.0 * u - 1.0) * (3.0 / fan_in).sqrt()
            }
        });
        variable.copy_(&filled);
    }
}
