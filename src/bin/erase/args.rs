//! The command line of `incdec-erase`, and the places and clips that it means.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use incdec::erase::{Archives, Places, Selector};
use incdec::shard::ShardStore;
use incdec::store::Link;

use crate::cli;

const EXAMPLE: &str = "\
Examples:
  incdec-erase plan --source By8ZlRMX0-c
  incdec-erase apply --clips request.csv --request 2026-17
  incdec-erase verify

plan writes nothing. apply notes the request in DATA/erasures.parquet and the clips in
LABELS/withdrawn.csv, and writes every file that holds one anew without it; stopped at any moment,
the same command goes on. verify reads everything again. Files are unlinked and rewritten: blocks of
a disk, snapshots and backups are beyond a program's reach.";

/// Find, erase and verify withdrawn clips.
#[derive(Parser)]
#[command(name = "incdec-erase", version, after_help = cli::after_help(EXAMPLE))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say what is held of the clips, where, and what apply would do; write nothing
    Plan {
        #[command(flatten)]
        places: PlaceArgs,
        #[command(flatten)]
        chosen: Chosen,
        /// Write all of it as Parquet
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Say only which checkpoints of which runs saw the clips
        #[arg(long)]
        runs: bool,
    },
    /// Erase the clips everywhere
    Apply {
        #[command(flatten)]
        places: PlaceArgs,
        #[command(flatten)]
        chosen: Chosen,
        /// A name for the request, as it is to stand in list and ledger
        #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        request: String,
        /// Why, as it is to stand in the list
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// What becomes of kept archives that hold a clip: refuse, or delete with everything else
        /// in them
        #[arg(long, value_parser = cli::one_of::<Archives>(), default_value = "refuse")]
        archives: Archives,
        /// Do what plan does
        #[arg(long)]
        dry_run: bool,
        /// With --dry-run: write all of it as Parquet
        #[arg(long, value_name = "FILE", requires = "dry_run")]
        out: Option<PathBuf>,
        /// Where another program works in one of the places, wait until it has ended
        #[arg(long)]
        wait: bool,
    },
    /// Read everything again and list what is left of withdrawn clips
    Verify {
        #[command(flatten)]
        places: PlaceArgs,
    },
}

#[derive(Args)]
pub(crate) struct PlaceArgs {
    /// The data folder: the ledger, and the usual places below it
    #[arg(long, value_name = "DIR", default_value = "Kinetics")]
    data: PathBuf,
    /// Folder of the label tables and the list [default: Info in DATA]
    #[arg(long, value_name = "DIR")]
    labels: Option<PathBuf>,
    /// Folder of the clips [default: raw in DATA]
    #[arg(long, value_name = "DIR")]
    raw: Option<PathBuf>,
    /// Folder of frame folders (id_<clip>/jpgs)
    #[arg(long, value_name = "DIR")]
    frame_folders: Option<PathBuf>,
    /// Folder of kept archives
    #[arg(long, value_name = "DIR")]
    kept_archives: Option<PathBuf>,
    /// Folder of the shards [default: shards in DATA]
    #[arg(long, value_name = "DIR")]
    shards: Option<PathBuf>,
    /// Folder into which shards of an object store are fetched (--cache of the stages that read them); may be given several times
    #[arg(long = "cache", value_name = "DIR")]
    caches: Vec<PathBuf>,
    /// Address of shards in an object store (s3://bucket/prefix, gs://, az://); may be given several times
    #[arg(long = "store", value_name = "URL")]
    stores: Vec<Link>,
    #[command(flatten)]
    asked: cli::StoreArgs,
    /// The manifest [default: manifests/clips.parquet in DATA]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Folder of the tasks [default: tasks in DATA]
    #[arg(long, value_name = "DIR")]
    tasks: Option<PathBuf>,
    /// Folder of the feature tables [default: features in DATA]
    #[arg(long, value_name = "DIR")]
    features: Option<PathBuf>,
    /// Folder of runs, audits and reports; may be given several times [default: runs and audit in DATA]
    #[arg(long = "runs-folder", value_name = "DIR")]
    runs_folders: Vec<PathBuf>,
}

impl From<PlaceArgs> for Places {
    fn from(args: PlaceArgs) -> Self {
        let usual = Self::below(&args.data);
        let store = |address| ShardStore {
            http: args.asked.http(),
            retry: args.asked.retry(),
            ..ShardStore::new(address)
        };
        Self {
            data: args.data,
            labels: args.labels.unwrap_or(usual.labels),
            raw: args.raw.unwrap_or(usual.raw),
            frame_folders: args.frame_folders,
            archives: args.kept_archives,
            shards: args.shards.unwrap_or(usual.shards),
            caches: args.caches,
            stores: args.stores.into_iter().map(store).collect(),
            manifest: args.manifest.unwrap_or(usual.manifest),
            tasks: args.tasks.unwrap_or(usual.tasks),
            features: args.features.unwrap_or(usual.features),
            runs: if args.runs_folders.is_empty() {
                usual.runs
            } else {
                args.runs_folders
            },
        }
    }
}

#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Chosen {
    /// Clips by id; -- goes before one that begins with a dash
    #[arg(value_name = "CLIP")]
    ids: Vec<String>,
    /// The clips that a file names: one id a line, or a CSV with a column clip_id
    #[arg(long, value_name = "FILE")]
    clips: Option<PathBuf>,
    /// All clips of a source: a group of the label tables, or a YouTube id
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    source: Vec<String>,
    /// All clips of a subcategory
    #[arg(long, value_name = "NAME")]
    subcategory: Vec<String>,
    /// Stored clips that no label table names any more
    #[arg(long)]
    unlabelled: bool,
    /// All clips that have left the lists of this availability.parquet by --task and do not come
    /// back
    #[arg(long, value_name = "FILE", requires = "task")]
    departed: Option<PathBuf>,
    /// The task, from 0
    #[arg(long, value_name = "T", requires = "departed")]
    task: Option<i32>,
}

impl From<Chosen> for Vec<Selector> {
    fn from(chosen: Chosen) -> Self {
        let mut selectors = Self::new();
        if !chosen.ids.is_empty() {
            selectors.push(Selector::Ids(chosen.ids));
        }
        selectors.extend(chosen.clips.map(Selector::Clips));
        selectors.extend(chosen.source.into_iter().map(Selector::Source));
        selectors.extend(chosen.subcategory.into_iter().map(Selector::Subcategory));
        if chosen.unlabelled {
            selectors.push(Selector::Unlabelled);
        }
        if let (Some(availability), Some(task)) = (chosen.departed, chosen.task) {
            selectors.push(Selector::Departed { availability, task });
        }
        selectors
    }
}
