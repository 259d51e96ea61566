//! The pages of single runs, in a folder beside the page of all of them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::analyse::Analysis;
use super::seal::publish;
use super::{CHANCE_QUANTILE, ReportConfig, ReportError, is_sealed, page};
use crate::artifact::ArtifactError;

/// Digits of the number that a page's name begins with, at least.
const NUMBER_DIGITS: usize = 3;

/// The folder of the runs' own pages: beside the page, named after it.
pub(super) fn folder(page: &Path) -> PathBuf {
    let name = page.file_stem().unwrap_or_default().to_string_lossy();
    page.with_file_name(format!("{name}-runs"))
}

/// The files beside `page` that have the names of pages of its runs, sorted. Only its seal tells that
/// one is of this program ([`is_sealed`]).
///
/// # Errors
/// When the folder is there and cannot be listed.
pub fn run_pages(page: &Path) -> Result<Vec<PathBuf>, ArtifactError> {
    let folder = folder(page);
    let entries = match fs::read_dir(&folder) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(ArtifactError::at("list", &folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(ArtifactError::at("list", &folder))?
            .file_name();
        if is_name(&name.to_string_lossy()) {
            found.push(folder.join(name));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file's name is that of a run's page: `001-run.html`.
fn is_name(name: &str) -> bool {
    let number = name.strip_suffix(".html").and_then(|n| n.split_once('-'));
    number.is_some_and(|(number, _)| {
        number.len() >= NUMBER_DIGITS && number.bytes().all(|b| b.is_ascii_digit())
    })
}

/// A run's page.
pub(super) struct RunPage {
    path: PathBuf,
    /// Its address from the page of all runs.
    pub(super) link: String,
}

/// Writes a page of each run, which leads back to the page of all.
pub(super) fn write(
    config: &ReportConfig,
    analyses: &[Analysis],
) -> Result<Vec<RunPage>, ReportError> {
    let folder = folder(&config.out);
    let within = folder.file_name().unwrap_or_default().to_string_lossy();
    let overview = config.out.file_name().unwrap_or_default();
    let overview = format!("../{}", percent_encoded(&overview.to_string_lossy()));
    let mut pages = Vec::new();
    for (k, analysis) in analyses.iter().enumerate() {
        // The number tells runs of one name apart, and keeps the order of the list.
        let name = format!(
            "{:0NUMBER_DIGITS$}-{}.html",
            k + 1,
            address(&analysis.run.name)
        );
        let page = page::page(
            std::slice::from_ref(analysis),
            &[],
            None,
            None,
            Some(&overview),
            config.permutations,
            CHANCE_QUANTILE,
        )?;
        let path = folder.join(&name);
        publish(&path, &page)?;
        pages.push(RunPage {
            path,
            link: format!("{}/{name}", percent_encoded(&within)),
        });
    }
    Ok(pages)
}

/// Removes the pages of runs that an earlier report wrote beside `page`, those of `kept` left out: a
/// page that nothing leads to any more would be taken for the newest. What this program did not
/// write, or somebody has changed since, stays.
pub(super) fn remove_others(page: &Path, kept: &[RunPage]) -> Result<(), ArtifactError> {
    for path in run_pages(page)? {
        let is_kept = kept.iter().any(|page| page.path == path);
        // What is no text is no page.
        if !is_kept && fs::read_to_string(&path).is_ok_and(|text| is_sealed(&text)) {
            fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
        }
    }
    if kept.is_empty() {
        // A folder that holds something else stays.
        let _ = fs::remove_dir(folder(page));
    }
    Ok(())
}

/// A file's or folder's name as an address has it.
fn percent_encoded(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let bytes = name.bytes().map(|b| {
        if plain(b) {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    });
    bytes.collect()
}

/// A name without what means something in an address.
fn address(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_number_are_those_of_pages_of_runs() {
        assert!(is_name("001-ewc.html") && is_name("1000-a-b.html"));
        for other in ["notes.html", "01-ewc.html", "001-ewc.txt", "00a-ewc.html"] {
            assert!(!is_name(other), "{other}");
        }
    }
}
