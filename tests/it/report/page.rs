//! What the page says beside its figures, and how it is built for every reader.

use std::collections::BTreeSet;
use std::fs;

use incdec::clip::Split;
use incdec::metrics::mean_defined;
use incdec::parquet_file;
use incdec::report::{ReportConfig, run};
use incdec::tables::{AvailabilityRow, MetricRow};
use incdec::tasks::Scenario;

use super::config;
use super::fake::{DECREMENTAL, FakeRun};

pub(super) fn written(config: &ReportConfig) -> String {
    run(config).unwrap();
    fs::read_to_string(&config.out).unwrap()
}

/// The rows of the table that is called `name`, each as its cells without tags.
pub(super) fn table(page: &str, name: &str) -> Vec<Vec<String>> {
    let (_, rest) = page
        .split_once(&format!("aria-label=\"{name}\"><table"))
        .unwrap_or_else(|| panic!("no table {name}"));
    let body = rest.split("</table>").next().unwrap();
    let body = body.split_once("<tbody>").unwrap().1;
    let cell = |cell: &str| {
        let text = cell.split_once('>').map_or("", |(_, text)| text);
        let mut plain = String::new();
        let mut within = false;
        for c in text.chars() {
            match c {
                '<' => within = true,
                '>' => {
                    within = false;
                    plain.push(' ');
                }
                c if !within => plain.push(c),
                _ => (),
            }
        }
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    body.split("<tr")
        .skip(1)
        .map(|row| {
            row.replace("<th", "<td")
                .split("<td")
                .skip(1)
                .map(cell)
                .collect()
        })
        .collect()
}

#[test]
fn three_populations_stand_in_the_place_of_one_forgetting() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    let page = written(&config(root.path(), vec![folder.clone()]));
    let lists: Vec<AvailabilityRow> =
        parquet_file::read(&folder.join("availability.parquet")).unwrap();
    let metrics: Vec<MetricRow> = parquet_file::read(&folder.join("metrics.parquet")).unwrap();
    let there = |task: i32| -> BTreeSet<&str> {
        let rows = lists.iter().filter(|r| r.task == task);
        let rows = rows.filter(|r| r.split == Split::Train && r.position.is_some());
        rows.map(|r| r.subcategory.as_str()).collect()
    };
    let last = there(5);
    let mean = |wanted: &dyn Fn(&str) -> bool| {
        let rows = metrics.iter().filter(|r| r.task == 5);
        let rows = rows.filter(|r| r.split == Split::Test && r.metric == "ap_per_subcategory");
        let rows = rows.filter(|r| wanted(r.subcategory.as_deref().unwrap()));
        format!("{:.3}", mean_defined(rows.map(|r| r.value)).unwrap())
    };
    let rows = table(&page, "Populations by task");
    let of = |population: &str| {
        let row = rows
            .iter()
            .find(|row| row[0] == "5" && row[1] == population);
        row.unwrap_or_else(|| panic!("{rows:?}"))
    };
    assert_eq!(of("available")[2], last.len().to_string());
    assert_eq!(of("available")[4], mean(&|name| last.contains(name)));
    assert_eq!(of("withdrawn")[2], (37 - last.len()).to_string());
    assert_eq!(of("withdrawn")[4], mean(&|name| !last.contains(name)));
    // Four test clips of each.
    assert_eq!(of("withdrawn")[3], ((37 - last.len()) * 4).to_string());
    assert!(of("withdrawn")[5].contains(" to "), "{rows:?}");
    // Nothing is yet to come in this scenario.
    assert!(rows.iter().all(|row| row[1] != "not yet arrived"));
    // Each that left is marked once, at the task at which it left.
    let marks = page.matches("<small class=\"mark\">left here<").count();
    assert_eq!(marks, there(0).difference(&last).count());
    let first_to_leave: BTreeSet<&str> = there(0).difference(&there(1)).copied().collect();
    for row in table(&page, "Average precision by subcategory and task") {
        if first_to_leave.contains(row[0].as_str()) {
            assert!(row[3].ends_with("left here"), "{row:?}");
            assert!(row[4].ends_with("withdrawn"), "{row:?}");
        }
    }
}

#[test]
fn what_is_yet_to_come_is_told_from_what_was_withdrawn() {
    let root = tempfile::tempdir().unwrap();
    let exchanging = FakeRun {
        scenario: Scenario::IncrementalDecremental,
        ..DECREMENTAL
    };
    let page = written(&config(root.path(), vec![exchanging.write(root.path())]));
    let rows = table(&page, "Populations by task");
    let count = |task: &str, population: &str| {
        let row = rows
            .iter()
            .find(|row| row[0] == task && row[1] == population);
        row.map_or(0, |row| row[2].parse::<usize>().unwrap())
    };
    assert!(count("0", "not yet arrived") > 0, "{rows:?}");
    assert_eq!(count("0", "withdrawn"), 0);
    assert!(count("5", "withdrawn") > 0);
    assert!(page.contains(">not yet<"));
}

