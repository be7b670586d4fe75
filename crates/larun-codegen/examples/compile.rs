//! `compile MODEL OUT_DIR [TARGET]`: Rust source of a model, for a target triple. `cargo xtask bench firmware` builds it into
//! firmware.

use core::error::Error;

use larun_codegen::{Config, Processor};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let model = args.next().ok_or("the first argument is the model")?;
    let folder = args
        .next()
        .ok_or("the second argument is the folder to write to")?;
    let target = args.next().unwrap_or_default();
    Config::new(model)
        .name("model")
        .out_dir(folder)
        .processor(Processor::of_target(&target, ""))
        .generate()?;
    Ok(())
}
