//! `incdec-toy`: the miniature Kinetics and its loopback server.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use incdec::media;
use incdec::toy::serve::{self, Server};
use incdec::toy::{self, Cue, Layout, ToyConfig, ToyError};

const EXAMPLE: &str = "\
Example:
  incdec-toy write --out toy --train 8 --validation 2 --test 3
  incdec-toy serve toy --port 8700 &
  incdec-download --labels toy/Info --source http://127.0.0.1:8700 \\
    --out demo/raw --ledger demo/downloads.parquet";

/// Make a miniature Kinetics-700-2020 source, or serve a folder over HTTP on this machine.
///
/// The clips are real H.264 files, small and short. A clip's category shows in its motion (drift
/// up, drift down, zoom, flicker, sway), its subcategory in texture and colour, so a model has to
/// learn. The same seed gives the same bytes.
#[derive(Parser)]
#[command(
    version,
    after_help = cli::after_help(EXAMPLE)
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write archives, their index, annotations and label tables in the official layout.
    Write(Write),
    /// Serve a folder on 127.0.0.1 until interrupted; prints its URL and a token on stdout first.
    Serve {
        /// The folder.
        dir: PathBuf,
        /// The port; 0 takes any free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Make sure that the server which printed a token answers at a URL.
    Ask {
        /// The URL, http://127.0.0.1:port.
        url: String,
        /// The token.
        token: String,
    },
}

#[derive(Parser)]
struct Write {
    /// The folder to write: new, empty, or written by this command before.
    #[arg(long)]
    out: PathBuf,
    /// Clips for each of the 37 subcategories in train.csv.
    #[arg(long, default_value_t = ToyConfig::default().train)]
    train: usize,
    /// Clips for each subcategory in validation.csv.
    #[arg(long, default_value_t = ToyConfig::default().validation)]
    validation: usize,
    /// Clips for each subcategory in test.csv.
    #[arg(long, default_value_t = ToyConfig::default().test)]
    test: usize,
    /// Length of a clip in seconds.
    #[arg(long, default_value_t = ToyConfig::default().seconds)]
    seconds: f64,
    /// Width and height of a clip in pixels, even.
    #[arg(long, default_value_t = ToyConfig::default().size)]
    size: u32,
    /// Frames per second.
    #[arg(long, default_value_t = ToyConfig::default().fps)]
    fps: u32,
    /// Seed of every random choice.
    #[arg(long, default_value_t = ToyConfig::default().seed)]
    seed: u64,
    /// Where clips lie in an archive.
    #[arg(long, value_parser = cli::one_of::<Layout>(), default_value_t)]
    layout: Layout,
    /// What tells a clip's category: motion (no single frame shows it), or appearance (the motion, and a look of each
    /// subcategory of its own).
    #[arg(long, value_parser = cli::one_of::<Cue>(), default_value_t)]
    cue: Cue,
}

impl From<Write> for ToyConfig {
    fn from(args: Write) -> Self {
        Self {
            out: args.out,
            train: args.train,
            validation: args.validation,
            test: args.test,
            seconds: args.seconds,
            size: args.size,
            fps: args.fps,
            seed: args.seed,
            layout: args.layout,
            cue: args.cue,
        }
    }
}

fn write(config: &ToyConfig) -> Result<(), ToyError> {
    let summary = toy::run(config)?;
    cli::news(format_args!("{}: {summary}", config.out.display()));
    Ok(())
}

fn serve(dir: &std::path::Path, port: u16) -> Result<(), ToyError> {
    let server = Server::start(dir, port)?;
    // Both lines at once: who reads the first alone need not stay.
    cli::product(format_args!("{}\n{}", server.url(), server.token()));
    server.wait();
    Ok(())
}

fn main() -> ExitCode {
    let command = cli::parse_linked::<Args>(&[format!("FFmpeg {}", media::version())]).command;
    cli::run(None, || match command {
        Command::Write(args) => write(&args.into()),
        Command::Serve { dir, port } => serve(&dir, port),
        Command::Ask { url, token } => serve::ask(&url, &token),
    })
}
