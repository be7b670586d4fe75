//! The operators of an audio front end against plain definitions of what they do.

use std::collections::VecDeque;

use larun_kernels::Refusal;
use larun_ops::{
    ElementType, NoOptions, Op, SignalDelayOptions, SignalEnergyOptions, SignalFftOptions,
    SignalFilterBankOptions, SignalFramerOptions, SignalOverlapAddOptions, SignalPcanOptions,
    SignalStackerOptions, SignalWindowOptions,
};
use proptest::prelude::*;

use crate::support::{Node, State, Tensor};

fn i16s(dims: &[usize], values: &[i16]) -> Tensor {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor::new(ElementType::Int16, dims, bytes)
}

fn empty(element_type: ElementType, dims: &[usize]) -> Tensor {
    Tensor::new(element_type, dims, Vec::new())
}

fn to_i16s(bytes: &[u8]) -> Vec<i16> {
    let (chunks, _) = bytes.as_chunks();
    chunks
        .iter()
        .map(|chunk| i16::from_le_bytes(*chunk))
        .collect()
}

fn to_i32s(bytes: &[u8]) -> Vec<i32> {
    let (chunks, _) = bytes.as_chunks();
    chunks
        .iter()
        .map(|chunk| i32::from_le_bytes(*chunk))
        .collect()
}

/// A node that is run again and again.
struct Stream {
    node: Node,
    words: Vec<u32>,
    state: State,
}

impl Stream {
    fn new(node: Node) -> Self {
        let (words, scratch) = node.prepare().unwrap();
        assert_eq!(scratch, 0);
        let state = State::default();
        Self { node, words, state }
    }

    fn feed(&mut self, input: &[i16]) -> Vec<Vec<u8>> {
        let tensor = self.node.inputs[0].as_mut().unwrap();
        tensor.bytes = input.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.node
            .invoke_with(&self.words, 0, &mut self.state)
            .unwrap()
    }
}

fn fft(inverse: bool, fft_length: i32, input: Tensor, output: Tensor) -> Node {
    let options = SignalFftOptions {
        fft_length,
        ..SignalFftOptions::default()
    };
    Node {
        op: if inverse {
            Op::SignalIrfft(options)
        } else {
            Op::SignalRfft(options)
        },
        inputs: vec![Some(input)],
        outputs: vec![output],
    }
}

/// Numbers that look random, the same everywhere.
struct Numbers(u32);

impl Numbers {
    fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0
    }

    fn bytes(&mut self, element_type: ElementType, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let word = self.word().to_le_bytes();
            bytes.extend(if element_type == ElementType::Int16 {
                &word[2..]
            } else {
                &word
            });
        }
        bytes
    }
}

fn hash(values: impl IntoIterator<Item = i32>) -> u32 {
    values.into_iter().fold(2_166_136_261, |hash: u32, value| {
        (hash ^ value.cast_unsigned()).wrapping_mul(16_777_619)
    })
}

/// Hashes of the spectra and signals that kissfft 130 gives, compiled so that sums wrap.
#[test]
fn fixed_point_transforms_are_those_of_kissfft() {
    let int16 = [
        (4, 0xa08b0c2f, 0xc40bd6cf),
        (12, 0xc13225ee, 0x196e87b5),
        (20, 0x037ef05f, 0x12336bb7),
        (30, 0xa244fd93, 0xc9b6bdb6),
        (16, 0x91e5e120, 0x292ccc15),
        (96, 0x56a3c26c, 0xb6fc75ad),
        (480, 0xebbf1543, 0xc31f9bb9),
        (600, 0x141e55ca, 0xfd61bd11),
        (1920, 0x5b17d99d, 0xc232eedd),
        (750, 0xdb02a6f0, 0xc21bbd0f),
    ];
    let int32 = [
        (4, 0xc1364507, 0x9588a23b),
        (12, 0xeb357474, 0x0a7a9f3d),
        (20, 0x7313d3cf, 0x847555b3),
        (30, 0xfede6d55, 0xd6cad90a),
        (16, 0x69d72b80, 0xe15ec4ed),
        (96, 0x697a8572, 0xb24e0229),
        (480, 0x864accd5, 0x9b3936b1),
        (600, 0xb4b8b53d, 0xd263e385),
        (1920, 0xeab62029, 0x69a34ec1),
        (750, 0x83713f95, 0x99960bf0),
    ];
    for (element_type, cases) in [(ElementType::Int16, int16), (ElementType::Int32, int32)] {
        let ints = |bytes: &[u8]| match element_type {
            ElementType::Int16 => to_i16s(bytes).into_iter().map(i32::from).collect(),
            _ => to_i32s(bytes),
        };
        for (length, forward, backward) in cases {
            let mut numbers = Numbers(12_345);
            let signal = numbers.bytes(element_type, length);
            let spectrum = numbers.bytes(element_type, length + 2);
            let tensor = |dim, bytes| Tensor::new(element_type, &[dim], bytes);
            let node = fft(
                false,
                length as i32,
                tensor(length, signal),
                empty(element_type, &[length + 2]),
            );
            assert_eq!(
                hash(ints(&node.run().unwrap()[0])),
                forward,
                "{element_type} {length}"
            );
            let node = fft(
                true,
                length as i32,
                tensor(length + 2, spectrum),
                empty(element_type, &[length]),
            );
            assert_eq!(
                hash(ints(&node.run().unwrap()[0])),
                backward,
                "{element_type} {length}"
            );
        }
    }
}

