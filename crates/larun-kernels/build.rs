//! Says which processor-specific files of `src/arch` to use: `cfg(larun_arch = "...")`.

use std::env;

/// The processor's file, for a target triple and the flags that the compiler is given.
fn arch(target: &str, flags: &str) -> &'static str {
    let flag = |name: &str| flags.split('\x1f').any(|flag| flag.contains(name));
    // Armv7E-M always has the DSP instructions; on Armv8-M they are an option that a processor name or feature turns on.
    let named = ["cortex-m33", "cortex-m35p", "cortex-m55", "cortex-m85"]
        .map(|name| flag(&format!("target-cpu={name}")));
    let dsp = (named.contains(&true) && !flag("-dsp")) || flag("+dsp");
    if target.starts_with("thumbv7em") || (target.starts_with("thumbv8m.main") && dsp) {
        return "armv7em";
    }
    if target.starts_with("x86_64") {
        return "x86_64";
    }
    "portable"
}

fn main() {
    println!(
        "cargo::rustc-check-cfg=cfg(larun_arch, values(\"armv7em\", \"portable\", \"x86_64\"))"
    );
    println!("cargo::rustc-check-cfg=cfg(larun_portable)");
    println!("cargo::rustc-check-cfg=cfg(larun_armv8m)");
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| env::var(name).unwrap_or_default();
    println!("cargo::rerun-if-env-changed=LARUN_PORTABLE");
    // Either leaves the definitions alone, to measure or to test them.
    let asked = ["LARUN_PORTABLE", "CARGO_CFG_LARUN_PORTABLE"].map(env::var_os);
    let arch = match asked.iter().any(Option::is_some) {
        true => "portable",
        false => arch(&variable("TARGET"), &variable("CARGO_ENCODED_RUSTFLAGS")),
    };
    println!("cargo::rustc-cfg=larun_arch=\"{arch}\"");
    if variable("TARGET").starts_with("thumbv8m") {
        println!("cargo::rustc-cfg=larun_armv8m");
    }
}
