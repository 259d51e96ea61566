//! The update of Adam over many parameters at once, in C++ beside this file.

use std::ffi::c_void;

use tch::{Device, Kind, Tensor};

/// A step of Adam as numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// Decay of the mean of the gradients.
    pub beta1: f64,
    /// Decay of the mean of the squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// How much of the value is added to its gradient (Adam's weight decay).
    pub gradient_decay: f64,
    /// What the value is multiplied by (AdamW's weight decay; 1 without).
    pub keep: f64,
    /// The learning rate over the first moment's correction, 1 - beta1^steps.
    pub rate: f64,
    /// The root of the second moment's correction, 1 - beta2^steps.
    pub correction: f64,
}

/// Values of one parameter, contiguous, and their gradients.
#[repr(C)]
struct Piece {
    values: *mut f32,
    gradients: *const f32,
    count: i64,
}

unsafe extern "C" {
    fn incdec_adam(
        pieces: *const Piece,
        count: usize,
        mean: *mut f32,
        square: *mut f32,
        step: *const AdamStep,
    );
    fn incdec_forget_gradients(tensors: *const *const c_void, count: usize);
    fn incdec_give_gradients(
        tensors: *const *const c_void,
        gradients: *const *const c_void,
        count: usize,
    );
}

/// Whether [`update`] takes a tensor: contiguous 32-bit floats in host memory.
#[must_use]
pub fn takes(tensor: &Tensor) -> bool {
    tensor.device() == Device::Cpu && tensor.kind() == Kind::Float && tensor.is_contiguous()
}

/// Moves `parameters` by `gradients` (of the same sizes) in one pass; their moments lie in the same
/// order in `mean` and `square`, flat tensors of as many values in all. Results do not depend on
/// the number of threads.
///
/// # Panics
/// When a tensor is not one that [`takes`] says yes to, or the sizes do not go together.
pub fn update(
    parameters: &[Tensor],
    gradients: &[Tensor],
    mean: &Tensor,
    square: &Tensor,
    step: &AdamStep,
) {
    assert_eq!(parameters.len(), gradients.len(), "a gradient a parameter");
    let total: usize = parameters.iter().map(Tensor::numel).sum();
    assert!(
        [mean, square]
            .iter()
            .all(|m| takes(m) && m.numel() == total),
        "moments of {total} values"
    );
    let pieces: Vec<Piece> = parameters
        .iter()
        .zip(gradients)
        .map(|(parameter, gradient)| {
            assert!(
                takes(parameter) && takes(gradient) && parameter.numel() == gradient.numel(),
                "a parameter and its gradient are 32-bit floats of one size in host memory"
            );
            Piece {
                values: parameter.data_ptr().cast(),
                gradients: gradient.data_ptr().cast::<f32>().cast_const(),
                count: i64::try_from(parameter.numel()).unwrap_or(i64::MAX),
            }
        })
        .collect();
    // SAFETY: every pointer is that of a live, contiguous tensor of 32-bit floats in host memory
    // with the stated number of values, as asserted above; the callee keeps none and ends before
    // this function does.
    unsafe {
        incdec_adam(
            pieces.as_ptr(),
            pieces.len(),
            mean.data_ptr().cast(),
            square.data_ptr().cast(),
            step,
        );
    }
}

/// Leaves `tensors` without gradients: the next backward pass hands over its own instead of adding
/// to zeros.
pub fn forget_gradients<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) {
    let pointers = pointers(tensors);
    // SAFETY: the pointers are those of live tensors; the callee keeps none of them.
    unsafe { incdec_forget_gradients(pointers.as_ptr(), pointers.len()) }
}

/// Makes each of `gradients` the gradient of the tensor in the same place, in place of what it has.
///
/// # Panics
/// When there are more of one than of the other, or a shape or kind differs.
pub fn give_gradients(tensors: &[&Tensor], gradients: &[Tensor]) {
    assert_eq!(tensors.len(), gradients.len(), "a gradient a tensor");
    let mut pairs = tensors.iter().zip(gradients);
    assert!(
        pairs.all(|(t, g)| t.size() == g.size() && t.kind() == g.kind()),
        "a gradient has the shape and kind of its tensor"
    );
    let (tensors, gradients) = (pointers(tensors.iter().copied()), pointers(gradients));
    // SAFETY: the pointers are those of live tensors, as many of one as of the other; the callee counts references to the
    // gradients' and keeps no pointer.
    unsafe { incdec_give_gradients(tensors.as_ptr(), gradients.as_ptr(), tensors.len()) }
}

/// The tensors as libtorch's C++ interface holds them; they must live as long as the pointers are used.
fn pointers<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Vec<*const c_void> {
    let pointers = tensors.into_iter().map(Tensor::as_ptr);
    pointers.map(<*const _>::cast).collect()
}
