//! `rowtide completions` and `rowtide man`: completions for shells and manual pages, from the definition of the command line.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, output};
use crate::error::{Error, ErrorKind, Result};

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder, which is made if it is missing, instead of the first to standard
    /// output.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn completions(args: &CompletionsArgs) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rowtide", &mut text);
    code(output::print(&String::from_utf8_lossy(&text)))
}

pub(super) fn man(args: &ManArgs) -> u8 {
    code(match &args.dir {
        None => page(Cli::command()).and_then(|text| output::print(&String::from_utf8_lossy(&text))),
        Some(folder) => pages(folder),
    })
}

fn code(outcome: Result<()>) -> u8 {
    outcome.map_or_else(|error| output::fail(&error), |()| 0)
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut text);
    rendered.map_err(|error| Error::internal("a manual page cannot be written").caused_by(error))?;
    Ok(text)
}

/// A page for each command: `rowtide.1`, `rowtide-offsets.1`, `rowtide-offsets-set.1`.
fn pages(folder: &Path) -> Result<()> {
    let failed = |error: io::Error| {
        Error::new(ErrorKind::Io, "the manual pages cannot be written")
            .with("folder", folder.display())
            .caused_by(error)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut root = Cli::command();
    root.build();
    let mut waiting = vec![root];
    while let Some(command) = waiting.pop() {
        waiting.extend(command.get_subcommands().filter(|below| below.get_name() != "help").cloned());
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        std::fs::write(folder.join(format!("{name}.1")), page(command)?).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_manual_page_and_every_shell_its_completions() {
        let folder = tempfile::tempdir().unwrap();
        pages(folder.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(read("rowtide.1").contains("rowtide\\-run(1)"), "{}", read("rowtide.1"));
        assert!(read("rowtide-offsets-set.1").contains("Example: rowtide offsets set"));
        let names: Vec<String> =
            Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for name in &names {
            assert!(read(&format!("rowtide-{name}.1")).contains(".SH SYNOPSIS"), "{name}");
        }
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "rowtide", &mut text);
            let text = String::from_utf8(text).unwrap();
            assert!(names.iter().all(|name| text.contains(name.as_str())), "{shell}");
        }
    }
}
