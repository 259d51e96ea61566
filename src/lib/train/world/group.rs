//! A rank among others.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::mem;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tch::{Device, Tensor};

use super::beat::{self, Beat, Trouble};
use super::c10d::{Connections, Store, Work};
use super::error::{Failure, Member, WorldError};
use super::launch::Launch;
use crate::hint::Hint;

/// How long a collective is waited for before it is asked whether somebody is lost.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a rank waits at its end for the others to take leave, at least.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// How long the end of connections over NCCL is waited for where a rank is lost.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// How many ranks have taken leave.
const LEFT: &str = "left";

/// How long the others are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For all to come together.
    pub start: Duration,
    /// For a sign of life of a rank.
    pub rank: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(600),
            rank: Duration::from_secs(60),
        }
    }
}

/// A rank among others, connected to all of them.
#[derive(Debug)]
pub struct Group {
    pub(super) rank: usize,
    pub(super) launch: Launch,
    pub(super) hosts: Vec<String>,
    pub(super) timeouts: Timeouts,
    /// How often facts have been compared.
    pub(super) agreements: Cell<u64>,
    // In this order: the collectives end before the watching, and the connections before the store.
    /// What lies on GPUs goes over these, where they are there.
    pub(super) nccl: OnceCell<Connections>,
    pub(super) gloo: Option<Connections>,
    pub(super) beat: Option<Beat>,
    pub(super) store: Store,
}

impl Group {
    /// This process's number, from 0.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of processes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.hosts.len()
    }

    /// The hosts of the processes, in the order of their ranks.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// The connections that serve tensors on `device`, and the device that they take them on.
    fn connections_for(&self, device: Device) -> Result<(&Connections, Device), WorldError> {
        if let (Device::Cuda(_), Some(nccl)) = (device, self.nccl.get()) {
            return Ok((nccl, device));
        }
        // Gloo moves what lies in host memory.
        let closed = || WorldError::Broken("the group has been closed".into());
        Ok((self.gloo.as_ref().ok_or_else(closed)?, Device::Cpu))
    }

    pub(super) fn gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, WorldError> {
        let device = tensor.device();
        let (connections, place) = self.connections_for(device)?;
        let started = connections.gather(&tensor.to_device(place));
        let (work, gathered) = started.map_err(|reason| self.failed(reason))?;
        self.finish(work)?;
        Ok(gathered.into_iter().map(|t| t.to_device(device)).collect())
    }

    pub(super) fn broadcast(&self, tensor: &mut Tensor, from: usize) -> Result<(), WorldError> {
        let (connections, place) = self.connections_for(tensor.device())?;
        let started = connections.broadcast(&tensor.to_device(place), from);
        let (work, sent) = started.map_err(|reason| self.failed(reason))?;
        self.finish(work)?;
        tch::no_grad(|| tensor.copy_(&sent));
        Ok(())
    }

    pub(super) fn agree(&self, facts: &BTreeMap<String, String>) -> Result<(), WorldError> {
        let number = self.agreements.replace(self.agreements.get() + 1);
        let key = |rank| format!("facts/{number}/{rank}");
        // Texts by name always become JSON.
        let text = serde_json::to_string(facts).unwrap_or_default();
        let set = self.store.set(&key(self.rank), &text);
        set.map_err(|reason| self.failed(reason))?;
        let mut all = Vec::new();
        for rank in 0..self.size() {
            let text = self.value_of(&key(rank))?;
            let facts: Option<BTreeMap<String, String>> = serde_json::from_str(&text).ok();
            all.push(facts.unwrap_or_default());
        }
        let names = |rank: usize| all[0].keys().chain(all[rank].keys());
        for rank in 1..self.size() {
            let Some(name) = names(rank).find(|&name| all[0].get(name) != all[rank].get(name))
            else {
                continue;
            };
            let said = |of: usize| {
                all[of]
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| "nothing".into())
            };
            return Err(WorldError::Differs {
                what: name.clone(),
                other: self.member(rank),
                theirs: said(rank),
                first: said(0),
            });
        }
        Ok(())
    }

    /// Tells the others why this rank ends, and that `lost` are gone where that is it.
    pub(super) fn fail(&self, error: &dyn Failed) {
        let failure = Failure {
            member: self.member(self.rank),
            message: error.to_string(),
            hint: error.hint(),
            status: error.exit().code(),
            lost: error.lost(),
        };
        if self.hears() {
            beat::tell(&self.store, &failure);
        }
    }

    /// Whether the store answers.
    fn hears(&self) -> bool {
        !self.beat.as_ref().is_some_and(Beat::is_unanswered)
    }

    pub(super) fn member(&self, rank: usize) -> Member {
        Member {
            rank,
            host: self.hosts[rank].clone(),
        }
    }

    /// What another rank has set, or is about to set.
    fn value_of(&self, key: &str) -> Result<String, WorldError> {
        loop {
            match self.store.get(key, LOOK_EVERY * 10) {
                Ok(value) => return Ok(value),
                Err(reason) => {
                    self.no_trouble()?;
                    if !reason.to_lowercase().contains("timeout") {
                        return Err(self.failed(reason));
                    }
                }
            }
        }
    }

    /// Waits for a collective to end, or for trouble.
    fn finish(&self, work: Work) -> Result<(), WorldError> {
        loop {
            match work.wait(LOOK_EVERY) {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    if let Err(trouble) = self.no_trouble() {
                        // It waits for one who never answers: its threads end with the process.
                        mem::forget(work);
                        return Err(trouble);
                    }
                }
                Err(reason) => return Err(self.failed(reason)),
            }
        }
    }

    pub(super) fn no_trouble(&self) -> Result<(), WorldError> {
        match self.trouble() {
            None => Ok(()),
            Some(trouble) => Err(self.error_of(trouble)),
        }
    }

    fn trouble(&self) -> Option<Trouble> {
        self.beat.as_ref().and_then(Beat::trouble)
    }

    /// Why a collective has failed: mostly because of a rank that is about to be missed.
    pub(super) fn failed(&self, reason: String) -> WorldError {
        self.failed_by(WorldError::Broken(reason))
    }

    /// The same, where it is called `otherwise` if nobody is missed.
    pub(super) fn failed_by(&self, otherwise: WorldError) -> WorldError {
        let time = self.timeouts.rank + self.timeouts.rank / 2;
        let trouble = self
            .beat
            .as_ref()
            .and_then(|beat| beat.wait_for_trouble(time));
        trouble.map_or(otherwise, |trouble| self.error_of(trouble))
    }

    fn error_of(&self, trouble: Trouble) -> WorldError {
        let silent = self.timeouts.rank;
        match trouble {
            Trouble::Lost(ranks) => WorldError::Lost { ranks, silent },
            // Who noticed first that others are gone is of no interest.
            Trouble::Failed(failure) if !failure.lost.is_empty() => WorldError::Lost {
                ranks: failure.lost,
                silent,
            },
            Trouble::Failed(failure) => WorldError::Failed(failure),
        }
    }

    /// Takes leave, and waits for those who are there to do so.
    fn leave(&self, lost: usize) {
        let _ = self.store.add(LEFT, 1);
        let there = i64::try_from(self.size() - lost).unwrap_or(i64::MAX);
        let begun = Instant::now();
        // The others look a few times in the time that silence may take.
        let within = LEAVE_WITHIN.max(self.timeouts.rank / 4);
        while begun.elapsed() < within && self.store.add(LEFT, 0).is_ok_and(|n| n < there) {
            thread::sleep(LOOK_EVERY / 10);
        }
    }
}

