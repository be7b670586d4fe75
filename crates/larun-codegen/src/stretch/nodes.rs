//! Which nodes of a model can be computed some rows at a time, and where their rows come from.

use larun_kernels::{Processor, RowForm};
use larun_micro::host::{PreparedNode, PreparedSubgraph, PreparedTensor};

use crate::compiled::{Compiled, place};

/// A node that can be computed some rows at a time.
pub(crate) struct RowNode {
    pub(crate) form: RowForm,
    /// The inputs that come by rows.
    pub(crate) reads: Vec<Value>,
    pub(crate) output: Value,
}

/// A value in the activations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    /// Its tensor, that of which it is a view where it is one.
    pub(crate) tensor: usize,
    pub(crate) bytes: usize,
    /// Rows that it is taken to have.
    pub(crate) rows: usize,
}

impl Value {
    /// Bytes of a row.
    pub(crate) const fn row(&self) -> usize {
        match self.rows {
            0 => self.bytes,
            rows => self.bytes / rows,
        }
    }
}

/// The nodes of the main subgraph.
pub(crate) struct Nodes {
    /// `None` for a node that is computed as a whole.
    rows: Vec<Option<RowNode>>,
    /// The nodes that read each tensor or a view of it.
    readers: Vec<Vec<usize>>,
    /// Whether the model gives a tensor out.
    given_out: Vec<bool>,
    processor: Processor,
}

impl Nodes {
    pub(crate) fn of(compiled: &Compiled<'_>, main: &PreparedSubgraph<'_>) -> Self {
        let count = main.tensors.len();
        let root: Vec<usize> = (0..count).map(|tensor| main.viewed(tensor)).collect();
        let root_of = |tensor: usize| root.get(tensor).copied().unwrap_or(tensor);
        let mut readers = vec![Vec::new(); count];
        for (index, node) in main.nodes.iter().enumerate() {
            for &tensor in node.inputs.iter().flatten() {
                if let Some(readers) = readers.get_mut(root_of(tensor)) {
                    readers.push(index);
                }
            }
        }
        let mut given_out = vec![false; count];
        for &tensor in &main.outputs {
            if let Some(given) = given_out.get_mut(root_of(tensor)) {
                *given = true;
            }
        }
        let rows = main.nodes.iter();
        Self {
            rows: rows
                .map(|node| row_node(node, compiled, main, &root))
                .collect(),
            readers,
            given_out,
            processor: compiled.processor,
        }
    }

    /// Bytes of scratch memory that a plan of a node takes.
    pub(crate) fn scratch_bytes(&self, node: usize, plan: &[u32]) -> usize {
        let form = self.get(node).map(|node| &node.form);
        form.map_or(0, |form| form.scratch_bytes(plan, self.processor))
    }

    /// How many nodes there are.
    pub(crate) const fn count(&self) -> usize {
        self.rows.len()
    }

    /// A node that can be computed by rows.
    pub(crate) fn get(&self, node: usize) -> Option<&RowNode> {
        self.rows.get(node)?.as_ref()
    }

    /// The nodes that read a value.
    pub(crate) fn readers(&self, tensor: usize) -> &[usize] {
        self.readers.get(tensor).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_given_out(&self, tensor: usize) -> bool {
        self.given_out.get(tensor).copied().unwrap_or(true)
    }
}

fn row_node(
    node: &PreparedNode,
    compiled: &Compiled<'_>,
    main: &PreparedSubgraph<'_>,
    root: &[usize],
) -> Option<RowNode> {
    if node.state.is_some() {
        return None;
    }
    let &[Some(output)] = &node.outputs[..] else {
        return None;
    };
    let form = RowForm::of(node.kind, &node.plan, rows_of(compiled, output))?;
    let value = |tensor: usize, rows: usize| {
        let root = *root.get(tensor)?;
        let Some(PreparedTensor::Activations { len, .. }) = place(main, root) else {
            return None;
        };
        (rows > 0 && len.is_multiple_of(rows)).then_some(Value {
            tensor: root,
            bytes: len,
            rows,
        })
    };
    let mut reads = Vec::new();
    for (index, &input) in node.inputs.iter().enumerate() {
        match input {
            Some(tensor) if index < form.inputs() => reads.push(value(tensor, form.input_rows())?),
            // What is not computed by rows has to be constant.
            Some(tensor) => match place(main, tensor)? {
                PreparedTensor::Constant(_) => {}
                _ => return None,
            },
            None => {}
        }
    }
    let output = value(output, form.rows())?;
    Some(RowNode {
        form,
        reads,
        output,
    })
}

/// The rows of an image, or the pixels of its only row: what lies one after the other in memory.
fn rows_of(compiled: &Compiled<'_>, tensor: usize) -> usize {
    let shape = compiled.tensor(0, tensor).map(|tensor| tensor.shape);
    match shape.as_ref().map(|shape| shape.dims()) {
        Some(&[1, 1, width, _]) => width,
        Some(&[1, height, ..]) => height,
        _ => 0,
    }
}
