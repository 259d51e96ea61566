//! Rows whose columns are their fields, so that a table's columns are stated once.

/// Makes a struct the row of a published table: its columns are its fields, by name, type and order.
///
/// `FILE` is the table's file name; `sorted` and `unique` are its layout's, `added` names the columns that files of an earlier
/// version of this program lack.
macro_rules! table_row {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident in $file:literal: $format:literal version $version:literal by $rebuild:literal
        $(sorted $($sorted:ident)+;)?
        $(unique $($unique:ident)+;)?
        $(added $($added:ident)+)?
        {
            $($(#[$doc:meta])* pub $field:ident: $type:ty,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl $name {
            /// The table's file name.
            pub const FILE: &'static str = $file;
        }

        impl $crate::parquet_file::Table for $name {
            const FORMAT: $crate::parquet_file::Format = $crate::parquet_file::Format {
                name: $format,
                version: $version,
                rebuild: $rebuild,
                layout: &$crate::parquet_file::Layout {
                    sorted: &[$($(stringify!($sorted)),+)?],
                    unique: &[$($(stringify!($unique)),+)?],
                },
            };

            fn columns() -> Vec<arrow::datatypes::Field> {
                vec![$(
                    // A column may have the name of a word of Rust.
                    <$type as $crate::parquet_file::column::Column>::field(stringify!($field).trim_start_matches("r#"))
                ),+]
            }

            $(const ADDED: &'static [&'static str] = &[$(stringify!($added)),+];)?
        }
    };
}
pub(crate) use table_row;
