//! What an approach carries from task to task is saved and given back, whether it looks at batches or not.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::model::state_dict::StateDict;
use incdec::run_record::{RunRecord, state_file};
use incdec::train::approach::Approach;
use incdec::train::learner::Learner;
use incdec::train::{self, TrainConfig, TrainError};
use tch::Tensor;

use super::record::stop_after_first_task;
use super::toy::Toy;
use crate::support;

/// Counts tasks; looks at no batch.
#[derive(Default)]
struct Counting {
    tasks: f32,
    given_back: Rc<Cell<Option<f32>>>,
}

impl Approach for Counting {
    fn before_task(&mut self, _learner: &Learner, _task: usize) -> Result<(), TrainError> {
        self.tasks += 1.0;
        Ok(())
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        vec![("tasks".to_owned(), Tensor::from_slice(&[self.tasks]))]
    }

    fn restore(
        &mut self,
        _learner: &Learner,
        _path: &Path,
        state: StateDict,
    ) -> Result<(), TrainError> {
        self.tasks = state["tasks"].double_value(&[0]) as f32;
        self.given_back.set(Some(self.tasks));
        Ok(())
    }
}

fn config(toy: &Toy, name: &str) -> TrainConfig {
    let mut config = TrainConfig::new(toy.tasks("decremental"), toy.shards(), toy.run(name));
    config.device = support::device_choice();
    config.threads = Some(1);
    config.settings.frames = 4;
    config.settings.resize = 68;
    config.settings.size = 64;
    config.settings.epochs = 1;
    config
}

/// Has a defect.
struct Panicking;

impl Approach for Panicking {
    fn before_task(&mut self, _learner: &Learner, task: usize) -> Result<(), TrainError> {
        panic!("of task {task}, on purpose");
    }
}

#[test]
fn a_panic_is_the_error_of_the_run_and_no_passing_trouble() {
    let toy = Toy::new();
    let error = train::run_with(&config(&toy, "panicking"), Box::new(Panicking)).unwrap_err();
    let said = error.to_string();
    assert!(said.ends_with(": of task 0, on purpose"), "{said}");
    assert!(said.contains("a defect of this program"), "{said}");
    assert_eq!(error.exit(), Exit::Failed);
    assert!(error.hint().unwrap().contains("log.jsonl"));
    // Nothing holds the run directory any more.
    train::run_with(&config(&toy, "panicking"), Box::new(Counting::default())).unwrap();
}

#[test]
fn an_approach_with_state_and_no_batches_gets_it_back_and_a_named_file_must_be_there() {
    let toy = Toy::new();
    let config = config(&toy, "counting");
    let run = &config.out;
    train::run_with(&config, Box::new(Counting::default())).unwrap();
    let progress = RunRecord::read(run).unwrap().unwrap().progress;
    for (task, outcome) in progress.tasks.iter().enumerate() {
        let files = &outcome.hashes.as_ref().unwrap().files;
        assert!(files.contains_key(&state_file(task)), "{files:?}");
    }

    stop_after_first_task(run);
    let counting = Counting::default();
    let given_back = Rc::clone(&counting.given_back);
    train::run_with(&config, Box::new(counting)).unwrap();
    assert_eq!(given_back.get(), Some(1.0));

    stop_after_first_task(run);
    fs::remove_file(run.join(state_file(0))).unwrap();
    let error = train::run_with(&config, Box::new(Counting::default())).unwrap_err();
    assert!(
        error.to_string().contains(&state_file(0)),
        "{error}: {:?}",
        error.hint()
    );
}
