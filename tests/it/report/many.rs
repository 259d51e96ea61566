//! Many runs: an overview, and a page of each beside it.

use std::fs;
use std::path::{Path, PathBuf};

use incdec::clean::{self, CleanConfig, Stage};
use incdec::lock::Wait;
use incdec::report::{MAX_DETAILED_RUNS, ReportConfig};

use super::fake::{DECREMENTAL, FakeRun};
use super::page::{table, written};
use super::{assert_self_contained_and_well_formed, config};

/// Five seeds of three approaches.
fn fifteen_runs(root: &Path) -> Vec<PathBuf> {
    let mut runs = Vec::new();
    for seed in 0..5 {
        for (approach, skill) in [("finetune", 0.2), ("ewc", 0.45), ("lwf", 0.21)] {
            let run = FakeRun {
                approach,
                seed,
                skill,
                ..DECREMENTAL
            };
            runs.push(run.write(root));
        }
    }
    assert!(runs.len() > MAX_DETAILED_RUNS);
    runs
}

/// The addresses that a page leads to outside of itself.
fn links(page: &str) -> Vec<&str> {
    let links = page.split("href=\"").skip(1);
    let links = links.map(|link| link.split('"').next().unwrap());
    links.filter(|link| !link.starts_with('#')).collect()
}

/// The names of the files in the folder of the pages of single runs, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn many_runs_get_an_overview_that_leads_to_a_page_of_each() {
    let root = tempfile::tempdir().unwrap();
    let mut config = config(root.path(), fifteen_runs(root.path()));
    config.permutations = 20;
    config.out = root.path().join("all seeds.html");
    let page = written(&config);
    assert_self_contained_and_well_formed(&page);
    let links = links(&page);
    assert_eq!(links.len(), 15);
    for link in links {
        let path = root.path().join(link.replace("%20", " "));
        let page = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{link}: {e}"));
        assert_self_contained_and_well_formed(&page);
        assert!(page.contains("By subcategory"));
        assert!(
            page.contains("href=\"../all%20seeds.html\""),
            "the way back"
        );
    }
    // On five seeds EWC is better in each, and yet no p that five seeds can have tells them apart.
    let rows = table(&page, "Paired tests over seeds");
    let pair = |first: &str, second: &str| {
        let row = rows.iter().find(|row| row[1] == first && row[2] == second);
        row.unwrap_or_else(|| panic!("{rows:?}"))
    };
    assert_eq!(pair("ewc", "finetune")[3], "5");
    assert_eq!(pair("ewc", "finetune")[8], "not told apart");
    assert!(
        pair("ewc", "finetune")[5].starts_with("0."),
        "an interval above 0"
    );
    // All five of one sign: 2 of 32 choices are as far.
    assert_eq!(pair("ewc", "finetune")[6], "0.062");
    // The table beside the page's, for a paper.
    assert!(page.contains("scenario,approach,seeds,mAP,"));
    assert!(
        page.contains("decremental &amp; ewc &amp; 5 &amp;"),
        "LaTeX"
    );
    assert!(page.contains("\\begin{tabular}"));
}

#[test]
fn pages_of_runs_that_are_no_longer_among_them_go_and_what_is_not_ours_stays() {
    let root = tempfile::tempdir().unwrap();
    let runs = fifteen_runs(root.path());
    let of = |runs: &[PathBuf]| {
        let mut config = config(root.path(), runs.to_vec());
        config.permutations = 1;
        config
    };
    written(&of(&runs));
    let folder = root.path().join("report-runs");
    assert_eq!(names(&folder).len(), 15);
    let own = [("001-mine.html", "<p>mine</p>"), ("notes.txt", "mine")];
    for (name, text) in own {
        fs::write(folder.join(name), text).unwrap();
    }
    let changed = folder.join("015-decremental-lwf-4.html");
    let text = fs::read_to_string(&changed).unwrap();
    fs::write(&changed, text.replace("mAP", "map")).unwrap();

    // One run less: those after it have other numbers.
    let mut fewer = runs.clone();
    fewer.remove(1);
    let page = written(&of(&fewer));
    let mut expected: Vec<String> = links(&page)
        .iter()
        .map(|link| link.strip_prefix("report-runs/").unwrap().to_owned())
        .collect();
    assert_eq!(expected.len(), 14);
    let stay = ["001-mine.html", "015-decremental-lwf-4.html", "notes.txt"];
    expected.extend(stay.map(str::to_owned));
    expected.sort();
    assert_eq!(names(&folder), expected);
    // So few that none has a page of its own.
    written(&of(&runs[..2]));
    assert_eq!(names(&folder), stay);
    for name in stay {
        fs::remove_file(folder.join(name)).unwrap();
    }
    written(&of(&runs));
    written(&of(&runs[..2]));
    assert!(!folder.exists());
}

#[test]
fn cleaning_a_report_takes_the_pages_of_single_runs_with_it() {
    let root = tempfile::tempdir().unwrap();
    let place = root.path().join("all");
    let config = ReportConfig {
        table: None,
        permutations: 1,
        ..config(&place, fifteen_runs(root.path()))
    };
    written(&config);
    let folder = place.join("report-runs");
    fs::write(folder.join("001-mine.html"), "<p>mine</p>").unwrap();
    let clean = || {
        let config = CleanConfig {
            stage: Stage::Report,
            folder: place.clone(),
            clips: None,
            dry_run: false,
            wait: Wait::No,
        };
        clean::run(&config).unwrap()
    };
    let summary = clean();
    assert_eq!(summary.removed.len(), 16, "{summary}");
    assert_eq!(summary.changed, [folder.join("001-mine.html")]);
    assert_eq!(names(&folder), ["001-mine.html"]);
    assert!(!config.out.exists());
    written(&config);
    fs::remove_file(folder.join("001-mine.html")).unwrap();
    clean();
    assert!(!place.exists());
}
