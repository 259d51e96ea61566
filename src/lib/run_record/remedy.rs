//! What becomes of what an approach keeps once a clip that it has seen is withdrawn.

use crate::choice::choice;

/// The key under which the header of an approach's state says what becomes of each tensor: a JSON
/// object with the names of tensors by [`Remedy`].
pub const REMEDIES: &str = "incdec.remedies";

choice! {
    /// What becomes of a tensor that an approach keeps, once a clip that it has seen is withdrawn.
    #[derive(PartialOrd, Ord)]
    pub enum Remedy: "remedy" {
        /// It is computed again from the clips that stay.
        Rebuilt = "rebuilt",
        /// Its rows of the clip are taken out, and it is as if they had never been there.
        TakenOut = "taken out",
        /// Nothing takes the clip out of it but going back to before the clip.
        Tainted = "tainted",
    }
}
