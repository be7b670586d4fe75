//! `larun data`: simulate, inspect and convert data.

mod convert;
mod inspect;
mod simulate;

use crate::failure::Failure;

/// Simulate, inspect and convert data
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun data simulate galaxies -n 500 --seed 7 -o galaxies.npz
  larun data inspect tess2018206045859-s0001-lc.fits
  larun data convert --list stars.csv --detrend biweight --window 1.5 -o stars.npz")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Simulate(simulate::Args),
    Inspect(inspect::Args),
    Convert(Box<convert::Args>),
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Simulate(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::Convert(args) => args.run(),
        }
    }
}
