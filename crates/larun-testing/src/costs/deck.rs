//! Decks: models with inputs as the counting firmware finds them in memory.

use std::path::Path;

use larun_device::cost::{InstructionSet, Kernels};
use larun_graph::Graph;
use larun_micro::Interpreter;
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels::ALL;
use larun_ops::ElementType;
use larun_passes::{
    Border, Calibrator, DenseWeights, QuantizeOptions, RoundToNearest, Scheme, quantize,
};
use serde::{Deserialize, Serialize};

use super::layers::{Layer, layers};
use super::random::Random;
use crate::sorted_entries;

const MAGIC: u32 = 0x4b43_4544;
/// Bytes that a deck may have: the memory of QEMU's boards.
const LARGEST: usize = 15 << 20;

/// A model of a deck.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Card {
    /// What it is called.
    pub name: String,
    /// Whether it is a model to be predicted, not one to fit.
    pub held_out: bool,
    /// The checksum of its outputs on this machine.
    pub outputs: u32,
    /// The file.
    #[serde(skip)]
    pub model: Vec<u8>,
    /// The bytes of its inputs.
    #[serde(skip)]
    pub inputs: Vec<u8>,
}

/// Models for an instruction set.
pub struct Deck {
    /// The models.
    pub cards: Vec<Card>,
    /// Layers that could not be had in some type, and why.
    pub left_out: Vec<String>,
}

impl Deck {
    /// The deck as the firmware reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        for card in &self.cards {
            for len in [card.model.len(), card.inputs.len()] {
                bytes.extend((len as u32).to_le_bytes());
            }
            for part in [&card.model, &card.inputs] {
                bytes.resize(bytes.len().next_multiple_of(16), 0);
                bytes.extend(part);
            }
            bytes.resize(bytes.len().next_multiple_of(16), 0);
        }
        let header = [MAGIC, bytes.len() as u32, self.cards.len() as u32];
        for (word, place) in header.iter().zip(bytes.chunks_exact_mut(4)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn add(&mut self, name: &str, held_out: bool, model: Vec<u8>) {
        match card(name, held_out, model) {
            Ok(card) => self.cards.push(card),
            Err(why) => self.left_out.push(format!("{name}: {why}")),
        }
    }
}

/// What a deck is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To count: all layers, and the models of the corpus where there is one.
    Count,
    /// To trace: the first layers of every kind.
    Trace,
}

/// Random layers in every type, and the models of the corpus, where they can run on an instruction set.
///
/// # Errors
/// When the corpus cannot be read, or there is more than the boards have memory for.
pub fn build_deck(
    set: InstructionSet,
    purpose: Purpose,
    corpus: Option<&Path>,
) -> Result<Deck, Box<dyn core::error::Error>> {
    let mut deck = Deck {
        cards: Vec::new(),
        left_out: Vec::new(),
    };
    for (index, layer) in layers(1)?.iter().enumerate() {
        let is_first = layer.name.ends_with("/0") || layer.name.ends_with("/1");
        if purpose == Purpose::Trace && !is_first {
            continue;
        }
        for (label, scheme) in SCHEMES {
            if !wanted(layer, scheme, index) {
                continue;
            }
            let name = format!("{}/{label}", layer.name);
            match quantized(layer, scheme, index as u64) {
                Ok(graph) => deck.add(&name, false, larun_tflite::write(&graph)?),
                Err(why) => deck.left_out.push(format!("{name}: {why}")),
            }
        }
    }
    if let (Purpose::Count, Some(corpus)) = (purpose, corpus) {
        add_models(&mut deck, set, corpus)?;
    }
    let len = deck.to_bytes().len();
    if len > LARGEST {
        return Err(format!("the deck has {len} bytes, more than {LARGEST}").into());
    }
    Ok(deck)
}

/// The forms of a layer: quantised, or float as it is.
const SCHEMES: [(&str, Option<Scheme>); 5] = [
    ("int8", Some(Scheme::Int8)),
    ("int16", Some(Scheme::Int16x8)),
    ("int4", Some(Scheme::Int4)),
    ("dynamic_float", Some(Scheme::Dynamic)),
    ("float", None),
];

/// INT8 always; the others for every second or third layer, and other weights where there are some.
fn wanted(layer: &Layer, scheme: Option<Scheme>, index: usize) -> bool {
    let every = if layer.weighted { 3 } else { 2 };
    match scheme {
        Some(Scheme::Int8) => true,
        Some(Scheme::Int4) => layer.weighted && index.is_multiple_of(every),
        Some(Scheme::Dynamic) => layer.weighted && index % every == 1,
        _ => index.is_multiple_of(every),
    }
}

