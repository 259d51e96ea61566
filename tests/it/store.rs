//! Shards in object stores: the same batches as from disk whatever the cache holds and whatever happens on the way; a real
//! store with keys, which is killed; publishing.

mod fixture;
mod manifest;
mod on_seaweed;
mod reading;
mod seaweed;
mod trouble;