fn length() -> impl Strategy<Value = usize> {
    let powers = (0u32..4, 0u32..3, 0u32..2);
    let half = powers
        .prop_map(|(two, three, five)| 2usize.pow(two) * 3usize.pow(three) * 5usize.pow(five));
    half.prop_filter("at least two pairs", |&half| half > 1)
        .prop_map(|half| 2 * half)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn real_transforms_are_those_of_their_definition(
        length in length(),
        values in prop::collection::vec(-1.0f32..1.0, 1440),
        share in 0.1f64..1.0,
    ) {
        let samples = ((length as f64 * share) as usize).max(1);
        let signal = &values[..2 * samples];
        let output = empty(ElementType::Float32, &[2, length + 2]);
        let node = fft(false, length as i32, Tensor::float(&[2, samples], signal), output);
        let spectra = node.run_f32().unwrap();
        for (signal, spectrum) in signal.chunks(samples).zip(spectra.chunks(length + 2)) {
            for (k, found) in spectrum.chunks(2).enumerate() {
                let turn = |t: usize| -core::f64::consts::TAU * ((k * t) % length) as f64 / length as f64;
                let part = |f: fn(f64) -> f64| -> f64 {
                    signal.iter().enumerate().map(|(t, &x)| f64::from(x) * f(turn(t))).sum()
                };
                for (found, expected) in found.iter().zip([part(f64::cos), part(f64::sin)]) {
                    prop_assert!((f64::from(*found) - expected).abs() < 1e-4, "{} {}", found, expected);
                }
            }
        }
        let output = empty(ElementType::Float32, &[2, length]);
        let back = fft(true, length as i32, Tensor::float(&[2, length + 2], &spectra), output);
        for (signal, back) in signal.chunks(samples).zip(back.run_f32().unwrap().chunks(length)) {
            let padded = signal.iter().copied().chain(core::iter::repeat(0.0));
            for (found, expected) in back.iter().zip(padded) {
                prop_assert!((found - expected).abs() < 1e-4, "{} {}", found, expected);
            }
        }
    }

    #[test]
    fn frames_are_those_of_a_queue(
        size in 1usize..12,
        step in 1usize..12,
        per_row in 1usize..4,
        rows in 1usize..3,
        prefill: bool,
        values in prop::collection::vec(any::<i16>(), 12 * 3 * 2 * 4),
    ) {
        prop_assume!(!prefill || step <= size);
        let row = step * per_row;
        let options = SignalFramerOptions { frame_size: size as i32, frame_step: step as i32, prefill };
        let mut stream = Stream::new(Node {
            op: Op::SignalFramer(options),
            inputs: vec![Some(empty(ElementType::Int16, &[rows, row]))],
            outputs: vec![
                empty(ElementType::Int16, &[rows, per_row, size]),
                empty(ElementType::Bool, &[]),
            ],
        });
        let before = if prefill { size - step } else { 0 };
        let mut queues = vec![VecDeque::from(vec![0i16; before]); rows];
        for input in values.chunks_exact(rows * row).take(4) {
            let (mut frames, mut valid) = (Vec::new(), true);
            for (queue, row) in queues.iter_mut().zip(input.chunks(row)) {
                for next in row.chunks(step) {
                    queue.extend(next);
                    if queue.len() < size {
                        valid = false;
                        frames.extend(vec![0; size]);
                        continue;
                    }
                    frames.extend(queue.iter().take(size));
                    queue.drain(..step);
                }
            }
            let found = stream.feed(input);
            prop_assert_eq!(to_i16s(&found[0]), frames);
            prop_assert_eq!(&found[1], &[u8::from(valid)]);
        }
    }

    #[test]
    fn stacks_are_those_of_a_queue(
        channels in 1usize..4,
        left in 0usize..4,
        right in 0usize..4,
        step in 1usize..8,
        values in prop::collection::vec(any::<i16>(), 4 * 12),
    ) {
        let frames = left + right + 1;
        prop_assume!(step <= frames);
        let options = SignalStackerOptions {
            num_channels: channels as i32,
            stacker_left_context: left as i32,
            stacker_right_context: right as i32,
            stacker_step: step as i32,
        };
        let mut stream = Stream::new(Node {
            op: Op::SignalStacker(options),
            inputs: vec![Some(empty(ElementType::Int16, &[channels]))],
            outputs: vec![
                empty(ElementType::Int16, &[channels * frames]),
                empty(ElementType::Bool, &[]),
            ],
        });
        let mut queue = VecDeque::<i16>::new();
        for (index, input) in values.chunks_exact(channels).enumerate() {
            let copies = if index == 0 { left + 1 } else { 1 };
            (0..copies).for_each(|_| queue.extend(input));
            let valid = queue.len() >= channels * frames;
            let found = stream.feed(input);
            prop_assert_eq!(&found[1], &[u8::from(valid)]);
            if valid {
                let expected: Vec<_> = queue.iter().copied().take(channels * frames).collect();
                prop_assert_eq!(to_i16s(&found[0]), expected);
                queue.drain(..channels * step);
            }
        }
    }

    #[test]
    fn a_delayed_stream_is_the_stream_later(
        row in 1usize..8,
        delay in 0usize..20,
        values in prop::collection::vec(any::<i16>(), 64),
    ) {
        let options = SignalDelayOptions { delay_length: delay as i32 };
        let mut stream = Stream::new(Node {
            op: Op::SignalDelay(options),
            inputs: vec![Some(empty(ElementType::Int16, &[2, row]))],
            outputs: vec![empty(ElementType::Int16, &[2, row])],
        });
        let mut sent = [Vec::<i16>::new(), Vec::new()];
        let mut heard = sent.clone();
        for input in values.chunks_exact(2 * row) {
            let output = to_i16s(&stream.feed(input)[0]);
            for (at, (sent, heard)) in sent.iter_mut().zip(&mut heard).enumerate() {
                sent.extend(&input[at * row..(at + 1) * row]);
                heard.extend(&output[at * row..(at + 1) * row]);
            }
        }
        for (sent, heard) in sent.iter().zip(&heard) {
            let late: Vec<_> = core::iter::repeat_n(&0, delay).chain(sent).take(heard.len()).collect();
            prop_assert!(heard.iter().eq(late));
        }
    }

    #[test]
    fn overlapping_frames_add_up(
        size in 1usize..8,
        step in 1usize..8,
        frames in 1usize..4,
        values in prop::collection::vec(-4000i16..4000, 8 * 4 * 4),
    ) {
        prop_assume!(step <= size);
        let options = SignalOverlapAddOptions {
            frame_step: step as i32,
            ..SignalOverlapAddOptions::default()
        };
        let mut stream = Stream::new(Node {
            op: Op::SignalOverlapAdd(options),
            inputs: vec![Some(empty(ElementType::Int16, &[1, frames, size]))],
            outputs: vec![empty(ElementType::Int16, &[1, frames * step])],
        });
        let mut expected = vec![0i16; (values.len() / size + 1) * step + size];
        let mut found = Vec::new();
        for (call, input) in values.chunks_exact(frames * size).enumerate() {
            for (at, frame) in input.chunks(size).enumerate() {
                let start = (call * frames + at) * step;
                for (sum, value) in expected[start..].iter_mut().zip(frame) {
                    *sum += value;
                }
            }
            found.extend(to_i16s(&stream.feed(input)[0]));
        }
        prop_assert_eq!(&found[..], &expected[..found.len()]);
    }
}

