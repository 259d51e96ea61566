//! From shards to batches.
