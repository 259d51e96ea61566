//! Replay within runs on the toy data: what is in the buffer, and what is no longer.

use std::collections::BTreeSet;
use std::path::Path;

use incdec::run_record::state_file;
use incdec::tables::{Availability, AvailabilityRow};

use super::toy::{Toy, tensors, text};

/// How a state names a clip.
fn key(clip_id: &str) -> i64 {
    let hash = blake3::hash(clip_id.as_bytes());
    i64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
}

/// The clips of the buffer after a task.
fn buffer(run: &Path, task: usize) -> Vec<i64> {
    let state = tensors(&run.join(state_file(task)));
    let clips = state["buffer.clips"].chunks_exact(8);
    clips
        .map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// The usable training clips of a task.
fn list(toy: &Toy, scenario: &str, task: i32) -> BTreeSet<i64> {
    let table = toy.tasks(scenario).join(AvailabilityRow::FILE);
    let rows = Availability::read(&table).unwrap().rows;
    let is = |row: &&AvailabilityRow| {
        row.task == task && row.usable && row.position.is_some() && row.split.name() == "train"
    };
    rows.iter()
        .filter(is)
        .map(|row| key(&row.clip_id))
        .collect()
}

#[test]
fn what_has_left_the_list_has_left_the_buffer() {
    let toy = Toy::new();
    for scenario in ["decremental", "substitution"] {
        let lists = [0, 1].map(|task| list(&toy, scenario, task));
        for approach in ["er", "der++", "gdumb"] {
            let name = format!("{approach}-{scenario}");
            let run = toy.train(scenario, &name, &format!("--approach {approach}"));
            for (task, list) in lists.iter().enumerate() {
                let kept: BTreeSet<i64> = buffer(&run, task).into_iter().collect();
                // It has room for all that the task has.
                assert_eq!(kept, *list, "{name}, task {task}");
            }
            let state = tensors(&run.join(state_file(1)));
            assert_eq!(state.contains_key("buffer.logits"), approach == "der++");
        }
    }
}

#[test]
fn a_small_buffer_stays_small_and_settings_without_meaning_are_refused() {
    let toy = Toy::new();
    for approach in ["er", "gdumb"] {
        let flags = format!("--approach {approach} --buffer 4");
        let run = toy.train("substitution", approach, &flags);
        assert_eq!([0, 1].map(|task| buffer(&run, task).len()), [4, 4]);
    }
    for (flags, said) in [
        ("--buffer 4", "--buffer: belongs to --approach er"),
        ("--approach er --buffer 0", "--buffer: must be at least 1"),
        (
            "--approach der++ --batch-size 2",
            "3 kinds of clips into each batch",
        ),
        (
            "--approach er --sampler imbalanced",
            "--sampler: --approach er draws by itself",
        ),
    ] {
        let output = toy
            .command("substitution", "refused", flags)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags}");
        assert!(
            text(&output.stderr).contains(said),
            "{}",
            text(&output.stderr)
        );
    }
}
