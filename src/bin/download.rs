//! `incdec-download`: the download stage.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use incdec::clip::Split;
use incdec::download::fetch::{self, LabelsConfig, Tables};
use incdec::download::pace::RetryConfig;
use incdec::download::plan_text::Display;
use incdec::download::remote::HttpConfig;
use incdec::download::tables::Counts;
use incdec::download::{self, DownloadConfig, DownloadError};

/// Fetch the Kinetics clips that the label tables name, and no others, as <out>/<subcategory>/<clip>.mp4.
///
/// Of the source's archives only those are read that can hold a wanted clip; they pass through gunzip and tar in memory, and
/// only the wanted clips touch the disk. Run it again after any interruption: it does what is left.
#[derive(Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  incdec-download plan --labels Kinetics/Info\n  incdec-download --labels Kinetics/Info --out Kinetics/raw --ledger Kinetics/downloads.parquet\n  incdec-download --labels toy/Info --out demo/raw --ledger demo/downloads.parquet --source http://127.0.0.1:8700\n  incdec-download verify --out Kinetics/raw --ledger Kinetics/downloads.parquet"
)]
struct Command {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    run: RunArgs,
    /// Only say what would be fetched, as the subcommand plan does.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Subcommand)]
enum Task {
    /// Say what would be fetched: archives, bytes, disk, clips of each class.
    Plan(RunArgs),
    /// Hash the clips on disk again, remove what is damaged, and name it; the next run fetches it.
    Verify(RunArgs),
    /// Fetch the published label tables, or make tables by a rule from the official annotations.
    Labels(LabelsArgs),
}

#[derive(Args)]
struct LabelsArgs {
    /// Folder for train.csv, validation.csv, test.csv and, where it lacks them, classes.csv and the schedules.
    #[arg(long, default_value = "Kinetics/Info")]
    out: PathBuf,
    /// Make tables of each class's first clips by id instead: this many for train/validation/test, as in 100/10/10.
    #[arg(long)]
    per_class: Option<Counts>,
    /// With --per-class: the classes, as CSV with the columns Category and Subcategory.
    #[arg(long, default_value = "Kinetics/Info/classes.csv")]
    taxonomy: PathBuf,
    /// With --per-class: take only clips that exist below this folder as <clip>.mp4.
    #[arg(long)]
    existing: Option<PathBuf>,
    /// Also fetch the clips that are published as JPEG frames alone, into this folder.
    #[arg(long)]
    frame_folders: Option<PathBuf>,
    /// Also fetch the official annotations, into this folder.
    #[arg(long)]
    annotations: Option<PathBuf>,
    /// Mirror of the published tables: the URL or folder that holds Info/ and Videos/.
    #[arg(long)]
    labels_source: Option<String>,
    /// Mirror of the official base, for the annotations.
    #[arg(long)]
    source: Option<String>,
    /// Entry of sources.toml for the annotations.
    #[arg(long, default_value = "kinetics-700-2020")]
    dataset: String,
    /// Another sources.toml than the one built in.
    #[arg(long)]
    sources: Option<PathBuf>,
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
            dataset: args.dataset,
            sources: args.sources,
            labels_source: args.labels_source,
            source: args.source,
            retry: RetryConfig::default(),
            http: HttpConfig::default(),
        }
    }
}

