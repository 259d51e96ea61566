//! The GPUs of a group: what lies on them is exchanged over NCCL, where that is possible on all ranks.

use std::path::Path;

use tch::{Device, Tensor};

use super::c10d::Connections;
use super::error::WorldError;
use super::exchange::{Exchange, Side};
use super::group::Group;
use super::nccl::{Nccl, Uuid};
use crate::hint::Hint;

impl Group {
    /// Says that this rank computes on `device`, hears what the others compute on, and connects the GPUs over NCCL where every
    /// rank has one of its own, and `program` the library for it.
    pub(super) fn compute_on(&self, device: Device, program: &Path) -> Result<(), WorldError> {
        let found = match device {
            Device::Cuda(gpu) => Some((gpu, ready(gpu, self.launch.nccl_host.as_deref(), program))),
            _ => None,
        };
        let side = match &found {
            None => Side::Processor,
            Some((_, Ok((_, uuid)))) => Side::Ready(*uuid),
            Some((_, Err(_))) => Side::WithoutNccl,
        };
        let rows = self.gather(&Tensor::from_slice(&side.row()))?;
        let row = |row: &Tensor| Vec::<u8>::try_from(row).unwrap_or_default();
        let sides: Vec<Side> = rows.iter().map(|r| Side::of_row(&row(r))).collect();
        match (Exchange::of(&sides), found) {
            (Exchange::Nccl, Some((gpu, Ok((nccl, _))))) => {
                let connections = self.connect_gpus(nccl, gpu)?;
                tracing::info!("the GPUs exchange their tensors over NCCL");
                // A run chooses its device once.
                let _ = self.nccl.set(connections);
            }
            (Exchange::Lacking { of }, Some((_, Err(why)))) if of == self.rank() => {
                tracing::warn!("{THROUGH_HOST}: {why}");
            }
            (Exchange::Lacking { of }, _) if self.rank() == 0 => {
                tracing::warn!("{THROUGH_HOST}: {} says why", self.member(of));
            }
            (Exchange::Shared(two), _) if self.rank() == 0 => {
                let [first, second] = two.map(|rank| self.member(rank));
                tracing::warn!(
                    "{THROUGH_HOST}: {first} and {second} have the same GPU, which NCCL does not take"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// Connects the GPUs, and looks meanwhile whether a rank is lost: NCCL itself would wait for it.
    fn connect_gpus(&self, nccl: Nccl, gpu: usize) -> Result<Connections, WorldError> {
        let (rank, size, timeout) = (self.rank(), self.size(), self.timeouts.start);
        let opened = self.open_watched("nccl", timeout, move |store| {
            nccl.connect(store, rank, size, gpu, timeout)
        })?;
        opened.map_err(|reason| WorldError::Gpus { reason })
    }
}

/// What is done where NCCL is not to be had.
const THROUGH_HOST: &str = "the GPUs exchange their tensors over Gloo, through host memory";

/// NCCL and what tells the GPU from others; else why not, and the remedy.
fn ready(gpu: usize, host: Option<&str>, program: &Path) -> Result<(Nccl, Uuid), String> {
    let nccl = Nccl::load(program).map_err(|error| match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    })?;
    Ok((nccl, nccl.uuid(gpu, host)?))
}
