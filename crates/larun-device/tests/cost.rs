//! The cost model against what was counted, and what must hold of it whatever the coefficients.

use std::path::PathBuf;

use larun_device::cost::{Fit, InstructionSet, estimate, instructions, live_bytes, work};
use larun_device::{board, boards};
use larun_graph::{Graph, GraphBuilder};
use larun_ops::{Activation, Conv2DOptions, ElementType, Op, Padding};
use proptest::prelude::*;
use serde::Deserialize;

/// What `cargo xtask calibrate-costs` counted of models that the fit has not seen.
#[derive(Deserialize)]
struct HeldOut {
    set: InstructionSet,
    models: Vec<CountedModel>,
}

#[derive(Deserialize)]
struct CountedModel {
    name: String,
    invoke: u64,
}

/// Models whose every operator is of a kind that was counted.
const PREDICTED: [&str; 8] = [
    "mlperf_tiny/kws_int8",
    "mlperf_tiny/ic_resnet8_int8",
    "mlperf_tiny/vww_int8",
    "mlperf_tiny/ad01_int8",
    "mlperf_tiny/sww_int8",
    "tflm/person_detect",
    "tflm/micro_speech_quantized",
    "microflow/speech",
];

#[test]
fn instructions_of_models_not_fitted_are_within_a_tenth() {
    let Some(corpus) = std::env::var_os("LARUN_CORPUS").map(PathBuf::from) else {
        println!("skipped: LARUN_CORPUS is not set");
        return;
    };
    let held_out: Vec<HeldOut> = serde_json::from_str(include_str!("data/counted.json")).unwrap();
    assert_eq!(held_out.len(), InstructionSet::ALL.len());
    for HeldOut { set, models } in held_out {
        for name in PREDICTED {
            let counted = models.iter().find(|model| model.name == name).unwrap();
            let file = corpus.join("models").join(name).join("model.tflite");
            let graph = larun_tflite::read(&std::fs::read(file).unwrap()).unwrap();
            let error = instructions(&graph, set) / counted.invoke as f64 - 1.0;
            assert!(
                error.abs() <= 0.1,
                "{} {name}: {:+.1} %",
                set.name(),
                100.0 * error
            );
        }
    }
}

#[test]
fn the_table_is_sorted_and_nothing_in_it_is_negative() {
    let fits = Fit::all();
    assert!(fits.is_sorted_by(|a, b| (a.set, a.family) < (b.set, b.family)));
    for fit in fits {
        assert!(
            fit.terms.iter().all(|(_, each)| *each > 0.0),
            "{}",
            fit.family
        );
        assert_eq!(Fit::find(fit.set, fit.family), Some(fit));
        for core in larun_device::Core::ALL {
            let cycles = core.timing().cycles_per_instruction(&fit.mix);
            assert!(
                cycles > 0.4 && cycles < 6.0,
                "{} on {core:?}: {cycles}",
                fit.family
            );
        }
    }
}

fn conv(side: usize, depth: usize, outputs: usize, filter: usize) -> Graph {
    let mut b = GraphBuilder::new("conv");
    let x = b
        .input("x", &[1, side, side, depth], ElementType::Int8)
        .unwrap();
    let shape = [outputs, filter, filter, depth];
    let w = b
        .constant("w", &shape, &vec![1i8; shape.iter().product()])
        .unwrap();
    let op = Op::Conv2D(Conv2DOptions {
        padding: Padding::Same,
        stride_h: 1,
        stride_w: 1,
        activation: Activation::None,
        ..Conv2DOptions::default()
    });
    let y = b.node("y", op, &[x, w]).unwrap();
    b.output(y);
    b.finish().unwrap()
}

proptest! {
    #[test]
    fn more_work_never_costs_less(side in 3usize..12, depth in 1usize..9, outputs in 1usize..17, filter in 1usize..4) {
        let (small, large) = (conv(side, 4 * depth, outputs, filter), conv(2 * side, 4 * depth, 2 * outputs, filter));
        for &set in InstructionSet::ALL {
            prop_assert!(instructions(&small, set) > 0.0);
            prop_assert!(instructions(&large, set) > instructions(&small, set));
        }
        for board in boards() {
            let cost = estimate(&small, board, None).unwrap();
            let layers: f64 = cost.layers.iter().map(|layer| layer.cycles).sum();
            prop_assert!(cost.cycles >= layers && cost.milliseconds > 0.0);
            prop_assert!(cost.layers.iter().all(|layer| layer.counted));
        }
    }
}

#[test]
fn every_layer_says_what_it_takes() {
    let graph = conv(8, 4, 8, 3);
    let cost = estimate(&graph, board("nano33ble").unwrap(), None).unwrap();
    let layer = &cost.layers[0];
    assert_eq!((layer.op.as_str(), layer.macs), ("CONV_2D", 8 * 8 * 8 * 36));
    assert_eq!(layer.output_shape, [1, 8, 8, 8]);
    assert_eq!((layer.weight_bytes, layer.live_bytes), (8 * 36, 256 + 512));
    assert_eq!(cost.live_bytes, 768);
    let energy = cost.microjoules.unwrap();
    assert!(
        (energy - 9.9 * cost.milliseconds).abs() < 1e-9,
        "milliwatts times milliseconds"
    );
    assert_eq!(
        estimate(&graph, board("esp32").unwrap(), None)
            .unwrap()
            .microjoules,
        None
    );
    let subgraph = graph.main().unwrap();
    assert_eq!(live_bytes(&graph, subgraph).unwrap()[0].own, 768);
    let kernels = InstructionSet::Armv7EM.kernels();
    let done = work(subgraph, &subgraph.nodes[0], kernels).unwrap();
    assert_eq!(done.family, "CONV_2D kxk INT8");
}

#[test]
fn a_slower_region_takes_more_cycles() {
    let graph = conv(8, 4, 8, 3);
    let mut board = board("stm32h7").unwrap().clone();
    let fast = estimate(&graph, &board, Some(1024)).unwrap().cycles;
    board.ram[0].bytes = 64;
    board.ram[1].wait_states = Some(2.0);
    assert!(estimate(&graph, &board, Some(1024)).unwrap().cycles > fast);
}
