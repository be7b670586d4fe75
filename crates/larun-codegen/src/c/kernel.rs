//! Which C function runs a node.

use larun_micro::host::PreparedNode;
use larun_ops::{ElementType, InPlace, OpKind};

/// Whether there is C for any node of an operator: of some element type, or for some options.
pub fn has_c_kernel(kind: OpKind) -> bool {
    // The first words of plans are small: types of elements, schemes, kinds.
    (0..=MOST_KINDS).any(|first| unit(kind, &[first, 1]).is_some())
}

/// More than the first word of any plan that has C.
const MOST_KINDS: u32 = 32;

/// The piece of C that runs a node, or what about the node has none.
pub(super) fn of(node: &PreparedNode) -> Result<&'static str, String> {
    unit(node.kind, &node.plan).ok_or_else(|| {
        let first = node.plan.first().copied().unwrap_or(0);
        let element = i8::try_from(first).ok().and_then(ElementType::from_code);
        let element_name = element.map_or("another type", ElementType::name);
        match node.plan.len() {
            0 => "there is no C kernel for it".to_owned(),
            _ => format!("there is no C kernel for it with operands of this kind ({element_name})"),
        }
    })
}

/// The piece of C for an operator with a plan.
fn unit(kind: OpKind, plan: &[u32]) -> Option<&'static str> {
    let first = plan.first().copied().unwrap_or(0);
    // The first word of most plans is the type of the operands.
    let element = i8::try_from(first).ok().and_then(ElementType::from_code);
    use ElementType::{Float32, Int8, Int16, Int32};
    let is_view = kind.info().in_place == InPlace::View;
    match (kind, element) {
        (OpKind::Conv2D, _) => Some(["conv_i8", "conv_f32", "conv_mixed"][scheme(first)]),
        (OpKind::DepthwiseConv2D, _) => {
            Some(["depthwise_i8", "depthwise_f32", "depthwise_mixed"][scheme(first)])
        }
        (OpKind::FullyConnected, _) => {
            Some(["dense_i8", "dense_f32", "dense_mixed"][scheme(first)])
        }
        (OpKind::TransposeConv, _) if first != 1 => Some("transpose_conv"),
        (OpKind::AveragePool2D, Some(Int8)) => Some("average_pool_i8"),
        (OpKind::AveragePool2D, Some(Float32)) => Some("average_pool_f32"),
        (OpKind::MaxPool2D, Some(Int8)) => Some("max_pool_i8"),
        (OpKind::Mean, Some(Int8)) => Some("mean_i8"),
        (OpKind::Add, Some(Int8)) => Some("add_i8"),
        (OpKind::Add, Some(Int16)) => Some("add_i16"),
        (OpKind::Add, Some(Int32)) => Some("add_i32"),
        (OpKind::Add, Some(Float32)) => Some("add_f32"),
        (OpKind::Sub, Some(Int8)) => Some("sub_i8"),
        (OpKind::Sub, Some(Int16)) => Some("sub_i16"),
        (OpKind::Sub, Some(Int32)) => Some("sub_i32"),
        (OpKind::Sub, Some(Float32)) => Some("sub_f32"),
        (OpKind::Mul, Some(Int8)) => Some("mul_i8"),
        (OpKind::Mul, Some(Int16)) => Some("mul_i16"),
        (OpKind::Mul, Some(Int32)) => Some("mul_i32"),
        (OpKind::Mul, Some(Float32)) => Some("mul_f32"),
        (OpKind::Div, Some(Int32)) => Some("div_i32"),
        (OpKind::Div, Some(Float32)) => Some("div_f32"),
        (OpKind::Maximum, Some(Int8)) => Some("maximum_i8"),
        (OpKind::Maximum, Some(Int16)) => Some("maximum_i16"),
        (OpKind::Maximum, Some(Int32)) => Some("maximum_i32"),
        (OpKind::Maximum, Some(Float32)) => Some("maximum_f32"),
        (OpKind::Minimum, Some(Int8)) => Some("minimum_i8"),
        (OpKind::Minimum, Some(Int16)) => Some("minimum_i16"),
        (OpKind::Minimum, Some(Int32)) => Some("minimum_i32"),
        (OpKind::Minimum, Some(Float32)) => Some("minimum_f32"),
        (OpKind::LeakyRelu, Some(Int8)) => Some("leaky_relu_i8"),
        (OpKind::LeakyRelu, Some(Int16)) => Some("leaky_relu_i16"),
        (OpKind::LeakyRelu, Some(Float32)) => Some("leaky_relu_f32"),
        (OpKind::Logistic | OpKind::Tanh, Some(Int8)) if plan.get(1) == Some(&1) => {
            Some("table_i8")
        }
        (OpKind::Logistic, Some(Int8)) => Some("logistic_i8"),
        (OpKind::Logistic, Some(Float32)) => Some("logistic_f32"),
        (OpKind::Softmax, Some(Int8)) => Some("softmax_i8"),
        (OpKind::Softmax, Some(Float32)) => Some("softmax_f32"),
        (OpKind::Quantize, Some(from)) if from != Float32 => Some("requantize"),
        (OpKind::Cast, Some(from)) if from != ElementType::Float16 => Some("cast"),
        (OpKind::StridedSlice, _) => Some("strided_slice"),
        (OpKind::Slice, _) => None,
        (OpKind::Pad, _) => Some("pad"),
        (OpKind::Concatenation | OpKind::Pack, _) => Some("concatenation"),
        // Kinds 1 and 2 are INT8 with states of INT8 and INT16.
        (OpKind::Svdf, _) if matches!(first, 1 | 2) => Some("svdf_i8"),
        (OpKind::UnidirectionalSequenceLstm, _) if first == 1 => Some("lstm_i8"),
        _ if is_view => Some("copy"),
        _ => None,
    }
}

/// INT8, FLOAT32 or mixed.
fn scheme(word: u32) -> usize {
    (word as usize).min(2)
}

#[cfg(test)]
mod tests {
    use larun_ops::OpKind;

    use super::has_c_kernel;

    #[test]
    fn an_operator_has_c_where_a_node_of_it_can() {
        for kind in [
            OpKind::Conv2D,
            OpKind::Add,
            OpKind::Softmax,
            OpKind::Reshape,
        ] {
            assert!(has_c_kernel(kind), "{kind:?}");
        }
        for kind in [OpKind::If, OpKind::Slice, OpKind::SignalRfft] {
            assert!(!has_c_kernel(kind), "{kind:?}");
        }
    }
}
