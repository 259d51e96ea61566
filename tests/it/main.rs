//! The integration tests: one binary, a module for each area.

// Fixtures count small things and compare floats that must be equal to the bit; a story may be told in one long test.
#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::format_collect,
    clippy::too_many_lines
)]

mod audit;
mod checkpoints;
mod clean;
mod cluster;
mod data;
mod decode;
mod dependencies;
mod download;
mod ends;
mod erase;
mod event_file;
mod golden;
mod help;
mod layout;
mod make;
mod manifest;
mod manners;
mod metrics;
mod model;
mod own_data;
mod pipeline;
mod readme;
mod report;
mod shard;
mod support;
mod tasks;
mod toy;
mod train;
mod unlearning;
mod weights;
