//! The figures that a run is judged by, over plain slices.
