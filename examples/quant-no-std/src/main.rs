//! Runs the layer on this machine: the firmware would call it alike.

use larun_example_quant_no_std::Unit;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let unit = Unit::new(&[0.25, -0.5, 1.0], 0.1, (-1.0, 3.0), (0.0, 4.0))?;
    let (real, integers) = (3.1, unit.predict(&[2.0, 1.0, 3.0]));
    println!("in real numbers {real}, in integers {integers:.3}");
    match (integers - real).abs() < 0.03 {
        true => Ok(()),
        false => Err("the integers are further off than two steps of the output".into()),
    }
}
