//! `incdec-own-data`: label tables from a folder of one's own.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use incdec::own_data::{self, GroupBy, OwnDataConfig, Shares};

const EXAMPLE: &str = r"Where the clips lie tells what they show:
  <category>/<subcategory>/<files>   as they lie
  <label>/<files>                    with --taxonomy CSV, whose columns Category and Subcategory say where each label belongs
  anywhere                           with --list FILE, a path and a label in each line (and --taxonomy, where labels are
                                     subcategories; otherwise each is a category)
A clip is called by its path below --clips without the ending. Names that the other stages do not take (slashes, control
characters, a dot in front) are changed, and that is said.

What --group-by keeps together, sought in that path:
  UCF101, a group of clips of one recording (v_Archery_g08_c01):       --group-by '_g(\d+)_c'
  HMDB51, its source (Film_brush_hair_u_nm_np1_ba_goo_0), with the action:
                  --group-by '/(.+)_[fhlu]_(?:cm|nm)_np\d_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+$'
  NTU RGB+D, a subject (S001C002P003R002A001_rgb):                     --group-by 'P\d{3}'
  a customer's folder (theft/shelf/customer B/0001):                   --group-by '^[^/]+/[^/]+/([^/]+)/'
  the folder in which a clip lies, or a table with the columns clip and group: --group-by folder, --group-by people.csv

The rule of the splits: the groups are put in an order drawn with --seed. In this order each goes as a whole to the split that
falls furthest short of its share in the group's subcategories, counted by clips and as a part of that share. Of splits that
fall equally short there train comes first, then that of test and validation which falls further short in all, then test. So
no group is ever divided.

Examples:
  incdec-own-data --clips UCF-101 --taxonomy ucf101.csv --group-by _g([0-9]+)_c --out own/Info
  incdec-own-data --clips /videos --list labels.txt --split 70/15/15 --seed 1 --out own/Info";

/// Make label tables (classes.csv, train.csv, validation.csv, test.csv) of videos of your own.
#[derive(Parser)]
#[command(name = "incdec-own-data", version, after_help = cli::after_help(EXAMPLE))]
struct Args {
    /// Folder of the videos
    #[arg(long, value_name = "DIR")]
    clips: PathBuf,
    /// Folder of the tables to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Categories and their subcategories: columns Category and Subcategory
    #[arg(long, value_name = "CSV")]
    taxonomy: Option<PathBuf>,
    /// What each clip shows: a path and a label in each line
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// What no split may divide: an expression, folder, or a CSV [default: nothing but a clip]
    #[arg(long, value_name = "RULE")]
    group_by: Option<GroupBy>,
    /// Shares of train, validation and test
    #[arg(long, value_name = "T/V/T", default_value = "80/10/10")]
    split: Shares,
    /// Seed of the order in which groups are dealt
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only show how the clips would be dealt
    #[arg(long)]
    dry_run: bool,
    /// Replace other tables that are there already
    #[arg(long)]
    force: bool,
}

fn main() -> ExitCode {
    let args = cli::parse::<Args>();
    let config = OwnDataConfig {
        clips: args.clips,
        out: args.out,
        taxonomy: args.taxonomy,
        list: args.list,
        group_by: args.group_by,
        shares: args.split,
        seed: args.seed,
        dry_run: args.dry_run,
        force: args.force,
    };
    cli::run(None, || own_data::run(&config).map(cli::news))
}
