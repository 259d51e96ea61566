//! Batches that are dealt to the ranks, put together in their own order.
//!
//! Each rank goes through its batches of a window; then every rank has what each batch of the window came to, and goes on as
//! one process does that has gone through all of them. So whatever is added up is added in the order of the batches, and the
//! number of ranks changes no bit.

use std::collections::BTreeMap;
use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::optimizer::Optimizer;
use super::world::{World, WorldError};
use crate::model::adam;

/// What a batch came to.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Its number in the pass.
    pub(super) number: usize,
    /// The clips that were read, as indices into the list.
    pub(super) samples: Vec<usize>,
    /// Those that could not be.
    pub(super) skipped: Vec<usize>,
    /// What was computed: 32-bit floats in one dimension, on the device.
    pub(super) values: Tensor,
    /// The moments of the batch, where the running statistics are to move.
    pub(super) moments: Option<Tensor>,
}

impl Outcome {
    /// Whether any of its clips was read.
    pub(super) fn was_computed(&self) -> bool {
        !self.samples.is_empty()
    }
}

/// What one rank says of a batch, in 64-bit floats: how many clips were read and how many were not, how many values and
/// moments there are, then the clips and the values.
const HEADER: usize = 4;

/// Numbers below 2^53 are the same as floats.
#[allow(clippy::cast_precision_loss)]
fn float(number: usize) -> f64 {
    number as f64
}

/// The number that [`float`] made one of.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn number(float: f64) -> usize {
    float as usize
}

/// Puts the outcomes of all batches of a window together.
pub(super) struct Together<'a> {
    pub(super) world: &'a World,
    /// Clips of a whole batch.
    pub(super) batch_size: usize,
    /// Most values of a batch.
    pub(super) values: usize,
    pub(super) device: Device,
}

impl Together<'_> {
    /// Of every batch of `window` what it came to, in the order of the batches; `own` are those of this rank, in order.
    pub(super) fn of(
        &self,
        own: Vec<Outcome>,
        window: &Range<usize>,
    ) -> Result<Vec<Outcome>, WorldError> {
        let ranks = self.world.size();
        if ranks == 1 {
            return Ok(own);
        }
        let width = HEADER + self.batch_size + self.values;
        let rounds = window.len().div_ceil(ranks);
        let mut cells = vec![0.0; rounds * width];
        for outcome in &own {
            let round = (outcome.number - window.start) / ranks;
            write(outcome, &mut cells[round * width..][..width])?;
        }
        let gathered = self.world.gather(&Tensor::from_slice(&cells))?;
        let said: Vec<Vec<f64>> = gathered.iter().map(floats).collect::<Result<_, _>>()?;
        let mut outcomes = Vec::with_capacity(window.len());
        let mut sizes = BTreeMap::new();
        for batch in window.clone() {
            let round = (batch - window.start) / ranks;
            let cells = &said[batch % ranks][round * width..][..width];
            outcomes.push(self.read(batch, cells));
            sizes.insert(batch, number(cells[3]));
        }
        let moments = own.into_iter().filter_map(|o| Some((o.number, o.moments?)));
        let rows = Rows {
            world: self.world,
            own: moments.collect(),
            blank: Tensor::zeros(
                [size(sizes.values().copied().max().unwrap_or(0))],
                (Kind::Double, self.device),
            ),
        };
        rows.in_order(
            window,
            |batch| sizes[&batch] > 0,
            |batch, row| {
                outcomes[batch - window.start].moments = Some(row);
            },
        )?;
        Ok(outcomes)
    }

    fn read(&self, batch: usize, cells: &[f64]) -> Outcome {
        let [read, skipped, values] = [0, 1, 2].map(|i| number(cells[i]));
        let clips: Vec<usize> = cells[HEADER..][..read + skipped]
            .iter()
            .map(|&c| number(c))
            .collect();
        let values = &cells[HEADER + read + skipped..][..values];
        Outcome {
            number: batch,
            samples: clips[..read].to_vec(),
            skipped: clips[read..].to_vec(),
            // They were 32-bit floats before, so nothing is lost.
            values: Tensor::from_slice(values)
                .to_kind(Kind::Float)
                .to_device(self.device),
            moments: None,
        }
    }
}

/// Writes what [`Together::read`] reads.
fn write(outcome: &Outcome, cells: &mut [f64]) -> Result<(), WorldError> {
    let values = floats(&outcome.values.to_kind(Kind::Double))?;
    let moments = outcome.moments.as_ref().map_or(0, Tensor::numel);
    let counts = [
        outcome.samples.len(),
        outcome.skipped.len(),
        values.len(),
        moments,
    ];
    let clips = outcome.samples.iter().chain(&outcome.skipped);
    let all = counts.iter().chain(clips).map(|&n| float(n)).chain(values);
    cells
        .iter_mut()
        .zip(all)
        .for_each(|(cell, value)| *cell = value);
    Ok(())
}

