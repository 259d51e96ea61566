//! The network's three parts as operators: what the C++ of `fused.cpp` is given, and when it can
//! compute.

use std::ffi::c_char;
use std::ptr;
use std::sync::Once;

use tch::{Device, Kind, Tensor};

use crate::exception::said;
use crate::model::config::{Geometry, Mode, ModelConfig};
use crate::model::layers::{Block, ConvUnit, NORM_EPSILON, Norm, same_padding};
use crate::model::table::BlockSpec;

/// Channel counts that the loops take are multiples of this.
const CHANNEL_STEP: i64 = 8;
/// Kernel sizes of the depthwise convolutions that the loops are written for.
const DEPTHWISE_KERNELS: [i64; 2] = [3, 5];

/// An operator's number, as fused.cpp has it.
#[derive(Clone, Copy)]
enum Operator {
    Stem = 0,
    Block = 1,
    Tail = 2,
}

/// A tensor of libtorch, as its C++ interface holds it.
type RawTensor = std::ffi::c_void;

unsafe extern "C" {
    fn incdec_fused(
        operator: i64,
        tensors: *const *const RawTensor,
        count: usize,
        plan: *const i64,
        plan_size: usize,
        batch_stats: i32,
        epsilon: f64,
        out: *mut *mut RawTensor,
    ) -> *mut c_char;
    fn incdec_keep_memory();
    fn incdec_exact_convolutions();
}

/// Runs an operator. libtorch's errors (memory, shapes) end the thread with a panic, as those of
/// tch's own operators do.
fn run(operator: Operator, tensors: &[&Tensor], plan: &[i64], mode: Mode) -> Tensor {
    let pointers: Vec<*const RawTensor> = tensors.iter().map(|t| t.as_ptr().cast()).collect();
    let mut out = ptr::null_mut();
    // SAFETY: the pointers are those of live tensors and of slices of the stated lengths; the
    // callee keeps none of them (it copies the tensors' handles) and catches every exception.
    let message = unsafe {
        incdec_fused(
            operator as i64,
            pointers.as_ptr(),
            pointers.len(),
            plan.as_ptr(),
            plan.len(),
            i32::from(mode.moves_statistics()),
            NORM_EPSILON,
            &raw mut out,
        )
    };
    // SAFETY: the message is the call's.
    if let Err(text) = unsafe { said(message) } {
        panic!("{text}");
    }
    // SAFETY: without a message `out` is a new tensor that is ours.
    unsafe { Tensor::from_ptr(out.cast()) }
}

/// Whether the operators can compute `config` on `clips`.
pub(in crate::model) fn fits(config: &ModelConfig, clips: &Tensor) -> bool {
    let rows = config.variant.config();
    let whole = |channels: i64| channels % CHANNEL_STEP == 0;
    let block = |b: &BlockSpec| {
        whole(b.conv.in_channels)
            && whole(b.conv.out_channels)
            && whole(b.expanded)
            && b.conv.stride[1] <= 2
            && b.conv.stride[1] == b.conv.stride[2]
            && DEPTHWISE_KERNELS.contains(&b.conv.kernel[1])
            && b.conv.kernel[1] == b.conv.kernel[2]
    };
    clips.device() == Device::Cpu
        && matches!(clips.kind(), Kind::Float | Kind::Double)
        && !clips.requires_grad()
        && rows.stem.kernel == [1, 3, 3]
        && rows.stem.stride == [1, 2, 2]
        && rows.stem.in_channels == 3
        && whole(rows.stem.out_channels)
        && rows.stages.iter().copied().flatten().all(block)
        && whole(rows.last.out_channels)
}

/// Has the allocator keep freed memory for the next step. Once a process.
pub(in crate::model) fn keep_memory() {
    static ONCE: Once = Once::new();
    // SAFETY: the function sets parameters of the allocator, which may happen at any time.
    ONCE.call_once(|| unsafe { incdec_keep_memory() });
}

/// Has the convolutions of a GPU compute 32-bit floats as such, and the same numbers in every run.
/// libtorch's default is to round them to 10 bits of mantissa.
pub fn exact_convolutions() {
    // SAFETY: the function sets two switches of libtorch, which may happen at any time.
    unsafe { incdec_exact_convolutions() }
}

fn flag(value: bool) -> i64 {
    i64::from(value)
}

/// Positions of a convolution along one dimension.
///
/// # Panics
/// When there is none, as the stock operators do: the loops would run outside their memory.
fn positions(size: i64, kernel: i64, stride: i64, [before, after]: [i64; 2]) -> i64 {
    let room = size + before + after - kernel;
    assert!(
        room >= 0,
        "the clips are too small for this network: {size} pixels are left for a kernel of {kernel}"
    );
    room / stride + 1
}

