//! Adam (Kingma and Ba, <https://arxiv.org/abs/1412.6980>) and AdamW (Loshchilov and Hutter,
//! <https://arxiv.org/abs/1711.05101>) as PyTorch computes them, with one learning rate for each
//! parameter group.
//!
//! Each group's moments are two flat vectors. In host memory a step is one fused pass over
//! parameters, gradients and moments ([`adam::update`]); elsewhere it gathers the gradients into a
//! third vector, updates all with a handful of stock operations and hands each parameter its piece.
//! Neither makes a dozen calls for each of the three hundred parameters.

use std::path::Path;

use tch::{Kind, Tensor, no_grad};

use super::TrainError;
use super::settings::OptimizerName;
use crate::model::adam::{self, AdamStep};
use crate::model::checkpoint;
use crate::model::state_dict::StateDict;

/// Decay of the mean of the gradients.
const BETA1: f64 = 0.9;
/// Decay of the mean of the squared gradients.
const BETA2: f64 = 0.999;
/// Added to the root of the second moment.
const EPSILON: f64 = 1e-8;

/// What the number of steps is called in an optimizer's state.
const STEPS: &str = "steps";

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
            .map(Group::new)
            .collect();
        Self {
            rule,
            weight_decay,
            groups,
            steps: 0,
        }
    }

    /// The moments and the number of steps, by name; they are shared, not copied.
    #[must_use]
    pub fn state(&self) -> StateDict {
        let moments = self.groups.iter().enumerate().flat_map(|(i, group)| {
            [
                (format!("{i}.mean"), group.mean.shallow_clone()),
                (
                    format!("{i}.mean_square"),
                    group.mean_square.shallow_clone(),
                ),
            ]
        });
        let steps = Tensor::from_slice(&[self.steps]);
        moments.chain([(STEPS.to_owned(), steps)]).collect()
    }

    /// Takes back what [`Optimizer::state`] gave, which was read from `path`.
    ///
    /// # Errors
    /// When it is not of an optimizer over the same groups.
    pub fn put_back(&mut self, path: &Path, state: &StateDict) -> Result<(), TrainError> {
        let ours = self.state();
        checkpoint::compare(path, ours.iter().map(|(n, t)| (n.as_str(), t)), state)?;
        for (name, mut tensor) in ours {
            // The comparison has found it there.
            if let Some(kept) = state.get(&name).filter(|_| name != STEPS) {
                tensor.f_copy_(kept)?;
            }
        }
        let steps = state[STEPS].f_int64_value(&[0])?;
        self.steps = i32::try_from(steps).unwrap_or(i32::MAX);
        Ok(())
    }

    /// What it moves, one group after the other.
    pub fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        self.groups.iter().flat_map(|group| &group.parameters)
    }

    /// Forgets all gradients.
    pub fn zero_grad(&self) {
        adam::forget_gradients(self.parameters());
    }

    /// The Euclidean norm of all gradients together, a scalar on the device; 0 without any.
    pub fn gradient_norm(&self) -> Tensor {
        no_grad(|| {
            let gradients = self.parameters().map(Tensor::grad).filter(Tensor::defined);
            let pieces: Vec<Tensor> = gradients.map(|gradient| gradient.reshape([-1])).collect();
            if pieces.is_empty() {
                return Tensor::from(0.0);
            }
            Tensor::cat(&pieces, 0).norm()
        })
    }

    /// Updates every parameter from its gradient; group i moves at `rates[i]`. A parameter without
    /// a gradient counts as one whose gradient is 0.
    pub fn step(&mut self, rates: &[f64]) {
        self.steps += 1;
        no_grad(|| {
            for (group, &rate) in self.groups.iter_mut().zip(rates) {
                group.step(&adam_step(self.rule, self.weight_decay, self.steps, rate));
            }
        });
    }
}

/// The numbers of a group's step number `steps`, from 1.
fn adam_step(rule: OptimizerName, weight_decay: f64, steps: i32, rate: f64) -> AdamStep {
    let (gradient_decay, keep) = match rule {
        OptimizerName::Adam => (weight_decay, 1.0),
        OptimizerName::AdamW => (0.0, 1.0 - rate * weight_decay),
    };
    AdamStep {
        beta1: BETA1,
        beta2: BETA2,
        epsilon: EPSILON,
        gradient_decay,
        keep,
        rate: rate / (1.0 - BETA1.powi(steps)),
        correction: (1.0 - BETA2.powi(steps)).sqrt(),
    }
}

impl Group {
    /// `parameters`, at least one, all on one device, with moments of 0.
    fn new(parameters: Vec<Tensor>) -> Self {
        let sizes: Vec<i64> = parameters
            .iter()
            .map(|p| i64::try_from(p.numel()).unwrap_or(i64::MAX))
            .collect();
        let mean = Tensor::zeros(
            [sizes.iter().sum::<i64>()],
            (Kind::Float, parameters[0].device()),
        );
        Self {
            mean_square: mean.zeros_like(),
            mean,
            sizes,
            parameters,
        }
    }

    fn step(&mut self, step: &AdamStep) {
        let gradients: Vec<Tensor> = self.parameters.iter().map(gradient_of).collect();
        if self.parameters.iter().chain(&gradients).all(adam::takes) {
            adam::update(
                &self.parameters,
                &gradients,
                &self.mean,
                &self.mean_square,
                step,
            );
        } else {
            self.stock_step(&gradients, step);
        }
    }

