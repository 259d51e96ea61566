//! The train stage: task after task.
