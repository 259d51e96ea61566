//! The decode stage and its probe on files made here, a trap each.

mod files;
mod frames;
mod isolate;
mod stage;