#[test]
fn sums_of_overlapping_frames_saturate() {
    let mut stream = Stream::new(Node {
        op: Op::SignalOverlapAdd(SignalOverlapAddOptions {
            frame_step: 1,
            ..SignalOverlapAddOptions::default()
        }),
        inputs: vec![Some(empty(ElementType::Int16, &[2, 2]))],
        outputs: vec![empty(ElementType::Int16, &[2])],
    });
    let found = to_i16s(&stream.feed(&[i16::MAX, i16::MIN, i16::MIN, 1])[0]);
    assert_eq!(found, [i16::MAX, i16::MIN]);
}

#[test]
fn windows_shift_and_clamp() {
    let node = |shift| Node {
        op: Op::SignalWindow(SignalWindowOptions { shift }),
        inputs: vec![
            Some(i16s(&[2, 2], &[i16::MIN, i16::MAX, -3, 100])),
            Some(i16s(&[2], &[i16::MIN, 4096])),
        ],
        outputs: vec![empty(ElementType::Int16, &[2, 2])],
    };
    let found = |shift| to_i16s(&node(shift).run().unwrap()[0]);
    assert_eq!(found(12), [i16::MAX, i16::MAX, 24, 100]);
    assert_eq!(found(15), [i16::MAX, 4095, 3, 12]);
    assert_eq!(refusal(&node(32)), "options: shift 32 is not supported");
    assert_eq!(refusal(&node(-1)), "options: shift -1 is not supported");
}

