//! Weights from a `.safetensors` file into a graph, by name.

use larun_graph::ops::{OpKind, Role};
use larun_graph::{Graph, TensorId};
use safetensors::{Dtype, SafeTensors};

use crate::error::OnnxError;

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Names of the graph's constants that took values.
    pub taken: Vec<String>,
    /// Names in the file that the graph does not have.
    pub unused: Vec<String>,
}

/// Replaces the FLOAT32 constants of a graph whose names a `.safetensors` file holds.
///
/// `rename` gives the graph's name for a name of the file. Values are FLOAT32, FLOAT16 or BFLOAT16. Kernels of convolutions may
/// have PyTorch's order `[O, I, KH, KW]` (`[I, O, KH, KW]` of transposed ones, `[O, I, K]` of signals): they take that of the graph.
///
/// # Errors
/// When the file is damaged, or a constant has another shape than the values.
pub fn load_safetensors(
    graph: &mut Graph,
    bytes: &[u8],
    rename: impl Fn(&str) -> String,
) -> Result<Loaded, OnnxError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| OnnxError::Weights {
        name: "file".to_owned(),
        reason: e.to_string(),
    })?;
    let mut loaded = Loaded::default();
    let mut names: Vec<&str> = file.names().into_iter().collect();
    names.sort_unstable();
    for name in names {
        let target = rename(name);
        let error = |reason: String| OnnxError::Weights {
            name: name.to_owned(),
            reason,
        };
        let Some(id) = constant_of(graph, &target) else {
            loaded.unused.push(name.to_owned());
            continue;
        };
        let view = file.tensor(name).map_err(|e| error(e.to_string()))?;
        let values = floats(view.dtype(), view.data()).map_err(error)?;
        let values = arranged(graph, id, view.shape(), values).map_err(error)?;
        graph.set_values(id, &values)?;
        loaded.taken.push(target);
    }
    Ok(loaded)
}

fn constant_of(graph: &Graph, name: &str) -> Option<TensorId> {
    let subgraph = graph.main()?;
    let place = subgraph
        .tensors
        .iter()
        .position(|t| t.name == name && graph.is_constant(t))?;
    Some(TensorId::new(place))
}

fn floats(dtype: Dtype, data: &[u8]) -> Result<Vec<f32>, String> {
    Ok(match dtype {
        Dtype::F32 => data
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect(),
        Dtype::F16 => data
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&b| half::f16::from_le_bytes(b).to_f32())
            .collect(),
        Dtype::BF16 => data
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&b| half::bf16::from_le_bytes(b).to_f32())
            .collect(),
        other => {
            return Err(format!(
                "values of {other:?}: FLOAT32, FLOAT16 and BFLOAT16 are read"
            ));
        }
    })
}

/// The values in the order of the graph's constant.
fn arranged(
    graph: &Graph,
    id: TensorId,
    dims: &[usize],
    values: Vec<f32>,
) -> Result<Vec<f32>, String> {
    let subgraph = graph.main().ok_or("the graph is empty")?;
    let own = subgraph
        .tensor(id)
        .map(|t| t.shape.dims().to_vec())
        .unwrap_or_default();
    let squeezed =
        |dims: &[usize]| -> Vec<usize> { dims.iter().copied().filter(|&d| d != 1).collect() };
    let reader = subgraph.nodes.iter().find(|n| n.inputs.contains(&Some(id)));
    let is_kernel = reader.is_some_and(|node| {
        let role = node
            .inputs
            .iter()
            .position(|&t| t == Some(id))
            .and_then(|i| Some(node.kind()?.info().input(i)?.role));
        matches!(role, Some(Role::Weights { .. }))
    });
    let order: Option<[usize; 4]> = match reader.and_then(|n| n.kind()).filter(|_| is_kernel) {
        Some(OpKind::Conv2D) => Some([0, 2, 3, 1]),
        Some(OpKind::DepthwiseConv2D) => Some([1, 2, 3, 0]),
        Some(OpKind::TransposeConv) => Some([1, 2, 3, 0]),
        _ => None,
    };
    let padded: Option<[usize; 4]> = match *dims {
        [o, i, k] => Some([o, i, 1, k]),
        [o, i, h, w] => Some([o, i, h, w]),
        _ => None,
    };
    if let (Some(order), Some(padded)) = (order, padded) {
        let moved = order.map(|axis| padded.get(axis).copied().unwrap_or(1));
        if own == moved {
            let array = ndarray::ArrayD::from_shape_vec(ndarray::IxDyn(&padded), values)
                .map_err(|e| e.to_string())?;
            return Ok(array
                .permuted_axes(order.to_vec())
                .iter()
                .copied()
                .collect());
        }
    }
    match squeezed(&own) == squeezed(dims) {
        true => Ok(values),
        false => Err(format!(
            "its shape {dims:?} is not that of the graph's constant, {own:?}"
        )),
    }
}