#[derive(Args)]
struct RunArgs {
    /// Folder of classes.csv, train.csv, validation.csv and test.csv.
    #[arg(long, default_value = "Kinetics/Info")]
    labels: PathBuf,
    /// Folder for the clips.
    #[arg(long, default_value = "Kinetics/raw")]
    out: PathBuf,
    /// The ledger: what became of each archive and clip.
    #[arg(long, default_value = "Kinetics/downloads.parquet")]
    ledger: PathBuf,
    /// Mirror of the official base: a URL (http, https, file; public buckets as s3, gs, az) or a folder, of archives alone too.
    #[arg(long)]
    source: Option<String>,
    /// Entry of sources.toml: kinetics-700-2020, kinetics-600, kinetics-400.
    #[arg(long, default_value = "kinetics-700-2020")]
    dataset: String,
    /// Another sources.toml than the one built in.
    #[arg(long)]
    sources: Option<PathBuf>,
    /// Only these subcategories, separated by commas.
    #[arg(long, value_delimiter = ',')]
    classes: Vec<String>,
    /// Only these splits, separated by commas: train, validation, test.
    #[arg(long, value_delimiter = ',', value_parser = parse_split)]
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
    #[arg(long)]
    max_rate: Option<f64>,
    /// Share of the clips that may be missing, 0 to 1.
    #[arg(long, default_value_t = 0.01)]
    max_missing: f64,
    /// Tries in a row without a byte gained before an archive is given up.
    #[arg(long, default_value_t = 8)]
    tries: usize,
    /// Seconds before a second try; doubles up to a minute.
    #[arg(long, default_value_t = 0.5)]
    first_wait: f64,
    /// Seconds without a byte after which a connection counts as stalled.
    #[arg(long, default_value_t = 30.0)]
    stall: f64,
}

fn parse_split(text: &str) -> Result<Split, String> {
    Split::ALL
        .into_iter()
        .find(|s| s.name() == text)
        .ok_or_else(|| "expected train, validation or test".to_owned())
}

impl From<RunArgs> for DownloadConfig {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A rate: negative ones become 0, huge ones no limit.
    fn from(args: RunArgs) -> Self {
        let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or(Duration::from_secs(30));
        Self {
            labels: args.labels,
            raw: args.out,
            ledger: args.ledger,
            source: args.source,
            dataset: args.dataset,
            sources: args.sources,
            classes: args.classes,
            splits: args.split,
            limit: args.limit,
            frame_folders: args.frame_folders,
            keep_archives: args.keep_archives,
            jobs: args.jobs.into(),
            bytes_per_second: args.max_rate.map(|mb| (mb * 1e6) as u64),
            max_missing: args.max_missing,
            retry: RetryConfig {
                tries: args.tries,
                first_wait: seconds(args.first_wait),
            },
            http: HttpConfig {
                stall: seconds(args.stall),
            },
        }
    }
}

fn run(config: &DownloadConfig) -> Result<(), DownloadError> {
    let summary = download::run(config)?;
    println!("{summary}");
    Ok(())
}

fn plan(config: &DownloadConfig) -> Result<(), DownloadError> {
    let (plan, summary) = download::plan_only(config)?;
    let (plan, summary, raw) = (&plan, &summary, config.raw.as_path());
    print!("{}", Display { plan, summary, raw });
    Ok(())
}

fn labels(config: &LabelsConfig) -> Result<(), DownloadError> {
    let fetched = fetch::labels(config)?;
    for path in &fetched.written {
        println!("{}", path.display());
    }
    println!(
        "{} files written, {} there already",
        fetched.written.len(),
        fetched.unchanged
    );
    Ok(())
}

fn verify(config: &DownloadConfig) -> Result<(), DownloadError> {
    let findings = download::verify::verify(&config.raw, &config.ledger, config.jobs)?;
    print!("{findings}");
    findings.into_result()
}

/// Runs a stage with a log beside the ledger: what depends on the day and the network goes there.
fn logged(args: RunArgs, task: fn(&DownloadConfig) -> Result<(), DownloadError>) -> ExitCode {
    let config = DownloadConfig::from(args);
    let log = config.ledger.with_file_name("download.jsonl");
    if let Err(error) = cli::start_log(Some(&log)) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    cli::finish(task(&config))
}

fn main() -> ExitCode {
    let command = Command::parse();
    match command.task {
        Some(Task::Plan(args)) => logged(args, plan),
        Some(Task::Verify(args)) => logged(args, verify),
        Some(Task::Labels(args)) => cli::finish(labels(&args.into())),
        None if command.dry_run => logged(command.run, plan),
        None => logged(command.run, run),
    }
}
