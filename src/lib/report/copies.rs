//! One run that is given more than once: copies are counted once; other outcomes of the same run
//! stand side by side.

use std::collections::BTreeMap;

use super::load::Run;
use crate::run_record::Machine;

/// The runs without the copies of an earlier one, which that one names. A copy has the same id,
/// machine and predictions.
pub(super) fn without_copies(runs: Vec<Run>) -> Vec<Run> {
    let mut kept: Vec<Run> = Vec::new();
    for run in runs {
        match kept.iter_mut().find(|first| is_copy(first, &run)) {
            Some(first) => first.copies.push(run.folder),
            None => kept.push(run),
        }
    }
    kept
}

fn is_copy(a: &Run, b: &Run) -> bool {
    (&a.id, &a.machine, &a.prediction_hash) == (&b.id, &b.machine, &b.prediction_hash)
}

/// What sets each of `runs`, which differ in their seeds alone, apart from another of the same
/// seed: other inputs by a number, the machine, and on the same machine a number. Empty where no
/// seed occurs twice: then they are seeds of one group on whatever machines.
pub(super) fn set_apart(runs: &[&Run]) -> Vec<String> {
    let mut ids: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    let mut seen: BTreeMap<(&str, &Option<Machine>), usize> = BTreeMap::new();
    let times: Vec<(usize, usize)> = runs
        .iter()
        .map(|run| {
            let of_seed = ids.entry(run.seed).or_default();
            if !of_seed.contains(&run.id.as_str()) {
                of_seed.push(&run.id);
            }
            let inputs = of_seed.iter().position(|id| *id == run.id).unwrap_or(0) + 1;
            let times = seen.entry((&run.id, &run.machine)).or_default();
            *times += 1;
            (inputs, *times)
        })
        .collect();
    let machines_of = |id: &str| seen.keys().filter(|(other, _)| *other == id).count();
    let on_machines = runs.iter().any(|run| machines_of(&run.id) > 1);
    runs.iter()
        .zip(times)
        .map(|(run, (inputs, times))| {
            let mut text = String::new();
            if inputs > 1 {
                text += &format!(", other inputs {inputs}");
            }
            if on_machines {
                let machine = run.machine.as_ref().map(Machine::to_string);
                text += &format!(" on {}", machine.as_deref().unwrap_or("an unknown machine"));
            }
            if times > 1 {
                text += &format!(", outcome {times}");
            }
            text
        })
        .collect()
}
