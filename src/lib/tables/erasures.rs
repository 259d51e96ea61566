//! `erasures.parquet`: the ledger of withdrawals that were done.

use std::path::Path;

use crate::parquet_file::{self, TableError, table_row};

table_row! {
    /// A row of `erasures.parquet`: one request and what was done about it. Sorted by number.
    ///
    /// Columns of JSON hold objects with sorted keys. The row is written when the work begins and
    /// again when it is finished; until then the columns that tell its end are null.
    pub struct ErasureRow in "erasures.parquet": "incdec.erasures" version 1 by "make erase"
    sorted number;
    added archives
    {
        /// Counted from 1.
        pub number: i64,
        /// The request, under a name of the requester's choice.
        pub request: String,
        /// What chose the clips: the flags as given.
        pub selector: String,
        /// The clips' ids, a JSON array.
        pub clips: String,
        /// When the work began (ISO 8601, UTC).
        pub begun: String,
        /// When it was finished.
        pub finished: Option<String>,
        /// What was held where: JSON, place to its number of things and their bytes.
        pub places: String,
        /// The BLAKE3 of each file that held something, before and after: JSON, file to `before`
        /// and `after` (null where it is gone or not yet known).
        pub files: String,
        /// The BLAKE3 hashes of what was erased: JSON, clip to an array of hashes.
        pub erased: String,
        /// The runs that know a clip: JSON, run to `judged` (how many of the clips it was judged
        /// with) and `checkpoints` (file to `trained` or `selected`, for each that saw one).
        pub runs: String,
        /// What was left to a person: JSON, an array of files.
        pub left: String,
        /// What became of kept archives that hold a clip: `refuse` or `delete`; null in rows of versions
        /// before.
        pub archives: Option<String>,
        /// Version of the program.
        pub crate_version: String,
        /// The chain of the row before; null in the first.
        pub previous: Option<String>,
        /// The BLAKE3 over `previous` and this row as JSON with sorted keys; null until it is
        /// finished.
        pub chain: Option<String>,
    }
}

impl ErasureRow {
    /// Under which name what is written later carries the newest value of the chain: a checkpoint in its header, a page in its
    /// head.
    pub const CHAIN_KEY: &str = "incdec.withdrawals";

    /// The newest value of the chain of the ledger at `ledger`; none where no request is finished.
    ///
    /// # Errors
    /// When it is absent or cannot be read.
    pub fn newest_chain(ledger: &Path) -> Result<Option<String>, TableError> {
        let rows: Vec<Self> = parquet_file::read(ledger)?;
        Ok(rows.into_iter().rev().find_map(|row| row.chain))
    }
}
