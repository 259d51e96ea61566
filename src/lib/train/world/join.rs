//! How the ranks come together: at the store, then each with all others.

use std::cell::{Cell, OnceCell};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tch::Tensor;

use super::beat::Beat;
use super::c10d::{Connections, Said, Store};
use super::error::WorldError;
use super::group::{Group, LOOK_EVERY, Timeouts};
use super::launch::Launch;

impl Group {
    /// Meets the other ranks.
    ///
    /// # Errors
    /// When the store cannot be reached, a rank does not come in time or is lost again, or the connections cannot be made.
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
        let store = connect(launch, serves, left()).map_err(no_store)?;
        let hosts = meet(&store, launch, left)?;
        let own_connection = connect(launch, false, left()).map_err(no_store)?;
        let beat = Beat::start(own_connection, launch.rank, hosts.clone(), timeouts.rank)
            .map_err(|e| no_store(e.to_string()))?;
        let mut group = Self {
            rank: launch.rank,
            launch: launch.clone(),
            hosts,
            timeouts,
            agreements: Cell::new(0),
            nccl: OnceCell::new(),
            gloo: None,
            beat: Some(beat),
            store,
        };
        group
            .connect_all(left())
            .inspect_err(|error| group.fail(error))?;
        Ok(group)
    }

    /// Connects this rank to all others, and waits until all of them are.
    fn connect_all(&mut self, timeout: Duration) -> Result<(), WorldError> {
        let (rank, size) = (self.rank(), self.size());
        let one_host = self.hosts.iter().all(|host| *host == self.hosts[0]);
        let opened = self.open_watched("gloo", timeout, move |store| {
            Connections::gloo(store, rank, size, one_host, timeout)
        })?;
        let connections =
            opened.map_err(|reason| self.failed_by(WorldError::Connect { size, reason }))?;
        self.gloo = Some(connections);
        // One that went on, and ended, before the others were connected would leave them waiting for it.
        self.gather(&Tensor::from_slice(&[0_i64])).map(drop)
    }

    /// Has a thread open connections between all ranks, and looks meanwhile whether one is lost: they would wait for it. Within
    /// is what is said where they cannot be opened.
    pub(super) fn open_watched(
        &self,
        name: &str,
        timeout: Duration,
        open: impl FnOnce(&Store) -> Said<Connections> + Send + 'static,
    ) -> Result<Said<Connections>, WorldError> {
        // A value that is waited for keeps its connection to the store busy.
        let store = connect(&self.launch, false, timeout).map_err(|reason| self.failed(reason))?;
        let (sender, receiver) = mpsc::channel();
        let opening = move || {
            // Nobody waits for it any more where a rank was lost.
            let _ = sender.send(open(&store));
        };
        let thread = thread::Builder::new().name(name.into());
        if let Err(e) = thread.spawn(opening) {
            return Ok(Err(e.to_string()));
        }
        loop {
            match receiver.recv_timeout(LOOK_EVERY) {
                Ok(opened) => return Ok(opened),
                Err(RecvTimeoutError::Timeout) => self.no_trouble()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Err("its thread has ended".into()));
                }
            }
        }
    }
}

/// A connection to the store of the group, which this process serves where `serves` says so.
fn connect(launch: &Launch, serves: bool, timeout: Duration) -> Said<Store> {
    let (host, port) = (&launch.address, launch.port);
    let store = Store::open(host, port, serves, launch.size, timeout)?;
    // A launcher's store outlives the processes that it starts anew.
    store.prefixed(&format!("incdec/{}", launch.restarts))
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_rank_that_is_gone_before_all_are_connected_is_missed_within_the_rank_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let launch = move |rank| Launch {
            rank,
            local_rank: rank,
            size: 2,
            address: "127.0.0.1".into(),
            port,
            served: false,
            restarts: 0,
            nccl_host: None,
        };
        let timeouts = Timeouts {
            start: Duration::from_secs(60),
            rank: Duration::from_secs(1),
        };
        let first = thread::spawn(move || Group::join(&launch(0), timeouts).map(drop));
        let store = connect(&launch(1), false, timeouts.start).unwrap();
        let begun = Instant::now();
        // It says that it is there, and nothing more.
        store.set(&host_key(1), "gone").unwrap();
        let error = first.join().unwrap().unwrap_err();
        let waited = begun.elapsed();
        assert!(
            matches!(&error, WorldError::Lost { ranks, .. } if ranks.len() == 1 && ranks[0].rank == 1),
            "{error}"
        );
        assert!(
            waited < 2 * timeouts.rank + Duration::from_secs(10),
            "{waited:?}"
        );
    }
}
