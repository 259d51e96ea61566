//! The decode stage and its probe on files made here, a trap each.

mod causes;
mod field;
mod files;
mod floods;
mod folder;
mod frames;
mod isolate;
mod parts;
mod recorders;
mod stage;
