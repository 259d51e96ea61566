//! How much a command says: `-q` and `-v`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Arg, ArgAction, ArgMatches, Command};
use incdec::progress;
use tracing_subscriber::filter::LevelFilter;

const QUIET: &str = "quiet";
const VERBOSE: &str = "verbose";

/// How much a command says beside what it was called for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Loudness {
    /// Warnings and errors.
    Quiet,
    /// News and progress, too.
    #[default]
    Usual,
    /// Every message.
    Verbose,
}

/// What the command line says, for the whole process.
static LOUDNESS: OnceLock<Loudness> = OnceLock::new();

/// Whether another process says the news of this one.
static HUSHED: AtomicBool = AtomicBool::new(false);

/// Has this process say warnings and errors alone, unless every message is asked for: another one says the same news.
pub(crate) fn hush() {
    HUSHED.store(true, Ordering::Relaxed);
    progress::hide();
}

impl Loudness {
    /// What the command line says.
    pub(crate) fn of_process() -> Self {
        match LOUDNESS.get().copied().unwrap_or_default() {
            Self::Usual if HUSHED.load(Ordering::Relaxed) => Self::Quiet,
            loudness => loudness,
        }
    }

    /// The messages that go to stderr.
    pub(crate) fn level(self) -> LevelFilter {
        match self {
            Self::Quiet => LevelFilter::WARN,
            Self::Usual => LevelFilter::INFO,
            Self::Verbose => LevelFilter::DEBUG,
        }
    }
}

/// `command` with the two flags, and its subcommands with them. (As global flags they would be
/// taken from what a subcommand hands on to another program.)
pub(crate) fn add(command: Command) -> Command {
    let command = command.mut_subcommands(|sub| {
        if sub.is_disable_help_flag_set() {
            return sub;
        }
        add(sub)
    });
    let flag = |name: &'static str, letter| {
        let arg = Arg::new(name).long(name).short(letter);
        arg.action(ArgAction::SetTrue).display_order(1000)
    };
    command
        .arg(flag(QUIET, 'q').help("Say no news: only warnings, errors and what was asked for"))
        .arg(
            flag(VERBOSE, 'v')
                .conflicts_with(QUIET)
                .help("Say every message of the log"),
        )
}

/// Keeps what `matches` say of the flags.
pub(crate) fn take(matches: &ArgMatches) {
    let mut innermost = Some(matches);
    let (mut quiet, mut verbose) = (false, false);
    while let Some(matches) = innermost {
        let is_set = |name| matches!(matches.try_get_one::<bool>(name), Ok(Some(true)));
        quiet |= is_set(QUIET);
        verbose |= is_set(VERBOSE);
        innermost = matches.subcommand().map(|(_, matches)| matches);
    }
    let loudness = match (quiet, verbose) {
        (true, _) => Loudness::Quiet,
        (false, true) => Loudness::Verbose,
        (false, false) => Loudness::Usual,
    };
    if loudness == Loudness::Quiet {
        progress::hide();
    }
    // Set once in a process: nobody parses twice.
    let _ = LOUDNESS.set(loudness);
}
