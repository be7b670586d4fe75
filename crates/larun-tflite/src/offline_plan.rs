//! Memory plans that travel with a model, as TensorFlow Lite Micro reads them.

use larun_graph::{Graph, Metadata};

use crate::view::OFFLINE_PLAN;

/// The version of the metadata's layout; no runtime reads it.
const VERSION: i32 = 1;

/// Puts a memory plan into a graph's metadata, in place of one that is there.
///
/// `offsets[i]` is where tensor `i` lies in the arena in bytes, a multiple of 16, counting the tensors of all subgraphs in order; `None`
/// for constants, and for what the runtime is to place itself. Tensors past the end of `offsets` get none. Tensors may share an offset at
/// the same step, where an operator works in place: the runtime takes the plan's word for it.
pub fn set_offline_plan(graph: &mut Graph, offsets: &[Option<u32>]) {
    remove_offline_plan(graph);
    let count: usize = graph
        .subgraphs
        .iter()
        .map(|subgraph| subgraph.tensors.len())
        .sum();
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let mut words = vec![VERSION, number(graph.subgraphs.len()), number(count)];
    let offset = |i: usize| offsets.get(i).copied().flatten();
    words.extend((0..count).map(|i| offset(i).and_then(|o| i32::try_from(o).ok()).unwrap_or(-1)));
    let bytes = words.into_iter().flat_map(i32::to_le_bytes).collect();
    let buffer = graph.add_buffer(bytes);
    graph.metadata.push(Metadata {
        name: Some(OFFLINE_PLAN.to_owned()),
        buffer,
    });
}

/// Takes a memory plan out of a graph's metadata. Its buffer stays, empty, since others are known by their numbers.
pub fn remove_offline_plan(graph: &mut Graph) {
    let is_plan = |metadata: &Metadata| metadata.name.as_deref() == Some(OFFLINE_PLAN);
    let (plans, others): (Vec<_>, Vec<_>) = graph.metadata.drain(..).partition(is_plan);
    graph.metadata = others;
    for plan in plans {
        if let Some(buffer) = graph.buffers.get_mut(plan.buffer.index()) {
            buffer.data.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Model;

    fn planned(graph: &Graph) -> Option<Vec<Option<u32>>> {
        let bytes = crate::write(graph).unwrap();
        let plan = Model::new(&bytes).unwrap().offline_plan().unwrap()?;
        Some((0..plan.tensors()).map(|i| plan.offset(i)).collect())
    }

    #[test]
    fn a_plan_reads_back_and_another_takes_its_place() {
        let mut graph = Graph {
            subgraphs: vec![Default::default()],
            ..Graph::default()
        };
        graph.subgraphs[0].tensors = vec![Default::default(); 3];
        assert_eq!(planned(&graph), None);
        set_offline_plan(&mut graph, &[Some(16), None, Some(0)]);
        assert_eq!(planned(&graph), Some(vec![Some(16), None, Some(0)]));
        set_offline_plan(&mut graph, &[Some(32)]);
        assert_eq!(planned(&graph), Some(vec![Some(32), None, None]));
        assert_eq!(graph.metadata.len(), 1);
        remove_offline_plan(&mut graph);
        assert_eq!(planned(&graph), None);
    }

    #[test]
    fn a_plan_that_is_cut_short_is_refused() {
        let mut graph = Graph {
            subgraphs: vec![Default::default()],
            ..Graph::default()
        };
        graph.subgraphs[0].tensors = vec![Default::default(); 3];
        set_offline_plan(&mut graph, &[]);
        let buffer = graph.metadata[0].buffer.index();
        for len in 0..graph.buffers[buffer].data.len() {
            let mut short = graph.clone();
            short.buffers[buffer].data.truncate(len);
            let bytes = crate::write(&short).unwrap();
            assert!(
                Model::new(&bytes).unwrap().offline_plan().is_err(),
                "{len} bytes"
            );
        }
    }
}
