//! What a user can do about an error: one line, printed as `hint: ...` below the error itself.

/// An error that may know its own remedy.
pub trait Hint {
    /// The remedy as one sentence that names the flag, file or make target, or `None` where the user can do nothing.
    fn hint(&self) -> Option<String> {
        None
    }
}
