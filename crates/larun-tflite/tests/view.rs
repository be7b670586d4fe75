//! The view gives what the writer was given.

mod support;

use larun_graph::ops::{ElementType, OpKind, Shape};
use larun_tflite::view::{
    DimensionFormat, IndexVector, Model, OperatorCode, OptionsUnion, QuantizationDetails,
};
use larun_tflite::write;

fn ints(list: larun_tflite::view::List<'_, i32>) -> Vec<i32> {
    list.iter().collect()
}

#[test]
fn a_model_s_parts() {
    let file = write(&support::everything()).unwrap();
    let model = Model::new(&file).unwrap();
    assert_eq!(model.description().unwrap(), Some(&b"all there is"[..]));
    assert_eq!(model.subgraph_count(), 2);
    assert_eq!(model.buffer(1).unwrap(), b"blob");
    assert_eq!(model.find_metadata(b"unknown").unwrap(), Some(&b"blob"[..]));
    assert_eq!(model.find_metadata(b"other").unwrap(), None);
    assert_eq!(ints(model.metadata_buffers().unwrap()), [1, -1]);
    assert_eq!(model.external_buffer(0).unwrap().offset, 1 << 40);
    assert_eq!(model.external_buffer_group(1).unwrap(), None);
    let signature = model.signature(0).unwrap();
    assert_eq!(signature.key().unwrap(), Some(&b"serving_default"[..]));
    assert_eq!(signature.subgraph().unwrap(), 1);
    assert_eq!(signature.input(0).unwrap().name, Some(&b"light_curve"[..]));
    assert_eq!(signature.output(0).unwrap().tensor, 3);
}

#[test]
fn a_subgraph_and_its_operators() {
    let file = write(&support::everything()).unwrap();
    let model = Model::new(&file).unwrap();
    let subgraph = model.subgraph(0).unwrap();
    assert_eq!(subgraph.name().unwrap(), Some(&b"main"[..]));
    assert_eq!(ints(subgraph.inputs().unwrap()), [0]);
    assert_eq!(ints(subgraph.outputs().unwrap()), [2, 3]);
    assert_eq!(subgraph.debug_metadata_index().unwrap(), 4);

    let dense = subgraph.operator(0).unwrap();
    let code = model
        .operator_code(dense.code_index().unwrap() as usize)
        .unwrap();
    assert_eq!(
        (code.kind(), code.version),
        (Some(OpKind::FullyConnected), 9)
    );
    assert_eq!(ints(dense.inputs().unwrap()), [0, 1, -1]);
    assert_eq!(ints(dense.intermediates().unwrap()), [-1, 0]);
    assert_eq!(dense.mutating_variable_inputs().unwrap(), [0, 1, 0]);
    let options = dense.options().unwrap().unwrap();
    assert_eq!(
        (options.union(), options.number()),
        (OptionsUnion::First, 8)
    );

    let custom = subgraph.operator(1).unwrap();
    let code = model
        .operator_code(custom.code_index().unwrap() as usize)
        .unwrap();
    assert_eq!(code.code, OperatorCode::CUSTOM);
    assert_eq!(code.custom_name, Some(&b"Wavelet"[..]));
    assert_eq!(code.kind(), None);
    assert_eq!(custom.custom_options().unwrap(), Some(&[9, 8, 7][..]));
    assert_eq!(custom.custom_options_format().unwrap(), 1);
    assert!(custom.options().unwrap().is_none());
    assert_eq!(
        custom.op(OpKind::Relu).unwrap(),
        OpKind::Relu.with_default_options()
    );
}

