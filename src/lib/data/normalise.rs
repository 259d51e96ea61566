//! From bytes to what the model eats: `(x / 255 - mean) / std`, on the device that computes.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, _mm_loadl_epi64, _mm_sfence, _mm256_add_ps, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32,
    _mm256_loadu_ps, _mm256_mul_ps, _mm256_stream_ps,
};

use tch::{Device, Kind, Tensor};

use super::memory;

/// Mean of each colour, red first, in 0..1 (Kinetics', as the published weights and the seed have it).
pub const MEAN: [f32; 3] = [0.43216, 0.394_666, 0.37645];

/// Standard deviation of each colour, red first, in 0..1.
pub const STD: [f32; 3] = [0.22803, 0.22145, 0.216_989];

/// Values that the inner loop takes at a time: whole pixels that fill whole vector registers.
const BLOCK: usize = 96;

/// Bytes of floats above which a batch leaves the caches before the model has read it, however it was written.
#[cfg(target_arch = "x86_64")]
const STREAMED_BYTES: usize = 4 << 20;

/// Turns batch after batch into normalised clips, with what need not be made anew each time.
///
/// Fresh memory for a batch of floats costs the host more than filling it does: the system clears it first. So a loop hands
/// back what it has done with, and the next batch of the same shape is written there. On another device the factors stay,
/// since sending them there would make the host wait for all that the device has yet to do.
#[derive(Debug, Default)]
pub struct Normaliser {
    spare: Option<Tensor>,
    /// Scale and shift of each colour on the device of the last batch, where that was not the host.
    factors: Option<[Tensor; 2]>,
}

impl Normaliser {
    /// The normalised clips `[N, 3, T, H, W]`, float32, on `device`.
    ///
    /// `clips` are bytes `[N, T, H, W, 3]`. The memory stays in their order (torch's `channels_last_3d`), which is the one
    /// that the model's convolutions want, so only one pass is made over it. To a CUDA device the bytes travel, a quarter of
    /// the floats; from pinned memory ([`super::HostMemory::Pinned`]) nothing here waits for the device.
    ///
    /// # Panics
    /// When `clips` is not a byte tensor of that shape; torch's own failures (out of memory) panic, too.
    pub fn apply(&mut self, clips: &Tensor, device: Device) -> Tensor {
        assert!(
            clips.kind() == Kind::Uint8 && clips.dim() == 5 && clips.size()[4] == 3,
            "a normaliser takes bytes [N, T, H, W, 3], got {:?} {:?}",
            clips.kind(),
            clips.size()
        );
        let normalised = if device == Device::Cpu && clips.device() == Device::Cpu {
            on_host(&clips.contiguous(), self.spare.take())
        } else {
            self.on_device(clips, device)
        };
        normalised.permute([0, 4, 1, 2, 3])
    }

    /// The same mathematics by stock operations.
    fn on_device(&mut self, clips: &Tensor, device: Device) -> Tensor {
        let [scale, shift] = self
            .factors
            .take_if(|factors| factors[0].device() == device)
            .unwrap_or_else(|| {
                let (scale, shift) = factors();
                [scale, shift].map(|values| Tensor::from_slice(&values).to_device(device))
            });
        let bytes = clips.to_device_(device, Kind::Uint8, true, false);
        let normalised = bytes.to_kind(Kind::Float).g_mul_(&scale).g_add_(&shift);
        self.factors = Some([scale, shift]);
        normalised
    }

    /// Takes back what [`Normaliser::apply`] gave. No other handle of it (a shallow clone, a view, the graph of a loss) may
    /// be read afterwards: its content will change. What lies on another device is dropped: its allocator keeps memory itself.
    pub fn recycle(&mut self, normalised: Tensor) {
        if normalised.device() == Device::Cpu {
            self.spare = Some(normalised);
        }
    }
}

/// `(x / 255 - mean) / std` as one product and one sum.
fn factors() -> ([f32; 3], [f32; 3]) {
    let mut scale = [0.0; 3];
    let mut shift = [0.0; 3];
    for c in 0..3 {
        scale[c] = 1.0 / (255.0 * STD[c]);
        shift[c] = -MEAN[c] / STD[c];
    }
    (scale, shift)
}

fn on_host(clips: &Tensor, spare: Option<Tensor>) -> Tensor {
    let out = spare
        .map(|spare| spare.permute([0, 2, 3, 4, 1]))
        .filter(|spare| spare.size() == clips.size() && spare.is_contiguous())
        .unwrap_or_else(|| memory::empty(&clips.size(), Kind::Float));
    let values = clips.numel();
    if values == 0 {
        // An empty tensor's pointer may be null.
        return out;
    }
    // SAFETY: both tensors are contiguous, live in host memory, hold `values` elements of these types, and do not
    // overlap; `out` was made here or handed back, so nobody else looks at it.
    let (bytes, floats) = unsafe {
        (
            std::slice::from_raw_parts(clips.data_ptr().cast::<u8>(), values),
            std::slice::from_raw_parts_mut(out.data_ptr().cast::<f32>(), values),
        )
    };
    normalise_values(bytes, floats);
    out
}

fn normalise_values(bytes: &[u8], floats: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if size_of_val(floats) >= STREAMED_BYTES
        && floats.as_ptr().addr().is_multiple_of(align_of::<__m256>())
        && is_x86_feature_detected!("avx2")
    {
        // SAFETY: the processor has the instructions.
        return unsafe { normalise_past_the_cache(bytes, floats) };
    }
    normalise_blocks(bytes, floats);
}

