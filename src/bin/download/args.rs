//! The command line of `incdec-download`, and the settings that it means.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use incdec::clip::Split;
use incdec::download::DownloadConfig;
use incdec::download::labels::{ClipsPerClass, LabelsConfig, Tables};
use incdec::part::{MAX_PARTS, Part};
use incdec::store::Link;

use crate::cli;

const EXAMPLE: &str = "\
Environment:
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY   the way out
  SSL_CERT_FILE, SSL_CERT_DIR                    certificates to trust instead of the system's
  with --signed: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION (s3), GOOGLE_OAUTH_ACCESS_TOKEN (gs),
  AZURE_STORAGE_SAS_TOKEN (az)

Examples:
  incdec-download plan --labels Kinetics/Info
  incdec-download --labels Kinetics/Info --out Kinetics/raw --ledger Kinetics/downloads.parquet
  incdec-download --labels toy/Info --out demo/raw --ledger demo/downloads.parquet \\
    --source http://127.0.0.1:8700
  incdec-download --source s3://kinetics/700_2020
  incdec-download --source s3://mirror/k700 --endpoint http://minio.example.org:9000 --signed
  incdec-download verify --out Kinetics/raw --ledger Kinetics/downloads.parquet
  incdec-download --part 0/3
  incdec-download merge --parts 3";

/// Fetch the Kinetics clips that the label tables name, and no others, as
/// <out>/<subcategory>/<clip>.mp4.
///
/// Of the source's archives only those are read that can hold a wanted clip; they pass through
/// gunzip and tar in memory, and only the wanted clips touch the disk. An archive is a tar, as it is or
/// in gzip or zstd, or a ZIP file, whatever its name says; a folder of unpacked clips is a source, too.
/// Whole clips that lie in --out already are taken as they are. A connection that breaks goes on
/// where it broke. Run it again after any interruption: it does what is left, and reads
/// anew only the archives that were being read, as many as --jobs.
#[derive(Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    after_help = cli::after_help(EXAMPLE)
)]
pub(crate) struct Command {
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Only say what would be fetched, as the subcommand plan does.
    #[arg(long, conflicts_with = "json")]
    pub(crate) dry_run: bool,
    /// Fetch part i of n of the archives, i from 0, into <out>/.incdec-download: i/n, auto (what Slurm, AWS Batch or torchrun
    /// says) or auto/n (also Kubernetes); incdec-download merge joins the parts.
    #[arg(long, value_name = "I/N", value_parser = cli::part, conflicts_with = "dry_run")]
    pub(crate) part: Option<Part>,
    #[command(flatten)]
    pub(crate) summary: cli::Summary,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Say what would be fetched: archives, bytes, disk, clips of each class. Writes nothing.
    Plan(RunArgs),
    /// Hash the clips on disk again, and fetch those that are damaged or gone, and no others.
    Verify(VerifyArgs),
    /// Give the clips of all parts their names and publish the ledger, as one run without --part
    /// would have left them.
    Merge(MergeArgs),
    /// Fetch the published label tables, or make tables by a rule from the official annotations.
    Labels(LabelsArgs),
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Only name what is damaged; remove and fetch nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args)]
pub(crate) struct MergeArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// How many parts there are.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PARTS)))]
    pub(crate) parts: u32,
    #[command(flatten)]
    pub(crate) summary: cli::Summary,
}

/// Where the data comes from, and how patiently.
#[derive(Args)]
#[command(next_help_heading = "Source")]
struct SourceArgs {
    /// Instead of the official base: a URL (http, https, file, s3, gs, az) or a folder, of archives
    /// alone too.
    #[arg(long)]
    source: Option<Link>,
    /// Entry of sources.toml: kinetics-700-2020, kinetics-600, kinetics-400.
    #[arg(long, default_value_t = DownloadConfig::default().dataset)]
    dataset: String,
    /// Another sources.toml than the one built in.
    #[arg(long, value_name = "FILE")]
    sources: Option<PathBuf>,
    #[command(flatten)]
    store: cli::StoreArgs,
}

