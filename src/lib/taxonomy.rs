//! The taxonomy: categories (the model's classes) and their latent subcategories (Kinetics
//! classes).
//!
//! The order is part of the scientific contract: the first appearance of a category is its class
//! index, and the random draws of the splits go through categories and subcategories in this order.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::foreign::{composed, printable};
use crate::hint::Hint;
use crate::named_csv::{NamedCsv, NamedCsvError};

/// Most subcategories; the largest published taxonomies have thousands.
const MAX_SUBCATEGORIES: usize = 1_000_000;
/// Longest name, in bytes; names become those of folders.
pub(crate) const MAX_NAME_BYTES: usize = 200;

/// A category with its subcategories, in the table's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// The category's name, a class of the model.
    pub name: String,
    /// Its subcategories, each a Kinetics class.
    pub subcategories: Vec<String>,
}

/// All categories in class order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taxonomy {
    categories: Vec<Category>,
    places: HashMap<String, Place>,
    /// The names that are not in Unicode's composed form, by that form.
    composed: HashMap<String, String>,
}

/// Where a subcategory stands in its taxonomy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The class index of its category.
    pub class: usize,
    /// Its index among the category's subcategories.
    pub index: usize,
    /// Its number among all subcategories, category after category.
    pub number: usize,
}

/// Why a taxonomy was refused.
#[derive(Debug, thiserror::Error)]
pub enum TaxonomyError {
    /// The table cannot be read as CSV with the columns `Category` and `Subcategory`.
    #[error(transparent)]
    Csv(#[from] NamedCsvError),
    /// A name is empty or could not be a folder's name.
    #[error(
        "{path}, line {line}: \"{}\" cannot be the name of a category or subcategory",
        printable(name)
    )]
    Name {
        /// The taxonomy's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The name that was refused.
        name: String,
    },
    /// A subcategory stands in the table twice.
    #[error(
        "{path}: subcategory \"{}\" occurs twice; it must belong to exactly one category",
        printable(name)
    )]
    Shared {
        /// The taxonomy's file.
        path: PathBuf,
        /// The subcategory.
        name: String,
    },
    /// There are more subcategories than any taxonomy has.
    #[error("{path}: more than {MAX_SUBCATEGORIES} subcategories")]
    TooMany {
        /// The taxonomy's file.
        path: PathBuf,
    },
    /// A table's settings hold no taxonomy.
    #[error("{path}: the taxonomy in the table's settings is missing or damaged")]
    Metadata {
        /// The table's file.
        path: PathBuf,
    },
    /// The table has no rows.
    #[error("{path}: there is no category")]
    Empty {
        /// The taxonomy's file.
        path: PathBuf,
    },
}

impl Hint for TaxonomyError {
    fn hint(&self) -> Option<String> {
        if let Self::Csv(e) = self
            && let Some(hint) = e.hint()
        {
            return Some(hint);
        }
        Some("a taxonomy is a CSV with the header Category,Subcategory and one line a subcategory, as in Kinetics/Info/classes.csv".into())
    }
}

impl Taxonomy {
    /// The name of the file.
    pub const FILE: &str = "classes.csv";
    /// The key of the taxonomy among a table's settings.
    pub const SETTING: &str = "taxonomy";

    /// Reads `classes.csv`.
    ///
    /// # Errors
    /// When the file is not such a table, a name is empty or unusable, or a subcategory occurs
    /// twice.
    pub fn read(path: &Path) -> Result<Self, TaxonomyError> {
        let table = NamedCsv::open(path)?;
        let (category, subcategory) = (table.column("Category")?, table.column("Subcategory")?);
        let mut pairs = Vec::new();
        for record in table.rows() {
            let (line, record) = record?;
            let name = |c: usize| {
                let name = record.get(c).unwrap_or_default();
                if is_usable_name(name) {
                    Ok(name.to_owned())
                } else {
                    Err(TaxonomyError::Name {
                        path: path.to_owned(),
                        line,
                        name: name.to_owned(),
                    })
                }
            };
            pairs.push((name(category)?, name(subcategory)?));
        }
        Self::from_pairs(path, pairs)
    }

