//! What a plan says: the clips that are wanted, and the archives that may hold them.

use std::collections::BTreeMap;

use crate::download::ledger::ArchiveRecord;
use crate::store::{Facts, Link};

/// A clip that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedClip {
    /// The subcategory, which is the Kinetics class.
    pub subcategory: String,
    /// The archive folder as the label table calls it.
    pub source_split: String,
}

/// An archive that may hold wanted clips.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedArchive {
    /// Path below the source, or the URL of one that lies elsewhere; without secrets.
    pub path: String,
    /// What the source is asked for: the path with what opens it.
    pub link: Link,
    /// Where it was asked for: its path behind the source's address, without secrets.
    pub url: String,
    /// The class that it should hold; none where classes are spread over all archives.
    pub class: Option<String>,
    /// The class that its first header names.
    pub first_class: Option<String>,
    /// Size and tag.
    pub facts: Facts,
    /// Clips looked for in it that are not there yet.
    pub clips: usize,
    /// Whether no earlier run read it to its end as it is now.
    pub renewed: bool,
    /// Clips of its class in the official annotations; 0 where unknown.
    pub annotated: usize,
}

impl PlannedArchive {
    /// The archive at `link` of `source`, of which nothing else is known yet.
    pub(crate) fn at(link: Link, source: &str) -> Self {
        let path = link.bare();
        let url = if path.contains("://") {
            path.clone()
        } else {
            format!("{}/{path}", source.trim_end_matches('/'))
        };
        Self {
            path,
            link,
            url,
            ..Self::default()
        }
    }

    /// An archive of which a first header was read, or more.
    pub(crate) fn probed(record: ArchiveRecord) -> Self {
        Self {
            path: record.path,
            url: record.url,
            first_class: record.first_class,
            ..Self::default()
        }
    }

    /// What its first header says of it.
    pub(crate) fn record(&self) -> ArchiveRecord {
        ArchiveRecord {
            path: self.path.clone(),
            url: self.url.clone(),
            first_class: self.first_class.clone(),
            ..ArchiveRecord::default()
        }
    }

    /// Whether clips of the class may be in it.
    #[must_use]
    pub(crate) fn may_hold(&self, class: &str) -> bool {
        self.class.as_deref().is_none_or(|own| own == class)
    }

    /// Bytes that its wanted clips will take on disk, estimated from their share of the class.
    #[must_use]
    pub fn estimated_clip_bytes(&self) -> Option<u64> {
        let bytes = u128::from(self.facts.bytes?);
        let all = self.annotated.max(self.clips).max(1) as u128;
        u64::try_from(bytes * self.clips as u128 / all).ok()
    }
}

/// What will be fetched.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Archives to read, by path.
    pub archives: Vec<PlannedArchive>,
    /// Archives of the index.
    pub indexed: usize,
    /// Whether archive numbers were found to tell the class.
    pub numbered: bool,
    /// What every archive's first header says, for the ledger.
    pub probed: Vec<PlannedArchive>,
    /// Clips to find, by class.
    pub classes: BTreeMap<String, usize>,
}

impl Plan {
    /// Bytes that the wanted clips will take on disk, estimated; `None` where a size is not known.
    #[must_use]
    pub fn estimated_clip_bytes(&self) -> Option<u64> {
        total_bytes(
            self.archives
                .iter()
                .map(PlannedArchive::estimated_clip_bytes),
        )
    }

    /// Bytes of the archives; `None` where a size is not known.
    #[must_use]
    pub fn archive_bytes(&self) -> Option<u64> {
        total_bytes(self.archives.iter().map(|a| a.facts.bytes))
    }

    /// Whether each archive's class is known. Where it is not, the estimate is that of all clips in
    /// the archives.
    #[must_use]
    pub fn by_class(&self) -> bool {
        self.archives.iter().all(|a| a.class.is_some())
    }
}

/// The sum of sizes, whatever servers say that they are.
fn total_bytes(sizes: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    sizes
        .into_iter()
        .try_fold(0, |sum: u64, bytes| Some(sum.saturating_add(bytes?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_servers_make_up_are_added_without_overflow() {
        assert_eq!(
            total_bytes([Some(u64::MAX), Some(2)].into_iter()),
            Some(u64::MAX)
        );
        assert_eq!(total_bytes([Some(3), Some(2)].into_iter()), Some(5));
        assert_eq!(total_bytes([Some(3), None].into_iter()), None);
        let archive = PlannedArchive {
            facts: Facts {
                bytes: Some(u64::MAX),
                ..Facts::default()
            },
            clips: 3,
            ..PlannedArchive::default()
        };
        assert_eq!(archive.estimated_clip_bytes(), Some(u64::MAX));
    }
}