#[test]
fn every_figure_stands_beside_its_interval_its_n_and_chance() {
    let root = tempfile::tempdir().unwrap();
    let page = written(&config(root.path(), vec![DECREMENTAL.write(root.path())]));
    let rows = table(&page, "Figures by task");
    // A figure lies within its interval, as far as two decimals tell.
    let map: Vec<f64> = rows[0][3]
        .split(' ')
        .filter_map(|t| t.parse().ok())
        .collect();
    let [value, low, high] = map[..] else {
        panic!("{rows:?}")
    };
    assert!(
        low - 0.005 <= value && value <= high + 0.005 && low < high,
        "{rows:?}"
    );
    assert_eq!(rows[0][2], "148");
    let chance: f64 = rows[0][4].parse().unwrap();
    let quantile: f64 = rows[0][5].parse().unwrap();
    assert!(
        0.1 < chance && chance < quantile && quantile < 0.5,
        "{rows:?}"
    );
    assert_eq!(rows[0][6], "above");
    for name in [
        "Figures by category and task",
        "Average precision by subcategory and task",
    ] {
        for row in table(&page, name).iter().filter(|row| row.len() > 2) {
            assert!(row[1].parse::<usize>().unwrap() > 0, "{row:?}");
            assert!(row[2].contains(" to "), "{row:?}");
            // Chance stands behind the tasks.
            assert!(row[8].parse::<f64>().unwrap() < 1.0, "{row:?}");
        }
    }
    // Validation is on other clips, and in no chart with the test set.
    assert!(page.contains("Validation is on other clips"));
    assert!(!page.contains(">validation, task"));
    // Which way is better is said in the caption of every figure but those of counts and curves.
    let captions = page.split("<figcaption>").skip(1);
    for caption in captions.map(|c| c.split('<').next().unwrap()) {
        let plain = caption.starts_with("Task ") || caption.starts_with("Training clips");
        assert!(plain || caption.contains("better"), "{caption}");
    }
}

#[test]
fn letters_name_settings_and_a_table_says_which_and_no_seed_counts_twice() {
    let root = tempfile::tempdir().unwrap();
    let with = |seed, epochs, pretrained, place: &str| {
        let run = FakeRun {
            seed,
            pretrained,
            epochs,
            ..DECREMENTAL
        };
        run.write(&root.path().join(place))
    };
    let runs = vec![
        with(0, 5, false, "a"),
        with(1, 5, false, "a"),
        with(0, 9, false, "b"),
        with(1, 5, true, "c"),
    ];
    let page = written(&config(root.path(), runs));
    let rows = table(&page, "Settings of finetune");
    let lines: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
    assert_eq!(
        lines,
        [
            "A 5 from scratch",
            "B 5 pretrained weights",
            "C 9 from scratch"
        ]
    );
    let groups = table(&page, "Figures over seeds");
    let seeds: Vec<(&str, &str)> = groups
        .iter()
        .map(|row| (row[1].as_str(), row[2].as_str()))
        .collect();
    assert_eq!(
        seeds,
        [
            ("finetune A", "2"),
            ("finetune B", "1"),
            ("finetune C", "1")
        ]
    );
}

#[test]
fn an_approach_looks_the_same_from_page_to_page() {
    let root = tempfile::tempdir().unwrap();
    let of = |approach, scenario, seed| {
        let run = FakeRun {
            scenario,
            approach,
            seed,
            ..DECREMENTAL
        };
        run.write(root.path())
    };
    // What a name's sample is drawn with, in every legend that has it.
    let samples = |page: &str, approach: &str| -> BTreeSet<String> {
        let end = format!("</svg>{approach}</span>");
        let legends: Vec<&str> = page.split(&end).collect();
        let (_, with) = legends.split_last().unwrap();
        let sample = |legend: &&str| legend.rsplit_once("<svg").unwrap().1.to_owned();
        with.iter().map(sample).collect()
    };
    let decremental = Scenario::Decremental;
    let runs = vec![
        of("er", decremental, 0),
        of("gdumb", decremental, 0),
        of("finetune", decremental, 0),
        of("er", Scenario::IncrementalDecremental, 0),
    ];
    let all = written(&config(root.path(), runs));
    let runs = vec![of("er", decremental, 1), of("finetune", decremental, 1)];
    let two = written(&config(root.path(), runs));
    for approach in ["finetune", "er"] {
        let sample = samples(&all, approach);
        assert_eq!(sample.len(), 1, "{approach}: {sample:?}");
        assert_eq!(sample, samples(&two, approach));
    }
    assert_ne!(samples(&all, "er"), samples(&all, "gdumb"));
}
