//! How a command ends, for schedulers and scripts: one list of exit statuses for every binary.

/// How a command ends. The numbers are those of `sysexits.h` where it has one, so that Slurm, Kubernetes and make can
/// tell what is worth another try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exit {
    /// Done, or complete already.
    Done,
    /// Failed; the message says why and what to do. Stop and look.
    #[default]
    Failed,
    /// The command line makes no sense.
    Usage,
    /// This input can never succeed: damaged beyond the limit, a schedule that contradicts the labels. Do not retry.
    Hopeless,
    /// A process group never came together. Look at the hosts.
    NeverStarted,
    /// A passing trouble: the network, a busy folder, a full disk. The same command can succeed later.
    TryAgain,
    /// Ended by SIGINT. What was finished is kept, the same command goes on.
    Interrupted,
    /// Ended by SIGTERM, or by SIGUSR1, which a scheduler sends some time before. What was finished is kept, the same
    /// command goes on.
    Terminated,
}

impl Exit {
    /// The status that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Hopeless => 65,
            Self::NeverStarted => 69,
            Self::TryAgain => 75,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Every status.
    const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Hopeless,
        Self::NeverStarted,
        Self::TryAgain,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The status of this number; [`Exit::Failed`] for one that is none.
    #[must_use]
    pub fn of_code(code: u8) -> Self {
        let found = Self::ALL.into_iter().find(|exit| exit.code() == code);
        found.unwrap_or_default()
    }

    /// What stands at the end of every `--help`.
    pub const HELP: &str = "\
Exit status:
  0         done, or complete already
  1         failed; the message says why and what to do
  2         the command line makes no sense
  65        this input can never succeed; another try will not help
  69        a group of processes never came together
  75        a passing trouble (network, busy folder, full disk, lost process): try again later
  130       ended by SIGINT; what was finished is kept, the same command goes on
  143       ended by SIGTERM or SIGUSR1; what was finished is kept, the same command goes on";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_status() {
        for exit in Exit::ALL {
            let line = format!("\n  {:<10}", exit.code());
            assert!(Exit::HELP.contains(&line), "{exit:?}");
            assert_eq!(Exit::of_code(exit.code()), exit);
        }
        assert_eq!(Exit::of_code(7), Exit::Failed);
    }
}
