//! What this process computes on.

use tch::Device;

use super::TrainError;
use super::device;
use crate::model::instructions::{self, Instructions};
use crate::run_record::Machine;

/// Checks that the processor has `instructions`; before any tensor is computed.
///
/// # Errors
/// [`TrainError::Setting`] when it has not.
pub(super) fn check(instructions: Instructions) -> Result<(), TrainError> {
    if instructions.are_there() {
        return Ok(());
    }
    Err(TrainError::Setting {
        flag: "--instructions",
        why: format!("this processor has no {instructions}"),
    })
}

/// The machine as `settings.json` has it, with the threads that are set now.
///
/// # Errors
/// [`TrainError::Setting`] when libtorch computes with other instructions than were asked for.
pub(super) fn here(device: Device, instructions: Instructions) -> Result<Machine, TrainError> {
    let libtorch_instructions = instructions::libtorch_instructions();
    if !instructions.are_in_use() {
        return Err(TrainError::Setting {
            flag: "--instructions",
            why: format!("libtorch computes with {libtorch_instructions}, not with {instructions}"),
        });
    }
    Ok(Machine {
        threads: usize::try_from(tch::get_num_threads()).unwrap_or(1),
        instructions: instructions.to_string(),
        libtorch_instructions,
        fused_instructions: instructions::fused_instructions(),
        device: device::kind(device),
        libtorch: instructions::libtorch_version(),
        incdec: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