/// An error that ends a rank.
pub trait Failed: Hint + std::error::Error {
    /// The ranks that are gone, if that is the error.
    fn lost(&self) -> Vec<Member>;
}

impl Failed for WorldError {
    fn lost(&self) -> Vec<Member> {
        match self {
            Self::Lost { ranks, .. } => ranks.clone(),
            _ => Vec::new(),
        }
    }
}

/// Closes connections whose closing may wait for one who never answers: then they end with the process.
fn close_soon(connections: Connections) {
    let (sender, receiver) = mpsc::channel();
    let close = move || {
        drop(connections);
        let _ = sender.send(());
    };
    if thread::Builder::new().spawn(close).is_ok() {
        let _ = receiver.recv_timeout(CLOSE_WITHIN);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if thread::panicking() {
            self.fail(&WorldError::Panicked("its own output says where".into()));
        }
        match self.trouble() {
            None => {
                // Nobody is missed who has taken leave, so the watching ends first on all ranks.
                self.leave(0);
                drop(self.beat.take());
                drop(self.nccl.take());
                drop(self.gloo.take());
            }
            Some(trouble) => {
                let lost = match &trouble {
                    Trouble::Lost(ranks) => ranks.len(),
                    Trouble::Failed(failure) => failure.lost.len(),
                };
                // Who serves the store stays until the others have heard what happened.
                if self.hears() {
                    self.leave(lost);
                }
                // Kernels that wait for a lost rank would keep a GPU busy, and the process's end waiting.
                if let Some(nccl) = self.nccl.take() {
                    close_soon(nccl);
                }
                // Closing would wait for one who never answers; the connections end with the process.
                mem::forget(self.gloo.take());
            }
        }
    }
}
