//! `larun completions` and `larun man-pages`: what a shell and `man` know of the command.

use std::io::Write;
use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use larun::files;

use crate::Cli;
use crate::failure::Failure;

/// What the foot of a manual page names.
const VERSION: &str = concat!("larun ", env!("CARGO_PKG_VERSION"));

/// Print the completions of the command for a shell
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun completions bash > ~/.local/share/bash-completion/completions/larun
  larun completions zsh > ~/.zfunc/_larun
  larun completions fish > ~/.config/fish/completions/larun.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Write a manual page for the command and one for each subcommand
#[derive(clap::Args)]
#[command(after_help = "Example:
  larun man-pages --output-dir ~/.local/share/man/man1")]
pub(crate) struct ManPagesArgs {
    /// The folder to write to; made if missing
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,
}

impl CompletionsArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "larun", &mut script);
        std::io::stdout().lock().write_all(&script)?;
        Ok(())
    }
}

impl ManPagesArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut command = Cli::command();
        command.build();
        let mut batch = files::Batch::default();
        for command in all(&command) {
            let page = clap_mangen::Man::new(command.clone()).source(VERSION);
            let mut text = Vec::new();
            page.render(&mut text)?;
            batch.add(&self.output_dir.join(page.get_filename()), &text)?;
        }
        batch.commit()?;
        Ok(())
    }
}

/// A command and all below it that help shows.
fn all(command: &Command) -> Vec<&Command> {
    let shown = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help");
    let below = shown.flat_map(all);
    core::iter::once(command).chain(below).collect()
}
