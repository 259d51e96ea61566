//! The tasks stage: which clips each task holds.