fn floats(tensor: &Tensor) -> Result<Vec<f64>, WorldError> {
    Vec::try_from(tensor.reshape([-1]).to_device(Device::Cpu))
        .map_err(|e: tch::TchError| WorldError::Broken(e.to_string()))
}

fn size(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Tensors of one size, one for a batch, of which each rank has its own.
struct Rows<'a> {
    world: &'a World,
    own: BTreeMap<usize, Tensor>,
    /// In place of one that a rank has not.
    blank: Tensor,
}

impl Rows<'_> {
    /// Hands over the tensor of every batch of `window` that has one, in the order of the batches. At a time there are as many
    /// of them as ranks.
    fn in_order(
        &self,
        window: &Range<usize>,
        has_one: impl Fn(usize) -> bool,
        mut take: impl FnMut(usize, Tensor),
    ) -> Result<(), WorldError> {
        let ranks = self.world.size();
        for first in window.clone().step_by(ranks) {
            let round = first..window.end.min(first + ranks);
            // All ranks know which batches have one.
            if !round.clone().any(&has_one) {
                continue;
            }
            let mine = round.clone().find_map(|batch| self.own.get(&batch));
            let all = self.world.gather(mine.unwrap_or(&self.blank))?;
            for batch in round.filter(|&batch| has_one(batch)) {
                take(batch, all[batch % ranks].shallow_clone());
            }
        }
        Ok(())
    }
}

/// The gradients of a step under way, added in the order of the micro-batches. Where one process computes all of them they add
/// up where libtorch leaves them; else each is kept apart until all ranks have all.
pub(super) struct Gradients {
    parameters: Vec<Tensor>,
    apart: bool,
    /// This rank's own, by the number of the micro-batch, in one dimension.
    own: BTreeMap<usize, Tensor>,
    sum: Option<Tensor>,
}

impl Gradients {
    /// No gradient yet of what `optimizer` moves.
    pub(super) fn new(world: &World, optimizer: &Optimizer) -> Self {
        optimizer.zero_grad();
        Self {
            parameters: optimizer.parameters().map(Tensor::shallow_clone).collect(),
            apart: world.size() > 1,
            own: BTreeMap::new(),
            sum: None,
        }
    }

    /// The backward pass of micro-batch `number` is over.
    pub(super) fn take(&mut self, number: usize) {
        if !self.apart {
            return;
        }
        let pieces: Vec<Tensor> = self
            .parameters
            .iter()
            .map(|parameter| {
                let gradient = parameter.grad();
                let gradient = if gradient.defined() {
                    gradient
                } else {
                    parameter.zeros_like()
                };
                gradient.detach().reshape([-1])
            })
            .collect();
        self.own.insert(number, Tensor::cat(&pieces, 0));
        adam::forget_gradients(&self.parameters);
    }

    /// Adds those of all micro-batches of `window` that were computed, in order.
    pub(super) fn add(
        &mut self,
        world: &World,
        window: &Range<usize>,
        outcomes: &[Outcome],
    ) -> Result<(), WorldError> {
        let Some(first) = self.parameters.first().filter(|_| self.apart) else {
            return Ok(());
        };
        let total: usize = self.parameters.iter().map(Tensor::numel).sum();
        let rows = Rows {
            world,
            own: std::mem::take(&mut self.own),
            blank: Tensor::zeros([size(total)], (first.kind(), first.device())),
        };
        let computed = |batch: usize| outcomes[batch - window.start].was_computed();
        let sum = &mut self.sum;
        rows.in_order(window, computed, |_, row| match sum {
            Some(sum) => *sum += row,
            None => *sum = Some(row),
        })
    }

    /// Gives the sums to the parameters, for a step of the optimizer; the next step begins without.
    pub(super) fn give(&mut self) {
        let Some(sum) = self.sum.take() else {
            return;
        };
        let sizes: Vec<i64> = self.parameters.iter().map(|p| size(p.numel())).collect();
        let pieces = sum.split_with_sizes(&sizes, 0).into_iter();
        let shaped: Vec<Tensor> = pieces
            .zip(&self.parameters)
            .map(|(piece, parameter)| piece.view_as(parameter))
            .collect();
        adam::give_gradients(&self.parameters.iter().collect::<Vec<_>>(), &shaped);
    }
}
