//! The download stage: from the official archives to the clips that the labels name.