#[test]
fn frames_are_scaled_up_as_far_as_they_fit() {
    let found = |samples: &[i16]| {
        let node = Node {
            op: Op::SignalFftAutoScale(NoOptions {}),
            inputs: vec![Some(i16s(&[samples.len()], samples))],
            outputs: vec![
                empty(ElementType::Int16, &[samples.len()]),
                empty(ElementType::Int32, &[]),
            ],
        };
        let outputs = node.run().unwrap();
        (to_i16s(&outputs[0]), to_i32s(&outputs[1])[0])
    };
    assert_eq!(found(&[1, -3, 2]), (vec![1 << 13, -3 << 13, 2 << 13], 13));
    assert_eq!(found(&[0, 0]), (vec![0, 0], 0));
    assert_eq!(found(&[i16::MAX, 5]), (vec![i16::MAX, 5], 0));
    assert_eq!(found(&[5, i16::MIN]), (vec![5, i16::MIN], 0));
    // The least number is forgotten, as TFLM does.
    assert_eq!(found(&[i16::MIN, 1]), (vec![0, 1 << 14], 14));
}

#[test]
fn energies_outside_the_range_are_zero() {
    let node = |start_index, end_index| Node {
        op: Op::SignalEnergy(SignalEnergyOptions {
            end_index,
            start_index,
        }),
        inputs: vec![Some(i16s(&[6], &[1, 2, i16::MIN, i16::MIN, 3, 4]))],
        outputs: vec![empty(ElementType::UInt32, &[3])],
    };
    let found = |start, end| to_i32s(&node(start, end).run().unwrap()[0]);
    assert_eq!(found(1, 3), [0, i32::MIN, 25]);
    assert_eq!(found(2, 1), [0, 0, 0]);
    assert_eq!(
        refusal(&node(0, 4)),
        "options: end_index 4 is not supported"
    );
    assert_eq!(
        refusal(&node(-1, 3)),
        "options: start_index -1 is not supported"
    );
}

fn refusal(node: &Node) -> String {
    node.prepare()
        .map_err(|refusal: Refusal| refusal.to_string())
        .unwrap_err()
}

/// A bank of one channel over four bins, with what lies below it.
fn bank() -> Node {
    let table = |values: &[i16]| Some(i16s(&[values.len()], values).constant());
    let energies = [1u32, 2, 3, u32::MAX]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    Node {
        op: Op::SignalFilterBank(SignalFilterBankOptions { num_channels: 1 }),
        inputs: vec![
            Some(Tensor::new(ElementType::UInt32, &[4], energies)),
            table(&[10, 20, 30]),
            table(&[1, 2, 3]),
            table(&[0, 2]),
            table(&[0, 1]),
            table(&[2, 2]),
        ],
        outputs: vec![empty(ElementType::UInt64, &[1])],
    }
}

#[test]
fn a_channel_has_the_rest_of_the_one_below() {
    let found = bank().run().unwrap().swap_remove(0);
    let expected = (1 + 2 * 2) + 20 * 3 + 30 * u64::from(u32::MAX);
    assert_eq!(found, expected.to_le_bytes());
}

#[test]
fn channels_outside_their_tables_are_refused() {
    let with = |input: usize, values: &[i16]| {
        let mut node = bank();
        node.inputs[input] = Some(i16s(&[values.len()], values).constant());
        refusal(&node)
    };
    let said = |input| format!("input {input}: the start of a channel");
    assert_eq!(with(3, &[0, 3]), said(3) + " 3 is not supported");
    assert_eq!(with(3, &[-1, 0]), said(3) + " -1 is not supported");
    assert_eq!(with(4, &[0, i16::MAX]), said(4) + " 32767 is not supported");
    assert_eq!(with(5, &[i16::MAX, 1]), said(3) + " 0 is not supported");
    assert_eq!(with(4, &[0]), "input 4: must have 2 elements, has 1");
    let mut node = bank();
    node.inputs[5] = Some(i16s(&[2], &[2, 2]));
    assert_eq!(refusal(&node), "input 5: must be a constant");
}

