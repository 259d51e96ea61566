//! `incdec-report`: one self-contained HTML page from one or more runs.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use incdec::report::{self, AuditReportConfig, MAX_PERMUTATIONS, PERMUTATIONS, ReportConfig};

const EXAMPLE: &str = "\
Examples:
  incdec-report --out report.html runs/decremental-ewc-0
  incdec-report --out all.html --table all.parquet runs/*
  incdec-report --out audit.html --audit audits/scrub --latex audit.tex --csv audit.csv
  incdec-report --out withdrawals.html --withdrawals Kinetics/erasures.parquet

One run: settings, availability, mAP and forgetting over tasks, tables by category and subcategory, confusion, curves.
Several runs: the same for each, after a comparison over seeds by scenario and approach; more than 12 runs get pages of
their own, in the folder NAME-runs beside NAME.html.
The page loads nothing from anywhere. The last line on stdout sums everything up.";

/// Make one HTML page of one or more runs.
#[derive(Parser)]
#[command(name = "incdec-report", version, after_help = cli::after_help(EXAMPLE))]
struct Args {
    /// Run directories, as incdec-train writes them
    #[arg(required_unless_present_any = ["withdrawals", "audit"], value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The folder of an audit, as incdec-audit writes it, in place of runs
    #[arg(long, value_name = "DIR", conflicts_with_all = ["runs", "table", "withdrawn", "frames", "permutations"])]
    audit: Option<PathBuf>,
    /// Also write the audit's table of methods for LaTeX
    #[arg(long, value_name = "FILE", requires = "audit")]
    latex: Option<PathBuf>,
    /// Also write the audit's table of methods as CSV
    #[arg(long, value_name = "FILE", requires = "audit")]
    csv: Option<PathBuf>,
    /// The page to write (HTML)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also write every figure's mean and standard deviation over seeds to this table (Parquet)
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// The list of withdrawn clips, where there is one: the page says which runs were judged with some
    #[arg(long, value_name = "FILE")]
    withdrawn: Option<PathBuf>,
    /// The ledger of withdrawals (erasures.parquet): the page says what was done about each request.
    /// Without runs it says nothing else; the page of an audit carries the value of its chain
    #[arg(long, value_name = "LEDGER")]
    withdrawals: Option<PathBuf>,
    /// Also show frames of clips that were withdrawn or lost, from this folder or address of frame shards; people can be seen in them
    #[arg(long, value_name = "DIR|URL")]
    frames: Option<PathBuf>,
    /// How often each test set's labels are permuted to measure the level of chance, and its clips drawn again for intervals
    #[arg(long, value_name = "N", default_value_t = PERMUTATIONS, value_parser = permutations)]
    permutations: usize,
    #[command(flatten)]
    store: cli::ShardArgs,
}

fn permutations(text: &str) -> Result<usize, String> {
    let n = text.parse().ok();
    n.filter(|n| (1..=MAX_PERMUTATIONS).contains(n))
        .ok_or_else(|| format!("expected a number from 1 to {MAX_PERMUTATIONS}"))
}

fn main() -> ExitCode {
    let args = cli::parse::<Args>();
    if let Some(audit) = args.audit {
        let config = AuditReportConfig {
            audit,
            out: args.out,
            latex: args.latex,
            csv: args.csv,
            withdrawals: args.withdrawals,
        };
        return cli::run(None, || report::run_audit(&config).map(cli::news));
    }
    let config = ReportConfig {
        runs: args.runs,
        out: args.out,
        table: args.table,
        withdrawn: args.withdrawn,
        withdrawals: args.withdrawals,
        frames: args.frames.map(|frames| args.store.source(frames)),
        permutations: args.permutations,
    };
    cli::run(None, || report::run(&config).map(cli::news))
}
