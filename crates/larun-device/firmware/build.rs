//! Picks the memory map of QEMU's machine for the target.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let target = env::var("TARGET").unwrap_or_default();
    let map = if target.starts_with("riscv32") {
        "memory/virt.x"
    } else {
        "memory/an386.x"
    };
    println!("cargo::rerun-if-changed={map}");
    fs::copy(map, out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    if target.starts_with("riscv32") {
        println!("cargo::rustc-link-arg=-Tmemory.x");
    } else {
        println!("cargo::rustc-link-arg=--nmagic");
    }
    println!("cargo::rustc-link-arg=-Tlink.x");
    Ok(())
}
