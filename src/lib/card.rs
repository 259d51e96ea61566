//! Cards: short texts in Markdown beside what they describe, made from its record.
//!
//! The last line is a comment with the hash of everything before it, so that a card which somebody
//! has gone on writing in is nobody's to replace or to remove.

use std::path::Path;

use crate::artifact::{self, ArtifactError};

/// What stands before the hash, and behind it.
const BEFORE: &str = "<!-- blake3 ";
const BEHIND: &str = " -->\n";

/// Publishes a card; where the file is there with the same text, nothing is done.
///
/// # Errors
/// When the disk refuses.
pub fn publish(path: &Path, text: &str) -> Result<(), ArtifactError> {
    artifact::publish_if_changed(path, sealed(text).as_bytes()).map(|_| ())
}

/// The text with its hash behind it.
fn sealed(text: &str) -> String {
    let text = format!("{}\n\n", text.trim_end());
    let hash = blake3::hash(text.as_bytes()).to_hex();
    format!("{text}{BEFORE}{hash}{BEHIND}")
}

/// Whether a text is a card as this program wrote it.
#[must_use]
pub fn is_sealed(text: &str) -> bool {
    let Some((body, rest)) = text.rsplit_once(BEFORE) else {
        return false;
    };
    let hash = blake3::hash(body.as_bytes()).to_hex();
    rest.strip_suffix(BEHIND) == Some(hash.as_str())
}

/// A table of Markdown.
#[must_use]
pub fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut table = line(&head.map(str::to_owned));
    table += &line(&head.map(|_| "---".to_owned()));
    for row in rows {
        // A bar within a cell would end it.
        table += &line(&row.map(|cell| cell.replace('|', "\\|").replace('\n', " ")));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_letter_breaks_the_seal() {
        let card = sealed("# A card\n\n0.406\n");
        assert!(is_sealed(&card), "{card}");
        for changed in [
            card.replace("0.406", "0.506"),
            format!("{card}more\n"),
            "# A card\n".to_owned(),
            BEFORE.to_owned(),
        ] {
            assert!(!is_sealed(&changed), "{changed}");
        }
    }

    #[test]
    fn a_cell_ends_no_column() {
        let rows = [["a|b".to_owned(), "c".to_owned()]];
        assert_eq!(
            table(["x", "y"], rows),
            "| x | y |\n| --- | --- |\n| a\\|b | c |\n"
        );
    }
}