#[derive(Args)]
pub(crate) struct LabelsArgs {
    /// Folder for train.csv, validation.csv, test.csv and, where it lacks them, classes.csv and the
    /// schedules.
    #[arg(long, default_value = "Kinetics/Info")]
    out: PathBuf,
    /// Make tables of each class's first clips by id instead: this many for train/validation/test,
    /// as in 100/10/10.
    #[arg(long)]
    per_class: Option<ClipsPerClass>,
    /// With --per-class: the classes, as CSV with the columns Category and Subcategory.
    #[arg(
        long,
        default_value = "Kinetics/Info/classes.csv",
        requires = "per_class"
    )]
    taxonomy: PathBuf,
    /// With --per-class: take only clips that exist below this folder as <clip>.mp4.
    #[arg(long, requires = "per_class")]
    existing: Option<PathBuf>,
    /// Also fetch the clips that are published as JPEG frames alone, into this folder.
    #[arg(long)]
    frame_folders: Option<PathBuf>,
    /// Also fetch the official annotations, into this folder.
    #[arg(long)]
    annotations: Option<PathBuf>,
    /// Mirror of the published tables: the URL or folder that holds Info/ and Videos/.
    #[arg(long)]
    labels_source: Option<Link>,
    /// Replace tables that are there and that nobody published, too: somebody's own.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    source: SourceArgs,
}

impl From<LabelsArgs> for LabelsConfig {
    fn from(args: LabelsArgs) -> Self {
        Self {
            out: args.out,
            tables: args
                .per_class
                .map_or(Tables::Published, |counts| Tables::First {
                    taxonomy: args.taxonomy,
                    counts,
                    existing: args.existing,
                }),
            frame_folders: args.frame_folders,
            annotations: args.annotations,
            labels_source: args.labels_source,
            force: args.force,
            retry: args.source.store.retry(),
            http: args.source.store.http(),
            dataset: args.source.dataset,
            sources: args.source.sources,
            source: args.source.source,
        }
    }
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// Folder of classes.csv, train.csv, validation.csv and test.csv.
    #[arg(long, default_value_os_t = DownloadConfig::default().labels)]
    labels: PathBuf,
    /// Folder for the clips.
    #[arg(long, default_value_os_t = DownloadConfig::default().raw)]
    out: PathBuf,
    /// The ledger: what became of each archive and clip.
    #[arg(long, default_value_os_t = DownloadConfig::default().ledger)]
    ledger: PathBuf,
    /// Only these subcategories, separated by commas; one with a comma in its name is written as it
    /// is.
    #[arg(long)]
    classes: Vec<String>,
    /// Only these splits, separated by commas: train, validation, test.
    #[arg(long, value_delimiter = ',', value_parser = split)]
    split: Vec<Split>,
    /// At most this many clips of each subcategory in each split, the first of the table.
    #[arg(long)]
    limit: Option<usize>,
    /// Folder of id_<clip>/jpgs folders: clips that exist only as frames count as present.
    #[arg(long)]
    frame_folders: Option<PathBuf>,
    /// Keep a copy of each archive in this folder.
    #[arg(long)]
    keep_archives: Option<PathBuf>,
    /// Archives at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Most megabytes (10^6 bytes) a second, all archives together.
    #[arg(long, value_parser = megabytes, value_name = "MEGABYTES")]
    max_rate: Option<u64>,
    /// Share of the clips that may be missing, 0 to 1: in no archive, or in one that is absent or
    /// damaged at its source.
    #[arg(long, default_value_t = DownloadConfig::default().max_missing, value_parser = share, value_name = "SHARE")]
    max_missing: f64,
    /// Read archives once more for clips that earlier runs did not find in them. Without it that is
    /// done where the index, an archive's tag, size or content, or the source has changed.
    #[arg(long)]
    again: bool,
    /// Where another program works on the same ledger or clips, begin when it has ended.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    source: SourceArgs,
}

impl From<RunArgs> for DownloadConfig {
    fn from(args: RunArgs) -> Self {
        Self {
            labels: args.labels,
            raw: args.out,
            ledger: args.ledger,
            classes: args.classes,
            splits: args.split,
            limit: args.limit,
            only: None,
            frame_folders: args.frame_folders,
            keep_archives: args.keep_archives,
            jobs: args.jobs.into(),
            bytes_per_second: args.max_rate,
            max_missing: args.max_missing,
            seek_again: args.again,
            wait: args.wait.into(),
            retry: args.source.store.retry(),
            http: args.source.store.http(),
            source: args.source.source,
            dataset: args.source.dataset,
            sources: args.source.sources,
        }
    }
}

fn split(text: &str) -> Result<Split, String> {
    Split::ALL
        .into_iter()
        .find(|s| s.name() == text)
        .ok_or_else(|| "expected train, validation or test".to_owned())
}

// The range leaves whole numbers far below 2^63.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn megabytes(text: &str) -> Result<u64, String> {
    match cli::number(text)? {
        mb if (0.001..=1e6).contains(&mb) => Ok((mb * 1e6) as u64),
        _ => Err("expected 0.001 to 1000000 megabytes a second".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match cli::number(text)? {
        share if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share from 0 to 1".to_owned()),
    }
}
