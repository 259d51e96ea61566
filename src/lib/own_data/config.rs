//! What is asked for.

use std::path::PathBuf;
use std::str::FromStr;

use regex::Regex;

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct OwnDataConfig {
    /// The folder of clips.
    pub clips: PathBuf,
    /// The folder of the tables.
    pub out: PathBuf,
    /// Categories and their subcategories, as `Category,Subcategory`: the clips' folders (or the list's labels) are then
    /// subcategories.
    pub taxonomy: Option<PathBuf>,
    /// A list of `path label`, instead of the folders' names.
    pub list: Option<PathBuf>,
    /// What may not be divided. Default: nothing but a clip.
    pub group_by: Option<GroupBy>,
    /// The shares of the splits. Default: 80/10/10.
    pub shares: Shares,
    /// The seed of the order in which groups are dealt. Default: 0.
    pub seed: u64,
    /// Whether the tables are only described. Default: no.
    pub dry_run: bool,
    /// Whether tables that are there already may be replaced. Default: no.
    pub force: bool,
}

/// The shares of train, validation and test, in any unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares(pub [u32; 3]);

impl Default for Shares {
    fn default() -> Self {
        Self([80, 10, 10])
    }
}

impl FromStr for Shares {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected =
            || format!("{text:?}: expected train/validation/test, as in 80/10/10, each at least 1");
        let shares: Result<Vec<u32>, _> = text.split('/').map(str::parse).collect();
        let shares = shares
            .ok()
            .and_then(|shares| <[u32; 3]>::try_from(shares).ok());
        shares
            .filter(|shares| shares.iter().all(|share| (1..=1_000_000).contains(share)))
            .map(Self)
            .ok_or_else(expected)
    }
}

/// What a clip may not be divided from.
#[derive(Clone, Debug)]
pub enum GroupBy {
    /// The clips of one folder are one group.
    Folder,
    /// A CSV with the columns `clip` and `group`.
    Csv(PathBuf),
    /// What the first parentheses of an expression (or all of it) match in the clip's path without its ending.
    Expression(Regex),
}

impl FromStr for GroupBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "folder" {
            return Ok(Self::Folder);
        }
        let path = PathBuf::from(text);
        if path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
        {
            return Ok(Self::Csv(path));
        }
        let expression = Regex::new(text).map_err(|e| e.to_string())?;
        Ok(Self::Expression(expression))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_groups_are_read_from_flags_or_refused() {
        assert_eq!("60/20/20".parse(), Ok(Shares([60, 20, 20])));
        for wrong in ["80/10", "80/10/0", "a/b/c", "80/10/10/0", "-1/1/1"] {
            assert!(wrong.parse::<Shares>().is_err(), "{wrong}");
        }
        assert!(matches!("folder".parse(), Ok(GroupBy::Folder)));
        assert!(matches!("a/groups.CSV".parse(), Ok(GroupBy::Csv(_))));
        assert!(matches!(r"_g(\d+)_".parse(), Ok(GroupBy::Expression(_))));
        assert!("(".parse::<GroupBy>().is_err());
    }
}
