//! Frame shards: Arrow IPC files with one row per clip, and their index.