#[test]
fn tensors_and_what_they_mean() {
    let file = write(&support::everything()).unwrap();
    let subgraph = Model::new(&file).unwrap().subgraph(0).unwrap();
    let x = subgraph.tensor(0).unwrap();
    assert_eq!(x.name().unwrap(), Some(&b"x"[..]));
    assert_eq!(x.shape().unwrap(), Shape::new(&[1, 8]).unwrap());
    assert_eq!(ints(x.shape_signature().unwrap().unwrap()), [-1, 8]);
    assert_eq!(x.element_type().unwrap(), ElementType::Float32);
    let quantization = x.quantization().unwrap().unwrap();
    let scales = quantization.scales().unwrap();
    assert_eq!((scales.len(), scales.get(1)), (2, Some(0.25)));
    assert_eq!(
        scales.bytes(),
        [0.5f32.to_le_bytes(), 0.25f32.to_le_bytes()].concat()
    );
    assert_eq!(quantization.zero_points().unwrap().get(1), Some(i64::MIN));
    assert_eq!(quantization.axis().unwrap(), 3);
    assert_eq!(quantization.details().unwrap(), None);

    let state = subgraph.tensor(2).unwrap();
    assert!(state.is_variable().unwrap());
    assert_eq!(state.external_buffer().unwrap(), 7);
    assert_eq!(
        state.variant(0).unwrap().element_type,
        ElementType::Float8E5M2
    );
    let blockwise = QuantizationDetails::Blockwise {
        scales: 4,
        zero_points: -1,
        block_size: 32,
    };
    let quantization = state.quantization().unwrap().unwrap();
    assert_eq!(quantization.details().unwrap(), Some(blockwise));
}

#[test]
fn a_sparse_constant() {
    let file = write(&support::everything()).unwrap();
    let subgraph = Model::new(&file).unwrap().subgraph(0).unwrap();
    let sparsity = subgraph.tensor(1).unwrap().sparsity().unwrap().unwrap();
    assert_eq!(ints(sparsity.traversal_order().unwrap()), [0, 1, 2]);
    assert_eq!(ints(sparsity.block_map().unwrap()), [1]);
    assert_eq!(sparsity.dimension_count(), 3);
    let dense = sparsity.dimension(0).unwrap();
    assert_eq!(
        (dense.format, dense.dense_size),
        (DimensionFormat::Dense, 2)
    );
    assert_eq!(dense.segments, IndexVector::None);
    let compressed = sparsity.dimension(1).unwrap();
    assert_eq!(compressed.format, DimensionFormat::SparseCsr);
    assert_eq!(compressed.segments, IndexVector::UInt8(&[0, 2, 255]));
    let IndexVector::UInt16(indices) = compressed.indices else {
        panic!("{:?}", compressed.indices);
    };
    assert_eq!(indices.iter().collect::<Vec<_>>(), [0, 65535]);
}

/// A model with its constants behind the flatbuffer, as files beyond 2 GB have them.
#[test]
fn a_buffer_behind_the_flatbuffer() {
    let file = flat_model_with_buffer(200, 4);
    let model = Model::new(&file).unwrap();
    assert_eq!(model.buffer(0).unwrap(), b"tail");
    let graph = larun_tflite::read(&file).unwrap();
    assert_eq!(graph.buffers[0].data, b"tail");
    for (offset, size) in [(201, 4), (200, 5), (u64::MAX, 1), (2, u64::MAX)] {
        let file = flat_model_with_buffer(offset, size);
        assert!(Model::new(&file).unwrap().buffer(0).is_err());
    }
    // Offsets of 0 and 1 say that there is nothing behind.
    let file = flat_model_with_buffer(1, 4);
    assert_eq!(Model::new(&file).unwrap().buffer(0).unwrap(), b"");
}

/// Written by hand: a model with one buffer of `size` bytes at `offset`, and "tail" at byte 200.
fn flat_model_with_buffer(offset: u64, size: u64) -> Vec<u8> {
    let mut file = vec![0; 200];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &32u32.to_le_bytes()); // the model
    put(4, b"TFL3");
    for (at, slot) in [(8, 14u16), (10, 12), (12, 4), (20, 8)] {
        put(at, &slot.to_le_bytes()); // its vtable: version at 4, buffers at 8
    }
    put(8, &14u16.to_le_bytes());
    put(32, &24i32.to_le_bytes()); // back to the vtable
    put(36, &3u32.to_le_bytes());
    put(40, &8u32.to_le_bytes()); // the vector of buffers, at 48
    put(48, &1u32.to_le_bytes());
    put(52, &28u32.to_le_bytes()); // the buffer, at 80
    for (at, slot) in [(64, 10u16), (66, 20), (70, 4), (72, 12)] {
        put(at, &slot.to_le_bytes()); // its vtable: offset at 4, size at 12
    }
    put(80, &16i32.to_le_bytes());
    put(84, &offset.to_le_bytes());
    put(92, &size.to_le_bytes());
    file.extend_from_slice(b"tail");
    file
}
