//! What was written, in words.

use std::fmt;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToySummary {
    /// Archives of the index.
    pub archives: usize,
    /// Clips in them.
    pub clips: usize,
    /// Clips that the label tables name.
    pub labelled: usize,
    /// Whether the source was there already, with these settings.
    pub unchanged: bool,
}

impl fmt::Display for ToySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} archives, {} clips, {} of them labelled",
            self.archives, self.clips, self.labelled
        )?;
        if self.unchanged {
            f.write_str(" (there already)")?;
        }
        Ok(())
    }
}
