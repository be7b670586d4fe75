//! `compile MODEL OUT_DIR [TARGET [in-place|streamed]]`: Rust source of a model, for a target triple. `cargo xtask bench firmware`
//! builds it into firmware.

use core::error::Error;

use larun_codegen::{Config, Processor, Rows, Stream};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let model = args.next().ok_or("the first argument is the model")?;
    let folder = args
        .next()
        .ok_or("the second argument is the folder to write to")?;
    let target = args.next().unwrap_or_default();
    let rows = match args.next().as_deref() {
        None => Rows::default(),
        Some("in-place") => Rows {
            in_place: true,
            stream: Stream::Never,
        },
        Some("streamed") => Rows {
            in_place: true,
            stream: Stream::Always,
        },
        Some(other) => return Err(format!("no way to run rows: {other}").into()),
    };
    Config::new(model)
        .rows(rows)
        .name("model")
        .out_dir(folder)
        .processor(Processor::of_target(&target, ""))
        .generate()?;
    Ok(())
}
