//! The page about withdrawals: what it tells, and what it must not name.

use std::fs;
use std::path::Path;

use incdec::clip::Split;
use incdec::erase::{Action, EraseConfig, HeldRow, Ledger, Selector, What, apply, plan, verify};
use incdec::parquet_file::{self, Provenance};
use incdec::report::{self, ReportConfig};
use incdec::run_record;
use incdec::shard::{Codec, ShardWriter, ShardWriterConfig, SourceFacts, write_index};
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

/// Shards that hold the test clips as JPEG, outside of every place where erasing looks.
fn frames_elsewhere(world: &World, folder: &Path) {
    let mut writer = ShardWriter::new(folder, Provenance::default(), ShardWriterConfig::default());
    let mut index = Vec::new();
    let clips = world.clips.iter().filter(|clip| clip.split == Split::Test);
    for (n, clip) in clips.enumerate() {
        let mut stored = world.stored(&clip.id, clip.split, n, SourceFacts::default());
        stored.head.codec = Codec::Jpeg;
        index.push(writer.push(&stored).unwrap());
    }
    writer.finish().unwrap();
    write_index(folder, &index, &Provenance::default()).unwrap();
}

#[test]
fn a_page_that_shows_frames_of_a_clip_goes_with_it_and_is_found_when_it_comes_back() {
    let world = World::new();
    let shards = tempfile::tempdir().unwrap();
    frames_elsewhere(&world, shards.path());
    let name = "runs/one/report.html";
    let mut config = ReportConfig {
        frames: Some(shards.path().to_owned().into()),
        runs: vec![world.path("runs/one")],
        out: world.path(name),
        table: None,
        withdrawn: None,
        withdrawals: None,
        permutations: 20,
    };
    let written = |config: &ReportConfig| {
        report::run(config).unwrap();
        fs::read_to_string(&config.out).unwrap()
    };
    let page = written(&config);
    let shown = page.split("data-clip=\"").nth(1).unwrap();
    let clip = shown.split('"').next().unwrap().to_owned();
    assert_eq!(page.matches(&clip).count(), 1, "by nothing else");
    let selectors = vec![Selector::Ids(vec![clip.clone()])];
    let held = plan(&world.places(), &selectors).unwrap().held;
    let is_page = |row: &&HeldRow| row.what == What::Page && row.file == name;
    let rows: Vec<_> = held.iter().filter(is_page).collect();
    assert_eq!(rows.len(), 1, "{held:?}");
    assert_eq!(
        (rows[0].clip_id.as_str(), rows[0].action),
        (clip.as_str(), Action::Rebuild)
    );

    apply(&world.config(selectors)).unwrap();
    assert!(!config.out.exists());
    let verdict = verify(&world.places()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    fs::write(&config.out, page).unwrap();
    let verdict = verify(&world.places()).unwrap().to_string();
    assert!(
        verdict.contains(&format!("left: page of {clip} in {name}")),
        "{verdict}"
    );
    // The shards elsewhere still have it, and the list keeps it off the page.
    config.withdrawn = Some(world.path("Info/withdrawn.csv"));
    let page = written(&config);
    assert!(page.contains("data-clip=\"") && !page.contains(&clip));
    assert!(verify(&world.places()).unwrap().is_clean());
}
