//! Adam (Kingma and Ba, <https://arxiv.org/abs/1412.6980>) and AdamW (Loshchilov and Hutter,
//! <https://arxiv.org/abs/1711.05101>) as PyTorch computes them, with one learning rate for each parameter group.
//!
//! Each group's moments are two flat vectors: a step gathers the gradients into a third, updates all with a handful of
//! operations, and hands each parameter its piece. So a step costs a few passes over memory, not a dozen calls for each of
//! the three hundred parameters.

use tch::{Kind, Tensor, no_grad};

use super::settings::OptimizerName;

/// Decay of the mean of the gradients.
const BETA1: f64 = 0.9;
/// Decay of the mean of the squared gradients.
const BETA2: f64 = 0.999;
/// Added to the root of the second moment.
const EPSILON: f64 = 1e-8;

/// Parameters that share a learning rate.
struct Group {
    parameters: Vec<Tensor>,
    sizes: Vec<i64>,
    mean: Tensor,
    mean_square: Tensor,
}

/// The update rule with its moments. Made anew for each task.
pub struct Optimizer {
    rule: OptimizerName,
    weight_decay: f64,
    groups: Vec<Group>,
    steps: i32,
}

impl Optimizer {
    /// An optimizer without history over `groups` of parameters, all of which take gradients.
    #[must_use]
    pub fn new(rule: OptimizerName, weight_decay: f64, groups: Vec<Vec<Tensor>>) -> Self {
        let groups = groups
            .into_iter()
            .filter(|parameters| !parameters.is_empty())
            .map(|parameters| {
                let sizes: Vec<i64> = parameters
                    .iter()
                    .map(|p| i64::try_from(p.numel()).unwrap_or(i64::MAX))
                    .collect();
                let mean = Tensor::zeros(
                    [sizes.iter().sum::<i64>()],
                    (Kind::Float, parameters[0].device()),
                );
                Group {
                    mean_square: mean.zeros_like(),
                    mean,
                    sizes,
                    parameters,
                }
            })
            .collect();
        Self {
            rule,
            weight_decay,
            groups,
            steps: 0,
        }
    }

    /// Forgets all gradients.
    pub fn zero_grad(&self) {
        for parameter in self.groups.iter().flat_map(|g| &g.parameters) {
            let mut gradient = parameter.grad();
            if gradient.defined() {
                let _ = gradient.detach_().zero_();
            }
        }
    }

    /// Updates every parameter from its gradient; group i moves at `rates[i]`. A parameter without a gradient counts as
    /// one whose gradient is 0.
    pub fn step(&mut self, rates: &[f64]) {
        self.steps += 1;
        let (rule, decay, steps) = (self.rule, self.weight_decay, self.steps);
        no_grad(|| {
            for (group, &rate) in self.groups.iter_mut().zip(rates) {
                group.step(rule, decay, steps, rate);
            }
        });
    }
}

impl Group {
    fn step(&mut self, rule: OptimizerName, weight_decay: f64, steps: i32, rate: f64) {
        let pieces: Vec<Tensor> = self.parameters.iter().map(flat_gradient).collect();
        let mut gradient = Tensor::cat(&pieces, 0);
        if rule == OptimizerName::Adam && weight_decay != 0.0 {
            let values: Vec<Tensor> = self.parameters.iter().map(|p| p.reshape([-1])).collect();
            gradient += Tensor::cat(&values, 0) * weight_decay;
        }
        let _ = self.mean.lerp_(&gradient, 1.0 - BETA1);
        let _ = self.mean_square.g_mul_scalar_(BETA2);
        self.mean_square += gradient.square() * (1.0 - BETA2);
        let correction1 = 1.0 - BETA1.powi(steps);
        let correction2 = (1.0 - BETA2.powi(steps)).sqrt();
        let denominator = self
            .mean_square
            .sqrt()
            .g_div_scalar_(correction2)
            .g_add_scalar_(EPSILON);
        let change = (&self.mean / denominator) * (-rate / correction1);
        let changes = change.split_with_sizes(&self.sizes, 0);
        for (parameter, change) in self.parameters.iter_mut().zip(changes) {
            if rule == OptimizerName::AdamW && weight_decay != 0.0 {
                let _ = parameter.g_mul_scalar_(1.0 - rate * weight_decay);
            }
            *parameter += change.view_as(parameter);
        }
    }
}

