//! Stochastic gradient descent as PyTorch has it: a heavy ball whose first buffer is the first
//! gradient, weight decay added to the gradient.

use tch::{Tensor, no_grad};

/// The update rule with its buffers.
pub(super) struct Sgd {
    momentum: f64,
    weight_decay: f64,
    parameters: Vec<Tensor>,
    buffers: Vec<Option<Tensor>>,
}

impl Sgd {
    pub(super) fn new(momentum: f64, weight_decay: f64, parameters: Vec<Tensor>) -> Self {
        Self {
            momentum,
            weight_decay,
            buffers: parameters.iter().map(|_| None).collect(),
            parameters,
        }
    }

    /// Updates every parameter from its gradient; one without a gradient counts as one whose
    /// gradient is 0.
    pub(super) fn step(&mut self, rate: f64) {
        no_grad(|| {
            for (parameter, buffer) in self.parameters.iter_mut().zip(&mut self.buffers) {
                let gradient = parameter.grad();
                let gradient = if gradient.defined() {
                    gradient + &*parameter * self.weight_decay
                } else {
                    &*parameter * self.weight_decay
                };
                let next = match buffer.take() {
                    Some(buffer) => buffer * self.momentum + gradient,
                    None => gradient,
                };
                *parameter -= &next * rate;
                *buffer = Some(next);
            }
        });
    }
}
