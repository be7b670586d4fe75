//! A whole run: loading, several inferences, and a reset between them.
#![no_main]

use larun_micro_fuzz::{mutate, run};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|file: &[u8]| run(file));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, seed, |data, size| {
        fuzzer_mutate(data, size, max_size)
    })
});
