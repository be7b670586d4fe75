//! The operators of ONNX that are imported: by what function, and as which operators of the graph.

use larun_graph::ops::OpKind;
use larun_graph::ops::OpKind as K;

use super::{
    Handler, branch, conv, dense, elementwise, join, normalize, pool, recurrent, reduce, resize,
    shape,
};

/// Operators of ONNX that one function converts to the same operators of the graph.
pub(super) struct Row {
    pub(super) names: &'static [&'static str],
    /// What they can become, beside TRANSPOSE and RESHAPE where an operator wants another order of its axes. Empty for what is
    /// computed while importing, or only changes how a value is seen.
    becomes: &'static [OpKind],
    pub(super) convert: Handler,
}

const fn row(names: &'static [&'static str], becomes: &'static [OpKind], convert: Handler) -> Row {
    Row {
        names,
        becomes,
        convert,
    }
}

/// Every operator of ONNX that is imported, by its name, with the operators of the graph that it can become.
///
/// An operator is also accepted where all its inputs are constants and it can be computed while importing; one with no operators
/// of the graph is accepted in no other place, or moves nothing. Where the order of axes has to change, TRANSPOSE and RESHAPE come
/// in addition.
pub fn operators() -> impl Iterator<Item = (&'static str, &'static [OpKind])> {
    let names = |row: &'static Row| row.names.iter().map(|&name| (name, row.becomes));
    ROWS.iter().flat_map(names)
}

#[rustfmt::skip] // A row is a line, so that the table can be read as one.
pub(super) const ROWS: &[Row] = &[
    row(&["Conv"], &[K::Conv2D, K::DepthwiseConv2D, K::Pad], conv::conv),
    row(&["ConvTranspose"], &[K::TransposeConv, K::Slice, K::Pad], conv::conv_transpose),
    row(&["Gemm"], &[K::FullyConnected, K::BatchMatmul, K::Mul, K::Add], dense::gemm),
    row(&["MatMul"], &[K::FullyConnected, K::BatchMatmul], dense::matmul),
    row(&["MaxPool"], &[K::MaxPool2D, K::PadV2], pool::max_pool),
    row(&["AveragePool"], &[K::AveragePool2D, K::Pad, K::Mul], pool::average_pool),
    row(&["GlobalAveragePool"], &[K::Mean], pool::global_average),
    row(&["GlobalMaxPool"], &[K::ReduceMax], pool::global_max),
    row(&["BatchNormalization"], &[K::BatchNorm], normalize::batch_norm),
    row(&["InstanceNormalization"], NORMALISED, normalize::instance_norm),
    row(&["LayerNormalization"], NORMALISED, normalize::layer_norm),
    row(&["LpNormalization"], &[K::L2Normalization], normalize::lp_norm),
    row(&["Softmax"], &[K::Softmax], normalize::softmax),
    row(&["LogSoftmax"], &[K::LogSoftmax], normalize::softmax),
    row(&["Add", "Sum"], &[K::Add], elementwise::binary),
    row(&["Mean"], &[K::Add, K::Mul], elementwise::binary),
    row(&["Sub"], &[K::Sub], elementwise::binary),
    row(&["Mul"], &[K::Mul], elementwise::binary),
    row(&["Div"], &[K::Div, K::Mul], elementwise::binary),
    row(&["Max"], &[K::Maximum], elementwise::binary),
    row(&["Min"], &[K::Minimum], elementwise::binary),
    row(&["Pow"], &[K::Square, K::Mul, K::Sqrt, K::Rsqrt, K::Div], elementwise::binary),
    row(&["PRelu"], &[K::Prelu], elementwise::binary),
    row(&["Equal"], &[K::Equal], elementwise::binary),
    row(&["Greater"], &[K::Greater], elementwise::binary),
    row(&["GreaterOrEqual"], &[K::GreaterEqual], elementwise::binary),
    row(&["Less"], &[K::Less], elementwise::binary),
    row(&["LessOrEqual"], &[K::LessEqual], elementwise::binary),
    row(&["And"], &[K::LogicalAnd], elementwise::binary),
    row(&["Or"], &[K::LogicalOr], elementwise::binary),
    row(&["Where"], &[K::SelectV2], elementwise::select),
    row(&["Relu"], &[K::Relu], elementwise::unary),
    row(&["Sigmoid"], &[K::Logistic], elementwise::unary),
    row(&["Tanh"], &[K::Tanh], elementwise::unary),
    row(&["Exp"], &[K::Exp], elementwise::unary),
    row(&["Log"], &[K::Log], elementwise::unary),
    row(&["Sqrt"], &[K::Sqrt], elementwise::unary),
    row(&["Abs"], &[K::Abs], elementwise::unary),
    row(&["Neg"], &[K::Neg], elementwise::unary),
    row(&["Floor"], &[K::Floor], elementwise::unary),
    row(&["Ceil"], &[K::Ceil], elementwise::unary),
    row(&["Round"], &[K::Round], elementwise::unary),
    row(&["Sin"], &[K::Sin], elementwise::unary),
    row(&["Cos"], &[K::Cos], elementwise::unary),
    row(&["HardSwish"], &[K::HardSwish], elementwise::unary),
    row(&["Not"], &[K::LogicalNot], elementwise::unary),
    row(&["Elu", "Selu"], &[K::Elu, K::Relu, K::Minimum, K::Mul, K::Add], elementwise::composed),
    row(&["LeakyRelu"], &[K::LeakyRelu], elementwise::composed),
    row(&["HardSigmoid"], &[K::Mul, K::Add, K::Relu, K::Relu6, K::Maximum, K::Minimum], elementwise::composed),
    row(&["Softplus"], SOFTPLUS, elementwise::composed),
    row(&["Mish"], &[K::Abs, K::Mul, K::Exp, K::Add, K::Log, K::Relu, K::Tanh], elementwise::composed),
    row(&["Softsign"], &[K::Abs, K::Add, K::Div], elementwise::composed),
    row(&["Gelu", "Erf"], &[K::Gelu], elementwise::composed),
    row(&["Reciprocal"], &[K::Div], elementwise::composed),
    row(&["Swish"], &[K::Mul, K::Logistic], elementwise::composed),
    row(&["Clip"], &[K::Relu, K::Relu6, K::Maximum, K::Minimum], elementwise::clip),
    row(&["Concat"], &[K::Concatenation], join::concat),
    row(&["Split"], &[K::SplitV], join::split),
    row(&["Slice"], &[K::StridedSlice], join::slice),
    row(&["Pad"], &[K::Pad, K::PadV2, K::MirrorPad], join::pad),
    row(&["Gather"], &[K::Gather, K::StridedSlice], join::gather),
    row(&["Expand"], &[K::BroadcastTo], join::expand),
    row(&["Tile"], &[K::Concatenation], join::tile),
    row(&["Reshape"], &[K::Reshape], shape::reshape),
    row(&["Flatten"], &[K::Reshape], shape::flatten),
    row(&["Transpose"], &[K::Transpose], shape::transpose),
    row(&["Squeeze"], &[K::Reshape], shape::squeeze),
    row(&["Unsqueeze"], &[K::Reshape], shape::unsqueeze),
    row(&["Shape", "Size"], &[], shape::shape),
    row(&["Identity", "Dropout"], &[], shape::identity),
    row(&["If"], &[], branch::decided),
    row(&["Cast"], &[K::Cast], shape::cast),
    row(&["Constant"], &[], shape::constant),
    row(&["ConstantOfShape", "Range", "ReduceProd", "Mod"], &[], shape::folded_only),
    row(&["ReduceMean"], &[K::Mean], reduce::reduce),
    row(&["ReduceSum"], &[K::Sum], reduce::reduce),
    row(&["ReduceMax"], &[K::ReduceMax], reduce::reduce),
    row(&["ReduceMin"], &[K::ReduceMin], reduce::reduce),
    row(&["ReduceL2"], &[K::Square, K::Sum, K::Sqrt], reduce::reduce),
    row(&["ReduceSumSquare"], &[K::Square, K::Sum], reduce::reduce),
    row(&["ArgMax"], &[K::ArgMax], reduce::arg),
    row(&["ArgMin"], &[K::ArgMin], reduce::arg),
    row(&["CumSum"], &[K::CumSum], reduce::cumulative),
    row(&["Resize"], &[K::ResizeBilinear, K::ResizeNearestNeighbor], resize::resize),
    row(&["DepthToSpace"], &[K::DepthToSpace, K::Gather], resize::depth_space),
    row(&["SpaceToDepth"], &[K::SpaceToDepth], resize::depth_space),
    row(&["LSTM"], &[K::UnidirectionalSequenceLstm, K::ReverseV2, K::Concatenation, K::Slice], recurrent::lstm),
    row(&["GRU"], GRU, recurrent::gru),
];

