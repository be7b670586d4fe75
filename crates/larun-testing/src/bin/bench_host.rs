//! `bench_host`: times models on this machine, for `cargo xtask bench host`.
//!
//! Reads lines `RUNS MODEL` and answers each with the median time of an invocation in nanoseconds. Whoever asks can so
//! take turns with another runtime. Inputs are zeros, and there is one thread.

use core::error::Error;
use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::time::Instant;

use larun_micro::Interpreter;
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels::ALL;

fn main() -> Result<(), Box<dyn Error>> {
    let mut models: HashMap<String, AlignedBytes> = HashMap::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (runs, path) = line
            .split_once(' ')
            .ok_or("expected a number of runs and a model")?;
        if !models.contains_key(path) {
            models.insert(
                path.to_owned(),
                AlignedBytes::copy_of(&std::fs::read(path)?),
            );
        }
        let median = models.get(path).map(|model| median(model, runs.parse()?));
        println!("{}", median.transpose()?.unwrap_or_default());
        io::stdout().flush()?;
    }
    Ok(())
}

/// The median time of `runs` invocations, in nanoseconds.
fn median(model: &[u8], runs: usize) -> Result<u128, Box<dyn Error>> {
    let mut arena = arena_for(model, ALL).map_err(|error| error.to_string())?;
    let mut interpreter =
        Interpreter::new(model, ALL, &mut arena).map_err(|error| error.to_string())?;
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        for index in 0..interpreter.input_count() {
            interpreter.input_bytes_mut(index)?.fill(0);
        }
        let start = Instant::now();
        interpreter.invoke()?;
        times.push(start.elapsed().as_nanos());
    }
    times.sort_unstable();
    Ok(times.get(runs / 2).copied().unwrap_or_default())
}
