use super::*;
use crate::clip::Split;
use crate::tasks::LabelledClip;
use crate::taxonomy::Taxonomy;

/// food: cake (a, b), chips (c); phone: texting (d, e). Clips of train, validation and test are called a0, a1, a2, ...; a and c
/// are of group one, the others of group two.
fn source() -> Source {
    let pairs = [("food", "cake"), ("food", "chips"), ("phone", "texting")];
    let pairs = pairs.map(|(a, b)| (a.to_owned(), b.to_owned()));
    let clips = [
        ("a", 0, 0),
        ("b", 0, 0),
        ("c", 0, 1),
        ("d", 1, 0),
        ("e", 1, 0),
    ];
    Source {
        taxonomy: Taxonomy::from_pairs(Path::new("classes.csv"), pairs).unwrap(),
        clips: [0, 1, 2].map(|split| {
            let clip = |(letter, class, subcategory): (&str, usize, usize)| LabelledClip {
                clip_id: format!("{letter}{split}"),
                group: Some(if "ac".contains(letter) { "one" } else { "two" }.to_owned()),
                class,
                subcategory,
                usable: true,
            };
            clips.map(clip).into()
        }),
        files: Vec::new(),
    }
}

fn told(events: &str, start: Option<&str>) -> Result<Told, EventsError> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = EventFiles {
        events: write("events.csv", events),
        start: start.map(|text| write("start.csv", text)),
    };
    read(&files, &source())
}

/// The clips of each task's training list, by letter.
fn lists(events: &str, start: Option<&str>) -> Vec<String> {
    let told = told(events, start).unwrap();
    let tables = source().tables();
    let plan = super::super::availability::TaskLists::told(&tables, told.tasks, told.stays);
    let letters = ["a", "b", "c", "d", "e"];
    let list = |task| {
        let list = plan.list(Split::Train, task);
        list.into_iter().map(|row| letters[row as usize]).collect()
    };
    (0..told.tasks).map(list).collect()
}

