//! A node of the file with its attributes.

use crate::error::Refusal;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

impl NodeProto {
    /// The names of all values that the node reads, those that its branches take from around them among them.
    pub(crate) fn reads(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.input.iter().map(String::as_str).collect();
        for branch in self.attribute.iter().filter_map(|a| a.g.as_ref()) {
            names.extend(branch.reads());
        }
        names
    }
}

impl GraphProto {
    /// The names of all values that its nodes read or that it gives out.
    pub(crate) fn reads(&self) -> Vec<&str> {
        let outputs = self.output.iter().filter_map(|o| o.name.as_deref());
        let nodes = self.node.iter().flat_map(NodeProto::reads);
        nodes.chain(outputs).collect()
    }
}

/// A node, its place in the file and the version of its operator.
#[derive(Clone, Copy)]
pub(crate) struct OnnxNode<'m> {
    pub(crate) proto: &'m NodeProto,
    pub(crate) index: usize,
    pub(crate) opset: i64,
}

impl<'m> OnnxNode<'m> {
    pub(crate) fn op(&self) -> &'m str {
        self.proto.op_type.as_deref().unwrap_or_default()
    }

    /// Its name, or that of its first output.
    pub(crate) fn name(&self) -> &'m str {
        match self.proto.name.as_deref() {
            Some(name) if !name.is_empty() => name,
            _ => self.output(0),
        }
    }

    /// The name of an input, `None` where it is left out.
    pub(crate) fn input(&self, index: usize) -> Option<&'m str> {
        let name = self.proto.input.get(index)?;
        (!name.is_empty()).then_some(name)
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = &'m str> {
        self.proto.input.iter().map(String::as_str)
    }

    pub(crate) fn output(&self, index: usize) -> &'m str {
        self.proto.output.get(index).map_or("", String::as_str)
    }

    pub(crate) fn outputs(&self) -> impl Iterator<Item = &'m str> {
        self.proto.output.iter().map(String::as_str)
    }

    fn attribute(&self, name: &str) -> Option<&'m AttributeProto> {
        self.proto
            .attribute
            .iter()
            .find(|a| a.name.as_deref() == Some(name))
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.i
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.int(name).is_some_and(|value| value != 0)
    }

    pub(crate) fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name)?.f
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'m str> {
        core::str::from_utf8(self.attribute(name)?.s.as_deref()?).ok()
    }

    /// The graph of a branch.
    pub(crate) fn graph(&self, name: &str) -> Option<&'m GraphProto> {
        self.attribute(name)?.g.as_ref()
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<&'m str> {
        let strings = self.attribute(name).map_or(&[][..], |a| &a.strings);
        strings
            .iter()
            .filter_map(|s| core::str::from_utf8(s).ok())
            .collect()
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&'m [i64]> {
        Some(&self.attribute(name)?.ints)
    }

    pub(crate) fn floats(&self, name: &str) -> Option<&'m [f32]> {
        Some(&self.attribute(name)?.floats)
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&'m TensorProto> {
        self.attribute(name)?.t.as_ref()
    }

    /// A list of sizes, none of them negative.
    pub(crate) fn sizes(&self, name: &str) -> Result<Option<Vec<usize>>, Refusal> {
        let Some(values) = self.ints(name) else {
            return Ok(None);
        };
        let sizes = values
            .iter()
            .map(|&v| usize::try_from(v).ok())
            .collect::<Option<_>>();
        sizes
            .map(Some)
            .ok_or_else(|| format!("its {name} {values:?} hold a negative value"))
    }
}

/// An axis counted from the front, of a tensor of that rank.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let counted = match axis < 0 {
        true => axis.checked_add(rank as i64),
        false => Some(axis),
    };
    let counted = counted
        .and_then(|a| usize::try_from(a).ok())
        .filter(|&a| a < rank);
    counted.ok_or_else(|| format!("axis {axis} is outside a tensor of {rank} axes"))
}
