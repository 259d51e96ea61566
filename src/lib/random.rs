//! Named random streams: every random choice of this crate draws from a generator keyed by the seed, a purpose and the
//! indices of what is drawn for (epoch, clip, ...). So no result depends on the number of workers or on the order in
//! which they run, and a resumed run draws what an uninterrupted one would have drawn.
//!
//! The only other generators are the two of `tasks::legacy_random`, which exist to equal the seed's splits.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator for `purpose` under `seed`, apart from every other purpose and key.
///
/// The key is a BLAKE3 hash, so streams are independent for all practical purposes and equal on every platform.
#[must_use]
pub fn stream(seed: u64, purpose: &str, keys: &[u64]) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key("incdec random stream 1");
    hasher.update(&seed.to_le_bytes());
    // The length keeps ("ab", key) apart from ("a", other key).
    hasher.update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    for key in keys {
        hasher.update(&key.to_le_bytes());
    }
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn streams_repeat_and_differ_by_seed_purpose_and_key() {
        let first = |seed, purpose: &str, keys: &[u64]| stream(seed, purpose, keys).next_u64();
        assert_eq!(first(1, "crop", &[2, 3]), first(1, "crop", &[2, 3]));
        let all = [
            first(1, "crop", &[2, 3]),
            first(2, "crop", &[2, 3]),
            first(1, "flip", &[2, 3]),
            first(1, "crop", &[3, 2]),
            first(1, "crop", &[2]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }
}
