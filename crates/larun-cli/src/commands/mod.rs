//! The subcommands: one file each.

mod bench;
mod compare;
mod completions;
mod data;
mod dense;
mod evaluate;
mod export;
mod fit;
mod inspect;
mod learning;
mod optimize;
mod plan;
mod prune;
mod quantize;
mod rows;
mod run;
mod search;
mod sizes;
mod train;

use clap::Subcommand;
use larun::report::versioned_json;
use serde::Serialize;

use crate::failure::Failure;

/// What `larun` can do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Optimize(optimize::Args),
    Inspect(inspect::Args),
    Run(run::Args),
    Evaluate(evaluate::Args),
    Prune(prune::Args),
    Quantize(quantize::Args),
    Plan(plan::Args),
    Fit(fit::Args),
    Export(export::Args),
    Bench(bench::Args),
    Compare(compare::Args),
    Train(train::TrainArgs),
    Distill(train::DistillArgs),
    Data(data::Args),
    Search(search::Args),
    Completions(completions::CompletionsArgs),
    ManPages(completions::ManPagesArgs),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Optimize(args) => args.run(),
            Self::Inspect(args) => args.run(),
            Self::Run(args) => args.run(),
            Self::Evaluate(args) => args.run(),
            Self::Prune(args) => args.run(),
            Self::Quantize(args) => args.run(),
            Self::Plan(args) => args.run(),
            Self::Fit(args) => args.run(),
            Self::Export(args) => args.run(),
            Self::Bench(args) => args.run(),
            Self::Compare(args) => args.run(),
            Self::Train(args) => args.run(),
            Self::Distill(args) => args.run(),
            Self::Data(args) => args.run(),
            Self::Search(args) => args.run(),
            Self::Completions(args) => args.run(),
            Self::ManPages(args) => args.run(),
        }
    }
}

/// Prints a result, a structure, as JSON that names its schema and the schema's version: a file in docs/schemas.
fn print_json<T: Serialize>(schema: &'static str, value: &T) -> Result<(), Failure> {
    anstream::println!("{}", versioned_json(schema, value)?);
    Ok(())
}
