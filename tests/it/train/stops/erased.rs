//! Clips that are erased while a run is stopped.

use std::fs;

use incdec::run_record::{Part, RunRecord, checkpoint_file, positions};
use incdec::train::Settings;
use incdec::train::settings::ApproachName;

use super::super::toy::{Toy, tensors};
use super::{Errand, How, small};

const TEST: &str = "te10_000000_000010";

#[test]
fn answers_about_a_test_clip_that_left_are_not_gone_on_with() {
    let toy = Toy::new();
    let settings = Settings {
        approach: ApproachName::Ewc,
        ..small()
    };
    let whole = Errand::new(&toy, "whole", &settings);
    whole.succeed();
    let moments = whole.moments();
    let closing = moments.iter().rposition(|m| m == "Closing").unwrap();
    let mut stopped = Errand::new(&toy, "stopped", &settings);
    stopped.stop = Some((closing, How::Order));
    stopped.succeed();
    let newest = *positions(&stopped.out).unwrap().last().unwrap();
    assert_eq!((newest.task, newest.part), (1, Part::Closing));
    let path = stopped.out.join(newest.file());
    let kept = fs::read(&path).unwrap();

    toy.erase("R-1", &[TEST]);
    let left = positions(&stopped.out).unwrap();
    assert!(left.iter().all(|p| p.part < Part::BestTest), "{left:?}");
    // One that comes back, as from a backup, is not believed either.
    fs::write(&path, kept).unwrap();
    stopped.stop = None;
    stopped.succeed();

    let reference = Errand::new(&toy, "reference", &settings);
    reference.succeed();
    let [ours, theirs] =
        [&stopped.out, &reference.out].map(|run| RunRecord::read(run).unwrap().unwrap());
    assert!(ours.predictions == theirs.predictions);
    assert!(theirs.predictions.iter().all(|row| row.clip_id != TEST));
    let of_last = |record: &RunRecord| {
        let rows = record.metrics.iter().filter(|row| row.task == 1);
        rows.map(|row| {
            (
                row.metric.clone(),
                row.split,
                row.category.clone(),
                row.value,
            )
        })
        .collect::<Vec<_>>()
    };
    assert!(of_last(&ours) == of_last(&theirs));
    for task in 0..2 {
        let [ours, theirs] =
            [&stopped.out, &reference.out].map(|run| tensors(&run.join(checkpoint_file(task))));
        assert!(ours == theirs, "task {task}");
    }
}
