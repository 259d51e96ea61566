//! Memory: how much was taken, and what was wanted where there was none.
//!
//! libtorch reports that memory is short as an exception, which `tch` makes a panic of. It is
//! caught here, in one place around a task, and becomes an error that says what was computed.

use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::panics;
use crate::train::TrainError;
use crate::train::settings::Settings;

/// What the texts of libtorch, CUDA and cuBLAS about missing memory have in common with no other.
const SHORTAGES: [&str; 5] = [
    "can't allocate memory",
    "out of memory",
    "std::bad_alloc",
    "STATUS_ALLOC_FAILED",
    "not enough memory",
];

/// Whether a text of libtorch says that memory is short.
#[must_use]
pub fn is_shortage(text: &str) -> bool {
    SHORTAGES.iter().any(|part| text.contains(part))
}

/// What a task is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::train) enum Work {
    /// It prepares.
    Beginning,
    /// Forward and backward passes.
    Training {
        /// The epoch within the task.
        epoch: u32,
    },
    /// Forward passes over a list.
    Evaluating,
    /// What the approach takes from the task.
    BetweenTasks,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("while the task began"),
            Self::Training { epoch } => write!(f, "in training, epoch {epoch}"),
            Self::Evaluating => f.write_str("in an evaluation"),
            Self::BetweenTasks => f.write_str("in the approach's pass behind the task"),
        }
    }
}

/// Memory that was wanted and not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The task.
    pub task: usize,
    /// What it was busy with.
    pub during: String,
    /// Clips, frames and pixels of a batch.
    pub batch: String,
    /// What was asked for, as libtorch writes it; none where it does not say.
    pub wanted: Option<String>,
    /// Whether a GPU's memory was meant.
    pub on_gpu: bool,
    /// The most memory of the host that the process has had, in bytes, where the system tells.
    pub peak_bytes: Option<u64>,
}

impl Shortage {
    fn new(text: &str, task: usize, during: Work, settings: &Settings) -> Self {
        let (clips, frames, size) = (settings.batch_size, settings.frames, settings.size);
        Self {
            task,
            during: during.to_string(),
            batch: format!("{clips} clips of {frames} frames of {size} x {size} pixels"),
            wanted: wanted(text),
            on_gpu: ["CUDA", "CUBLAS", "CUDNN"]
                .iter()
                .any(|gpu| text.contains(gpu)),
            peak_bytes: peak_bytes(),
        }
    }

    /// The flags that lower what is needed.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        if self.on_gpu {
            "take fewer clips at a time (--batch-size, with --accumulation for the same step), --precision bf16, fewer --frames, a smaller --size or --variant"
        } else {
            "take fewer clips at a time (--batch-size, with --accumulation for the same step), --checkpoint-blocks, fewer --workers, fewer --frames, a smaller --size or --variant"
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.on_gpu { "the GPU" } else { "the host" };
        let wanted = self.wanted.as_deref().unwrap_or("some");
        write!(
            f,
            "task {}: no memory left on {place} {}: {wanted} more was needed for a batch of {}",
            self.task, self.during, self.batch
        )?;
        match self.peak_bytes {
            Some(bytes) => write!(
                f,
                "; this process has had {} of the host's",
                indicatif::HumanBytes(bytes)
            ),
            None => Ok(()),
        }
    }
}

/// What libtorch says that it tried to allocate.
fn wanted(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("ried to allocate ")?;
    let mut words = rest.split_whitespace();
    let (amount, unit) = (words.next()?, words.next()?.trim_end_matches(['.', ',']));
    if unit == "bytes" {
        let bytes = amount.parse().ok()?;
        return Some(indicatif::HumanBytes(bytes).to_string());
    }
    Some(format!("{amount} {unit}"))
}

/// Does `work` on `state`; where it ends because memory is short, says what was computed: `during`
/// is what `state` then says.
///
/// # Errors
/// Those of `work`, and [`TrainError::Memory`].
///
/// # Panics
/// When `work` panics for another reason.
pub(in crate::train) fn explained<S, T>(
    state: &mut S,
    task: usize,
    settings: &Settings,
    during: impl Fn(&S) -> Work,
    work: impl FnOnce(&mut S) -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    let short = |text: &str, state: &S| {
        let shortage = Shortage::new(text, task, during(state), settings);
        Err(TrainError::Memory(Box::new(shortage)))
    };
    // Nothing of `state` is used after a panic but what it was busy with.
    match catch_unwind(AssertUnwindSafe(|| work(state))) {
        Ok(Err(error @ (TrainError::Torch(_) | TrainError::Data(_))))
            if is_shortage(&error.to_string()) =>
        {
            short(&error.to_string(), state)
        }
        Ok(result) => result,
        Err(payload) => {
            let text = panics::message(&*payload);
            if is_shortage(&text) {
                short(&text, state)
            } else {
                resume_unwind(payload)
            }
        }
    }
}

/// The most memory of the host that this process has had, in bytes, where the system tells.
pub(in crate::train) fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON_HOST: &str = "called `Result::unwrap()` on an `Err` value: Torch(\"[enforce fail at alloc_cpu.cpp:124] err == 0. \
        DefaultCPUAllocator: can't allocate memory: you tried to allocate 1288490188800 bytes. Error code 12 (Cannot allocate memory)\")";
    const ON_GPU: &str = "Torch(\"CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of \
        which 5.06 GiB is free.\")";

    fn panicking(text: &str) -> TrainError {
        let text = text.to_owned();
        explained(
            &mut (),
            2,
            &Settings::default(),
            |()| Work::Training { epoch: 3 },
            move |()| -> Result<(), TrainError> { panic!("{text}") },
        )
        .unwrap_err()
    }

    #[test]
    fn texts_of_host_and_gpu_become_errors_with_what_was_wanted_for_what() {
        use crate::hint::Hint;
        let host = panicking(ON_HOST);
        let said = host.to_string();
        assert!(
            said.starts_with(
                "task 2: no memory left on the host in training, epoch 3: 1.17 TiB more was needed for a batch of 4 clips of "
            ),
            "{said}"
        );
        assert!(host.hint().unwrap().contains("--checkpoint-blocks"));
        let gpu = panicking(ON_GPU);
        assert!(
            gpu.to_string()
                .contains("on the GPU in training, epoch 3: 20.00 GiB more")
        );
        assert!(gpu.hint().unwrap().contains("--precision bf16"));
    }

    #[test]
    #[should_panic(expected = "a defect")]
    fn another_panic_stays_one() {
        panicking("a defect");
    }

    #[test]
    fn the_system_tells_what_was_taken() {
        assert!(peak_bytes().is_none_or(|bytes| bytes > 1 << 20));
    }
}