/// [`normalise_blocks`] with stores that pass the caches by, the same numbers in half the time: a normal store first
/// fetches the memory that it is about to overwrite.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn normalise_past_the_cache(bytes: &[u8], floats: &mut [f32]) {
    /// Values of a vector, and vectors until the pattern of three factors repeats.
    const LANES: usize = 8;
    const PERIOD: usize = 3;
    let (scale, shift) = factors();
    // SAFETY: the arrays hold LANES values.
    let vectors = |factors: [f32; 3]| -> [__m256; PERIOD] {
        std::array::from_fn(|v| {
            let values: [f32; LANES] = std::array::from_fn(|i| factors[(v * LANES + i) % 3]);
            unsafe { _mm256_loadu_ps(values.as_ptr()) }
        })
    };
    let (scales, shifts) = (vectors(scale), vectors(shift));
    let (from, _) = bytes.as_chunks::<LANES>();
    let (to, _) = floats.as_chunks_mut::<LANES>();
    let whole = from.len() / PERIOD * PERIOD;
    for (i, (from, to)) in from.iter().zip(to.iter_mut()).take(whole).enumerate() {
        // SAFETY: both chunks hold LANES values, and `to` is aligned as the first chunk is, which the caller looks at.
        unsafe {
            let wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.as_ptr().cast()));
            let product = _mm256_mul_ps(_mm256_cvtepi32_ps(wide), scales[i % PERIOD]);
            _mm256_stream_ps(to.as_mut_ptr(), _mm256_add_ps(product, shifts[i % PERIOD]));
        }
    }
    // The stores are seen by other threads only behind a fence.
    _mm_sfence();
    let done = whole * LANES;
    normalise_blocks(&bytes[done..], &mut floats[done..]);
}

/// The loop that the compiler turns into vector instructions: the pattern of three factors repeats within a block.
fn normalise_blocks(bytes: &[u8], floats: &mut [f32]) {
    let (scale, shift) = factors();
    let scales: [f32; BLOCK] = std::array::from_fn(|i| scale[i % 3]);
    let shifts: [f32; BLOCK] = std::array::from_fn(|i| shift[i % 3]);
    for (from, to) in bytes.chunks(BLOCK).zip(floats.chunks_mut(BLOCK)) {
        for (((to, from), scale), shift) in to.iter_mut().zip(from).zip(&scales).zip(&shifts) {
            *to = f32::from(*from) * scale + shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_the_values_of_the_formula_in_channels_last_order() {
        let clips = Tensor::arange(2 * 3 * 5 * 7 * 3, (Kind::Int64, Device::Cpu))
            .remainder(256)
            .to_kind(Kind::Uint8)
            .view([2, 3, 5, 7, 3]);
        let normalised = Normaliser::default().apply(&clips, Device::Cpu);
        assert_eq!(normalised.size(), [2, 3, 3, 5, 7]);
        assert_eq!(normalised.stride(), [315, 1, 105, 21, 3]);
        let expected = (clips.permute([0, 4, 1, 2, 3]).to_kind(Kind::Float) / 255.0
            - Tensor::from_slice(&MEAN).view([1, 3, 1, 1, 1]))
            / Tensor::from_slice(&STD).view([1, 3, 1, 1, 1]);
        let worst = (&normalised - expected).abs().max().double_value(&[]);
        assert!(worst < 1e-6, "{worst}");
        // The path of other devices is the same mathematics, with factors made and with factors kept.
        let mut normaliser = Normaliser::default();
        for _ in 0..2 {
            let other = normaliser
                .on_device(&clips, Device::Cpu)
                .permute([0, 4, 1, 2, 3]);
            assert!((&normalised - other).abs().max().double_value(&[]) < 1e-6);
        }
    }

    #[test]
    fn a_batch_larger_than_the_caches_has_the_same_values_to_the_last() {
        // Not a multiple of a vector, nor of three of them.
        let values = STREAMED_BYTES / size_of::<f32>() + 3 * 7;
        let bytes: Vec<u8> = (0..values)
            .map(|i| u8::try_from(i * 7 % 251).unwrap())
            .collect();
        let (mut streamed, mut plain) = (vec![f32::NAN; values + 8], vec![f32::NAN; values]);
        // Aligned for vectors, and not: that is another way through the function.
        let aligned = streamed.as_ptr().align_offset(32);
        for start in [aligned, (aligned + 1) % 8] {
            normalise_values(&bytes, &mut streamed[start..start + values]);
            normalise_blocks(&bytes, &mut plain);
            assert!(streamed[start..start + values] == plain);
        }
    }

    #[test]
    fn memory_handed_back_is_written_again_where_the_shape_is_the_same() {
        let clips = |value: i64| Tensor::full([2, 3, 4, 4, 3], value, (Kind::Uint8, Device::Cpu));
        let mut normaliser = Normaliser::default();
        let first = normaliser.apply(&clips(9), Device::Cpu);
        let place = first.data_ptr();
        normaliser.recycle(first);
        let second = normaliser.apply(&clips(200), Device::Cpu);
        assert_eq!(second.data_ptr(), place);
        assert_eq!(
            second,
            Normaliser::default().apply(&clips(200), Device::Cpu)
        );
        normaliser.recycle(second);
        let smaller = normaliser.apply(&clips(200).narrow(0, 0, 1), Device::Cpu);
        assert_eq!(smaller.size(), [1, 3, 3, 4, 4]);
    }

    #[test]
    fn a_batch_without_clips_stays_one() {
        let none = Tensor::zeros([0, 4, 6, 6, 3], (Kind::Uint8, Device::Cpu));
        let normalised = Normaliser::default().apply(&none, Device::Cpu);
        assert_eq!(normalised.size(), [0, 3, 4, 6, 6]);
    }
}
