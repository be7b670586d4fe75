//! Operators that run subgraphs, step by step, and resource variables.

use larun_kernels::{
    ALL, ControlIo, InvokeError, Io, Locate, Location, Memory, Next, PlanReader, Port,
    Registration, Subgraphs,
};
use larun_ops::OpKind;

fn row(kind: OpKind) -> &'static Registration {
    ALL.iter().find(|row| row.kind == kind).unwrap()
}

/// A node with two inputs and two outputs of four bytes, state, and subgraphs whose ports follow: subgraph `s` has its
/// inputs from `32 + 32 * s` on and its outputs 16 bytes behind.
struct Places;

fn arena(offset: usize) -> Location<'static> {
    Location::Arena { offset, len: 4 }
}

impl Locate for Places {
    fn input(&self, index: usize) -> Location<'_> {
        match index {
            0 | 1 => arena(4 * index),
            2 => Location::Constant(&[1, 2, 3, 4]),
            3 => Location::State { offset: 4, len: 4 },
            4 => Location::State { offset: 8, len: 2 },
            _ => Location::Absent,
        }
    }

    fn output(&self, index: usize) -> Location<'_> {
        match index {
            0 | 1 => arena(16 + 4 * index),
            2 => Location::State { offset: 0, len: 4 },
            _ => Location::Constant(&[0; 4]),
        }
    }

    fn scratch(&self) -> Location<'_> {
        Location::Absent
    }

    fn node_state(&self) -> Location<'_> {
        Location::State { offset: 0, len: 1 }
    }

    fn resource(&self, number: u32) -> Location<'_> {
        match number {
            1 => Location::State { offset: 4, len: 4 },
            _ => Location::Absent,
        }
    }
}

impl Subgraphs for Places {
    fn input(&self, subgraph: u32, index: usize) -> Location<'_> {
        arena(32 + 32 * subgraph as usize + 4 * index)
    }

    fn output(&self, subgraph: u32, index: usize) -> Location<'_> {
        arena(48 + 32 * subgraph as usize + 4 * index)
    }
}

struct Memories {
    arena: Vec<u8>,
    state: Vec<u8>,
}

impl Memories {
    fn new() -> Self {
        Self {
            arena: (0..160).collect(),
            state: (200..212).collect(),
        }
    }

    fn io(&mut self) -> ControlIo<'_> {
        ControlIo::new(&mut self.arena, &mut self.state, &Places, &Places)
    }

    fn step(&mut self, kind: OpKind, step: u32, plan: &[u32]) -> Next {
        let control = row(kind).control.unwrap();
        control(step, PlanReader::new(plan), &mut self.io()).unwrap()
    }

    fn value(&mut self, port: Port) -> [u8; 4] {
        self.io().copy(port, Port::Output(1)).unwrap();
        self.arena[20..24].try_into().unwrap()
    }
}

#[test]
fn values_are_copied_between_all_memories() {
    let mut memories = Memories::new();
    assert_eq!(memories.value(Port::Input(1)), [4, 5, 6, 7]);
    assert_eq!(memories.value(Port::Input(2)), [1, 2, 3, 4]);
    assert_eq!(memories.value(Port::Input(3)), [204, 205, 206, 207]);
    assert_eq!(
        memories.value(Port::SubgraphOutput(2, 1)),
        [116, 117, 118, 119]
    );
    // Into the state, from the arena and within.
    memories.io().copy(Port::Input(0), Port::Output(2)).unwrap();
    assert_eq!(memories.state[..4], [0, 1, 2, 3]);
    memories.io().copy(Port::Input(3), Port::Output(2)).unwrap();
    assert_eq!(memories.state[..4], [204, 205, 206, 207]);
    // From behind to before, and onto itself.
    memories
        .io()
        .copy(Port::SubgraphInput(0, 0), Port::Output(0))
        .unwrap();
    assert_eq!(memories.arena[16..20], [32, 33, 34, 35]);
    assert_eq!(memories.value(Port::Output(1)), [116, 117, 118, 119]);
}

