//! Nothing: what the start-up code alone takes of the flash.

#![no_std]
#![no_main]

use larun_firmware_example::console;
use panic_halt as _;

#[cortex_m_rt::entry]
fn main() -> ! {
    console::done()
}
