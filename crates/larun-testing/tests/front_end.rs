//! Sound in, word out: the audio front end's model feeds the model that knows words, as on a microcontroller.

use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, kernels};
use larun_testing::{Case, model_cases};

/// Windows of a second of sound.
const WINDOWS: usize = 49;

/// What TensorFlow Lite Micro makes of the seconds from window 3 and 5 of the corpus on: "yes".
const YES: [i8; 4] = [-128, -128, 127, -128];

#[test]
fn a_second_of_sound_is_understood() {
    let Some(corpus) = std::env::var_os("LARUN_CORPUS") else {
        println!("skipped: a second of sound: LARUN_CORPUS is not set");
        return;
    };
    let cases = model_cases(corpus.as_ref()).unwrap();
    let find = |name: &str| -> &Case { cases.iter().find(|case| case.name == name).unwrap() };
    let sounds = &find("audio_preprocessor_int8").sets;
    let front_end = AlignedBytes::copy_of(&find("audio_preprocessor_int8").model);
    let words = AlignedBytes::copy_of(&find("micro_speech_quantized").model);
    let mut arena = arena_for(&front_end, kernels::ALL).unwrap();
    let mut front_end = Interpreter::new(&front_end, kernels::ALL, &mut arena).unwrap();
    let mut arena = arena_for(&words, kernels::ALL).unwrap();
    let mut words = Interpreter::new(&words, kernels::ALL, &mut arena).unwrap();

    let mut heard: Vec<Vec<i8>> = Vec::new();
    for start in [3, 5, 3] {
        front_end.reset().unwrap();
        let mut features = Vec::new();
        for window in &sounds[start..start + WINDOWS] {
            let input = front_end.input_bytes_mut(0).unwrap();
            input.copy_from_slice(&window.inputs[0].bytes);
            front_end.invoke().unwrap();
            features.extend(front_end.output::<i8>(0).unwrap());
        }
        words.set_input(0, &features).unwrap();
        words.invoke().unwrap();
        assert_eq!(words.output::<i8>(0).unwrap(), YES);
        heard.push(features);
    }
    assert_eq!(
        heard[0], heard[2],
        "noise learnt before a reset is forgotten"
    );
}
