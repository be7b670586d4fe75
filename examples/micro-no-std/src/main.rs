//! Runs the detector on this machine: the firmware would call it alike.

use larun_example_micro_no_std::{POINTS, transit};

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut flux = [1; POINTS];
    let flat = transit(&flux).map_err(|_| "the model does not run")?;
    flux[12..17].fill(-40);
    let dip = transit(&flux).map_err(|_| "the model does not run")?;
    println!("score of a flat curve {flat}, of one with a dip {dip}");
    match flat < 0 && dip > 0 {
        true => Ok(()),
        false => Err("the model does not tell them apart".into()),
    }
}
