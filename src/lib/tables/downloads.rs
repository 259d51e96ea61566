//! `downloads.parquet`, the ledger.

use crate::choice::choice;
use crate::parquet_file::table_row;

choice! {
    /// What a row of the ledger is about.
    #[derive(PartialOrd, Ord)]
    pub enum Kind: "kind of row" {
        /// An archive that was looked into or fetched.
        Archive = "archive",
        /// A labelled clip.
        Clip = "clip",
        /// A member of an archive that was not let in.
        Refused = "refused",
    }
}

table_row! {
    /// A row of `downloads.parquet`. Sorted by kind, archive, name.
    pub struct LedgerRow in "downloads.parquet": "incdec.downloads" version 1 by "make download"
    unique name blake3;
    {
        /// What the row is about.
        pub kind: Kind,
        /// The archive's path below the source; null for a clip that no archive had.
        pub archive: Option<String>,
        /// The archive's file name, the clip's id, or the refused member's name.
        pub name: String,
        /// `complete`, `probed`, `absent`, `damaged`, `not readable` or `failed` (archive);
        /// `present`, `adopted`, `frames` or `missing` (clip); `refused`.
        pub state: String,
        /// Where the archive was asked for: its path behind the source's address, without secrets.
        pub url: Option<String>,
        /// The clip's subcategory; the class that an archive's first header names.
        pub subcategory: Option<String>,
        /// Bytes of the archive as stored, of the clip, or that the refused member claims.
        pub bytes: Option<i64>,
        /// The archive's entity tag as the server gave it.
        pub etag: Option<String>,
        /// The clip's, or the compressed archive's, BLAKE3 hash.
        pub blake3: Option<String>,
        /// Members of the archive.
        pub members_seen: Option<i64>,
        /// Members that were kept.
        pub members_kept: Option<i64>,
        /// Members that were refused; more than are listed where there were very many.
        pub members_refused: Option<i64>,
        /// `ok` where the clip's container is complete, else what is wrong with it.
        pub container: Option<String>,
        /// Why a clip is missing, a member refused, an archive failed.
        pub reason: Option<String>,
    }
}
