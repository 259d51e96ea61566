//! A rank among others.

use std::mem;
use std::time::{Duration, Instant};

use tch::Tensor;

use super::beat::Beat;
use super::c10d::{Gloo, Said, Store, Work};
use super::error::{LostRank, WorldError};
use super::launch::Launch;

/// How long a collective is waited for before it is asked whether somebody is lost.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a rank waits at its end for the others to take leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

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
    rank: usize,
    hosts: Vec<String>,
    timeouts: Timeouts,
    // In this order: the collectives end before the watching, and the connections before the store.
    gloo: Option<Gloo>,
    beat: Option<Beat>,
    store: Store,
}

impl Group {
    /// Meets the other ranks.
    ///
    /// # Errors
    /// When the store cannot be reached, a rank does not come in time, or the connections cannot be made.
    pub(super) fn join(launch: &Launch, timeouts: Timeouts) -> Result<Self, WorldError> {
        let begun = Instant::now();
        let left = || timeouts.start.saturating_sub(begun.elapsed());
        let serves = launch.rank == 0 && !launch.served;
        let no_store = |reason| WorldError::NoStore {
            address: launch.address.clone(),
            port: launch.port,
            waited: begun.elapsed(),
            reason,
        };
        let open = |serves| {
            let (host, port) = (&launch.address, launch.port);
            let store = Store::open(host, port, serves, launch.size, left())?;
            // A launcher's store outlives the processes that it starts anew.
            store.prefixed(&format!("incdec/{}", launch.restarts))
        };
        let store = open(serves).map_err(no_store)?;
        let hosts = meet(&store, launch, left)?;
        let own_connection = open(false).map_err(no_store)?;
        let beat = Beat::start(own_connection, launch.rank, hosts.clone(), timeouts.rank)
            .map_err(|e| no_store(e.to_string()))?;
        let one_host = hosts.iter().all(|host| *host == hosts[0]);
        let gloo = Gloo::open(&store, launch.rank, launch.size, one_host, left());
        let gloo = gloo.map_err(|reason| WorldError::Connect {
            size: launch.size,
            reason,
        })?;
        Ok(Self {
            rank: launch.rank,
            hosts,
            timeouts,
            gloo: Some(gloo),
            beat: Some(beat),
            store,
        })
    }

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

    pub(super) fn gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, WorldError> {
        let (work, gathered) = self.started(|gloo| gloo.gather(tensor))?;
        self.finish(work)?;
        Ok(gathered)
    }

    pub(super) fn broadcast(&self, tensor: &mut Tensor) -> Result<(), WorldError> {
        let (work, sent) = self.started(|gloo| gloo.broadcast(tensor))?;
        self.finish(work)?;
        tch::no_grad(|| tensor.copy_(&sent));
        Ok(())
    }

    pub(super) fn agree(&self, what: &str, value: &str) -> Result<(), WorldError> {
        let key = |rank| format!("agree/{what}/{rank}");
        let set = self.store.set(&key(self.rank), value);
        set.map_err(|reason| self.failed(reason))?;
        let mut values = Vec::new();
        for rank in 0..self.size() {
            values.push(self.value_of(&key(rank))?);
        }
        let differs = values.iter().position(|theirs| *theirs != values[0]);
        match differs {
            None => Ok(()),
            Some(rank) => Err(WorldError::Differs {
                what: what.to_owned(),
                other: LostRank {
                    rank,
                    host: self.hosts[rank].clone(),
                },
                theirs: values[rank].clone(),
                first: values[0].clone(),
            }),
        }
    }

    /// What another rank has set, or is about to set.
    fn value_of(&self, key: &str) -> Result<String, WorldError> {
        loop {
            match self.store.get(key, self.timeouts.rank) {
                Ok(value) => return Ok(value),
                Err(reason) => {
                    let lost = self.beat.as_ref().map(Beat::lost).unwrap_or_default();
                    if !lost.is_empty() {
                        return Err(self.lost(lost));
                    }
                    if !reason.to_lowercase().contains("timeout") {
                        return Err(self.failed(reason));
                    }
                }
            }
        }
    }

    fn started<T>(&self, start: impl FnOnce(&Gloo) -> Said<T>) -> Result<T, WorldError> {
        let closed = || WorldError::Broken("the group has been closed".into());
        let gloo = self.gloo.as_ref().ok_or_else(closed)?;
        start(gloo).map_err(|reason| self.failed(reason))
    }

    /// Waits for a collective to end, or for a rank to be lost.
    fn finish(&self, work: Work) -> Result<(), WorldError> {
        loop {
            match work.wait(LOOK_EVERY) {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    let lost = self.beat.as_ref().map(Beat::lost).unwrap_or_default();
                    if !lost.is_empty() {
                        // It waits for one who never answers: its threads end with the process.
                        mem::forget(work);
                        return Err(self.lost(lost));
                    }
                }
                Err(reason) => return Err(self.failed(reason)),
            }
        }
    }

    /// Why a collective has failed: mostly because of a rank that is about to be missed.
    fn failed(&self, reason: String) -> WorldError {
        let time = self.timeouts.rank + self.timeouts.rank / 2;
        let lost = self.beat.as_ref().map(|beat| beat.wait_for_lost(time));
        match lost {
            Some(lost) if !lost.is_empty() => self.lost(lost),
            _ => WorldError::Broken(reason),
        }
    }

    fn lost(&self, ranks: Vec<LostRank>) -> WorldError {
        WorldError::Lost {
            ranks,
            silent: self.timeouts.rank,
        }
    }
}

/// Says that this rank is there and waits for all others; gives their hosts.
fn meet(
    store: &Store,
    launch: &Launch,
    left: impl Fn() -> Duration,
) -> Result<Vec<String>, WorldError> {
    let begun = Instant::now();
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let no_store = |reason| WorldError::NoStore {
        address: launch.address.clone(),
        port: launch.port,
        waited: begun.elapsed(),
        reason,
    };
    store.set(&host_key(launch.rank), &host).map_err(no_store)?;
    let mut hosts = Vec::new();
    let mut missing = Vec::new();
    for rank in 0..launch.size {
        match store.get(&host_key(rank), left().max(LOOK_EVERY)) {
            Ok(host) => hosts.push(host),
            Err(_) => missing.push(rank),
        }
    }
    if missing.is_empty() {
        return Ok(hosts);
    }
    Err(WorldError::Missing {
        size: launch.size,
        missing,
        waited: begun.elapsed(),
    })
}

fn host_key(rank: usize) -> String {
    format!("host/{rank}")
}

impl Drop for Group {
    fn drop(&mut self) {
        let lost = self.beat.as_ref().map(Beat::lost).unwrap_or_default();
        if !lost.is_empty() {
            // Closing would wait for one who never answers; the connections end with the process.
            mem::forget(self.gloo.take());
            return;
        }
        // Nobody is missed who has taken leave, so the watching ends first on all ranks.
        let _ = self.store.add("left", 1);
        let all = i64::try_from(self.size()).unwrap_or(i64::MAX);
        let begun = Instant::now();
        while begun.elapsed() < LEAVE_WITHIN && self.store.add("left", 0).is_ok_and(|n| n < all) {
            std::thread::sleep(LOOK_EVERY / 10);
        }
        drop(self.beat.take());
        drop(self.gloo.take());
    }
}
