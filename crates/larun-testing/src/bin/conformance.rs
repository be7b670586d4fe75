//! Runs the cases of the corpus through the micro-interpreter and compares: `cargo xtask conformance`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use larun_testing::conformance::{Report, Tally};
use larun_testing::{Case, CorpusError, model_cases, op_cases};

/// Run the operator cases and models of the corpus through the micro-interpreter, and compare outputs
#[derive(Parser)]
#[command(name = "conformance", bin_name = "cargo xtask conformance")]
struct Args {
    /// The corpus; the variable LARUN_CORPUS says where it is otherwise
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Write the counts, failures and skips as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Run only cases whose name or group contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
}

/// Why the run failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("where is the corpus? Name it with --corpus, or in the variable LARUN_CORPUS")]
    NoCorpus,
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    #[error("no case of the corpus has {filter:?} in its name or group")]
    NoCase { filter: String },
    #[error("{}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(Tally { failed: 0, .. }) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs operator cases and models, prints the counts, and ends with a line of totals.
fn run(args: &Args) -> Result<Tally, Error> {
    let cases = cases(args)?;
    let report = Report::of(&cases, larun_micro::kernels::ALL);
    print_groups(&report);
    print_details(&report);
    if let Some(path) = &args.json {
        write_json(path, &report)?;
    }
    let Tally {
        passed,
        failed,
        skipped,
    } = report.total;
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(report.total)
}

fn cases(args: &Args) -> Result<Vec<Case>, Error> {
    let from_environment = || std::env::var_os("LARUN_CORPUS").map(PathBuf::from);
    let corpus = args.corpus.clone().or_else(from_environment);
    let corpus = corpus
        .filter(|dir| !dir.as_os_str().is_empty())
        .ok_or(Error::NoCorpus)?;
    let mut cases = op_cases(&corpus)?;
    cases.extend(model_cases(&corpus)?);
    cases.retain(|case| case.name.contains(&args.filter) || case.group.contains(&args.filter));
    if cases.is_empty() {
        let filter = args.filter.clone();
        return Err(Error::NoCase { filter });
    }
    Ok(cases)
}

/// A row for every operator (or group of models) and element type.
fn print_groups(report: &Report) {
    let rows = || {
        report.groups.iter().flat_map(|(group, dtypes)| {
            let row = move |(dtype, tally)| (group.as_str(), dtype, tally);
            dtypes.iter().map(row)
        })
    };
    let width = |lens: &mut dyn Iterator<Item = usize>| lens.max().unwrap_or(0);
    let group_width = width(&mut rows().map(|(group, ..)| group.len())).max("operator".len());
    let dtype_width = width(&mut rows().map(|(_, dtype, _)| dtype.len())).max("type".len());
    println!(
        "{:group_width$}  {:dtype_width$}  passed  failed  skipped",
        "operator", "type"
    );
    for (group, dtype, tally) in rows() {
        let [passed, failed, skipped] = [tally.passed, tally.failed, tally.skipped].map(count);
        println!(
            "{group:group_width$}  {dtype:dtype_width$}  {passed:>6}  {failed:>6}  {skipped:>7}"
        );
    }
}

/// Zeros are left out, so that what is there stands out.
fn count(n: usize) -> String {
    if n == 0 { String::new() } else { n.to_string() }
}

fn print_details(report: &Report) {
    println!();
    for (skip, count) in report.skip_counts() {
        println!("skipped {count:>4}: {skip}");
    }
    for (name, why) in &report.failures {
        println!("FAILED {name}: {why}");
    }
}

fn write_json(path: &Path, report: &Report) -> Result<(), Error> {
    let write = || {
        let mut text = serde_json::to_string_pretty(report)?;
        text.push('\n');
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)
    };
    write().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}