fn fault(events: &str, start: Option<&str>) -> (usize, RowFault) {
    match told(events, start).map(|told| told.tasks) {
        Err(EventsError::Row { line, what, .. }) => (line, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn groups_subcategories_categories_and_clips_come_and_go() {
    assert_eq!(
        lists("task,change,group\n2,leaves,one\n", None),
        ["abcde", "abcde", "bde"]
    );
    assert_eq!(
        lists("task,change,subcategory\n1,arrives,cake\n", None),
        ["cde", "cdeab"]
    );
    assert_eq!(
        lists("task,change,category\n1,leaves,food\n", None),
        ["abcde", "de"]
    );
    let each = "task,change,clip,group,category\n1,leaves,b0,,\n2,arrives,b0,,\n3,leaves,,one,\n";
    assert_eq!(
        lists(each, Some("category\nfood\nphone\n")),
        ["abcde", "acde", "acdeb", "deb"]
    );
}

#[test]
fn who_arrives_comes_behind_in_label_order_and_who_leaves_is_closed_up() {
    let events = "task,change,clip\n1,arrives,d0\n1,arrives,a0\n2,leaves,c0\n2,arrives,b0\n";
    assert_eq!(lists(events, None), ["ce", "cead", "eadb"]);
}

#[test]
fn a_start_says_who_is_there_and_the_rest_never_is_without_an_event() {
    let events = "task,change,group\n1,arrives,two\n";
    assert_eq!(lists(events, Some("group\none\n")), ["ac", "acbde"]);
    assert_eq!(
        lists("task,change,clip\n1.0,arrives,b0\n", Some("group\none\n")),
        ["ac", "acb"]
    );
}

#[test]
fn an_event_applies_in_every_split_that_holds_the_clips() {
    let told = told("task,change,group\n1,leaves,one\n", None).unwrap();
    for stays in &told.stays {
        let left = stays.iter().filter(|stay| stay.until == 1);
        assert_eq!(left.map(|stay| stay.row).collect::<Vec<_>>(), [0, 2]);
    }
    // One clip stands in one split alone.
    let told = super::tests::told("task,change,clip\n1,leaves,a2\n", None).unwrap();
    let left = told
        .stays
        .map(|stays| stays.iter().filter(|stay| stay.until == 1).count());
    assert_eq!(left, [0, 0, 1]);
}

#[test]
fn the_schedule_follows_the_training_clips() {
    use crate::tables::ScheduleEvent::{Arrived, Kept, Removed, Start};
    let events = "task,change,clip,subcategory\n1,leaves,a0,\n2,leaves,b0,\n2,arrives,,texting\n";
    let told = told(events, None).unwrap();
    let plan =
        super::super::availability::TaskLists::told(&source().tables(), told.tasks, told.stays);
    let food = |task| plan.schedule().events(task, 0).collect::<Vec<_>>();
    assert_eq!(food(0), [(0, Some(0), Start), (1, Some(1), Start)]);
    assert_eq!(food(1), [(0, Some(0), Kept), (1, Some(1), Kept)]);
    assert_eq!(food(2), [(1, Some(0), Kept), (0, None, Removed)]);
    let phone = |task| plan.schedule().events(task, 1).collect::<Vec<_>>();
    assert_eq!(phone(1), []);
    assert_eq!(phone(2), [(0, Some(0), Arrived)]);
}

#[test]
fn what_contradicts_the_labels_is_refused_with_its_line() {
    let unknown = |kind, name: &str| RowFault::Unknown {
        kind,
        name: name.into(),
    };
    let group = "task,change,group\n1,leaves,one\n";
    assert_eq!(
        fault(&format!("{group}2,leaves,three\n"), None),
        (3, unknown(NamedBy::Group, "three"))
    );
    assert_eq!(
        fault("task,change,clip\n1,leaves,z0\n", None),
        (2, unknown(NamedBy::Clip, "z0"))
    );
    assert_eq!(
        fault(group, Some("category\ncars\n")),
        (2, unknown(NamedBy::Category, "cars"))
    );
    assert_eq!(
        fault(&format!("{group}2,leaves,one\n"), None),
        (3, RowFault::GoneAlready)
    );
    let twice = "task,change,category\n1,arrives,food\n2,arrives,food\n";
    assert_eq!(fault(twice, None), (3, RowFault::ThereAlready));
    let early = "task,change,clip\n3,arrives,a0\n1,leaves,a0\n";
    let arrives = Some((2, 3));
    assert_eq!(
        fault(early, None),
        (
            3,
            RowFault::LeavesFirst {
                clip: "a0".into(),
                arrives
            }
        )
    );
    let never = "task,change,clip\n1,leaves,b0\n";
    let clip = "b0".to_owned();
    assert_eq!(
        fault(never, Some("group\none\n")),
        (
            2,
            RowFault::LeavesFirst {
                clip,
                arrives: None
            }
        )
    );
    let both = "task,change,clip,group\n1,arrives,a0,\n1,leaves,,one\n";
    assert_eq!(
        fault(both, None),
        (
            3,
            RowFault::Both {
                clip: "a0".into(),
                line: 2
            }
        )
    );
}

#[test]
fn a_task_left_empty_is_refused_with_the_line_that_empties_it() {
    let split = Split::Train;
    let groups = "task,change,group\n1,leaves,one\n2,leaves,two\n";
    assert_eq!(
        fault(groups, None),
        (3, RowFault::LeavesNothing { task: 2, split })
    );
    let test =
        "task,change,clip\n1,leaves,a2\n1,leaves,b2\n1,leaves,c2\n1,leaves,d2\n1,leaves,e2\n";
    let split = Split::Test;
    assert_eq!(
        fault(test, None),
        (6, RowFault::LeavesNothing { task: 1, split })
    );
    let split = Split::Train;
    let all = "task,change,category\n1,arrives,food\n1,arrives,phone\n";
    assert_eq!(fault(all, None), (2, RowFault::NothingBefore { split }));
    let nobody = told("task,change,group\n1,arrives,one\n", Some("clip\na1\n")).map(|t| t.tasks);
    assert!(matches!(
        nobody,
        Err(EventsError::EmptyStart {
            split: Split::Train,
            ..
        })
    ));
}

#[test]
fn rows_that_make_no_sense_are_refused() {
    let row = |row: &str| fault(&format!("task,change,clip,group\n{row}\n"), None);
    assert_eq!(row("x,leaves,a0,"), (2, RowFault::Task("x".into())));
    assert_eq!(row("10000,leaves,a0,"), (2, RowFault::Task("10000".into())));
    assert_eq!(row("1,goes,a0,"), (2, RowFault::Change("goes".into())));
    assert_eq!(row("1,leaves,,"), (2, RowFault::Names(0)));
    assert_eq!(row("1,leaves,a0,one"), (2, RowFault::Names(2)));
    assert_eq!(row("0,leaves,a0,"), (2, RowFault::LeavesAtStart));
    let nameless = told("task,change\n1,leaves\n", None);
    assert!(matches!(
        nameless.map(|t| t.tasks),
        Err(EventsError::NoNames { .. })
    ));
}
