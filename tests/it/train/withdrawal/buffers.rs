//! What replay approaches keep of a clip goes with it.

use std::fs;

use incdec::erase::{Action, Selector, What, plan, verify};
use incdec::run_record::{
    BUFFER_CLIPS, BUFFER_LOGITS, RunProgress, RunRecord, buffer_key, buffered, checkpoint_file,
    state_file,
};

use super::erased::assert_erased;
use super::weights;
use crate::train::toy::{Toy, text};

/// A training clip of both tasks.
const KEPT: &str = "tr01_000000_000010";

#[test]
fn the_logits_of_a_clip_leave_the_buffer_and_nothing_else_does() {
    let toy = Toy::new();
    let flags = "--approach der++ --batch-size 4";
    let run = toy.train("substitution", "run", flags);
    let states = [0, 1].map(|task| run.join(state_file(task)));
    let before = states.each_ref().map(|path| fs::read(path).unwrap());
    let keys = states.each_ref().map(|path| buffered(path).unwrap());
    assert!(keys.iter().all(|keys| keys.contains(&buffer_key(KEPT))));
    let tables = weights(&states[1]).1;

    toy.erase("R-1", &["te00_000000_000010"]);
    assert!(
        fs::read(&states[1]).unwrap() == before[1],
        "of no clip of its own"
    );
    let found = plan(&toy.places(), &[Selector::Ids(vec![KEPT.into()])]).unwrap();
    let rewritten = found.held.iter().filter(|row| row.what == What::Buffered);
    assert!(rewritten.clone().all(|row| row.action == Action::Rewrite));
    assert_eq!(rewritten.count(), 2);

    toy.erase("R-2", &[KEPT]);
    for (path, keys) in states.iter().zip(&keys) {
        let mut kept = keys.clone();
        kept.retain(|key| *key != buffer_key(KEPT));
        assert_eq!(buffered(path).unwrap(), kept);
    }
    let place = keys[1]
        .iter()
        .position(|key| *key == buffer_key(KEPT))
        .unwrap();
    let (header, mut now) = weights(&states[1]);
    assert!(
        header["incdec.remedies"].contains("\"taken out\""),
        "{header:?}"
    );
    for (name, (mut shape, mut bytes)) in tables {
        if [BUFFER_CLIPS, BUFFER_LOGITS].contains(&name.as_str()) {
            let row_bytes = bytes.len() / shape[0];
            bytes.drain(place * row_bytes..(place + 1) * row_bytes);
            shape[0] -= 1;
        }
        assert!(now.remove(&name).unwrap() == (shape, bytes), "{name}");
    }
    assert!(now.is_empty());
    // Every hash of the record is that of the file as it is now.
    assert!(RunRecord::read(&run).unwrap().is_some());
    assert_erased(&toy);

    // What comes back from a backup is found, though no text names the clip.
    let clean = fs::read(&states[0]).unwrap();
    fs::write(&states[0], &before[0]).unwrap();
    let verdict = verify(&toy.places()).unwrap();
    let said = format!(
        "left: row of a replay buffer of {KEPT} in runs/run/{}",
        state_file(0)
    );
    assert!(verdict.to_string().contains(&said), "{verdict}");
    fs::write(&states[0], clean).unwrap();

    // A run that goes on all the same reads the state as it is now.
    let mut progress = RunProgress::read(&run).unwrap().unwrap();
    progress.tasks.truncate(1);
    progress.write(&run).unwrap();
    for name in ["run.json", &checkpoint_file(1), &state_file(1)] {
        fs::remove_file(run.join(name)).unwrap();
    }
    let list = toy.withdrawn();
    let flags = format!("{flags} --on-tainted warn --withdrawn {}", list.display());
    let output = toy.command("substitution", "run", &flags).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!buffered(&states[1]).unwrap().contains(&buffer_key(KEPT)));
}
