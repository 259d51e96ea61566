//! The miniature Kinetics and the loopback server that offers it.