    /// Builds a taxonomy from (category, subcategory) pairs in the table's order; `path` only names
    /// the table in errors.
    ///
    /// # Errors
    /// When there is no pair or a subcategory occurs twice.
    pub fn from_pairs(
        path: &Path,
        pairs: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, TaxonomyError> {
        let mut categories: Vec<Category> = Vec::new();
        let mut classes: HashMap<String, usize> = HashMap::new();
        for (category, subcategory) in pairs {
            let class = classes.get(&category).copied().unwrap_or_else(|| {
                classes.insert(category.clone(), categories.len());
                categories.push(Category {
                    name: category,
                    subcategories: Vec::new(),
                });
                categories.len() - 1
            });
            categories[class].subcategories.push(subcategory);
        }
        Self::new(path, categories)
    }

    /// The taxonomy of these categories; `path` only names the table in errors.
    ///
    /// # Errors
    /// When there is no category, or a subcategory occurs twice.
    pub fn new(path: &Path, categories: Vec<Category>) -> Result<Self, TaxonomyError> {
        let path = || path.to_owned();
        if categories.is_empty() {
            return Err(TaxonomyError::Empty { path: path() });
        }
        let mut places = HashMap::new();
        let mut composed_names = HashMap::new();
        for (class, category) in categories.iter().enumerate() {
            for (index, name) in category.subcategories.iter().enumerate() {
                let number = places.len();
                if number == MAX_SUBCATEGORIES {
                    return Err(TaxonomyError::TooMany { path: path() });
                }
                let place = Place {
                    class,
                    index,
                    number,
                };
                let plain = composed(name);
                let is_known = places.contains_key(&*plain) || composed_names.contains_key(&*plain);
                if plain != name.as_str() {
                    composed_names.insert(plain.into_owned(), name.clone());
                }
                if places.insert(name.clone(), place).is_some() || is_known {
                    return Err(TaxonomyError::Shared {
                        path: path(),
                        name: name.clone(),
                    });
                }
            }
        }
        Ok(Self {
            categories,
            places,
            composed: composed_names,
        })
    }

    /// The categories in class order.
    #[must_use]
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.categories.len()
    }

    /// The names of the categories in class order.
    #[must_use]
    pub fn category_names(&self) -> Vec<String> {
        self.categories.iter().map(|c| c.name.clone()).collect()
    }

    /// All subcategories with their class, by their numbers.
    pub fn subcategories(&self) -> impl Iterator<Item = (usize, &str)> {
        self.categories
            .iter()
            .enumerate()
            .flat_map(|(class, c)| c.subcategories.iter().map(move |s| (class, s.as_str())))
    }

    /// The class of a subcategory and its name as the taxonomy spells it, if the taxonomy knows it:
    /// the same letters in another Unicode form are the same name.
    #[must_use]
    pub fn find(&self, subcategory: &str) -> Option<(usize, &str)> {
        let plain = composed(subcategory);
        let spelt = self.composed.get(&*plain).map(String::as_str);
        let spellings = [Some(subcategory), Some(&*plain), spelt];
        let mut found = spellings.into_iter().flatten();
        let (name, place) = found.find_map(|name| self.places.get_key_value(name))?;
        Some((place.class, name))
    }

    /// Where a subcategory stands, if the taxonomy knows it.
    #[must_use]
    pub fn place(&self, subcategory: &str) -> Option<Place> {
        self.places.get(subcategory).copied()
    }

    /// The class index of a subcategory's category, if the taxonomy knows it.
    #[must_use]
    pub fn class_of(&self, subcategory: &str) -> Option<usize> {
        self.place(subcategory).map(|place| place.class)
    }

    /// The taxonomy as tables carry it among their settings:
    /// `[[category, [subcategory, ...]], ...]` in class order. A table alone then suffices, though
    /// its rows cannot tell the order of the subcategories.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.categories
            .iter()
            .map(|c| serde_json::json!([c.name, c.subcategories]))
            .collect()
    }

    /// Reads the taxonomy among a table's settings; `path` only names the table in errors.
    ///
    /// # Errors
    /// When there is none, or what is there is no taxonomy.
    pub fn of_settings(path: &Path, settings: &Map<String, Value>) -> Result<Self, TaxonomyError> {
        let recorded = settings.get(Self::SETTING).cloned().unwrap_or_default();
        let recorded: Vec<(String, Vec<String>)> =
            serde_json::from_value(recorded).map_err(|_| TaxonomyError::Metadata {
                path: path.to_owned(),
            })?;
        let pairs = recorded.into_iter().flat_map(|(category, all)| {
            let category = move |subcategory| (category.clone(), subcategory);
            all.into_iter().map(category)
        });
        Self::from_pairs(path, pairs)
    }
}

