//! Every model of the corpus that the interpreter has the operators for gives the expected bytes, again and again.

#[path = "support/cases.rs"]
mod cases;
mod support;

use cases::loadable_cases;
use larun_micro::kernels;
use larun_testing::conformance::{Outcome, run};
use larun_testing::{Case, corpus_dir, model_cases, op_cases};
use support::{fill_inputs, load, outputs};

/// INT8 models that must pass: every operator they hold is in the table.
const INT8_MODELS: [&str; 9] = [
    "ad01_int8",
    "hello_world_int8",
    "ic_resnet8_int8",
    "kws_int8",
    "micro_speech_quantized",
    "person_detect",
    "speech",
    "sww_int8",
    "vww_int8",
];

const FLOAT_MODELS: [&str; 5] = [
    "ad01_fp32",
    "hello_world_float",
    "ic_resnet8_float",
    "sine_float",
    "vww_float",
];

fn must_pass(cases: &[Case], name: &str) {
    let case = cases.iter().find(|case| case.name == name);
    let case = case.unwrap_or_else(|| panic!("{name} is not in the corpus"));
    assert!(!case.sets.is_empty());
    assert_eq!(run(case, kernels::ALL), Outcome::Passed, "{name}");
}

#[test]
fn int8_models_give_tflms_bytes() {
    let Some(corpus) = corpus_dir("int8_models_give_tflms_bytes") else {
        return;
    };
    let cases = model_cases(&corpus).unwrap();
    INT8_MODELS.iter().for_each(|name| must_pass(&cases, name));
}

#[test]
fn float_models_are_within_a_hundred_thousandth() {
    let Some(corpus) = corpus_dir("float_models_are_within_a_hundred_thousandth") else {
        return;
    };
    let cases = model_cases(&corpus).unwrap();
    FLOAT_MODELS.iter().for_each(|name| must_pass(&cases, name));
}

#[test]
fn every_case_that_loads_passes() {
    let Some(corpus) = corpus_dir("every_case_that_loads_passes") else {
        return;
    };
    let cases = op_cases(&corpus).unwrap();
    let mut passed = 0;
    let mut failures = Vec::new();
    for case in &cases {
        match run(case, kernels::ALL) {
            Outcome::Passed => passed += 1,
            Outcome::Failed(why) => failures.push(format!("{}: {why}", case.name)),
            Outcome::Skipped(_) => {}
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 2_700, "only {passed} of {} cases ran", cases.len());
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let Some(cases) = loadable_cases("the_same_inputs_give_the_same_outputs") else {
        return;
    };
    for mut loadable in cases {
        let mut interpreter = load(&loadable.model, &mut loadable.arena).unwrap();
        let mut results = Vec::new();
        for seed in [1, 2, 1] {
            interpreter.reset().unwrap();
            fill_inputs(&mut interpreter, seed);
            // Indices at random may be out of range.
            results.push(interpreter.invoke().map(|()| outputs(&interpreter)));
        }
        assert_eq!(results[0], results[2], "{}", loadable.case.name);
    }
}
