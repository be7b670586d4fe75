//! Any bytes at all give a value or an error: never a panic, never an endless loop, never more
//! memory than the bytes justify.

mod support;

use std::sync::LazyLock;

use larun_graph::ops::{OpKind, OptionsSource};
use larun_tflite::view::{IndexVector, List, Model, QuantizationDetails, ViewError, ViewErrorKind};
use larun_tflite::{ReadErrorKind, read, write};
use proptest::prelude::*;

/// What is damaged: files with every part of the format in them, and small real ones.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let graphs = [support::small(), support::everything()];
    let mut files: Vec<_> = graphs.iter().map(|graph| write(graph).unwrap()).collect();
    if let Some(corpus) = support::corpus("real files among those damaged") {
        let models = support::corpus_models(&corpus).into_iter();
        let small = models.filter(|(_, model)| model.len() < 4000);
        files.extend(small.step_by(100).map(|(_, model)| model));
    }
    files
});

/// Looks at all that a file holds. Each getter is tried whether or not others gave an error.
fn look_at(file: &[u8]) -> Result<(), ViewError> {
    let model = Model::new(file)?;
    let _ = (model.description(), model.metadata_buffers().map(walk));
    let _ = model.find_metadata(b"OfflineMemoryAllocation");
    for i in entries(Ok(model.buffer_count())) {
        let _ = model.buffer(i);
    }
    for i in entries(model.metadata_count()) {
        let _ = model.metadata(i);
    }
    for i in entries(model.external_buffer_count()) {
        let _ = (model.external_buffer(i), model.external_buffer_group(i));
    }
    for i in entries(model.signature_count()) {
        let Ok(signature) = model.signature(i) else {
            continue;
        };
        let _ = (
            signature.key(),
            signature.retired_tag(),
            signature.subgraph(),
        );
        for i in entries(Ok(signature.input_count())) {
            let _ = (signature.input(i), signature.output(i));
        }
    }
    for i in entries(Ok(model.subgraph_count())) {
        let _ = look_at_subgraph(&model, i);
    }
    Ok(())
}

/// A few numbers and one past the end: vectors of a damaged file may be as long as the file.
fn entries(count: Result<usize, ViewError>) -> impl Iterator<Item = usize> {
    let count = count.unwrap_or(0);
    (0..count.min(40)).chain([count, usize::MAX])
}

fn walk<T: larun_tflite::view::Scalar>(list: List<'_, T>) {
    assert_eq!(list.iter().count(), list.len());
    assert!(list.get(list.len()).is_none());
    assert!(list.get(usize::MAX).is_none());
}

fn look_at_subgraph(model: &Model<'_>, index: usize) -> Result<(), ViewError> {
    let subgraph = model.subgraph(index)?;
    let _ = (subgraph.name(), subgraph.debug_metadata_index());
    let _ = (subgraph.inputs().map(walk), subgraph.outputs().map(walk));
    for i in entries(Ok(subgraph.tensor_count())) {
        let _ = subgraph.tensor(i).map(|tensor| look_at_tensor(&tensor));
    }
    for i in entries(Ok(subgraph.operator_count())) {
        let _ = subgraph
            .operator(i)
            .map(|operator| look_at_operator(model, &operator));
    }
    Ok(())
}

fn look_at_tensor(tensor: &larun_tflite::view::Tensor<'_>) {
    let _ = (
        tensor.name(),
        tensor.shape(),
        tensor.has_rank(),
        tensor.element_type(),
    );
    let _ = (
        tensor.buffer(),
        tensor.external_buffer(),
        tensor.is_variable(),
    );
    let _ = tensor.shape_signature().map(|list| list.map(walk));
    for i in entries(tensor.variant_count()) {
        let _ = tensor.variant(i);
    }
    if let Ok(Some(quantization)) = tensor.quantization() {
        let _ = (
            quantization.scales().map(walk),
            quantization.zero_points().map(walk),
        );
        let _ = (quantization.min().map(walk), quantization.max().map(walk));
        let _ = quantization.axis();
        if let Ok(Some(QuantizationDetails::MultiAxis { axes, .. })) = quantization.details() {
            walk(axes);
        }
    }
    if let Ok(Some(sparsity)) = tensor.sparsity() {
        let _ = (
            sparsity.traversal_order().map(walk),
            sparsity.block_map().map(walk),
        );
        for i in entries(Ok(sparsity.dimension_count())) {
            let dimension = sparsity.dimension(i);
            if let Ok(IndexVector::Int32(list)) = dimension.map(|dimension| dimension.indices) {
                walk(list);
            }
        }
    }
}

fn look_at_operator(model: &Model<'_>, operator: &larun_tflite::view::Operator<'_>) {
    let _ = operator.code_index().map(|index| {
        let code = model.operator_code(index as usize);
        code.map(|code| code.kind().map(|kind| operator.op(kind)))
    });
    for kind in OpKind::ALL {
        let _ = operator.op(*kind);
    }
    let _ = (operator.inputs().map(walk), operator.outputs().map(walk));
    let _ = (
        operator.intermediates().map(walk),
        operator.mutating_variable_inputs(),
    );
    let _ = (operator.custom_options(), operator.custom_options_format());
    let _ = (
        operator.large_custom_options(),
        operator.debug_metadata_index(),
    );
    if let Ok(Some(options)) = operator.options() {
        for id in [0, 1, 2, 3, 4, 5, 6, 255, u16::MAX] {
            let _ = (
                options.byte(id),
                options.int(id),
                options.float(id),
                options.ints(id),
            );
        }
    }
}

