//! What each clip shows, by names that the other stages take.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::OwnDataError;
use crate::foreign::{composed, steers};
use crate::named_csv::NamedCsv;
use crate::taxonomy::{MAX_NAME_BYTES, is_usable_name};

/// The subcategories, and which of them each clip shows.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    /// Category and subcategory, in the taxonomy's order.
    pub(super) pairs: Vec<(String, String)>,
    /// The subcategory of each clip, as an index into `pairs`.
    pub(super) of_clips: Vec<usize>,
    /// Names that were changed: what was found, and what it is called now.
    pub(super) renamed: Vec<(String, String)>,
}

/// Names clips that lie as `<category>/<subcategory>/...`, given their ids.
pub(super) fn by_folders(ids: &[&str]) -> Result<Assignment, OwnDataError> {
    let mut labels = Vec::new();
    let mut astray = Vec::new();
    for id in ids {
        let mut parts = id.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(category), Some(subcategory), Some(_)) => labels.push((category, subcategory)),
            _ => astray.push(*id),
        }
    }
    refuse_astray(&astray, "<category>/<subcategory>/<files>")?;
    let found: BTreeSet<(&str, &str)> = labels.iter().copied().collect();
    let mut names = House::default();
    let mut places = HashMap::new();
    let mut homes: HashMap<String, usize> = HashMap::new();
    for (_, subcategory) in &found {
        *homes.entry(house_name(subcategory)).or_default() += 1;
    }
    for &(category, subcategory) in &found {
        let home = names.category(category)?;
        let name = house_name(subcategory);
        // A subcategory belongs to one category, so a name that several have takes theirs in front.
        let name = if homes[&name] > 1 {
            house_name(&format!("{home}_{name}"))
        } else {
            name
        };
        let place = names.subcategory(
            &home,
            &format!("{category}/{subcategory}"),
            subcategory,
            name,
        )?;
        places.insert((category, subcategory), place);
    }
    let of_clips = labels.iter().map(|label| places[label]).collect();
    Ok(names.finish(of_clips))
}

/// Names clips by their labels: subcategories of the taxonomy, or, without one, categories of their own.
pub(super) fn by_labels(
    labels: &[&str],
    taxonomy: Option<&Path>,
) -> Result<Assignment, OwnDataError> {
    let mut names = House::default();
    match taxonomy {
        Some(path) => {
            let table = NamedCsv::open(path)?;
            let (category, subcategory) = (table.column("Category")?, table.column("Subcategory")?);
            for record in table.rows() {
                let (_, record) = record?;
                let home = names.category(record.get(category).unwrap_or_default())?;
                let found = record.get(subcategory).unwrap_or_default();
                names.subcategory(&home, found, found, house_name(found))?;
            }
        }
        None => {
            for found in labels.iter().collect::<BTreeSet<_>>() {
                let home = names.category(found)?;
                names.subcategory(&home, found, found, house_name(found))?;
            }
        }
    }
    let place = |label: &&str| names.places.get(&*composed(&house_name(label))).copied();
    let unknown: BTreeSet<&&str> = labels
        .iter()
        .filter(|label| place(label).is_none())
        .collect();
    if let (Some(path), false) = (taxonomy, unknown.is_empty()) {
        return Err(OwnDataError::Label {
            path: path.to_owned(),
            labels: unknown
                .into_iter()
                .map(|label| (*label).to_owned())
                .collect(),
        });
    }
    let of_clips = labels.iter().filter_map(place).collect();
    Ok(names.finish(of_clips))
}

/// The labels of clips that lie as `<label>/...`, given their ids.
pub(super) fn folder_labels<'i>(ids: &[&'i str]) -> Result<Vec<&'i str>, OwnDataError> {
    let cut = |id: &&'i str| id.split_once('/').map(|(label, _)| label);
    let astray: Vec<&str> = ids.iter().filter(|id| cut(id).is_none()).copied().collect();
    refuse_astray(&astray, "<label>/<files>")?;
    Ok(ids.iter().filter_map(cut).collect())
}

fn refuse_astray(astray: &[&str], expected: &'static str) -> Result<(), OwnDataError> {
    match astray.first() {
        None => Ok(()),
        Some(first) => Err(OwnDataError::Place {
            count: astray.len(),
            expected,
            first: (*first).to_owned(),
        }),
    }
}

/// A name that can be a folder's and a column's: slashes and control characters become `_`, so does a dot in front, and what
/// is too long is cut.
fn house_name(found: &str) -> String {
    let is_refused = |c: char| steers(c) || matches!(c, '/' | '\\');
    let mut name: String = found
        .trim()
        .chars()
        .map(|c| if is_refused(c) { '_' } else { c })
        .collect();
    if name.is_empty() || name.starts_with('.') {
        name.replace_range(..name.len().min(1), "_");
    }
    while !is_usable_name(&name) && name.len() > MAX_NAME_BYTES {
        name.pop();
    }
    name
}