/// Names become folder names: no separators, no control characters, nothing that starts with a dot.
pub(crate) fn is_usable_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Taxonomy, TaxonomyError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("classes.csv");
        std::fs::write(&path, text).unwrap();
        Taxonomy::read(&path)
    }

    #[test]
    fn the_published_taxonomy_has_5_categories_and_37_subcategories() {
        let t = Taxonomy::read(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("Kinetics/Info/classes.csv"),
        )
        .unwrap();
        let names: Vec<_> = t.categories().iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["food", "phone", "smoking", "fatigue", "selfcare"]);
        let sizes: Vec<_> = t
            .categories()
            .iter()
            .map(|c| c.subcategories.len())
            .collect();
        assert_eq!(sizes, [14, 3, 3, 5, 12]);
        let yawning = Place {
            class: 3,
            index: 1,
            number: 21,
        };
        assert_eq!(t.place("yawning"), Some(yawning));
    }

    #[test]
    fn each_kind_of_bad_table_is_refused_by_its_own_error() {
        use TaxonomyError as E;
        assert!(matches!(
            read("Category,Subcategory\n"),
            Err(E::Empty { .. })
        ));
        assert!(matches!(
            read("Category,Sub\na,b\n"),
            Err(E::Csv(NamedCsvError::Column { column, .. })) if column == "Subcategory"
        ));
        assert!(matches!(
            read("Category,Subcategory\na,b\nc,b\n"),
            Err(E::Shared { .. })
        ));
        assert!(matches!(
            read("Category,Subcategory\na,../b\n"),
            Err(E::Name { line: 2, .. })
        ));
        assert!(matches!(
            read("Category,Subcategory\na,\n"),
            Err(E::Name { .. })
        ));
        assert!(matches!(
            read("Category,Subcategory\na,b,c\n"),
            Err(E::Csv { .. })
        ));
    }

    #[test]
    fn as_many_categories_as_subcategories_are_read_in_one_pass() {
        let pairs = (0..200_000).map(|n| (format!("c{n}"), format!("s{n}")));
        let taxonomy = Taxonomy::from_pairs(Path::new("classes.csv"), pairs).unwrap();
        assert_eq!(taxonomy.classes(), 200_000);
        let place = taxonomy.place("s123456").unwrap();
        assert_eq!(
            (place.class, place.index, place.number),
            (123_456, 0, 123_456)
        );
        let pairs = (0..=MAX_SUBCATEGORIES).map(|n| ("c".to_owned(), n.to_string()));
        let error = Taxonomy::from_pairs(Path::new("classes.csv"), pairs).unwrap_err();
        assert!(matches!(error, TaxonomyError::TooMany { .. }));
    }

    #[test]
    fn a_name_of_any_length_is_refused_in_a_short_line() {
        let long = "x".repeat(500_000);
        for table in [
            format!("{long},b"),
            format!("a,{long}"),
            "a,\u{1b}[2J".into(),
        ] {
            let text = read(&format!("Category,Subcategory\n{table}\n"))
                .unwrap_err()
                .to_string();
            assert!(text.len() < 600 && !text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn a_taxonomy_survives_a_tables_settings() {
        let t = read("Category,Subcategory\nb,x\na,y\nb,z\n").unwrap();
        let path = Path::new("clips.parquet");
        let settings = Map::from_iter([(Taxonomy::SETTING.to_owned(), t.to_json())]);
        assert_eq!(Taxonomy::of_settings(path, &settings).unwrap(), t);
        assert!(matches!(
            Taxonomy::of_settings(path, &Map::new()),
            Err(TaxonomyError::Metadata { .. })
        ));
    }

    #[test]
    fn a_name_in_another_unicode_form_is_the_same_name_in_the_tables_spelling() {
        let (one, two) = ("caf\u{e9}", "cafe\u{301}");
        for (spelt, other) in [(one, two), (two, one)] {
            let t = read(&format!("Category,Subcategory\na,{spelt}\nb,tea\n")).unwrap();
            assert_eq!(t.find(spelt), Some((0, spelt)));
            assert_eq!(t.find(other), Some((0, spelt)));
            assert_eq!(t.find("cafe"), None);
            let twice = read(&format!("Category,Subcategory\na,{spelt}\nb,{other}\n"));
            assert!(matches!(twice, Err(TaxonomyError::Shared { .. })));
        }
    }

    #[test]
    fn columns_are_found_by_name_and_categories_may_be_interleaved() {
        let t = read("Subcategory,Category\nx,a\ny,b\nz,a\n").unwrap();
        assert_eq!(t.categories()[0].subcategories, ["x", "z"]);
        assert_eq!(
            t.subcategories().collect::<Vec<_>>(),
            [(0, "x"), (0, "z"), (1, "y")]
        );
    }
}
