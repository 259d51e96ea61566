//! The page about withdrawals: what it tells, and what it must not name.

use std::fs;

use incdec::clip::Split;
use incdec::erase::{EraseConfig, Ledger, Selector, apply, verify};
use incdec::parquet_file::{self, Provenance};
use incdec::report::{self, ReportConfig};
use incdec::run_record;
use incdec::tables::ErasureRow;

use super::world::{TASKS, World};

#[test]
fn the_page_tells_each_request_and_names_no_clip() {
    let world = World::new();
    let train = world.clip(Split::Train).id.clone();
    apply(&world.config(vec![Selector::Ids(vec![train.clone()])])).unwrap();
    let second = EraseConfig {
        request: "R-2 <b>".into(),
        ..world.config(vec![Selector::Subcategory("texting".into())])
    };
    apply(&second).unwrap();
    // A line by hand that nobody has carried out.
    let list = world.path("Info/withdrawn.csv");
    let waiting = &world.clip(Split::Validation).id;
    let lines = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{lines}{waiting},2026-03-31,R-3,\n")).unwrap();
    let mut config = ReportConfig {
        frames: None,
        runs: Vec::new(),
        // Where verify looks.
        out: world.path("runs/withdrawals.html"),
        table: None,
        withdrawn: Some(list.clone()),
        withdrawals: Some(world.path("erasures.parquet")),
        permutations: 20,
    };
    let told = report::run(&config).unwrap().to_string();
    let page = fs::read_to_string(&config.out).unwrap();
    let ledger = Ledger::read(&world.path("")).unwrap();
    let chain = ledger.chain().unwrap();
    assert!(told.contains(chain) && page.contains(chain), "{told}");
    let entry = format!("name=\"incdec.withdrawals\" content=\"{chain}\"");
    assert!(page.contains(&entry), "{page}");
    let clips = ledger.clips().unwrap();
    let said = format!(
        "{} clips withdrawn by 2 requests, 0 of them not finished",
        clips.len()
    );
    assert!(told.ends_with(&format!("{said}\n")), "{told}");
    for words in [
        said.as_str(),
        "R-2 &lt;b&gt;",
        "video files",
        "decoded pictures",
        "runs/one",
        "checkpoints/task-2.safetensors",
        "trained (R-1)",
        "still there",
        "1 clips are in the list of withdrawn clips and were never erased",
        "snapshots",
        "does not say that any law is complied with",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let saw = |task: &usize| {
        let file = run_record::checkpoint_file(*task);
        ledger.rows().iter().any(|row| row.runs.contains(&file))
    };
    let still = (0..TASKS).filter(saw).count();
    let still = format!("{still} files of models that saw a clip");
    assert!(page.contains(&still), "{page}");
    assert!(clips.iter().all(|clip| !page.contains(clip.as_str())));
    assert!(report::is_sealed(&page));
    // The page itself holds nothing of them.
    fs::write(&list, &lines).unwrap();
    assert!(verify(&world.places()).unwrap().is_clean());
    // A ledger that is cut short is noticed by the page that was written before.
    let ledger = world.path("erasures.parquet");
    let whole = fs::read(&ledger).unwrap();
    let mut rows: Vec<ErasureRow> = parquet_file::read(&ledger).unwrap();
    rows.pop();
    parquet_file::write(&ledger, &rows, &Provenance::default()).unwrap();
    let problems = verify(&world.places()).unwrap().problems.join("; ");
    let said = "runs/withdrawals.html was written when the ledger's newest chain value was";
    assert!(problems.contains(said), "{problems}");
    fs::write(&ledger, whole).unwrap();
    // A deleted model is told as one, and a changed ledger is.
    fs::remove_file(world.path("runs/one/checkpoints/task-2.safetensors")).unwrap();
    let mut rows: Vec<ErasureRow> = parquet_file::read(&world.path("erasures.parquet")).unwrap();
    rows[0].begun = "2020-01-01T00:00:00Z".into();
    let changed = world.path("changed.parquet");
    parquet_file::write(&changed, &rows, &Provenance::default()).unwrap();
    config.withdrawals = Some(changed);
    report::run(&config).unwrap();
    let page = fs::read_to_string(&config.out).unwrap();
    assert!(page.contains("no longer there"), "{page}");
    assert!(page.contains("row 1 is not as it was written"), "{page}");
}

#[test]
fn what_was_left_to_a_person_stands_in_ledger_and_page() {
    let world = World::new();
    let clip = world.clip(Split::Test).id.clone();
    let events = world.path("runs/one/tensorboard/events");
    fs::write(&events, format!("\u{0}{clip}\u{1}")).unwrap();
    let done = apply(&world.config(vec![Selector::Ids(vec![clip])])).unwrap();
    assert_eq!(done.by_hand.len(), 1, "{done}");
    let ledger = Ledger::read(&world.path("")).unwrap();
    assert_eq!(ledger.rows()[0].left, "[\"runs/one/tensorboard/events\"]");
    let config = ReportConfig {
        frames: None,
        runs: Vec::new(),
        out: world.path("page.html"),
        table: None,
        withdrawn: None,
        withdrawals: Some(world.path("erasures.parquet")),
        permutations: 20,
    };
    report::run(&config).unwrap();
    let page = fs::read_to_string(&config.out).unwrap();
    assert!(
        page.contains("<code>runs/one/tensorboard/events</code>: left to a person"),
        "{page}"
    );
}
