//! A ledger of withdrawals that might have been carried out.

use std::path::{Path, PathBuf};

use incdec::parquet_file::{self, Provenance};
use incdec::tables::ErasureRow;
use serde_json::json;

/// Writes the ledger below `folder`, of one finished request and of one that was only begun, and
/// returns its path.
pub(super) fn write(folder: &Path) -> PathBuf {
    let row = |number: i64| {
        let hash = "5e".repeat(32);
        ErasureRow {
            number,
            request: format!("R-2026-{number}"),
            selector: "--ids a".into(),
            clips: json!([format!("clip {number}")]).to_string(),
            begun: "2026-03-31T09:00:00Z".into(),
            finished: None,
            places: json!({
                "raw": {"bytes": 3_000_000 / number, "things": 1},
                "shards": {"bytes": 20_000 * number, "things": 2},
            })
            .to_string(),
            files: json!({"train.ipc": {"before": hash, "after": null}}).to_string(),
            erased: "{}".into(),
            runs: json!({"runs/decremental-finetune-0": {
                "judged": 1,
                "checkpoints": {"checkpoints/task-2.safetensors": "trained"},
            }})
            .to_string(),
            left: json!(["runs/one/tensorboard/events"]).to_string(),
            archives: Some("refuse".into()),
            crate_version: "0".into(),
            previous: None,
            chain: None,
        }
    };
    let path = folder.join(ErasureRow::FILE);
    let finished = ErasureRow {
        finished: Some("2026-03-31T09:01:00Z".into()),
        chain: Some("c4".repeat(32)),
        ..row(1)
    };
    parquet_file::write(&path, &[finished, row(2)], &Provenance::default()).unwrap();
    path
}
