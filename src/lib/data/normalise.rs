//! From bytes to what the model eats: `(x / 255 - mean) / std`, on the device that computes.

use tch::{Device, Kind, Tensor};

use super::memory;

/// Mean of each colour, red first, in 0..1 (Kinetics', as the published weights and the seed have it).
pub const MEAN: [f32; 3] = [0.43216, 0.394_666, 0.37645];

/// Standard deviation of each colour, red first, in 0..1.
pub const STD: [f32; 3] = [0.22803, 0.22145, 0.216_989];

/// Values that the inner loop takes at a time: whole pixels that fill whole vector registers.
const BLOCK: usize = 96;

/// The normalised clips `[N, 3, T, H, W]`, float32, on `device`.
///
/// `clips` are bytes `[N, T, H, W, 3]`. The memory stays in their order (torch's `channels_last_3d`), which is the one that
/// the model's convolutions want, so only one pass is made over it. To a CUDA device the bytes travel, a quarter of the
/// floats; from pinned memory ([`super::HostMemory::Pinned`]) the copy does not block the host.
///
/// # Panics
/// When `clips` is not a byte tensor of that shape; torch's own failures (out of memory) panic, too.
pub fn normalise(clips: &Tensor, device: Device) -> Tensor {
    assert!(
        clips.kind() == Kind::Uint8 && clips.dim() == 5 && clips.size()[4] == 3,
        "normalise takes bytes [N, T, H, W, 3], got {:?} {:?}",
        clips.kind(),
        clips.size()
    );
    let normalised = if device == Device::Cpu && clips.device() == Device::Cpu {
        on_host(&clips.contiguous())
    } else {
        on_device(clips, device)
    };
    normalised.permute([0, 4, 1, 2, 3])
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

fn on_device(clips: &Tensor, device: Device) -> Tensor {
    let (scale, shift) = factors();
    let bytes = clips.to_device_(device, Kind::Uint8, true, false);
    let scale = Tensor::from_slice(&scale).to_device(device);
    let shift = Tensor::from_slice(&shift).to_device(device);
    bytes.to_kind(Kind::Float).g_mul_(&scale).g_add_(&shift)
}

fn on_host(clips: &Tensor) -> Tensor {
    let out = memory::empty(&clips.size(), Kind::Float);
    let values = clips.numel();
    if values == 0 {
        // An empty tensor's pointer may be null.
        return out;
    }
    // SAFETY: both tensors are contiguous, live in host memory, hold `values` elements of these types, and do not
    // overlap; `out` was made here, so nobody else looks at it.
    let (bytes, floats) = unsafe {
        (
            std::slice::from_raw_parts(clips.data_ptr().cast::<u8>(), values),
            std::slice::from_raw_parts_mut(out.data_ptr().cast::<f32>(), values),
        )
    };
    normalise_values(bytes, floats);
    out
}

/// The loop that the compiler turns into vector instructions: the pattern of three factors repeats within a block.
fn normalise_values(bytes: &[u8], floats: &mut [f32]) {
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
        let normalised = normalise(&clips, Device::Cpu);
        assert_eq!(normalised.size(), [2, 3, 3, 5, 7]);
        assert_eq!(normalised.stride(), [315, 1, 105, 21, 3]);
        let expected = (clips.permute([0, 4, 1, 2, 3]).to_kind(Kind::Float) / 255.0
            - Tensor::from_slice(&MEAN).view([1, 3, 1, 1, 1]))
            / Tensor::from_slice(&STD).view([1, 3, 1, 1, 1]);
        let worst = (&normalised - expected).abs().max().double_value(&[]);
        assert!(worst < 1e-6, "{worst}");
        // The path of other devices is the same mathematics.
        let other = on_device(&clips, Device::Cpu).permute([0, 4, 1, 2, 3]);
        assert!((normalised - other).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn a_batch_without_clips_stays_one() {
        let none = Tensor::zeros([0, 4, 6, 6, 3], (Kind::Uint8, Device::Cpu));
        assert_eq!(normalise(&none, Device::Cpu).size(), [0, 3, 4, 6, 6]);
    }
}
