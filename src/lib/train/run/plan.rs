//! What the tasks of a run are and how they are computed: as the settings ask for it, and as a run
//! that goes on has begun it.

use std::env;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tch::{Cuda, Device};

use crate::artifact::hash_file;
use crate::clip::Split;
use crate::model::ModelConfig;
use crate::run_record::{Extension, RunHead};
use crate::tables::AvailabilityRow;
use crate::train::TrainError;
use crate::train::device::DeviceChoice;
use crate::train::record::{self, extend};
use crate::train::settings::TrainConfig;
use crate::train::task_sequence::{Task, TaskSequence};
use crate::train::world::World;
use crate::withdrawn::WITHDRAWN_FILE;

/// What the first rank's run directory says of how all ranks compute.
#[derive(Serialize, Deserialize)]
pub(super) struct Plan {
    /// Threads of a tensor operation; libtorch's own choice where nothing is said.
    threads: Option<usize>,
    pub(super) extension: Extension,
}

impl Plan {
    /// The plan of all ranks.
    ///
    /// # Errors
    /// When the run directory cannot be read, the extension makes no sense, or a rank is lost.
    pub(super) fn of(world: &World, config: &TrainConfig) -> Result<Self, TrainError> {
        let own = || -> Result<Self, TrainError> {
            Ok(Self {
                threads: threads(config)?,
                extension: extend::wanted(config)?,
            })
        };
        let own = world.is_first().then(own).transpose()?;
        let plan: Self = record::from_first(world, own.as_ref())?;
        Ok(Self {
            // Where somebody has asked for another number, the ranks differ, and that is refused by its name.
            threads: config.threads.or(plan.threads),
            ..plan
        })
    }

    /// Has libtorch compute with so many threads.
    pub(super) fn set_threads(&self) {
        if let Some(threads) = self.threads {
            // `TrainConfig::check` keeps it far below the limit.
            tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
        }
    }

    /// The tasks to train.
    ///
    /// # Errors
    /// When there are none, or their tables cannot be read.
    pub(super) fn tasks(&self, config: &TrainConfig) -> Result<TaskSequence, TrainError> {
        let mut data = TaskSequence::read(&config.availability, &config.shards)?;
        if config.settings.stop_after_first_task && !self.extension.tasks {
            data.tasks.truncate(1);
        }
        if data.tasks.is_empty() {
            return Err(TrainError::NoTask {
                path: config.availability.join(AvailabilityRow::FILE),
            });
        }
        // The seed's files have a place for every task.
        if config.seed_outputs
            && let Some(task) = data.tasks.iter().position(Task::is_empty)
        {
            return Err(data.tasks[task].empty_list(task, Split::Train));
        }
        if let Some(list) = &config.withdrawn {
            data.inputs
                .insert(WITHDRAWN_FILE.to_owned(), hash_file(list)?);
        }
        Ok(data)
    }

    /// Most epochs of each task.
    pub(super) fn epochs(&self, config: &TrainConfig, data: &TaskSequence) -> Vec<u32> {
        let (tasks, setting) = (data.tasks.len(), config.settings.epochs);
        (0..tasks)
            .map(|task| self.extension.epochs_of(task, tasks, setting))
            .collect()
    }
}

/// The threads that are asked for; else those that an unfinished run began with, where it says so.
fn threads(config: &TrainConfig) -> Result<Option<usize>, TrainError> {
    if config.threads.is_some() {
        return Ok(config.threads);
    }
    let machine = RunHead::read(&config.out)?.and_then(|head| head.machine);
    Ok(machine.map(|machine| machine.threads))
}

/// The device that the run computes on.
pub(super) fn device(config: &TrainConfig) -> Result<Device, TrainError> {
    let mut device = config.device.find_for(config.settings.precision)?;
    if let (DeviceChoice::Auto, Some(launch), Device::Cuda(_)) =
        (config.device, &config.launch, device)
    {
        // The processes of a host share its GPUs out.
        let gpus = usize::try_from(Cuda::device_count()).unwrap_or(1).max(1);
        device = Device::Cuda(launch.local_rank % gpus);
    }
    if config.settings.checkpoint_blocks && device != Device::Cpu {
        return Err(TrainError::Setting {
            flag: "--checkpoint-blocks",
            why: "only the fused operators of --device cpu compute blocks again".into(),
        });
    }
    Ok(device)
}

/// This program, beside which its libraries lie; nowhere where the system does not tell.
pub(super) fn program() -> PathBuf {
    env::current_exe().unwrap_or_default()
}

/// The network that the settings ask for, its weights drawn from `seed`.
pub(super) fn model(config: &TrainConfig, data: &TaskSequence, seed: u64) -> ModelConfig {
    config.settings.model(data.deal.taxonomy.classes(), seed)
}
