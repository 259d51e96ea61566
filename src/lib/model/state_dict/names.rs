//! Other programs' names of the same tensors, as the seed's.

use super::tensors::StateDict;

/// What `torch.nn.DataParallel` puts before every name.
const PARALLEL_PREFIX: &str = "module.";

/// The tensors under the seed's names: the prefix `module.` that parallel training leaves is taken
/// off; names of the public port of MoViNet become `backbone.*` and `heads.0.0.0.*`. A dict in
/// which a `backbone.` name occurs stays as it is.
#[must_use]
pub fn seed_names(tensors: StateDict) -> StateDict {
    let tensors: StateDict = if tensors.keys().all(|name| name.starts_with(PARALLEL_PREFIX)) {
        let bare = |name: String| name[PARALLEL_PREFIX.len()..].to_owned();
        tensors
            .into_iter()
            .map(|(name, tensor)| (bare(name), tensor))
            .collect()
    } else {
        tensors
    };
    if tensors.keys().any(|name| name.starts_with("backbone.")) {
        return tensors;
    }
    let rename = |name: String| match name.strip_prefix("classifier.") {
        Some(rest) => match rest.split_once('.') {
            Some(("0", rest)) => format!("backbone.conv9.0.{rest}"),
            Some(("3", rest)) => format!("heads.0.0.0.{rest}"),
            _ => name,
        },
        None => format!("backbone.{name}"),
    };
    tensors
        .into_iter()
        .map(|(name, tensor)| (rename(name), tensor))
        .collect()
}
