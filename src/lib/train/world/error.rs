//! Why processes cannot train together.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::nccl::LIBRARY;
use crate::exit::Exit;
use crate::hint::Hint;

/// A process of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its number.
    pub rank: usize,
    /// The host that it runs on.
    pub host: String,
}

/// Why a process ended, as it told the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who.
    pub member: Member,
    /// The message of its error.
    pub message: String,
    /// The remedy.
    pub hint: Option<String>,
    /// The status that it ended with.
    pub status: u8,
    /// Those that it had found to be gone, if that was it.
    pub lost: Vec<Member>,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} on {}", self.rank, self.host)
    }
}

/// Why processes cannot train together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// A variable of the launcher makes no sense.
    #[error("{name}={value} in the environment: {why}")]
    Launch {
        /// The variable.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        why: &'static str,
    },
    /// The store of the group cannot be reached.
    #[error("no store at {address}:{port} within {} s: {reason}", .waited.as_secs_f64())]
    NoStore {
        /// Its host.
        address: String,
        /// Its port.
        port: u16,
        /// How long it was tried.
        waited: Duration,
        /// What c10d said.
        reason: String,
    },
    /// Some processes never came.
    #[error("{} of {size} processes came within {} s; missing: {}", .size - .missing.len(), .waited.as_secs_f64(), numbers(.missing))]
    Missing {
        /// How many were expected.
        size: usize,
        /// Those that never came.
        missing: Vec<usize>,
        /// How long they were waited for.
        waited: Duration,
    },
    /// The connections between the processes could not be made.
    #[error("the {size} processes cannot connect to each other: {reason}")]
    Connect {
        /// How many there are.
        size: usize,
        /// What c10d said.
        reason: String,
    },
    /// NCCL could not connect the GPUs.
    #[error("the processes cannot connect their GPUs over NCCL: {reason}")]
    Gpus {
        /// What it said.
        reason: String,
    },
    /// Some processes are gone.
    #[error("{} gone: no sign of life for {} s", list(.ranks), .silent.as_secs_f64())]
    Lost {
        /// Which.
        ranks: Vec<Member>,
        /// How long nothing was heard.
        silent: Duration,
    },
    /// Another process has failed.
    #[error("{} failed: {}", .0.member, .0.message)]
    Failed(Failure),
    /// A collective failed though every process is there.
    #[error("the processes lost their connection: {0}")]
    Broken(String),
    /// The program has a defect.
    #[error("it panicked, which is a defect of this program: {0}")]
    Panicked(String),
    /// The ranks are not the same run.
    #[error("{what} of {other} is {theirs}, that of rank 0 is {first}")]
    Differs {
        /// What was compared.
        what: String,
        /// The rank that differs.
        other: Member,
        /// Its value.
        theirs: String,
        /// That of rank 0.
        first: String,
    },
}

fn numbers(ranks: &[usize]) -> String {
    let numbers: Vec<String> = ranks.iter().map(|rank| format!("rank {rank}")).collect();
    numbers.join(", ")
}

fn list(ranks: &[Member]) -> String {
    let names: Vec<String> = ranks.iter().map(Member::to_string).collect();
    let verb = if ranks.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

impl Hint for WorldError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Launch { .. } => "start the processes with torchrun --no-python or srun, or set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; unset WORLD_SIZE to train on one process".into(),
            Self::NoStore { .. } => "rank 0 serves the store: look at its log, whether this host reaches its port (MASTER_ADDR, MASTER_PORT), and whether each process has a RANK of its own".into(),
            Self::Missing { .. } => "look at the hosts of the missing ranks; --start-timeout waits longer; unset WORLD_SIZE to train on one process".into(),
            Self::Connect { .. } => "the hosts must reach each other on every port above 1024; look at their firewalls and host names".into(),
            Self::Gpus { .. } => format!("NCCL_DEBUG=INFO in the environment has NCCL say more; without {LIBRARY} the tensors go over Gloo, through host memory"),
            Self::Lost { .. } => "look at its host and log for the first cause; the same command goes on from the last checkpoint; --rank-timeout waits longer".into(),
            Self::Failed(failure) => return failure.hint.clone(),
            Self::Broken(_) => "look at the network between the hosts; the same command goes on from the last checkpoint".into(),
            Self::Panicked(_) => "report it with its place in the source, which stands in what the process has said and in log.jsonl; the same command goes on from the last checkpoint".into(),
            Self::Differs { .. } => "give every rank the same command, data and version of the program".into(),
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Launch { .. } => Exit::Usage,
            Self::NoStore { .. }
            | Self::Missing { .. }
            | Self::Connect { .. }
            | Self::Gpus { .. } => Exit::NeverStarted,
            Self::Failed(failure) => Exit::of_code(failure.status),
            Self::Lost { .. } | Self::Broken(_) => Exit::TryAgain,
            Self::Panicked(_) | Self::Differs { .. } => Exit::Failed,
        }
    }
}
