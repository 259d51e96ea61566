//! What was written later carries the newest value of the ledger's chain as it was then: checkpoints in their header, pages in
//! their head. A ledger that lacks such a value has been cut short or replaced.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use walkdir::WalkDir;

use super::config::Places;
use super::ledger::Ledger;
use crate::run_record::header_entry;
use crate::tables::ErasureRow;

/// Bytes of a page's beginning in which its head lies.
const HEAD_BYTES: u64 = 4096;

/// The checkpoints and pages that carry a value which the ledger does not have, in words.
pub(super) fn strangers(places: &Places, ledger: &Ledger) -> Vec<String> {
    let known: BTreeSet<&str> = ledger.chains().collect();
    let mut found = Vec::new();
    for runs in &places.runs {
        let entries = WalkDir::new(runs).follow_links(true).sort_by_file_name();
        // What cannot be read is named by the search.
        for entry in entries.into_iter().filter_map(Result::ok) {
            let carried = carried(entry.path());
            if let Some(value) = carried.filter(|value| !known.contains(value.as_str())) {
                found.push(format!(
                    "{} was written when the ledger's newest chain value was {value}, which the ledger does not have: it is cut short or another",
                    places.name_of(entry.path())
                ));
            }
        }
    }
    found
}

/// The value that a file carries; none where it is neither a checkpoint nor a page, or carries none.
fn carried(path: &Path) -> Option<String> {
    match path.extension()?.to_str()? {
        "safetensors" => header_entry(path, ErasureRow::CHAIN_KEY).ok().flatten(),
        "html" => of_page(path).ok().flatten(),
        _ => None,
    }
}

fn of_page(path: &Path) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    let head = String::from_utf8_lossy(&head);
    let entry = format!("name=\"{}\" content=\"", ErasureRow::CHAIN_KEY);
    let value = head
        .split_once(&entry)
        .and_then(|(_, after)| after.split_once('"'));
    Ok(value.map(|(value, _)| value.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn checkpoints_and_pages_are_asked_for_what_they_carry() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| -> PathBuf {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let checkpoint = |metadata: &str| {
            let header = format!("{{\"__metadata__\":{{{metadata}}}}}");
            [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
        };
        let with = checkpoint("\"incdec.withdrawals\":\"ab\"");
        assert_eq!(carried(&file("a.safetensors", &with)).unwrap(), "ab");
        assert!(carried(&file("b.safetensors", &checkpoint(""))).is_none());
        assert!(carried(&file("c.safetensors", b"no checkpoint at all")).is_none());
        assert!(carried(&file("d.safetensors", b"short")).is_none());
        let page = b"<head><meta name=\"incdec.withdrawals\" content=\"cd\"></head>";
        assert_eq!(carried(&file("e.html", page)).unwrap(), "cd");
        assert!(carried(&file("f.html", b"<p>incdec.withdrawals")).is_none());
        assert!(carried(&file("g.txt", page)).is_none());
    }
}
