//! What the manifest holds and what the audit found, in words.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::audit::Audit;
use crate::clip::Split;
use crate::foreign::printable;
use crate::tables::{ClipRow, ClipStatus};
use crate::taxonomy::Taxonomy;

/// How clips fared, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// All frames decoded.
    pub ok: usize,
    /// Some frames decoded.
    pub partial: usize,
    /// No frame decoded.
    pub failed: usize,
    /// No file.
    pub missing: usize,
}

impl StatusCounts {
    /// All clips.
    #[must_use]
    pub fn labelled(&self) -> usize {
        self.ok + self.partial + self.failed + self.missing
    }

    /// Clips with frames.
    #[must_use]
    pub fn usable(&self) -> usize {
        self.ok + self.partial
    }

    fn add(&mut self, status: ClipStatus) {
        match status {
            ClipStatus::Ok => self.ok += 1,
            ClipStatus::Partial => self.partial += 1,
            ClipStatus::Failed => self.failed += 1,
            ClipStatus::Missing => self.missing += 1,
        }
    }
}

/// What a manifest holds, and its audit. Its text is the stage's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestSummary {
    /// Clips of each split, in the order of [`Split::ALL`].
    pub splits: [StatusCounts; 3],
    /// Category, subcategory, and its clips of each split; in the taxonomy's order.
    pub subcategories: Vec<(String, String, [StatusCounts; 3])>,
    /// Clips in the index that no label table names.
    pub unlabelled: usize,
    /// The findings: a headline with the number of findings, then the first of them.
    findings: Vec<(String, Vec<String>)>,
    listed: usize,
}

impl ManifestSummary {
    pub(super) fn new(
        taxonomy: &Taxonomy,
        rows: &[ClipRow],
        audit: &Audit,
        errors: &BTreeMap<&str, &str>,
        unlabelled: usize,
        listed: usize,
    ) -> Self {
        let mut splits = [StatusCounts::default(); 3];
        let mut by_subcategory: BTreeMap<&str, [StatusCounts; 3]> = BTreeMap::new();
        for row in rows {
            splits[row.split as usize].add(row.status);
            by_subcategory.entry(&row.subcategory).or_default()[row.split as usize].add(row.status);
        }
        let subcategories = taxonomy
            .subcategories()
            .map(|(class, subcategory)| {
                let category = taxonomy.categories()[class].name.clone();
                let counts = by_subcategory.get(subcategory).copied().unwrap_or_default();
                (category, subcategory.to_owned(), counts)
            })
            .collect();
        Self {
            splits,
            subcategories,
            unlabelled,
            findings: findings(rows, audit, errors),
            listed,
        }
    }
}

fn findings(
    rows: &[ClipRow],
    audit: &Audit,
    errors: &BTreeMap<&str, &str>,
) -> Vec<(String, Vec<String>)> {
    let clip = |i: usize| {
        let r = &rows[i];
        format!("{} ({}, {})", r.clip_id, r.split, r.subcategory)
    };
    let clips = |indices: &[usize]| -> Vec<String> {
        indices
            .iter()
            .map(|&i| {
                let reason = errors.get(rows[i].clip_id.as_str());
                clip(i) + &reason.map_or(String::new(), |r| format!(": {}", printable(r)))
            })
            .collect()
    };
    let videos = |videos: &[Vec<usize>]| -> Vec<String> {
        let together = |clips: &Vec<usize>| clips.iter().map(|&i| clip(i)).collect::<Vec<_>>();
        videos.iter().map(|v| together(v).join(", ")).collect()
    };
    let overlaps = audit.overlaps.iter();
    let overlaps = overlaps
        .map(|o| format!("{} and {}: {} s", clip(o.first), clip(o.second), o.seconds))
        .collect();
    [
        ("clips without a file", clips(&audit.missing)),
        ("clips without a single frame", clips(&audit.failed)),
        (
            "clips with fewer frames than promised",
            clips(&audit.partial),
        ),
        (
            "YouTube ids in several splits",
            videos(&audit.in_several_splits),
        ),
        (
            "YouTube ids in several subcategories",
            videos(&audit.in_several_subcategories),
        ),
        ("pairs of clips that overlap in time", overlaps),
    ]
    .map(|(what, list)| (what.to_owned(), list))
    .into()
}

impl fmt::Display for ManifestSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<11} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "split", "labelled", "ok", "partial", "failed", "missing"
        )?;
        for split in Split::ALL {
            let c = &self.splits[split as usize];
            writeln!(
                f,
                "{:<11} {:>8} {:>8} {:>8} {:>8} {:>8}",
                split.name(),
                c.labelled(),
                c.ok,
                c.partial,
                c.failed,
                c.missing
            )?;
        }
        f.write_str("\nclips with frames / labelled\n")?;
        let width = self
            .subcategories
            .iter()
            .map(|(_, s, _)| s.chars().count() + 2)
            .max()
            .unwrap_or(0)
            .max(11);
        let line = |f: &mut fmt::Formatter<'_>, name: &str, counts: &[StatusCounts; 3]| {
            write!(f, "{name:<width$}")?;
            for c in counts {
                write!(f, " {:>11}", format!("{}/{}", c.usable(), c.labelled()))?;
            }
            f.write_char('\n')
        };
        writeln!(
            f,
            "{:<width$} {:>11} {:>11} {:>11}",
            "", "train", "validation", "test"
        )?;
        let mut last = "";
        for (category, subcategory, counts) in &self.subcategories {
            if category != last {
                last = category;
                line(f, category, &self.category(category))?;
            }
            line(f, &format!("  {subcategory}"), counts)?;
        }
        f.write_str("\naudit\n")?;
        for (what, list) in &self.findings {
            writeln!(f, "  {what}: {}", list.len())?;
            for finding in list.iter().take(self.listed) {
                writeln!(f, "    {finding}")?;
            }
            if list.len() > self.listed && self.listed > 0 {
                writeln!(f, "    and {} more", list.len() - self.listed)?;
            }
        }
        writeln!(
            f,
            "  clips in the shards that no label table names: {}",
            self.unlabelled
        )
    }
}

impl ManifestSummary {
    /// The clips of a category in each split.
    fn category(&self, category: &str) -> [StatusCounts; 3] {
        let mut sum = [StatusCounts::default(); 3];
        for (_, _, counts) in self.subcategories.iter().filter(|(c, _, _)| c == category) {
            for (sum, c) in sum.iter_mut().zip(counts) {
                sum.ok += c.ok;
                sum.partial += c.partial;
                sum.failed += c.failed;
                sum.missing += c.missing;
            }
        }
        sum
    }
}
