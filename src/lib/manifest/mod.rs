//! The manifest stage: labels joined with shards.
