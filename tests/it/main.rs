//! The integration tests: one binary, a module for each area.

mod data;
mod decode;
mod download;
mod layout;
mod manifest;
mod metrics;
mod model;
mod pipeline;
mod report;
mod shard;
mod support;
mod tasks;
mod toy;
mod train;