fn quantized(layer: &Layer, scheme: Option<Scheme>, seed: u64) -> Result<Graph, String> {
    let Some(scheme) = scheme else {
        return Ok(layer.graph.clone());
    };
    let graph = layer.graph.clone();
    let mut random = Random::new(seed + 1);
    let inputs = graph.main().map_or(&[][..], |subgraph| &subgraph.inputs);
    let lens: Vec<usize> = inputs
        .iter()
        .filter_map(|&id| graph.main()?.tensor(id)?.shape.elements())
        .collect();
    let samples: Vec<Vec<Vec<f32>>> = (0..2)
        .map(|_| {
            lens.iter()
                .map(|&len| sample(&mut random, len, seed))
                .collect()
        })
        .collect();
    let text = |error: larun_passes::PassError| error.to_string();
    let mut calibrator = Calibrator::new(&graph).map_err(text)?;
    // Half of the layers have one scale for all units, half one for each.
    let dense = match seed % 4 {
        0 | 1 => DenseWeights::PerTensor,
        _ => DenseWeights::PerChannel,
    };
    let views = samples
        .iter()
        .map(|inputs| inputs.iter().map(Vec::as_slice).collect());
    calibrator.observe(views).map_err(text)?;
    let options = QuantizeOptions {
        scheme,
        dense,
        // Now and then with QUANTIZE and DEQUANTIZE at the border, so that these are counted too.
        border: if seed.is_multiple_of(6) {
            Border::Float
        } else {
            Border::Integer
        },
        ..QuantizeOptions::default()
    };
    let calibration = calibrator.finish().map_err(text)?;
    let made = quantize(graph, &calibration, &options, &RoundToNearest).map_err(text)?;
    Ok(made.graph)
}

/// Inputs to calibrate with; every second layer is as if behind a ReLU, with the lowest zero point.
fn sample(random: &mut Random, len: usize, seed: u64) -> Vec<f32> {
    let mut values = random.reals(len);
    if !seed.is_multiple_of(2) {
        values.iter_mut().for_each(|value| *value = value.abs());
    }
    values
}

/// Runs the model here: what does not run is no card.
fn card(name: &str, held_out: bool, model: Vec<u8>) -> Result<Card, String> {
    let bytes = AlignedBytes::copy_of(&model);
    let mut arena = arena_for(&bytes, ALL).map_err(|error| error.to_string())?;
    let mut interpreter =
        Interpreter::new(&bytes, ALL, &mut arena).map_err(|error| error.to_string())?;
    let mut random = Random::new(7);
    let mut inputs = Vec::new();
    for index in 0..interpreter.input_count() {
        let info = interpreter.input_info(index).map_err(|e| e.to_string())?;
        let is_real = info.element_type == ElementType::Float32;
        let input = interpreter
            .input_bytes_mut(index)
            .map_err(|e| e.to_string())?;
        let values = match is_real {
            true => random
                .reals(input.len() / 4)
                .iter()
                .flat_map(|x| x.to_le_bytes())
                .collect(),
            false => random.bytes(input.len()),
        };
        input.copy_from_slice(&values);
        inputs.extend(values);
    }
    interpreter.invoke().map_err(|error| error.to_string())?;
    let mut hash = 0x811c_9dc5u32;
    for index in 0..interpreter.output_count() {
        for &byte in interpreter.output_bytes(index).unwrap_or_default() {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
    Ok(Card {
        name: name.to_owned(),
        held_out,
        outputs: hash,
        model,
        inputs,
    })
}

/// The models of the corpus. Float arithmetic in software takes emulators minutes: only what is small, where there is no
/// floating-point unit.
fn add_models(
    deck: &mut Deck,
    set: InstructionSet,
    corpus: &Path,
) -> Result<(), Box<dyn core::error::Error>> {
    for group in ["mlperf_tiny", "tflm", "microflow"] {
        for folder in sorted_entries(&corpus.join("models").join(group))? {
            let file = folder.join("model.tflite");
            let Ok(model) = std::fs::read(&file) else {
                continue;
            };
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{group}/{name}");
            let Ok(graph) = larun_tflite::read(&model) else {
                deck.left_out.push(format!("{name}: cannot be read"));
                continue;
            };
            let macs = graph.stats().map_or(0, |stats| stats.macs);
            if set.kernels() == Kernels::Portable && is_real(&graph) && macs > 200_000 {
                deck.left_out
                    .push(format!("{name}: float, too slow in software"));
                continue;
            }
            deck.add(&name, true, model);
        }
    }
    Ok(())
}

fn is_real(graph: &Graph) -> bool {
    let first = graph.main().and_then(|s| s.tensor(*s.inputs.first()?));
    first.is_some_and(|tensor| tensor.element_type == ElementType::Float32)
}
