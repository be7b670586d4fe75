//! Writes simulated light curves to a `.npz` file: `simulate FILE [SAMPLES_PER_CLASS] [SEED]`.

use core::error::Error;

use larun_data::simulate;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .ok_or("usage: simulate FILE [SAMPLES_PER_CLASS] [SEED]")?;
    let samples = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let seed = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let dataset = simulate::light_curves(samples, seed);
    dataset.save_npz(&file)?;
    println!(
        "{file}: {} light curves of {} classes",
        dataset.len(),
        dataset.class_names.len()
    );
    Ok(())
}