/// Everything that takes bytes.
fn use_all(file: &[u8]) {
    if let Err(error) = look_at(file) {
        assert!(!error.to_string().is_empty());
    }
    match read(file) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(graph) => {
            let _ = graph.validate();
            // What could be read can be written and is the same then, but for NaN.
            if let Ok(written) = write(&graph) {
                let again = read(&written).unwrap();
                assert_eq!(write(&again).unwrap(), written);
            }
        }
    }
}

fn a_file() -> impl Strategy<Value = Vec<u8>> {
    any::<prop::sample::Index>().prop_map(|index| index.get(&FILES).clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn truncated(file in a_file(), len in any::<prop::sample::Index>()) {
        use_all(&file[..len.index(file.len())]);
    }

    #[test]
    fn bits_flipped(file in a_file(), bits in prop::collection::vec(any::<prop::sample::Index>(), 1..6)) {
        let mut file = file;
        for bit in bits {
            let bit = bit.index(8 * file.len());
            file[bit / 8] ^= 1 << (bit % 8);
        }
        use_all(&file);
    }

    /// Offsets, lengths and slots are words: replacing whole ones reaches further than bits.
    #[test]
    fn words_replaced(
        file in a_file(),
        words in prop::collection::vec((any::<prop::sample::Index>(), word()), 1..4),
    ) {
        let mut file = file;
        for (at, value) in words {
            let at = 4 * at.index(file.len() / 4);
            file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        use_all(&file);
    }

    #[test]
    fn random(bytes in prop::collection::vec(any::<u8>(), 0..600), header in any::<bool>()) {
        let mut bytes = bytes;
        if header && bytes.len() > 32 {
            bytes[..8].copy_from_slice(b"\x14\0\0\0TFL3");
        }
        use_all(&bytes);
    }
}

/// Numbers that lead somewhere odd.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        0u32..200,
        any::<u32>(),
        Just(u32::MAX),
        Just(1 << 31),
        (0u32..64).prop_map(|back| back.wrapping_neg()),
    ]
}

#[test]
fn every_byte_of_a_small_file_matters_to_nobody_s_safety() {
    for file in FILES.iter().take(2) {
        for at in 0..file.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut file = file.clone();
                file[at] = value;
                use_all(&file);
            }
            use_all(&file[..at]);
        }
    }
}

/// A model whose subgraphs, or tensors, or operators are one and the same, many times over, each
/// with a vector of the whole file: what would be a million times its size is refused.
#[test]
fn parts_that_overlap_do_not_multiply() {
    let mut graph = support::small();
    graph.description = Some("x".repeat(50_000));
    graph.metadata_buffers = vec![0; 50_000];
    let file = write(&graph).unwrap();
    let overlapping = overlap(&file);
    let error = read(&overlapping).unwrap_err();
    assert!(
        matches!(error.kind(), ReadErrorKind::Overlap { .. }),
        "{error}"
    );
}

/// Makes every entry of the longest run of words, which is a vector of zeros, an offset to the
/// main subgraph, and has the model's subgraphs be that vector.
fn overlap(file: &[u8]) -> Vec<u8> {
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([file[at], file[at + 1]]));
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let follow = |at: usize| at + u32_at(at) as usize;
    let model = follow(0);
    let vtable = (model as i64 - i64::from(u32_at(model).cast_signed())) as usize;
    let field = |id: usize| model + u16_at(vtable + 4 + 2 * id);
    let (subgraphs, zeros) = (field(2), follow(field(5)));
    let subgraph = follow(follow(subgraphs) + 4);
    let mut out = file.to_vec();
    let mut put = |at: usize, value: usize| {
        out[at..at + 4].copy_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
    };
    assert!(
        subgraphs < zeros && zeros < subgraph,
        "{subgraphs} {zeros} {subgraph}"
    );
    put(subgraphs, zeros - subgraphs);
    for i in 0..u32_at(zeros) as usize {
        let at = zeros + 4 + 4 * i;
        put(at, subgraph - at);
    }
    out
}

#[test]
fn what_is_no_model_is_told_so() {
    let kind = |file: &[u8]| Model::new(file).map(|_| ()).unwrap_err().kind();
    assert_eq!(kind(b""), ViewErrorKind::TooShort);
    assert_eq!(kind(b"\x08\0\0\0TFL2"), ViewErrorKind::NotTflite);
    assert_eq!(kind(b"\x08\0\0\0TFL3"), ViewErrorKind::NoTable(8));
    assert_eq!(
        kind(b"\xff\xff\xff\xffTFL3"),
        ViewErrorKind::NoTable(u32::MAX)
    );
}

#[test]
fn errors_are_small_and_name_table_and_field() {
    assert!(size_of::<ViewError>() <= 12);
    let file = write(&support::small()).unwrap();
    let model = Model::new(&file).unwrap();
    let error = model.buffer(99).unwrap_err();
    assert_eq!((error.table(), error.field()), ("Model", Some("buffers")));
    assert_eq!(error.to_string(), "Model.buffers: there is no entry 99");
    let operator = model.subgraph(0).unwrap().operator(0).unwrap();
    let error = operator.op(OpKind::Softmax).unwrap_err();
    assert_eq!(error.kind(), ViewErrorKind::WrongOptions(1));
    let options = operator.options().unwrap().unwrap();
    let error = options.unknown_value(3, 77).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Conv2DOptions field 3: 77 is not a number that the format defines"
    );
}