fn flat_gradient(parameter: &Tensor) -> Tensor {
    let gradient = parameter.grad();
    if gradient.defined() {
        gradient.reshape([-1])
    } else {
        parameter.zeros_like().reshape([-1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PyTorch's formula in 64-bit floats, one number at a time.
    fn expected(start: f64, gradients: &[f64], rate: f64, decay: f64, rule: OptimizerName) -> f64 {
        let (mut value, mut mean, mut square) = (start, 0.0, 0.0);
        for (i, gradient) in gradients.iter().enumerate() {
            let t = i32::try_from(i).unwrap() + 1;
            let mut gradient = *gradient;
            match rule {
                OptimizerName::Adam => gradient += decay * value,
                OptimizerName::AdamW => value *= 1.0 - rate * decay,
            }
            mean = BETA1 * mean + (1.0 - BETA1) * gradient;
            square = BETA2 * square + (1.0 - BETA2) * gradient * gradient;
            let root = (square / (1.0 - BETA2.powi(t))).sqrt() + EPSILON;
            value -= rate * (mean / (1.0 - BETA1.powi(t))) / root;
        }
        value
    }

    fn parameter(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).set_requires_grad(true)
    }

    #[test]
    fn three_steps_equal_the_formula_for_both_rules_and_two_rates() {
        for rule in [OptimizerName::Adam, OptimizerName::AdamW] {
            let (a, b) = (parameter(&[0.5, -1.0]), parameter(&[2.0]));
            let mut optimizer = Optimizer::new(
                rule,
                0.1,
                vec![vec![a.shallow_clone()], vec![b.shallow_clone()]],
            );
            for slope in [1.0, -0.5, 3.0] {
                optimizer.zero_grad();
                // d/da sum(slope a) = slope, d/db 2 slope b-independent as well.
                ((&a * slope).sum(Kind::Float) + (&b * (2.0 * slope)).sum(Kind::Float)).backward();
                optimizer.step(&[0.1, 0.01]);
            }
            let slopes = [1.0, -0.5, 3.0];
            let doubled = [2.0, -1.0, 6.0];
            for (value, wanted) in [
                (a.double_value(&[0]), expected(0.5, &slopes, 0.1, 0.1, rule)),
                (
                    a.double_value(&[1]),
                    expected(-1.0, &slopes, 0.1, 0.1, rule),
                ),
                (
                    b.double_value(&[0]),
                    expected(2.0, &doubled, 0.01, 0.1, rule),
                ),
            ] {
                assert!((value - wanted).abs() < 1e-6, "{rule}: {value} {wanted}");
            }
        }
    }

    #[test]
    fn a_rate_of_zero_moves_nothing() {
        let a = parameter(&[0.5, -1.0]);
        let mut optimizer = Optimizer::new(OptimizerName::Adam, 0.1, vec![vec![a.shallow_clone()]]);
        a.square().sum(Kind::Float).backward();
        optimizer.step(&[0.0]);
        assert_eq!(Vec::<f32>::try_from(&a).unwrap(), [0.5, -1.0]);
    }

    #[test]
    fn gradients_add_up_until_they_are_forgotten() {
        let a = parameter(&[1.0]);
        let optimizer = Optimizer::new(OptimizerName::Adam, 0.0, vec![vec![a.shallow_clone()]]);
        for _ in 0..2 {
            (&a * 3.0).sum(Kind::Float).backward();
        }
        assert!((a.grad().double_value(&[0]) - 6.0).abs() < 1e-6);
        optimizer.zero_grad();
        assert!(a.grad().double_value(&[0]).abs() < 1e-6);
    }
}
