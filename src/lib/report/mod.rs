//! The report stage: one HTML page from one or more runs.
