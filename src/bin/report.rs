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

One run: settings, availability, mAP and forgetting over tasks, tables by category and subcategory, confusion, curves.
Several runs: the same for each, after a comparison with mean and standard deviation over seeds by scenario and approach.
The page loads nothing from anywhere. The last line on stdout sums everything up.";

/// Make one HTML page of one or more runs.
#[derive(Parser)]
#[command(name = "incdec-report", version, after_help = cli::after_help(EXAMPLE))]
struct Args {
    /// Run directories, as incdec-train writes them
    #[arg(required_unless_present = "audit", value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The folder of an audit, as incdec-audit writes it, in place of runs
    #[arg(long, value_name = "DIR", conflicts_with_all = ["runs", "table"])]
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
    /// How often each test set's labels are permuted to measure the level of chance
    #[arg(long, value_name = "N", default_value_t = PERMUTATIONS, value_parser = permutations)]
    permutations: usize,
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
        };
        return cli::run(None, || report::run_audit(&config).map(cli::news));
    }
    let config = ReportConfig {
        runs: args.runs,
        out: args.out,
        table: args.table,
        permutations: args.permutations,
    };
    cli::run(None, || report::run(&config).map(cli::news))
}
