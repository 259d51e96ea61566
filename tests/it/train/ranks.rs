//! One run trained by several processes on loopback: the bytes of one process, whatever their number, and an end for all where
//! one of them ends.

mod lost;
mod refused;
mod torchrun;

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tch::Device;

use crate::support;

use super::toy::{Toy, assert_same_contents, text};
use super::world::free_port;

/// How long a rank may give no sign of life.
const RANK_TIMEOUT: Duration = Duration::from_secs(3);

/// The command of one rank, as torchrun would start it.
fn of_rank(mut command: Command, rank: usize, ranks: usize, port: u16) -> Command {
    command
        .env("RANK", rank.to_string())
        .env("LOCAL_RANK", rank.to_string())
        .env("WORLD_SIZE", ranks.to_string())
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .env_remove("TORCHELASTIC_USE_AGENT_STORE")
        .env_remove("TORCHELASTIC_RESTART_COUNT")
        .args(["--rank-timeout", &RANK_TIMEOUT.as_secs().to_string()])
        .args(["--start-timeout", "60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    support::give_gpu(&mut command, rank);
    command
}

/// Starts all ranks of a run; `change` may change the command of each.
fn start(
    toy: &Toy,
    ranks: usize,
    name: &str,
    flags: &str,
    change: impl Fn(usize, &mut Command),
) -> Vec<Child> {
    let port = free_port();
    let ranks = (0..ranks).map(|rank| {
        let mut command = of_rank(toy.command("decremental", name, flags), rank, ranks, port);
        change(rank, &mut command);
        command.spawn().unwrap()
    });
    ranks.collect()
}

fn ends(ranks: Vec<Child>) -> Vec<Output> {
    let outputs = ranks
        .into_iter()
        .map(|rank| rank.wait_with_output().unwrap());
    outputs.collect()
}

/// Trains on so many processes, and gives the run directory.
fn train(toy: &Toy, ranks: usize, name: &str, flags: &str) -> PathBuf {
    for (rank, output) in ends(start(toy, ranks, name, flags, |_, _| ()))
        .iter()
        .enumerate()
    {
        let said = text(&output.stderr);
        assert!(output.status.success(), "{name}, rank {rank}: {said}");
        if rank == 0 && cfg!(nccl) && support::device() != Device::Cpu {
            assert!(
                said.contains("the GPUs exchange their tensors over NCCL"),
                "{said}"
            );
        }
        // The first one says what all of them do.
        assert_eq!(
            rank > 0,
            output.stdout.is_empty(),
            "{}",
            text(&output.stdout)
        );
    }
    toy.run(name)
}

/// The same bytes on one process and on each of `numbers`.
fn same_bytes(flags: &str, numbers: &[usize]) {
    let toy = Toy::new();
    let one = toy.train("decremental", "one", flags);
    for &ranks in numbers {
        let several = train(&toy, ranks, &format!("on-{ranks}"), flags);
        assert_same_contents(&one, &several);
    }
}

// Six batches an epoch: a whole step and a shorter one, the last batch smaller than the others.
const STEPS_OF_4: &str = "--batch-size 2 --accumulation 4 --epochs 2";

#[test]
fn finetuning_on_two_and_four_processes_has_the_bytes_of_one() {
    same_bytes(&format!("{STEPS_OF_4} --approach finetune"), &[2, 4]);
}

#[test]
fn three_processes_have_the_bytes_of_one() {
    same_bytes(
        "--batch-size 1 --accumulation 6 --approach finetune --sampler imbalanced",
        &[3],
    );
}

#[test]
fn distillation_on_two_and_four_processes_has_the_bytes_of_one() {
    same_bytes(&format!("{STEPS_OF_4} --approach lwf"), &[2, 4]);
    same_bytes(
        &format!("{STEPS_OF_4} --approach fd --sampler imbalanced"),
        &[2, 4],
    );
}

#[test]
fn consolidation_on_two_and_four_processes_has_the_bytes_of_one() {
    same_bytes(
        &format!("{STEPS_OF_4} --approach ewc --sampler imbalanced"),
        &[2, 4],
    );
    same_bytes(
        &format!("{STEPS_OF_4} --approach ewc --fisher per-sample --criterion multiclass"),
        &[2],
    );
}

#[test]
fn frozen_parts_and_the_other_ways_of_computing_have_the_bytes_of_one_process() {
    same_bytes(
        &format!("{STEPS_OF_4} --freeze-bn --freeze-backbone"),
        &[2, 4],
    );
    same_bytes(
        &format!("{STEPS_OF_4} --model-path frames --freeze-bn --optimizer adamw"),
        &[2],
    );
    same_bytes(
        &format!("{STEPS_OF_4} --model-path reference --compat twyn2024"),
        &[2],
    );
}

#[test]
fn replay_on_two_three_and_four_processes_has_the_bytes_of_one() {
    same_bytes(&format!("{STEPS_OF_4} --approach er --buffer 4"), &[2, 4]);
    // A batch takes three kinds of clips.
    let flags = "--batch-size 3 --accumulation 12 --epochs 2 --buffer 5";
    same_bytes(&format!("{flags} --approach der++"), &[2, 3, 4]);
    same_bytes(
        &format!("{STEPS_OF_4} --approach gdumb --buffer 6"),
        &[2, 4],
    );
}

#[test]
fn training_from_scratch_on_two_processes_has_the_bytes_of_one() {
    same_bytes(&format!("{STEPS_OF_4} --approach ewc --from-scratch"), &[2]);
}

#[test]
fn unlearning_on_two_processes_has_the_bytes_of_one() {
    same_bytes(
        &format!("{STEPS_OF_4} --approach ewc --unlearn scrub"),
        &[2],
    );
    same_bytes(
        &format!("{STEPS_OF_4} --approach er --unlearn retrain"),
        &[2],
    );
}

#[test]
fn rates_that_fall_and_early_ends_are_the_same_on_all_processes() {
    let flags = "--batch-size 2 --accumulation 2 --epochs 4 --scheduler reduce-on-plateau --patience 1 --plateau-check loss";
    same_bytes(flags, &[2]);
    same_bytes(
        "--batch-size 2 --accumulation 2 --epochs 4 --early-stop 1",
        &[2],
    );
}
