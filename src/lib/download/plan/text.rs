//! A plan in words and columns.

use std::fmt;
use std::path::Path;

use indicatif::HumanBytes;

use super::planned::Plan;
use crate::artifact::free_bytes;
use crate::download::summary::DownloadSummary;
use crate::foreign::printable;

/// A plan as `incdec-download plan` prints it.
pub struct PlanText<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What is there already.
    pub summary: &'a DownloadSummary,
    /// The folder of the clips, for the free space of its disk.
    pub raw: &'a Path,
}

impl fmt::Display for PlanText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, summary, raw } = self;
        let human =
            |bytes: Option<u64>| bytes.map_or_else(|| "?".into(), |b| HumanBytes(b).to_string());
        writeln!(f, "archive\tclass\tbytes\tclips")?;
        for archive in &plan.archives {
            let bytes = archive
                .facts
                .bytes
                .map_or_else(|| "?".into(), |b| b.to_string());
            let class = printable(archive.class.as_deref().unwrap_or("?"));
            let (path, clips) = (printable(&archive.path), archive.clips);
            writeln!(f, "{path}\t{class}\t{bytes}\t{clips}")?;
        }
        if !plan.by_class() {
            writeln!(f, "class\tclips")?;
            for (class, clips) in &plan.classes {
                writeln!(f, "{class}\t{clips}")?;
            }
        }
        let bytes = plan.archive_bytes();
        writeln!(
            f,
            "to fetch: {} of {} archives, {}{}",
            plan.archives.len(),
            plan.indexed,
            human(bytes),
            if plan.numbered || plan.archives.is_empty() {
                ""
            } else {
                " (classes known by first headers, not by numbers)"
            }
        )?;
        writeln!(
            f,
            "clips: {} wanted, {} there, {} as frames, {} known to be missing, {} to find",
            summary.wanted, summary.present, summary.frames, summary.absent, summary.missing
        )?;
        let (about, disk) = if plan.by_class() {
            ("about", plan.estimated_clip_bytes())
        } else {
            ("at most", bytes)
        };
        write!(f, "disk: {about} {} for the clips", human(disk))?;
        match free_bytes(raw) {
            Some(free) => writeln!(f, ", {} free", HumanBytes(free)),
            None => writeln!(f),
        }
    }
}
