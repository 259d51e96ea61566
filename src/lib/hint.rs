//! What an error asks of a person and of a scheduler: a remedy, printed as `hint: ...` below the error, and the exit status.

use crate::exit::Exit;

/// An error that may know its own remedy, and whether another try can help.
pub trait Hint {
    /// The remedy as one sentence that names the flag, file or make target, or `None` where the user can do nothing.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The status that the command ends with. An error that wraps another gives the inner one's.
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}
