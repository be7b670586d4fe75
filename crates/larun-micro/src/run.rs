//! Running the nodes of a model, and of the subgraphs that it runs, without recursion.

use larun_kernels::{ControlIo, InvokeError, Io, Next, PlanReader, Registration};

use crate::layout::{Ports, Tables};
use crate::load::{FRAME_WORDS, SUBGRAPHS};
use crate::observe::{NodeId, NodeOutputs, Observer};
use crate::options::Options;
use crate::run_error::RunError;

/// A model with its memory.
pub(crate) struct Run<'r> {
    pub(crate) tables: Tables<'r>,
    pub(crate) kernels: &'r [Registration],
    pub(crate) options: Options,
    /// Words for subgraphs that wait for others.
    pub(crate) frames: &'r mut [u32],
    pub(crate) state: &'r mut [u8],
    pub(crate) activations: &'r mut [u8],
}

/// How an inference ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All nodes ran.
    Finished,
    /// A node waits for more input; those behind it did not run.
    Waiting,
}

/// Where a subgraph is.
#[derive(Clone, Copy, Default)]
struct Frame {
    subgraph: u16,
    node: u16,
    /// The next step of the node, where it runs subgraphs.
    step: u32,
    /// Where the subgraph's activations begin.
    base: u32,
}

impl Frame {
    fn read(frames: &[u32], depth: usize) -> Option<Self> {
        let words = frames.get(depth.checked_mul(FRAME_WORDS)?..)?;
        let &[at, step, base] = words.first_chunk()?;
        Some(Self {
            subgraph: at as u16,
            node: (at >> 16) as u16,
            step,
            base,
        })
    }

    fn write(&self, frames: &mut [u32], depth: usize) -> Option<()> {
        let words = frames.get_mut(depth.checked_mul(FRAME_WORDS)?..)?;
        let at = u32::from(self.subgraph) | u32::from(self.node) << 16;
        *words.first_chunk_mut()? = [at, self.step, self.base];
        Some(())
    }
}

impl Run<'_> {
    /// Runs the main subgraph once. How it ended.
    pub(crate) fn run<O: Observer>(self, observer: &mut O) -> Result<Ended, RunError> {
        let (mut frame, mut depth, mut calls) = (Frame::default(), 0usize, 0u32);
        let mut table = self.tables.get(0).ok_or(RunError::Corrupt)?;
        loop {
            if usize::from(frame.node) >= table.nodes {
                let Some(caller) = depth.checked_sub(1).filter(|_| SUBGRAPHS) else {
                    return Ok(Ended::Finished);
                };
                depth = caller;
                frame = Frame::read(self.frames, depth).ok_or(RunError::Corrupt)?;
                let subgraph = frame.subgraph.into();
                table = self.tables.get(subgraph).ok_or(RunError::Corrupt)?;
            }
            let record = table.record(frame.node.into()).ok_or(RunError::Corrupt)?;
            let kernel = self.kernels.get(usize::from(record.header.kernel));
            let kernel = kernel.ok_or(RunError::Corrupt)?;
            let node = NodeId {
                subgraph: frame.subgraph.into(),
                index: frame.node.into(),
                kind: kernel.kind,
            };
            if frame.step == 0 {
                observer.before(node);
            }
            let activations = self.activations.get_mut(frame.base as usize..);
            let activations = activations.ok_or(RunError::Corrupt)?;
            let plan = PlanReader::new(record.plan).with_rounding(self.options.rounding);
            let next = match kernel.control.filter(|_| SUBGRAPHS) {
                None => {
                    let io = Io::with_state(activations, self.state, &record);
                    (kernel.invoke)(plan, io).map(|()| Next::Done)
                }
                Some(step) => {
                    let ports = Ports {
                        tables: self.tables,
                        base: record.subgraph_base(),
                    };
                    let mut io = ControlIo::new(activations, self.state, &record, &ports);
                    step(frame.step, plan, &mut io)
                }
            };
            let next = match next {
                Err(InvokeError::Waiting) => {
                    observer.after(node, NodeOutputs::new(&record, activations));
                    return Ok(Ended::Waiting);
                }
                next => next.map_err(|error| RunError::Node {
                    subgraph: node.subgraph,
                    index: node.index,
                    error,
                })?,
            };
            match next {
                Next::Done => {
                    observer.after(node, NodeOutputs::new(&record, activations));
                    (frame.node, frame.step) = (frame.node + 1, 0);
                }
                Next::Call(subgraph) => {
                    let limit = self.options.max_calls;
                    if calls >= limit {
                        return Err(RunError::TooManyCalls { limit });
                    }
                    calls += 1;
                    frame.step += 1;
                    frame.write(self.frames, depth).ok_or(RunError::Corrupt)?;
                    depth += 1;
                    frame = Frame {
                        subgraph: subgraph as u16,
                        base: frame.base.saturating_add(record.subgraph_base() as u32),
                        ..Frame::default()
                    };
                    let subgraph = frame.subgraph.into();
                    table = self.tables.get(subgraph).ok_or(RunError::Corrupt)?;
                }
            }
        }
    }
}
