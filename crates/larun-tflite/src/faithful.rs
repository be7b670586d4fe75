//! A test that writing keeps what flatc's own code reads from the original, of which our reader
//! and view know nothing.

#[path = "../tests/support/mod.rs"]
mod support;

use flatbuffers::FlatBufferBuilder;

use crate::generated::schema::{
    BuiltinOperator, BuiltinOptionsT, ModelT, OperatorCodeT, OperatorT, TensorT, root_as_model,
};

#[test]
fn every_model_of_the_corpus_holds_the_same_when_written_again() {
    let name = "every_model_of_the_corpus_holds_the_same_when_written_again";
    let Some(corpus) = support::corpus(name) else {
        return;
    };
    for (name, file) in support::corpus_models(&corpus) {
        let written = crate::write(&crate::read(&file).unwrap()).unwrap();
        let (original, written) = (unpack(&file), unpack(&written));
        assert!(
            original == written,
            "{name}: {}",
            difference(&original, &written)
        );
    }
}

/// The file in flatc's objects, without what means nothing.
fn unpack(file: &[u8]) -> ModelT {
    let mut model = root_as_model(file).unwrap().unpack();
    let codes = model.operator_codes.take().unwrap_or_default();
    let codes: Vec<OperatorCodeT> = codes.into_iter().map(canonical_code).collect();
    // Codes are numbered by first use.
    let mut used: Vec<OperatorCodeT> = Vec::new();
    for subgraph in model.subgraphs.iter_mut().flatten() {
        for operator in subgraph.operators.iter_mut().flatten() {
            let code = &codes[operator.opcode_index as usize];
            let number = used.iter().position(|other| other == code);
            operator.opcode_index = number.unwrap_or(used.len()) as u32;
            if number.is_none() {
                used.push(code.clone());
            }
            canonical_operator(operator);
        }
        subgraph
            .tensors
            .iter_mut()
            .flatten()
            .for_each(canonical_tensor);
        present(&mut subgraph.inputs);
        present(&mut subgraph.outputs);
        present(&mut subgraph.operators);
        present(&mut subgraph.tensors);
    }
    for signature in model.signature_defs.iter_mut().flatten() {
        present(&mut signature.inputs);
        present(&mut signature.outputs);
    }
    for buffer in model.buffers.iter_mut().flatten() {
        present(&mut buffer.data);
    }
    present(&mut model.metadata);
    present(&mut model.metadata_buffer);
    present(&mut model.signature_defs);
    model.operator_codes = Some(used);
    model
}

/// An absent vector is an empty one.
fn present<T>(vector: &mut Option<Vec<T>>) {
    vector.get_or_insert_default();
}

fn canonical_code(mut code: OperatorCodeT) -> OperatorCodeT {
    let number = code.builtin_code.0.max(code.deprecated_builtin_code.into());
    code.builtin_code = BuiltinOperator(number);
    code.deprecated_builtin_code = number.min(127) as i8;
    code
}

fn canonical_operator(operator: &mut OperatorT) {
    present(&mut operator.inputs);
    present(&mut operator.outputs);
    present(&mut operator.intermediates);
    present(&mut operator.mutating_variable_inputs);
    // An absent vector is an empty one, absent options are default ones.
    if let BuiltinOptionsT::ReshapeOptions(options) = &mut operator.builtin_options {
        options.new_shape.take_if(|shape| shape.is_empty());
    }
    if let BuiltinOptionsT::SqueezeOptions(options) = &mut operator.builtin_options {
        options.squeeze_dims.take_if(|dims| dims.is_empty());
    }
    if is_default(&operator.builtin_options) {
        operator.builtin_options = BuiltinOptionsT::NONE;
    }
}

/// Whether no field of the options has another value than its default: such fields are not stored.
fn is_default(options: &BuiltinOptionsT) -> bool {
    let mut fbb = FlatBufferBuilder::new();
    let Some(table) = options.pack(&mut fbb) else {
        return true;
    };
    fbb.finish_minimal(table);
    fbb.finished_data().len() <= EMPTY_TABLE
}

/// Bytes of a table without fields: its place, its layout of two numbers, and the distance to that.
const EMPTY_TABLE: usize = 12;

fn canonical_tensor(tensor: &mut TensorT) {
    present(&mut tensor.shape);
    present(&mut tensor.shape_signature);
    present(&mut tensor.variant_tensors);
    tensor.name.get_or_insert_default();
    if let Some(quantization) = &mut tensor.quantization {
        present(&mut quantization.min);
        present(&mut quantization.max);
        present(&mut quantization.scale);
        present(&mut quantization.zero_point);
    }
    if let Some(sparsity) = &mut tensor.sparsity {
        present(&mut sparsity.traversal_order);
        present(&mut sparsity.block_map);
        present(&mut sparsity.dim_metadata);
    }
}

/// The first part in which two models differ.
fn difference(a: &ModelT, b: &ModelT) -> String {
    let (a, b) = (format!("{a:#?}"), format!("{b:#?}"));
    let lines = a.lines().zip(b.lines()).enumerate();
    let mut differing = lines.filter(|(_, (a, b))| a != b);
    let first = differing.next();
    first.map_or_else(String::new, |(line, (a, b))| {
        format!("line {line}: {a} | {b}")
    })
}