const NORMALISED: &[OpKind] = &[K::Mean, K::Sub, K::Square, K::Add, K::Rsqrt, K::Mul];
const SOFTPLUS: &[OpKind] = &[K::Abs, K::Mul, K::Exp, K::Add, K::Log, K::Relu];
#[rustfmt::skip]
const GRU: &[OpKind] = &[
    K::FullyConnected, K::Unpack, K::Split, K::Logistic, K::Tanh, K::Add, K::Sub, K::Mul, K::Pack, K::ReverseV2, K::Concatenation,
    K::Slice,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use prost::Message;

    use super::*;
    use crate::proto::ModelProto;
    use crate::{ImportOptions, import_file};

    #[test]
    fn no_operator_has_two_rows() {
        let mut seen = BTreeSet::new();
        for (name, _) in operators() {
            assert!(seen.insert(name), "{name}");
        }
    }

    /// The operators of an imported network are among those that its operators are said to become.
    #[test]
    fn networks_become_what_the_table_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/onnx");
        let own = std::fs::read_dir(&folder).unwrap();
        let exported = std::fs::read_dir(folder.join("pytorch")).unwrap();
        let mut networks = 0;
        for entry in own.chain(exported) {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "onnx") {
                continue;
            }
            let model = ModelProto::decode(&*std::fs::read(&path).unwrap()).unwrap();
            let named: Vec<_> = model
                .graph
                .unwrap()
                .node
                .into_iter()
                .filter_map(|node| node.op_type)
                .collect();
            let allowed = operators().filter(|(name, _)| named.iter().any(|op| op == name));
            let mut allowed: Vec<_> = allowed.flat_map(|(_, becomes)| becomes).collect();
            allowed.extend(&[OpKind::Transpose, OpKind::Reshape]);
            // GELU and HARD_SWISH as several operators, written out by exporters before ONNX had them.
            let patterns = [OpKind::Gelu, OpKind::HardSwish];
            let imported = import_file(&path, &ImportOptions::default()).unwrap();
            for node in &imported.graph.main().unwrap().nodes {
                let kind = node.kind().unwrap();
                assert!(
                    allowed.contains(&&kind) || patterns.contains(&kind),
                    "{}: {kind:?}",
                    path.display()
                );
            }
            networks += 1;
        }
        assert!(networks > 5, "{networks}");
    }
}