#[test]
fn copies_that_cannot_be_are_refused() {
    let mut memories = Memories::new();
    let mut io = memories.io();
    let copied = io.copy(Port::Input(5), Port::Output(0));
    assert_eq!(copied, Err(InvokeError::Missing(Memory::input(5))));
    let copied = io.copy(Port::Input(0), Port::Output(3));
    assert_eq!(copied, Err(InvokeError::Missing(Memory::output(3))));
    let length = InvokeError::Length {
        operand: Memory::output(0),
        expected: 4,
        found: 2,
    };
    assert_eq!(io.copy(Port::Input(4), Port::Output(0)), Err(length));
    let outside = Err(InvokeError::OutOfArena(Memory::output(0)));
    assert_eq!(
        io.copy(Port::SubgraphOutput(9, 0), Port::Output(0)),
        outside
    );
    assert_eq!(io.copy(Port::Input(0), Port::SubgraphInput(9, 0)), outside);
    let outside = Err(InvokeError::OutOfArena(Memory::input(0)));
    assert_eq!(io.is_true(Port::SubgraphOutput(9, 0)), outside);
}

#[test]
fn a_while_alternates_between_condition_and_body() {
    let mut memories = Memories::new();
    // One value; the condition is subgraph 0, the body subgraph 1.
    let plan = [1, 0, 1];
    let value = [0, 1, 2, 3];
    memories.arena[48] = 1;
    assert_eq!(memories.step(OpKind::While, 0, &plan), Next::Call(0));
    assert_eq!(memories.arena[32..36], value);
    assert_eq!(memories.step(OpKind::While, 1, &plan), Next::Call(1));
    assert_eq!(memories.arena[64..68], value);
    memories.arena[80..84].fill(9);
    assert_eq!(memories.step(OpKind::While, 2, &plan), Next::Call(0));
    assert_eq!(memories.arena[32..36], [9; 4]);
    memories.arena[48] = 0;
    assert_eq!(memories.step(OpKind::While, 3, &plan), Next::Done);
    assert_eq!(memories.arena[16..20], [9; 4]);
}

#[test]
fn an_if_runs_one_branch() {
    // One value in and out; subgraph 1 for true, 2 for false.
    let plan = [1, 1, 1, 2];
    for (condition, subgraph) in [(1, 1), (0, 2)] {
        let mut memories = Memories::new();
        memories.arena[0] = condition;
        let at = 32 + 32 * subgraph;
        let call = Next::Call(subgraph as u32);
        assert_eq!(memories.step(OpKind::If, 0, &plan), call);
        assert_eq!(memories.arena[at..at + 4], [4, 5, 6, 7]);
        memories.arena[at + 16..at + 20].fill(9);
        assert_eq!(memories.step(OpKind::If, 1, &plan), Next::Done);
        assert_eq!(memories.arena[16..20], [9; 4]);
    }
}

#[test]
fn call_once_calls_once() {
    let mut memories = Memories::new();
    memories.state[0] = 0;
    let plan = [3];
    assert_eq!(memories.step(OpKind::CallOnce, 0, &plan), Next::Call(3));
    // Not yet done: an inference that was broken off begins anew.
    assert_eq!(memories.step(OpKind::CallOnce, 0, &plan), Next::Call(3));
    assert_eq!(memories.step(OpKind::CallOnce, 1, &plan), Next::Done);
    assert_eq!(memories.step(OpKind::CallOnce, 0, &plan), Next::Done);
}

#[test]
fn operators_with_steps_have_no_other_way_to_run() {
    for kind in [OpKind::If, OpKind::While, OpKind::CallOnce] {
        let mut memories = Memories::new();
        let io = Io::new(&mut memories.arena, &Places);
        let ran = (row(kind).invoke)(PlanReader::new(&[]), io);
        assert_eq!(ran, Err(InvokeError::Plan));
        assert!(row(kind).control.is_some());
    }
    assert_eq!(ALL.iter().filter(|row| row.control.is_some()).count(), 3);
}

#[test]
fn resource_variables_are_read_and_assigned() {
    let mut memories = Memories::new();
    memories.arena[..4].copy_from_slice(&1u32.to_le_bytes());
    let run = |memories: &mut Memories, kind| {
        let io = Io::with_state(&mut memories.arena, &mut memories.state, &Places);
        (row(kind).invoke)(PlanReader::new(&[]), io)
    };
    run(&mut memories, OpKind::ReadVariable).unwrap();
    assert_eq!(memories.arena[16..20], [204, 205, 206, 207]);
    run(&mut memories, OpKind::AssignVariable).unwrap();
    assert_eq!(memories.state[4..8], [4, 5, 6, 7]);
    memories.arena[0] = 2;
    let none = Err(InvokeError::NoResource(Memory::input(0)));
    assert_eq!(run(&mut memories, OpKind::ReadVariable), none);
    assert_eq!(run(&mut memories, OpKind::AssignVariable), none);
}
