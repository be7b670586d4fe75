//! Reads a `.tflite` file and writes it again: `cargo run --example rewrite -- IN OUT`.

use core::error::Error;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<_> = env::args_os().skip(1).collect();
    let [input, output] = paths.as_slice() else {
        return Err("two paths are needed: the file to read and the one to write".into());
    };
    let file = fs::read(input)?;
    let graph = larun_tflite::read(&file)?;
    let written = larun_tflite::write(&graph)?;
    fs::write(output, &written)?;
    println!("{} bytes read, {} written", file.len(), written.len());
    Ok(())
}
