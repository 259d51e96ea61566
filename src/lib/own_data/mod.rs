//! Label tables from a folder of one's own: for everybody who has no Kinetics.
//!
//! The clips lie as `<category>/<subcategory>/<files>`, or as `<label>/<files>` with a taxonomy beside them, or a list says of
//! each path what it shows. Out come `classes.csv`, `train.csv`, `validation.csv` and `test.csv`, as every other stage reads
//! them: a clip is called by its path below the folder without the ending.
//!
//! ```text
//! folder or list --scan--> Found --names--> labels --group--> groups --split--> tables --run--> CSV files
//! ```
//!
//! # The rule of the splits
//!
//! The groups (each clip alone, where none are asked for) are put in an order drawn with the seed. In this order each goes as a
//! whole to the split that falls furthest short of its share in the group's subcategories, counted by clips and as a part of
//! that share. Of splits that fall equally short there train comes first, then that of test and validation which falls further
//! short in all, then test. So no group is ever divided, and a subcategory none of whose groups is in another has training
//! clips, and clips in all three splits where it has at least three groups.

mod config;
mod error;
mod group;
mod list;
mod names;
mod run;
mod scan;
mod split;
mod summary;
mod tables;

pub use config::{GroupBy, OwnDataConfig, Shares};
pub use error::OwnDataError;
pub use run::run;
pub use summary::{OwnDataSummary, SubcategoryCounts};
