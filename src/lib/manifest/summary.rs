//! What the manifest holds and what the audit found, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer};

use super::audit::Audit;
use super::stored::Stored;
use crate::clip::Split;
use crate::foreign::printable;
use crate::tables::{ClipRow, ClipStatus};
use crate::taxonomy::Taxonomy;

/// How clips fared, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StatusCounts {
    /// All frames decoded.
    pub ok: usize,
    /// Some frames decoded.
    pub partial: usize,
    /// No frame decoded.
    pub failed: usize,
    /// No file.
    pub missing: usize,
    /// Withdrawn: neither fetched nor decoded nor used.
    pub withdrawn: usize,
}

impl StatusCounts {
    /// All clips.
    #[must_use]
    pub fn labelled(&self) -> usize {
        self.ok + self.partial + self.failed + self.missing + self.withdrawn
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
            ClipStatus::Withdrawn => self.withdrawn += 1,
        }
    }
}

/// What a manifest holds, and its audit. Its text is the stage's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManifestSummary {
    /// Clips of each split, in the order of [`Split::ALL`].
    #[serde(serialize_with = "by_split")]
    pub splits: [StatusCounts; 3],
    /// Category, subcategory, and its clips of each split; in the taxonomy's order.
    #[serde(serialize_with = "by_subcategory")]
    pub subcategories: Vec<(String, String, [StatusCounts; 3])>,
    /// Clips in the shards that no label table names.
    pub unlabelled: usize,
    /// The findings: a headline with the number of findings, then the first of them.
    #[serde(serialize_with = "counted")]
    findings: Vec<(String, Vec<String>)>,
    #[serde(skip)]
    listed: usize,
}

/// Counts of each split under its name.
fn by_split<S: Serializer>(counts: &[StatusCounts; 3], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(
        Split::ALL
            .iter()
            .map(|split| (split.name(), &counts[*split as usize])),
    )
}

/// Subcategories as objects.
fn by_subcategory<S: Serializer>(
    rows: &[(String, String, [StatusCounts; 3])],
    to: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'a> {
        category: &'a str,
        subcategory: &'a str,
        #[serde(serialize_with = "by_split")]
        splits: [StatusCounts; 3],
    }
    to.collect_seq(rows.iter().map(|(category, subcategory, splits)| Row {
        category,
        subcategory,
        splits: *splits,
    }))
}

/// How many findings of each kind there are.
fn counted<S: Serializer>(findings: &[(String, Vec<String>)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(findings.iter().map(|(what, list)| (what, list.len())))
}

impl ManifestSummary {
    pub(super) fn new(
        taxonomy: &Taxonomy,
        rows: &[ClipRow],
        audit: &Audit,
        errors: &BTreeMap<&str, &str>,
        stored: &Stored,
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
            unlabelled: stored.unlabelled.len(),
            findings: findings(rows, audit, errors, stored),
            listed,
        }
    }
}

fn findings(
    rows: &[ClipRow],
    audit: &Audit,
    errors: &BTreeMap<&str, &str>,
    stored: &Stored,
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
    let short = audit.short.iter();
    let short = short
        .map(|s| format!("{}: {:.1} of {} s", clip(s.row), s.seconds, s.labelled_s))
        .collect();
    let overlaps = audit.overlaps.iter();
    let overlaps = overlaps
        .map(|o| format!("{} and {}: {} s", clip(o.first), clip(o.second), o.seconds))
        .collect();
    let ids = |ids: &BTreeSet<String>| ids.iter().map(|id| printable(id).into_owned()).collect();
    // Where every group is a video, it is called so.
    let are_videos = rows.iter().all(|r| r.group == r.youtube_id);
    let [several_splits, several_subcategories] = if are_videos {
        [
            "YouTube ids in several splits",
            "YouTube ids in several subcategories",
        ]
    } else {
        [
            "groups in several splits",
            "groups in several subcategories",
        ]
    };
    let mut found: Vec<(String, Vec<String>)> = [
        ("clips without a file", clips(&audit.missing)),
        ("clips without a single frame", clips(&audit.failed)),
        (
            "clips with fewer frames than promised",
            clips(&audit.partial),
        ),
        (several_splits, videos(&audit.in_several_splits)),
        (
            several_subcategories,
            videos(&audit.in_several_subcategories),
        ),
        ("pairs of clips that overlap in time", overlaps),
        (
            "clips of less than half the length that their label says",
            short,
        ),
        (
            "files that are clips of several ids in several splits",
            videos(&audit.same_in_several_splits),
        ),
        (
            "files that are clips of several ids in one split",
            videos(&audit.same_in_one_split),
        ),
    ]
    .map(|(what, list)| (what.to_owned(), list))
    .into();
    // Said only where there is something to do, with the command that does it.
    for (what, clips, selector) in [
        (
            "withdrawn clips whose frames are still stored",
            &stored.withdrawn,
            "--clips <labels>/withdrawn.csv",
        ),
        (
            "clips in the shards that no label table names",
            &stored.unlabelled,
            "--unlabelled",
        ),
    ] {
        if !clips.is_empty() {
            let command = format!("make erase ERASE='{selector}' REQUEST=<name of the request>");
            found.push((format!("{what} (erase them with `{command}`)"), ids(clips)));
        }
    }
    found
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
        let withdrawn: usize = self.splits.iter().map(|c| c.withdrawn).sum();
        if withdrawn > 0 {
            writeln!(f, "\n{withdrawn} clips have been withdrawn")?;
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
        if self.unlabelled == 0 {
            f.write_str("  clips in the shards that no label table names: 0\n")?;
        }
        Ok(())
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
                sum.withdrawn += c.withdrawn;
            }
        }
        sum
    }
}
