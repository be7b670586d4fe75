//! Branches that are decided while importing: exporters write them where a shape was open to them that is known here.

use super::{Converter, OnnxNode};
use crate::error::Refusal;
use crate::proto::{GraphProto, ValueInfoProto};

/// `If` whose condition is a constant: the nodes of the branch that is taken stand in its place.
pub(super) fn decided(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let condition = converter
        .constant(node, 0, "condition")?
        .ok_or("it has no condition")?;
    let taken = match condition.to_ints()?.as_slice() {
        [0] => "else_branch",
        [_] => "then_branch",
        _ => return Err("its condition is not one truth value".to_owned()),
    };
    let branch = node
        .graph(taken)
        .ok_or_else(|| format!("it has no {taken}"))?;
    if branch.output.len() != node.outputs().count() {
        return Err(format!("its {taken} gives another number of outputs"));
    }
    run(converter, node, branch).map_err(|reason| format!("in its {taken}, {reason}"))?;
    for (name, output) in node.outputs().zip(&branch.output) {
        converter.set_same(name, named(output))?;
    }
    Ok(())
}

/// Converts the nodes of a branch, which see every value before the node that it belongs to.
fn run(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
    branch: &GraphProto,
) -> Result<(), Refusal> {
    for tensor in &branch.initializer {
        let value = converter.attribute_constant(tensor)?;
        converter.set_constant(tensor.name.as_deref().unwrap_or_default(), value);
    }
    for proto in &branch.node {
        let inner = OnnxNode { proto, ..node };
        converter
            .node(inner)
            .map_err(|reason| format!("node '{}' ({}): {reason}", inner.name(), inner.op()))?;
    }
    Ok(())
}

fn named(value: &ValueInfoProto) -> &str {
    value.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use crate::proto::{
        AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
        ShapeProto, TensorProto, TensorTypeProto, TypeProto, ValueInfoProto,
    };
    use crate::{ImportOptions, OnnxError, import};

    fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
        let dim = |&size: &i64| DimensionProto {
            dim_value: Some(size),
            ..DimensionProto::default()
        };
        let shape = ShapeProto {
            dim: dims.iter().map(dim).collect(),
        };
        let tensor_type = TensorTypeProto {
            elem_type: Some(1),
            shape: Some(shape),
        };
        ValueInfoProto {
            name: Some(name.to_owned()),
            r#type: Some(TypeProto {
                tensor_type: Some(tensor_type),
            }),
        }
    }

    /// A branch that applies one operator to `x`.
    fn branch(name: &str, op: &str) -> AttributeProto {
        let node = NodeProto {
            input: vec!["x".to_owned()],
            output: vec![format!("of_{op}")],
            op_type: Some(op.to_owned()),
            ..NodeProto::default()
        };
        AttributeProto {
            name: Some(name.to_owned()),
            g: Some(GraphProto {
                node: vec![node],
                output: vec![value(&format!("of_{op}"), &[1, 4])],
                ..GraphProto::default()
            }),
            ..AttributeProto::default()
        }
    }

    /// `y = if condition { RELU(x) } else { TopK(x) }`, the condition a constant or an input.
    fn model(condition: Option<i32>) -> Vec<u8> {
        let node = NodeProto {
            input: vec!["condition".to_owned()],
            output: vec!["y".to_owned()],
            op_type: Some("If".to_owned()),
            attribute: vec![branch("then_branch", "Relu"), branch("else_branch", "TopK")],
            ..NodeProto::default()
        };
        let constant = condition.map(|value| TensorProto {
            name: Some("condition".to_owned()),
            data_type: Some(9),
            int32_data: vec![value],
            ..TensorProto::default()
        });
        let mut input = vec![value("x", &[1, 4])];
        if constant.is_none() {
            input.push(value("condition", &[1]));
        }
        let graph = GraphProto {
            node: vec![node],
            initializer: constant.into_iter().collect(),
            input,
            output: vec![value("y", &[1, 4])],
            ..GraphProto::default()
        };
        let opset = OperatorSetIdProto {
            version: Some(17),
            ..OperatorSetIdProto::default()
        };
        ModelProto {
            opset_import: vec![opset],
            graph: Some(graph),
            ..ModelProto::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn the_branch_that_is_taken_stands_in_the_place_of_the_node() {
        let imported = import(&model(Some(1)), &ImportOptions::default()).unwrap();
        assert_eq!(imported.graph.main().unwrap().nodes.len(), 1);
        assert_eq!(imported.outputs[0].name, "y");
    }

    #[test]
    fn an_operator_without_a_counterpart_is_named_in_the_branch_that_is_taken() {
        let error = import(&model(Some(0)), &ImportOptions::default()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("else_branch") && text.contains("TopK"),
            "{text}"
        );
    }

    #[test]
    fn a_condition_that_the_network_computes_is_refused() {
        let error = import(&model(None), &ImportOptions::default()).unwrap_err();
        assert!(
            matches!(&error, OnnxError::Node { op, .. } if op == "If"),
            "{error}"
        );
    }
}
