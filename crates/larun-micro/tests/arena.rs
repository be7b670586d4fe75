//! The arena: the size that an error names is the size that works, and no smaller one does.

#[path = "support/cases.rs"]
mod cases;
mod support;

use cases::loadable_cases;
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{ArenaTooSmall, LoadError, kernels};
use larun_testing::{corpus_dir, model_cases};
use support::{fill_inputs, load, outputs, transit_file};

/// The error for an arena of `size` bytes, or `None` where it is large enough.
fn too_small(model: &[u8], memory: &mut [u8], size: usize) -> Option<ArenaTooSmall> {
    match load(model, &mut memory[..size]) {
        Ok(_) => None,
        Err(LoadError::Arena(error)) => Some(error),
        Err(error) => panic!("{error}"),
    }
}

/// Holds an error to the size that is in fact needed.
fn check(error: ArenaTooSmall, size: usize, needed: usize) {
    let words = size / 4 * 4;
    assert_eq!(error.given, words);
    assert!(error.needed > words, "{error}");
    assert!(error.exact);
    assert_eq!(error.needed, needed);
}

#[test]
fn every_smaller_arena_is_refused() {
    let model = transit_file();
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let needed = arena.len();
    for size in 0..needed {
        let error = too_small(&model, &mut arena, size).expect("too small an arena was taken");
        check(error, size, needed);
    }
    let error = too_small(&model, &mut arena, needed - 4).unwrap();
    let message = format!(
        "the arena has {} bytes, the model needs {needed}",
        needed - 4
    );
    assert_eq!(error.to_string(), message);
}

#[test]
fn an_unaligned_arena_needs_the_bytes_that_it_skips() {
    let model = transit_file();
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let needed = arena.len();
    for skipped in 1..16 {
        let Err(LoadError::Arena(error)) = load(&model, &mut arena[skipped..]) else {
            panic!("an arena without {skipped} of its bytes was taken");
        };
        // The address skipped / 16 is the first that is aligned.
        let unaligned = 16 - skipped;
        assert_eq!((error.needed, error.exact), (needed + unaligned, true));
    }
}

#[test]
fn the_needed_arena_suffices_for_every_case() {
    let Some(cases) = loadable_cases("the_needed_arena_suffices_for_every_case") else {
        return;
    };
    for mut loadable in cases {
        let needed = loadable.arena.len();
        let name = loadable.case.name;
        let sizes = (0..needed).step_by(needed / 48 + 1);
        for size in sizes.chain(needed.saturating_sub(20)..needed) {
            let error = too_small(&loadable.model, &mut loadable.arena, size);
            check(
                error.unwrap_or_else(|| panic!("{name}: {size}")),
                size,
                needed,
            );
        }
        let mut interpreter = load(&loadable.model, &mut loadable.arena).unwrap();
        assert_eq!(interpreter.arena_bytes(), needed, "{name}");
        let parts = interpreter.persistent_bytes() + interpreter.activation_bytes();
        assert!(parts <= needed, "{name}");
        interpreter.invoke().unwrap();
    }
}

#[test]
fn a_larger_arena_changes_nothing() {
    let Some(cases) = loadable_cases("a_larger_arena_changes_nothing") else {
        return;
    };
    let mut large = AlignedBytes::zeroed(2 << 20);
    for mut loadable in cases {
        let run = |arena: &mut [u8]| {
            let mut interpreter = load(&loadable.model, arena).unwrap();
            fill_inputs(&mut interpreter, 1);
            // Indices at random may be out of range.
            interpreter.invoke().map(|()| outputs(&interpreter))
        };
        assert_eq!(
            run(&mut loadable.arena),
            run(&mut large),
            "{}",
            loadable.case.name
        );
    }
}

/// Bytes of activations and persistent bytes of the MLPerf Tiny models, and what TensorFlow Lite for Microcontrollers
/// takes for the same two (head and tail of its arena, measured on x86-64).
const MLPERF_TINY: [(&str, [usize; 2], [usize; 2]); 4] = [
    ("kws_int8", [16_256, 4_336], [16_000, 8_272]),
    ("vww_int8", [73_728, 17_488], [73_728, 29_952]),
    ("ic_resnet8_int8", [49_728, 3_456], [49_152, 6_832]),
    ("ad01_int8", [768, 864], [768, 3_216]),
];

#[test]
fn mlperf_tiny_takes_no_more_memory_than_is_known() {
    let Some(corpus) = corpus_dir("mlperf_tiny_takes_no_more_memory_than_is_known") else {
        return;
    };
    let cases = model_cases(&corpus).unwrap();
    for (name, known, tflm) in MLPERF_TINY {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let model = AlignedBytes::copy_of(&case.model);
        let mut arena = arena_for(&model, kernels::ALL).unwrap();
        let interpreter = load(&model, &mut arena).unwrap();
        let activations = interpreter.activation_bytes();
        let persistent = interpreter.persistent_bytes();
        let all = interpreter.arena_bytes();
        println!(
            "{name}: {all} bytes of arena, {activations} of activations, {persistent} persistent"
        );
        assert!(activations <= known[0] && persistent <= known[1], "{name}");
        assert!(all < tflm.iter().sum(), "{name}");
    }
}