fn norm_of(unit: &ConvUnit) -> &Norm {
    let Some(norm) = &unit.norm else {
        unreachable!("the convolutions of a fused part are made with a norm")
    };
    norm
}

/// The statistics that a norm reads or, where it normalises by those of the batch, the places that it writes them to, unrounded.
fn statistics(norm: &Norm, mode: Mode) -> [Tensor; 2] {
    if mode.moves_statistics() {
        return norm.new_moments(Kind::Double);
    }
    [&norm.running_mean, &norm.running_var].map(Tensor::shallow_clone)
}

/// The first convolution with its norm and activation: [N, 3, T, H, W] of any strides to
/// [N, T, H, W, C].
pub(in crate::model) fn stem(unit: &ConvUnit, clips: &Tensor, mode: Mode) -> Tensor {
    let size = clips.size();
    let [_, high, wide] = unit.padding([size[2], size[3], size[4]]);
    let norm = norm_of(unit);
    let [mean, var] = statistics(norm, mode);
    let plan = [
        positions(size[3], 3, 2, high),
        positions(size[4], 3, 2, wide),
        high[0],
        wide[0],
        flag(mode.moves_statistics()),
    ];
    let tensors = [clips, &unit.weight, &norm.weight, &norm.bias, &mean, &var];
    run(Operator::Stem, &tensors, &plan, mode)
}

/// A bottleneck on [N, T, H, W, C].
pub(in crate::model) fn block(block: &Block, x: &Tensor, mode: Mode, checkpoint: bool) -> Tensor {
    let size = x.size();
    let [kt, k, _] = block.spec.conv.kernel;
    let [_, stride, _] = block.spec.conv.stride;
    let [front, high, wide] = block.deep.padding([size[1], size[2], size[3]]);
    let (pool, counts_inside) = match block.geometry {
        Geometry::Seed => (
            [block.spec.pool_padding[1], block.spec.pool_padding[2]],
            false,
        ),
        Geometry::Tf => (
            [
                same_padding(size[2], stride, 3)[0],
                same_padding(size[3], stride, 3)[0],
            ],
            true,
        ),
    };
    let plan = [
        kt,
        k,
        stride,
        front[0],
        high[0],
        wide[0],
        positions(size[2], k, stride, high),
        positions(size[3], k, stride, wide),
        flag(block.residual.is_some()),
        flag(block.residual.as_ref().is_some_and(|r| r.pools)),
        pool[0],
        pool[1],
        flag(counts_inside),
        flag(mode.moves_statistics()),
        flag(checkpoint),
    ];
    let all_norms = [&block.expand, &block.deep, &block.project].map(norm_of);
    let [norm1, norm2, norm3] = all_norms;
    let (reduce, excite) = (&block.squeeze.reduce, &block.squeeze.expand);
    let bias = |unit: &'_ ConvUnit| {
        unit.bias
            .as_ref()
            .map_or_else(Tensor::new, Tensor::shallow_clone)
    };
    let (reduce_bias, excite_bias) = (bias(reduce), bias(excite));
    let mut tensors = vec![x, &block.expand.weight, &norm1.weight, &norm1.bias];
    tensors.extend([&block.deep.weight, &norm2.weight, &norm2.bias]);
    tensors.extend([&reduce.weight, &reduce_bias, &excite.weight, &excite_bias]);
    tensors.extend([
        &block.project.weight,
        &norm3.weight,
        &norm3.bias,
        &block.alpha,
    ]);
    let residual = block.residual.as_ref().map(|r| (&r.conv, norm_of(&r.conv)));
    if let Some((unit, norm)) = residual {
        tensors.extend([&unit.weight, &norm.weight, &norm.bias]);
    }
    let norms = all_norms.into_iter().chain(residual.map(|(_, norm)| norm));
    let statistics: Vec<Tensor> = norms.flat_map(|norm| statistics(norm, mode)).collect();
    tensors.extend(&statistics);
    run(Operator::Block, &tensors, &plan, mode)
}

/// The last convolution with its norm, activation and mean: [N, T, H, W, C] to [N, C].
pub(in crate::model) fn tail(unit: &ConvUnit, x: &Tensor, mode: Mode) -> Tensor {
    let norm = norm_of(unit);
    let [mean, var] = statistics(norm, mode);
    let tensors = [x, &unit.weight, &norm.weight, &norm.bias, &mean, &var];
    run(
        Operator::Tail,
        &tensors,
        &[flag(mode.moves_statistics())],
        mode,
    )
}