    /// The same update by stock operations, on any device.
    fn stock_step(&mut self, gradients: &[Tensor], step: &AdamStep) {
        let flat = |tensors: &[Tensor]| {
            let pieces: Vec<Tensor> = tensors.iter().map(|t| t.reshape([-1])).collect();
            Tensor::cat(&pieces, 0)
        };
        let mut gradient = flat(gradients);
        if step.gradient_decay != 0.0 {
            gradient += flat(&self.parameters) * step.gradient_decay;
        }
        let _ = self.mean.lerp_(&gradient, 1.0 - step.beta1);
        let _ = self.mean_square.g_mul_scalar_(step.beta2);
        self.mean_square += gradient.square() * (1.0 - step.beta2);
        let denominator = self
            .mean_square
            .sqrt()
            .g_div_scalar_(step.correction)
            .g_add_scalar_(step.epsilon);
        let change = (&self.mean / denominator) * -step.rate;
        let changes = change.split_with_sizes(&self.sizes, 0);
        for (parameter, change) in self.parameters.iter_mut().zip(changes) {
            // Exactly 1 is what leaves the values as they are.
            #[allow(clippy::float_cmp)]
            if step.keep != 1.0 {
                let _ = parameter.g_mul_scalar_(step.keep);
            }
            *parameter += change.view_as(parameter);
        }
    }
}

/// A parameter's gradient, in the order of its values; zeros where it has none.
fn gradient_of(parameter: &Tensor) -> Tensor {
    let gradient = parameter.grad();
    if gradient.defined() {
        gradient.contiguous()
    } else {
        parameter.zeros_like()
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

    /// A group of parameters whose sizes fill no vector register, and gradients for them.
    fn awkward() -> (Group, Vec<Tensor>) {
        let sizes = [1, 7, 64, 1001, 70_003];
        let values = |salt: i64, size: i64| {
            let at = Tensor::arange(size, (Kind::Float, tch::Device::Cpu)) + salt;
            (at * 0.37).sin()
        };
        let group = Group::new(sizes.map(|size| values(1, size)).into());
        (group, sizes.map(|size| values(2, size)).into())
    }

    /// All values after three steps of `step`.
    fn stepped(rule: OptimizerName, step: impl Fn(&mut Group, &[Tensor], &AdamStep)) -> Vec<f32> {
        let (mut group, gradients) = awkward();
        for steps in 1..=3 {
            step(&mut group, &gradients, &adam_step(rule, 0.1, steps, 0.01));
        }
        let pieces: Vec<Tensor> = group.parameters.iter().map(|p| p.reshape([-1])).collect();
        Vec::try_from(Tensor::cat(&pieces, 0)).unwrap()
    }

    fn fused(group: &mut Group, gradients: &[Tensor], step: &AdamStep) {
        adam::update(
            &group.parameters,
            gradients,
            &group.mean,
            &group.mean_square,
            step,
        );
    }

    #[test]
    fn the_fused_pass_equals_the_stock_operations() {
        for rule in [OptimizerName::Adam, OptimizerName::AdamW] {
            let stock = stepped(rule, Group::stock_step);
            for (a, b) in stepped(rule, fused).iter().zip(&stock) {
                assert!((a - b).abs() < 1e-6, "{rule}: {a} {b}");
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let run = |threads| {
            tch::set_num_threads(threads);
            stepped(OptimizerName::Adam, fused)
        };
        let one = run(1);
        assert!(one == run(3));
        tch::set_num_threads(1);
    }

    #[test]
    fn an_optimizer_goes_on_from_its_state_as_if_it_had_never_stopped() {
        let path = Path::new("checkpoint");
        let run = |stops: bool| {
            let a = parameter(&[0.5, -1.0, 0.25]);
            let new = || {
                let groups = vec![vec![a.shallow_clone()]];
                Optimizer::new(OptimizerName::Adam, 0.1, groups)
            };
            let mut optimizer = new();
            for slope in [1.0, -0.5, 3.0] {
                if stops {
                    let kept: StateDict = optimizer
                        .state()
                        .into_iter()
                        .map(|(name, tensor)| (name, tensor.copy()))
                        .collect();
                    optimizer = new();
                    optimizer.put_back(path, &kept).unwrap();
                }
                optimizer.zero_grad();
                (&a * slope).sum(Kind::Float).backward();
                optimizer.step(&[0.1]);
            }
            Vec::<f32>::try_from(&a).unwrap()
        };
        assert!(run(false) == run(true));
        let other = Optimizer::new(OptimizerName::Adam, 0.1, vec![vec![parameter(&[1.0])]]);
        let mut ours = Optimizer::new(OptimizerName::Adam, 0.1, vec![vec![parameter(&[1.0, 2.0])]]);
        let error = ours.put_back(path, &other.state()).unwrap_err().to_string();
        assert!(error.contains("0.mean [1] instead of [2]"), "{error}");
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
        assert!(optimizer.gradient_norm().double_value(&[]).abs() < 1e-9);
        for _ in 0..2 {
            (&a * 3.0).sum(Kind::Float).backward();
        }
        assert!((optimizer.gradient_norm().double_value(&[]) - 6.0).abs() < 1e-6);
        assert!((a.grad().double_value(&[0]) - 6.0).abs() < 1e-6);
        optimizer.zero_grad();
        assert!(!a.grad().defined());
        (&a * 3.0).sum(Kind::Float).backward();
        assert!((a.grad().double_value(&[0]) - 3.0).abs() < 1e-6);
    }
}
