//! The file in which torchrun looks for why a process ended.

use std::env;
use std::path::Path;
use std::time::SystemTime;

use incdec::artifact;
use incdec::hint::Hint;
use incdec::train::TrainError;
use serde_json::json;

/// The variable in which torchrun names the file.
const VARIABLE: &str = "TORCHELASTIC_ERROR_FILE";

/// Writes why this process ends where torchrun looks for it, if that has started it and nobody has asked for the end. Of several
/// processes' files torchrun shows the earliest.
pub(crate) fn write(error: &TrainError) {
    let Some(path) = env::var_os(VARIABLE) else {
        return;
    };
    if matches!(error, TrainError::Stopped { .. }) {
        return;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = now.map_or(0, |time| time.as_secs());
    let hint = error
        .hint()
        .map_or_else(String::new, |hint| format!("; hint: {hint}"));
    let text = json!({
        "message": {
            "message": format!("{error}{hint}"),
            "extraInfo": {"timestamp": seconds.to_string()},
        }
    });
    let written = artifact::publish(Path::new(&path), |out| {
        out.write_all(text.to_string().as_bytes())
    });
    if let Err(error) = written {
        tracing::warn!("torchrun is not told why this process ends: {error}");
    }
}
