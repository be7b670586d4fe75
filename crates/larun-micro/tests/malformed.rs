//! Damaged models: a typed error or an inference, never a panic, and soon.

mod support;

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, WIPOffset};
use larun_micro::host::{AlignedBytes, MAX_ARENA, arena_for};
use larun_micro::kernels::{self, InvokeError};
use larun_micro::{Interpreter, LoadError, Options, RunError};
use larun_testing::{corpus_dir, model_cases, op_cases};
use proptest::prelude::*;
use support::{Random, fill_inputs, flow, load, transit_file};

/// Loads and, where that succeeds, runs; says whether it ran. Panics where the interpreter does.
///
/// An arena of a fixed size bounds what a damaged shape can ask for.
fn survives(model: &[u8], arena: &mut [u8]) -> bool {
    match load(model, arena) {
        Ok(mut interpreter) => {
            fill_inputs(&mut interpreter, 1);
            match interpreter.invoke() {
                // The damage may have made indices of values.
                Ok(())
                | Err(RunError::Node {
                    error: InvokeError::OutOfRange(_),
                    ..
                }) => {}
                Err(error) => panic!("{error}"),
            }
            for i in 0..interpreter.output_count() {
                interpreter.output_bytes(i).unwrap();
            }
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// Damages a copy of `model` in one of the ways that files are damaged.
fn damage(model: &[u8], random: &mut Random) -> AlignedBytes {
    let mut copy = AlignedBytes::copy_of(model);
    match random.below(8) {
        0 => return AlignedBytes::copy_of(&model[..random.below(model.len())]),
        1 => flip_bits(&mut copy, random, 1),
        2 => flip_bits(&mut copy, random, 16),
        3 => overwrite_word(&mut copy, random),
        4 => copy_within(&mut copy, random),
        5 => zero_run(&mut copy, random),
        6 => {
            overwrite_word(&mut copy, random);
            flip_bits(&mut copy, random, 4);
        }
        _ => copy.fill_with(|| random.next() as u8),
    }
    copy
}

/// An index into `model`, mostly near an end: the tables are there, and weights, which may hold anything, between.
fn random_place(model: &[u8], random: &mut Random) -> usize {
    let near = random.below(model.len().min(12_000));
    match random.below(5) {
        0 => random.below(model.len()),
        1 | 2 => near,
        _ => model.len() - 1 - near,
    }
}

fn flip_bits(model: &mut [u8], random: &mut Random, count: usize) {
    for _ in 0..count {
        let at = random_place(model, random);
        model[at] ^= 1 << random.below(8);
    }
}

/// A number that is likely to upset, where an offset, a length or a dimension may be.
fn overwrite_word(model: &mut [u8], random: &mut Random) {
    let values = [
        0,
        1,
        2,
        0x7f,
        0xff,
        0x7fff,
        0xffff,
        1 << 24,
        i32::MAX,
        i32::MIN,
        -1,
        -2,
    ];
    let value = values[random.below(values.len())];
    let at = random_place(model, random) / 4 * 4;
    model[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn copy_within(model: &mut [u8], random: &mut Random) {
    let len = random.below(64) + 1;
    let last = model.len() - len;
    let [from, to] = [(); 2].map(|()| random_place(model, random).min(last));
    model.copy_within(from..from + len, to);
}

fn zero_run(model: &mut [u8], random: &mut Random) {
    let len = random.below(32) + 1;
    let at = random_place(model, random).min(model.len() - len);
    model[at..at + len].fill(0);
}

#[test]
fn ten_thousand_damaged_copies_of_a_small_model() {
    let model = transit_file();
    let mut arena = AlignedBytes::zeroed(64 << 10);
    let mut random = Random(1);
    let runs = (0..10_000).filter(|_| survives(&damage(&model, &mut random), &mut arena));
    let runs = runs.count();
    // Damage to names and weights does not keep a model from running; most other damage does.
    assert!((500..9_500).contains(&runs), "{runs} ran");
}

#[test]
fn ten_thousand_damaged_copies_of_real_models() {
    let Some(corpus) = corpus_dir("ten_thousand_damaged_copies_of_real_models") else {
        return;
    };
    let names = [
        "kws_int8",
        "ad01_int8",
        "hello_world_float",
        "sine_float",
        "micro_speech_quantized",
    ];
    let mut cases = model_cases(&corpus).unwrap();
    cases.retain(|case| names.contains(&case.name.as_str()));
    assert_eq!(cases.len(), names.len());
    let mut arena = AlignedBytes::zeroed(64 << 10);
    let mut random = Random(2);
    let runs = (0..10_000).filter(|turn| {
        let model = &cases[turn % cases.len()].model;
        survives(&damage(model, &mut random), &mut arena)
    });
    let runs = runs.count();
    assert!((500..9_500).contains(&runs), "{runs} ran");
}

#[test]
fn every_bit_of_a_small_model_may_flip() {
    let mut model = transit_file();
    let mut arena = AlignedBytes::zeroed(64 << 10);
    for byte in 0..model.len() {
        for bit in 0..8 {
            model[byte] ^= 1 << bit;
            survives(&model, &mut arena);
            model[byte] ^= 1 << bit;
        }
    }
}

#[test]
fn every_prefix_of_a_small_model_is_refused_or_runs() {
    let model = transit_file();
    let mut arena = AlignedBytes::zeroed(64 << 10);
    for len in 0..model.len() {
        survives(&model[..len], &mut arena);
    }
    assert!(survives(&model, &mut arena));
}

#[test]
fn a_huge_tensor_is_refused_without_its_memory() {
    let model = transit_file();
    let mut random = Random(3);
    for _ in 0..2_000 {
        let mut copy = AlignedBytes::copy_of(&model);
        overwrite_word(&mut copy, &mut random);
        if let Ok(arena) = arena_for(&copy, kernels::ALL) {
            assert!(arena.len() <= MAX_ARENA);
        }
    }
}

/// A model of `operators` RELUs, all of them one table, which reads a list of `operands` tensors: a file of a few bytes
/// an operator and an operand that asks for the product of both in work.
fn shared_lists(operators: usize, operands: usize) -> AlignedBytes {
    let mut file = FlatBufferBuilder::new();
    let inputs = file.create_vector(&vec![0i32; operands]);
    let outputs = file.create_vector(&[1i32]);
    let operator = table(&mut file, &[(1, inputs.value()), (2, outputs.value())]);
    let operators = file.create_vector(&vec![operator; operators]);
    let tensors = [0, 1].map(|_| table(&mut file, &[]));
    let tensors = file.create_vector(&tensors);
    let input = file.create_vector(&[0i32]);
    let subgraph = table(
        &mut file,
        &[
            (0, tensors.value()),
            (1, input.value()),
            (2, outputs.value()),
            (3, operators.value()),
        ],
    );
    let subgraphs = file.create_vector(&[subgraph]);
    let start = file.start_table();
    file.push_slot_always(slot(3), 19i32);
    let code = file.end_table(start);
    let codes = file.create_vector(&[code]);
    let buffer = table(&mut file, &[]);
    let buffers = file.create_vector(&[buffer]);
    let start = file.start_table();
    file.push_slot_always(slot(0), 3u32);
    file.push_slot_always(slot(1), codes);
    file.push_slot_always(slot(2), subgraphs);
    file.push_slot_always(slot(4), buffers);
    let root = file.end_table(start);
    file.finish(root, Some("TFL3"));
    AlignedBytes::copy_of(file.finished_data())
}

/// A table whose fields, by number, lead to what is at these offsets.
fn table<'a>(
    file: &mut FlatBufferBuilder<'a>,
    fields: &[(u16, u32)],
) -> WIPOffset<TableFinishedWIPOffset> {
    let start = file.start_table();
    for &(field, offset) in fields {
        file.push_slot_always(slot(field), WIPOffset::<u8>::new(offset));
    }
    file.end_table(start)
}

/// Where a table's vtable has a field.
const fn slot(field: u16) -> u16 {
    4 + 2 * field
}

#[test]
fn lists_that_share_their_bytes_are_refused() {
    let mut arena = AlignedBytes::zeroed(4096);
    let model = shared_lists(60_000, 60_000);
    let error = load(&model, &mut arena).err();
    assert!(
        matches!(error, Some(LoadError::TooManyOperands { index: 1..=3, .. })),
        "{error:?}"
    );
    // One operator is a model: RELU takes one operand.
    let model = shared_lists(1, 1);
    assert!(survives(&model, &mut arena));
}

#[test]
fn more_operators_than_are_numbered_are_refused() {
    let model = shared_lists(65_535, 1);
    let mut arena = AlignedBytes::zeroed(4096);
    let error = load(&model, &mut arena).err();
    let (tensors, operators) = (2, 65_535);
    let too_large = LoadError::TooLarge {
        subgraph: 0,
        tensors,
        operators,
    };
    assert_eq!(error, Some(too_large));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let model = AlignedBytes::copy_of(&bytes);
        let mut arena = AlignedBytes::zeroed(4096);
        prop_assert!(!survives(&model, &mut arena));
    }

    #[test]
    fn random_bytes_behind_a_good_header_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let mut model = transit_file();
        let start = model.len() - bytes.len().min(model.len() - 16);
        let room = &mut model[start..];
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        let mut arena = AlignedBytes::zeroed(64 << 10);
        survives(&model, &mut arena);
    }

    #[test]
    fn patched_bytes_are_survived(patches in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut model = transit_file();
        for (at, value) in patches {
            let at = at.index(model.len());
            model[at] = value;
        }
        let mut arena = AlignedBytes::zeroed(64 << 10);
        survives(&model, &mut arena);
    }
}

/// Runs with a limit that lets a damaged loop end soon; only loops and handles may fail an inference.
fn survives_with_loops(model: &[u8], arena: &mut [u8]) -> bool {
    let options = Options {
        max_calls: 64,
        ..Options::default()
    };
    match Interpreter::with_options(model, kernels::ALL, arena, options) {
        Ok(mut interpreter) => {
            for _ in 0..2 {
                fill_inputs(&mut interpreter, 1);
                match interpreter.invoke() {
                    Ok(()) | Err(RunError::TooManyCalls { .. }) => {}
                    Err(RunError::Node { error, .. }) => assert!(
                        matches!(
                            error,
                            InvokeError::NoResource(_)
                                | InvokeError::Length { .. }
                                | InvokeError::OutOfRange(_)
                        ),
                        "{error}"
                    ),
                    Err(error) => panic!("{error}"),
                }
                interpreter.reset().unwrap();
            }
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

#[test]
fn damaged_copies_of_models_with_subgraphs() {
    let mut models = vec![flow::file(&flow::branch()), flow::file(&flow::queue())];
    if let Some(corpus) = corpus_dir("damaged_copies_of_models_with_subgraphs: CALL_ONCE") {
        let mut cases = op_cases(&corpus).unwrap();
        cases.retain(|case| case.group == "CALL_ONCE");
        models.extend(cases.iter().map(|case| AlignedBytes::copy_of(&case.model)));
    }
    let mut arena = AlignedBytes::zeroed(64 << 10);
    let mut random = Random(4);
    let runs = (0..4_000).filter(|turn| {
        let model = &models[turn % models.len()];
        survives_with_loops(&damage(model, &mut random), &mut arena)
    });
    let runs = runs.count();
    assert!((100..3_800).contains(&runs), "{runs} ran");
}

#[test]
fn every_bit_of_a_model_with_subgraphs_may_flip() {
    let mut arena = AlignedBytes::zeroed(64 << 10);
    for mut model in [flow::file(&flow::branch()), flow::file(&flow::queue())] {
        for byte in 0..model.len() {
            for bit in 0..8 {
                model[byte] ^= 1 << bit;
                survives_with_loops(&model, &mut arena);
                model[byte] ^= 1 << bit;
            }
        }
    }
}

/// A model whose main subgraph runs all others, which are one table of `operators` RELUs.
fn shared_subgraphs(subgraphs: usize, operators: usize) -> AlignedBytes {
    let mut file = FlatBufferBuilder::new();
    let both = file.create_vector(&[0i32, 1]);
    let flag = file.create_vector(&[0i32]);
    let inputs = file.create_vector(&[1i32]);
    let outputs = file.create_vector(&[2i32]);
    let relus: Vec<_> = (0..operators as i32)
        .map(|i| {
            let output = file.create_vector(&[2 + i]);
            table(&mut file, &[(1, inputs.value()), (2, output.value())])
        })
        .collect();
    let relus = file.create_vector(&relus);
    let tensor = table(&mut file, &[]);
    let tensors = file.create_vector(&vec![tensor; 2 + operators]);
    let leaf = table(
        &mut file,
        &[
            (0, tensors.value()),
            (1, inputs.value()),
            (2, outputs.value()),
            (3, relus.value()),
        ],
    );
    let calls: Vec<_> = (1..=subgraphs as i32)
        .map(|callee| {
            let start = file.start_table();
            file.push_slot_always(slot(0), callee);
            file.push_slot_always(slot(1), callee);
            let options = file.end_table(start);
            let start = file.start_table();
            file.push_slot_always(slot(0), 1u32);
            file.push_slot_always(slot(1), both);
            file.push_slot_always(slot(2), outputs);
            file.push_slot_always(slot(3), 92u8);
            file.push_slot_always(slot(4), options);
            file.end_table(start)
        })
        .collect();
    let calls = file.create_vector(&calls);
    let start = file.start_table();
    file.push_slot_always(slot(1), 6i8);
    let boolean = file.end_table(start);
    let others = [1, 2].map(|_| table(&mut file, &[]));
    let tensors = file.create_vector(&[boolean, others[0], others[1]]);
    let main = table(
        &mut file,
        &[
            (0, tensors.value()),
            (1, both.value()),
            (2, flag.value()),
            (3, calls.value()),
        ],
    );
    let mut all = vec![leaf; subgraphs + 1];
    all[0] = main;
    let subgraphs = file.create_vector(&all);
    let codes = [19i32, 118].map(|code| {
        let start = file.start_table();
        file.push_slot_always(slot(3), code);
        file.end_table(start)
    });
    let codes = file.create_vector(&codes);
    let buffer = table(&mut file, &[]);
    let buffers = file.create_vector(&[buffer]);
    let start = file.start_table();
    file.push_slot_always(slot(0), 3u32);
    file.push_slot_always(slot(1), codes);
    file.push_slot_always(slot(2), subgraphs);
    file.push_slot_always(slot(4), buffers);
    let root = file.end_table(start);
    file.finish(root, Some("TFL3"));
    AlignedBytes::copy_of(file.finished_data())
}

#[test]
fn subgraphs_that_share_their_bytes_are_refused() {
    let mut arena = AlignedBytes::zeroed(1 << 20);
    let model = shared_subgraphs(5_000, 500);
    let error = load(&model, &mut arena).err();
    let refused = matches!(
        error,
        Some(
            LoadError::TooManyOperands { subgraph: 2.., .. }
                | LoadError::TooLarge { subgraph: 2.., .. }
        )
    );
    assert!(refused, "{error:?}");
    let model = shared_subgraphs(1, 1);
    assert!(survives(&model, &mut arena));
}
