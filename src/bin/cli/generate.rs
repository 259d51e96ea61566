//! Man pages and completions, written by each binary from what it knows of itself:
//! `incdec-X --generate man|bash|zsh|fish FOLDER`, which `make install` calls.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process;

use clap::Command;
use clap_complete::Shell;
use incdec::exit::Exit;

use super::print::complain;

/// The flag. It must come first, and no help lists it.
const FLAG: &str = "--generate";

/// Where the command line asks for it, writes the files and ends the process.
pub(super) fn if_asked(command: &Command, given: &[OsString]) {
    let [_, flag, what, folder] = given else {
        return;
    };
    if flag != FLAG {
        return;
    }
    let exit = match write(command.clone(), &what.to_string_lossy(), Path::new(folder)) {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(format_args!(
                "error: {FLAG} {} {}: {error}",
                what.display(),
                folder.display()
            ));
            match error.kind() {
                io::ErrorKind::InvalidInput => Exit::Usage,
                io::ErrorKind::StorageFull => Exit::TryAgain,
                _ => Exit::Failed,
            }
        }
    };
    process::exit(i32::from(exit.code()));
}

/// Writes the man pages of a command and its subcommands, or its completions for a shell.
fn write(mut command: Command, what: &str, folder: &Path) -> io::Result<()> {
    if what == "man" {
        return clap_mangen::generate_to(command, folder);
    }
    let unknown = |_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected man, bash, zsh or fish",
        )
    };
    let shell = what.parse::<Shell>().map_err(unknown)?;
    let name = command.get_name().to_owned();
    clap_complete::generate_to(shell, &mut command, name, folder).map(|_| ())
}
