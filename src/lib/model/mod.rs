//! MoViNet.
