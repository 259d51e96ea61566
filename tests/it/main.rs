//! The integration tests: one binary, a module for each area. Without the feature `media` it holds those alone that compute,
//! which a bundle (`make dist`) brings to a machine with a GPU.

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
// What is left out then leaves some of the common ground unused.
#![cfg_attr(not(feature = "media"), allow(dead_code))]

#[cfg(feature = "media")]
mod audit;
#[cfg(feature = "media")]
mod checkpoints;
#[cfg(feature = "media")]
mod clean;
#[cfg(feature = "media")]
mod cluster;
#[cfg(feature = "media")]
mod data;
#[cfg(feature = "media")]
mod decode;
#[cfg(feature = "media")]
mod dependencies;
#[cfg(feature = "media")]
mod download;
#[cfg(feature = "media")]
mod ends;
#[cfg(feature = "media")]
mod erase;
mod event_file;
mod golden;
#[cfg(feature = "media")]
mod help;
#[cfg(feature = "media")]
mod layout;
#[cfg(feature = "media")]
mod make;
#[cfg(feature = "media")]
mod manifest;
#[cfg(feature = "media")]
mod manners;
#[cfg(feature = "media")]
mod metrics;
mod model;
#[cfg(feature = "media")]
mod own_data;
#[cfg(feature = "media")]
mod pipeline;
#[cfg(feature = "media")]
mod readme;
#[cfg(feature = "media")]
mod report;
#[cfg(feature = "media")]
mod shard;
#[cfg(feature = "media")]
mod store;
mod support;
#[cfg(feature = "media")]
mod tasks;
#[cfg(feature = "media")]
mod toy;
mod train;
#[cfg(feature = "media")]
mod unlearning;
#[cfg(feature = "media")]
mod weights;