/// Names as they are given.
#[derive(Default)]
struct House {
    pairs: Vec<(String, String)>,
    /// What was found behind each category's name.
    categories: BTreeMap<String, String>,
    /// What was found behind each subcategory's name, which is in Unicode's composed form.
    subcategories: BTreeMap<String, String>,
    /// Where each subcategory stands, by its name in that form.
    places: HashMap<String, usize>,
    renamed: Vec<(String, String)>,
}

impl House {
    /// The name of a category.
    fn category(&mut self, found: &str) -> Result<String, OwnDataError> {
        let name = house_name(found);
        match self.categories.get(&*composed(&name)) {
            None => {
                self.categories
                    .insert(composed(&name).into_owned(), found.to_owned());
                self.note(found, &name);
            }
            Some(before) if before == found => {}
            Some(before) => return Err(one_name(before, found, name)),
        }
        Ok(name)
    }

    /// Gives a subcategory of `category` its name; `origin` is what tells it from every other.
    fn subcategory(
        &mut self,
        category: &str,
        origin: &str,
        found: &str,
        name: String,
    ) -> Result<usize, OwnDataError> {
        let key = composed(&name).into_owned();
        if let Some(before) = self.subcategories.insert(key.clone(), origin.to_owned()) {
            return Err(one_name(&before, origin, name));
        }
        self.note(if found == name { found } else { origin }, &name);
        self.places.insert(key, self.pairs.len());
        self.pairs.push((category.to_owned(), name));
        Ok(self.pairs.len() - 1)
    }

    fn note(&mut self, found: &str, name: &str) {
        let change = (found.to_owned(), name.to_owned());
        if found != name && !self.renamed.contains(&change) {
            self.renamed.push(change);
        }
    }

    fn finish(self, of_clips: Vec<usize>) -> Assignment {
        Assignment {
            pairs: self.pairs,
            of_clips,
            renamed: self.renamed,
        }
    }
}

fn one_name(first: &str, second: &str, name: String) -> OwnDataError {
    OwnDataError::OneName {
        both: (first.to_owned(), second.to_owned()),
        name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).into()
    }

    #[test]
    fn two_folders_name_category_and_subcategory() {
        let names = by_folders(&["b/y/1", "a/x/2", "a/x/deep/er/3"]).unwrap();
        assert_eq!(names.pairs, owned([("a", "x"), ("b", "y")]));
        assert_eq!(names.of_clips, [1, 0, 0]);
        assert!(names.renamed.is_empty());
        let error = by_folders(&["a/x/1", "a/2", "3"]).unwrap_err();
        assert!(matches!(error, OwnDataError::Place { count: 2, .. }));
    }

    #[test]
    fn a_subcategory_of_two_categories_takes_their_names_in_front() {
        let names = by_folders(&["in/walk/1", "out/walk/2", "out/run/3"]).unwrap();
        assert_eq!(
            names.pairs,
            owned([("in", "in_walk"), ("out", "run"), ("out", "out_walk")])
        );
        assert_eq!(
            names.renamed,
            owned([("in/walk", "in_walk"), ("out/walk", "out_walk")])
        );
    }

    #[test]
    fn names_that_no_stage_takes_are_changed_and_said() {
        let names = by_labels(&["pull/push", "..hidden", "a\u{1b}b"], None).unwrap();
        let renamed = owned([
            ("..hidden", "_.hidden"),
            ("a\u{1b}b", "a_b"),
            ("pull/push", "pull_push"),
        ]);
        assert_eq!(names.renamed, renamed);
        assert_eq!(names.of_clips, [2, 0, 1]);
        for (category, subcategory) in &names.pairs {
            assert!(is_usable_name(category) && is_usable_name(subcategory));
        }
        assert!(is_usable_name(&house_name(&"ä".repeat(500))) && is_usable_name(&house_name(" ")));
        let error = by_labels(&["a/b", "a_b"], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"a/b\" and \"a_b\" would both be called \"a_b\""
        );
    }

    #[test]
    fn a_taxonomy_gives_order_and_categories_and_must_know_every_label() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("classes.csv");
        std::fs::write(
            &path,
            "Category,Subcategory\nsport,pull/push\nhome,caf\u{e9}\nsport,none\n",
        )
        .unwrap();
        let names = by_labels(&["cafe\u{301}", "pull/push"], Some(&path)).unwrap();
        assert_eq!(
            names.pairs,
            owned([
                ("sport", "pull_push"),
                ("home", "caf\u{e9}"),
                ("sport", "none")
            ])
        );
        assert_eq!(names.of_clips, [1, 0]);
        let error = by_labels(&["x", "pull/push", "y"], Some(&path)).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("has no subcategory \"x\", \"y\""),
            "{error}"
        );
        assert_eq!(
            folder_labels(&["walk/1", "run/a/2"]).unwrap(),
            ["walk", "run"]
        );
        assert!(folder_labels(&["walk"]).is_err());
    }
}
