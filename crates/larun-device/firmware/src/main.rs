//! Runs every model of a deck and prints the instructions of each node. `cargo xtask calibrate-costs` drives it.

#![no_std]
#![no_main]

mod console;
mod counter;
mod deck;

use console::line;
use larun_micro::{Arena, Interpreter, NodeId, NodeOutputs, Observer, kernels};
use panic_halt as _;

/// Bytes of the arena: as much as any model of the deck needs.
const ARENA: usize = 3 << 20;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    counter::start();
    let before = counter::now();
    counter::known();
    line!("check {}", counter::between(before, counter::now()));
    let Some(cards) = deck::cards() else {
        console::fail("there is no deck in memory");
    };
    let arena = arena();
    for (index, card) in cards.enumerate() {
        line!("model {index}");
        if let Err(why) = count(&card, arena) {
            line!("refused {why}");
        }
    }
    console::done()
}

#[allow(unsafe_code, reason = "a static of this size needs a place of its own")]
fn arena() -> &'static mut Arena<ARENA> {
    static mut MEMORY: Arena<ARENA> = Arena::new();
    // SAFETY: `main` calls this once, and nobody else knows the static.
    unsafe { &mut *(&raw mut MEMORY) }
}

/// Counts one model: every node, then the whole inference without watching it.
fn count(card: &deck::Card, arena: &mut Arena<ARENA>) -> Result<(), &'static str> {
    let mut interpreter = match Interpreter::new(card.model, kernels::ALL, arena) {
        Ok(interpreter) => interpreter,
        Err(error) => {
            line!("because {error}");
            return Err("loading");
        }
    };
    set_inputs(&mut interpreter, card.inputs);
    let mut watch = Watch::default();
    interpreter
        .invoke_observed(&mut watch)
        .map_err(|_| "running")?;
    let mut hash = Hash::default();
    for index in 0..interpreter.output_count() {
        hash.add(interpreter.output_bytes(index).unwrap_or_default());
    }
    if watch.overflown {
        return Err("more nodes than there is room for");
    }
    for (node, instructions) in watch.counts.iter().take(watch.len) {
        line!("node {node} {instructions}");
    }
    line!("outputs {}", hash.0);
    interpreter.reset().map_err(|_| "resetting")?;
    set_inputs(&mut interpreter, card.inputs);
    let before = counter::now();
    let ran = interpreter.invoke();
    let after = counter::now();
    ran.map_err(|_| "running again")?;
    line!("invoke {}", counter::between(before, after));
    Ok(())
}

fn set_inputs(interpreter: &mut Interpreter<'_, '_>, mut rest: &[u8]) {
    for index in 0..interpreter.input_count() {
        if let Ok(input) = interpreter.input_bytes_mut(index) {
            let (bytes, behind) = rest.split_at_checked(input.len()).unwrap_or((rest, &[]));
            for (place, &byte) in input.iter_mut().zip(bytes) {
                *place = byte;
            }
            rest = behind;
        }
    }
}

/// Most nodes of a model.
const NODES: usize = 256;

/// Notes when each node of the main subgraph began and ended.
struct Watch {
    before: u32,
    counts: [(usize, u32); NODES],
    len: usize,
    overflown: bool,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            before: 0,
            counts: [(0, 0); NODES],
            len: 0,
            overflown: false,
        }
    }
}

/// Where a trace of the program finds that a node begins.
#[allow(unsafe_code, reason = "the trace is told by the symbol's name")]
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn larun_node_begins() {
    core::hint::black_box(0u8);
}

/// Where it finds that the node has ended.
#[allow(unsafe_code, reason = "the trace is told by the symbol's name")]
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn larun_node_ended() {
    core::hint::black_box(1u8);
}

impl Observer for Watch {
    fn before(&mut self, node: NodeId) {
        if node.subgraph == 0 {
            larun_node_begins();
            self.before = counter::now();
        }
    }

    fn after(&mut self, node: NodeId, _: NodeOutputs<'_>) {
        let after = counter::now();
        if node.subgraph != 0 {
            return;
        }
        match self.counts.get_mut(self.len) {
            Some(place) => *place = (node.index, counter::between(self.before, after)),
            None => self.overflown = true,
        }
        self.len += 1;
        larun_node_ended();
    }
}

/// A checksum (FNV-1a, 32 bits: Fowler, Noll, Vo).
struct Hash(u32);

impl Default for Hash {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
}