#[test]
fn sizes_from_options_are_checked() {
    let rfft = |length, samples, values| {
        let input = empty(ElementType::Int16, &[samples]);
        refusal(&fft(
            false,
            length,
            input,
            empty(ElementType::Int16, &[values]),
        ))
    };
    for length in [i32::MIN, -2, 0, 1, 2, 5, 14, 22, i32::MAX, 1 << 30] {
        let said = rfft(length, 4, length.wrapping_add(2).clamp(0, 99) as usize);
        let expected = format!("options: fft_length {length} is not supported");
        assert!(said == expected || length == 1 << 30, "{length}: {said}");
    }
    assert_eq!(rfft(8, 9, 10), "input 0: dimension 0 must be 8, is 9");
    assert_eq!(rfft(8, 8, 9), "output 0: dimension 0 must be 10, is 9");
    let framer = |frame_size, frame_step, prefill| {
        let options = SignalFramerOptions {
            frame_size,
            frame_step,
            prefill,
        };
        refusal(&Node {
            op: Op::SignalFramer(options),
            inputs: vec![Some(empty(ElementType::Int16, &[6]))],
            outputs: vec![
                empty(ElementType::Int16, &[2, 4]),
                empty(ElementType::Bool, &[]),
            ],
        })
    };
    assert_eq!(framer(0, 3, true), "options: frame_size 0 is not supported");
    assert_eq!(framer(4, 0, true), "options: frame_step 0 is not supported");
    assert_eq!(framer(4, 4, true), "options: frame_step 4 is not supported");
    assert_eq!(framer(2, 3, true), "options: frame_step 3 is not supported");
    assert_eq!(
        framer(i32::MAX, 1, false),
        "output 0: dimension 1 must be 2147483647, is 4"
    );
    let stacker = |left, step| {
        let options = SignalStackerOptions {
            num_channels: 2,
            stacker_left_context: left,
            stacker_right_context: 1,
            stacker_step: step,
        };
        refusal(&Node {
            op: Op::SignalStacker(options),
            inputs: vec![Some(empty(ElementType::Int16, &[2]))],
            outputs: vec![
                empty(ElementType::Int16, &[6]),
                empty(ElementType::Bool, &[]),
            ],
        })
    };
    assert_eq!(stacker(1, 4), "options: stacker_step 4 is not supported");
    assert_eq!(
        stacker(-1, 1),
        "options: stacker_left_context -1 is not supported"
    );
    assert_eq!(stacker(2, 1), "output 0: must have 8 elements, has 6");
    let delay = SignalDelayOptions { delay_length: -1 };
    let node = Node {
        op: Op::SignalDelay(delay),
        inputs: vec![Some(empty(ElementType::Int16, &[6]))],
        outputs: vec![empty(ElementType::Int16, &[6])],
    };
    assert_eq!(refusal(&node), "options: delay_length -1 is not supported");
}

#[test]
fn a_gain_table_has_an_entry_for_every_noise() {
    let words = |values: &[u32]| {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Tensor::new(ElementType::UInt32, &[values.len()], bytes)
    };
    let node = |gains: &[i16], snr_shift| Node {
        op: Op::SignalPcan(SignalPcanOptions { snr_shift }),
        inputs: vec![
            Some(words(&[1 << 20, 1 << 10, u32::MAX])),
            Some(words(&[0, 3, u32::MAX])),
            Some(i16s(&[gains.len()], gains)),
        ],
        outputs: vec![empty(ElementType::UInt32, &[3])],
    };
    // A gain of one at all noises: x - 1 above 2, x^2 / 4 below.
    let mut gains = [0i16; 125];
    (gains[0], gains[2], gains[122]) = (1, 1, 1);
    let found = to_i32s(&node(&gains, 0).run().unwrap()[0]);
    let high = ((u32::MAX >> 6) - 64).cast_signed();
    assert_eq!(found, [(1 << 14) - 64, 1, high]);
    assert_eq!(
        refusal(&node(&gains[..124], 0)),
        "input 2: must have 125 elements, has 124"
    );
    assert_eq!(
        refusal(&node(&gains, 64)),
        "options: snr_shift 64 is not supported"
    );
}
