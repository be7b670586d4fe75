//! Runs steps, some side by side, and sums up.

use core::time::Duration;
use std::io::{self, Seek, Write};
use std::time::Instant;

use super::context::Context;
use super::step::{Error, Order, Outcome, Step};

/// What became of a step.
struct Done {
    name: &'static str,
    took: Duration,
    result: Result<Outcome, Error>,
}

/// Runs all steps, whatever becomes of each; prints a table; says whether none failed.
pub(super) fn run(context: &Context, steps: &[&'static Step]) -> bool {
    let start = Instant::now();
    let mut done = Vec::new();
    for group in steps.chunk_by(|a, b| a.order == Order::Beside && b.order == Order::Beside) {
        match group {
            [step] => {
                println!("\n=== {}", step.name);
                let step = run_step(context, step);
                println!("--- {}", line(&step));
                done.push(step);
            }
            steps => done.extend(side_by_side(context, steps)),
        }
    }
    println!("\n=== summary");
    for step in &done {
        println!("{}", line(step));
    }
    let failed = done.iter().filter(|step| step.result.is_err()).count();
    println!(
        "{} s in all, {failed} of {} steps failed",
        start.elapsed().as_secs(),
        done.len()
    );
    failed == 0
}

/// Runs steps at the same time; what each prints is shown when it ends.
fn side_by_side(context: &Context, steps: &[&'static Step]) -> Vec<Done> {
    let names: Vec<_> = steps.iter().map(|step| step.name).collect();
    println!("\n=== {} side by side", names.join(", "));
    let run = |step: &'static Step| match run_logged(context, step) {
        Ok(done) => done,
        Err(error) => Done {
            name: step.name,
            took: Duration::ZERO,
            result: Err(error),
        },
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = steps
            .iter()
            .map(|step| (step.name, scope.spawn(move || run(step))))
            .collect();
        let join = |(name, thread): (_, std::thread::ScopedJoinHandle<'_, Done>)| {
            thread.join().unwrap_or_else(|_| Done {
                name,
                took: Duration::ZERO,
                result: Err(Error::Finding("the step panicked".to_owned())),
            })
        };
        threads.into_iter().map(join).collect()
    })
}

fn run_logged(context: &Context, step: &'static Step) -> Result<Done, Error> {
    let mut log = tempfile::tempfile().map_err(Error::io("the step's log"))?;
    let copy = log.try_clone().map_err(Error::io("the step's log"))?;
    let done = run_step(&context.logging_to(copy), step);
    // One lock, so that no other step's lines come between.
    let mut out = io::stdout().lock();
    let mut show = |out: &mut dyn Write| -> io::Result<()> {
        log.rewind()?;
        writeln!(out, "\n=== {}", step.name)?;
        io::copy(&mut log, out)?;
        writeln!(out, "--- {}", line(&done))
    };
    show(&mut out).map_err(Error::io("the step's log"))?;
    Ok(done)
}

fn run_step(context: &Context, step: &'static Step) -> Done {
    let start = Instant::now();
    let result = (step.run)(context);
    match &result {
        Ok(Outcome::Passed) => {}
        Ok(Outcome::Skipped(why)) => context.say(&format!("skipped: {why}")),
        Err(error) => context.say(&format!("error: {error}")),
    }
    Done {
        name: step.name,
        took: start.elapsed(),
        result,
    }
}

fn line(step: &Done) -> String {
    let result = match &step.result {
        Ok(Outcome::Passed) => "passed".to_owned(),
        Ok(Outcome::Skipped(why)) => format!("skipped: {why}"),
        Err(error) => format!("FAILED: {error}"),
    };
    format!("{:<13} {:>5} s  {result}", step.name, step.took.as_secs())
}
