//! Recipes and the search for mixed precision decide what layers become.

mod support;

use larun_graph::ops::OpKind;
use larun_passes::{
    Activations, Border, Budget, Calibration, LayerScheme, Mixed, PassError, QuantizeOptions,
    Recipe, RoundToNearest, Scheme, Search, Weights, mixed, quantize, sensitivity,
};
use support::{calibrate, noise, prepared};

/// For each node with weights, its operator and what a recipe makes of it.
fn layers(recipe: &str, base: Option<Scheme>) -> Result<Vec<Option<LayerScheme>>, PassError> {
    let recipe = Recipe::parse(recipe).unwrap();
    recipe.layers(&prepared(1), &QuantizeOptions::default(), base)
}

#[test]
fn the_last_rule_that_fits_decides() {
    let graph = prepared(1);
    let recipe = r#"
        [[rule]]
        activations = "int8"
        weights = "int8"
        [[rule]]
        operator = "CONV_2D"
        activations = "int16"
        weights = "int8"
        [[rule]]
        scope = "^conv2;$"
        activations = "int8"
        weights = "int4"
        [[rule]]
        scope = "out"
    "#;
    let found = layers(recipe, None).unwrap();
    let nodes = &graph.main().unwrap().nodes;
    let mut convolutions = 0;
    for (node, layer) in nodes.iter().zip(&found) {
        let layer = layer.unwrap();
        let name = &graph.main().unwrap().tensor(node.outputs[0]).unwrap().name;
        let expected = match (node.kind().unwrap(), name.as_str()) {
            (OpKind::Conv2D, "conv2") => (Activations::Int8, Weights::Int4),
            (OpKind::Conv2D, _) => (Activations::Int16, Weights::Int8),
            (OpKind::Softmax, _) => (Activations::Float32, Weights::Float32),
            _ => (Activations::Int8, Weights::Int8),
        };
        convolutions += usize::from(node.kind() == Some(OpKind::Conv2D));
        assert_eq!((layer.activations, layer.weights), expected, "{name}");
    }
    assert_eq!(convolutions, 2);

    let options = QuantizeOptions {
        layers: found,
        border: Border::Float,
        ..QuantizeOptions::default()
    };
    let calibration = calibrate(&graph, 10);
    let quantized = quantize(graph, &calibration, &options, &RoundToNearest).unwrap();
    let tensors = &quantized.graph.main().unwrap().tensors;
    let weights = tensors.iter().find(|t| t.name == "w2").unwrap();
    assert_eq!(weights.element_type, larun_graph::ops::ElementType::Int4);
}

#[test]
fn layers_that_no_rule_names_are_the_base_s_or_float() {
    let recipe = "[[rule]]\noperator = \"CONV_2D\"\nweights = \"int8\"\n";
    let over = layers(recipe, Some(Scheme::Int8)).unwrap();
    let alone = layers(recipe, None).unwrap();
    for (over, alone) in over.iter().zip(&alone) {
        match over {
            Some(_) => assert_eq!(over, alone),
            None => assert_eq!(*alone, Some(LayerScheme::FLOAT)),
        }
    }
    assert!(over.iter().any(Option::is_some) && over.iter().any(Option::is_none));
}

#[test]
fn a_rule_for_an_operator_that_cannot_follow_is_refused() {
    // No rule: nothing.
    assert!(
        layers("", None)
            .unwrap()
            .iter()
            .all(|l| *l == Some(LayerScheme::FLOAT))
    );
    let mut graph = prepared(1);
    let divide = larun_graph::ops::Op::Div(Default::default());
    let subgraph = graph.main_mut().unwrap();
    let sum = subgraph
        .nodes
        .iter()
        .position(|n| n.kind() == Some(OpKind::Add))
        .unwrap();
    subgraph.nodes[sum].op = larun_graph::NodeOp::Known(divide);
    let of_division = |operator: &str| {
        let text = format!(
            "[[rule]]\noperator = \"{operator}\"\nactivations = \"int8\"\nweights = \"int8\"\n"
        );
        let recipe = Recipe::parse(&text).unwrap();
        recipe.layers(&graph, &QuantizeOptions::default(), None)
    };
    let error = of_division("DIV").unwrap_err();
    assert!(error.to_string().contains("DIV, output `sum`"), "{error}");
    assert_eq!(of_division("*").unwrap()[sum], Some(LayerScheme::FLOAT));
}

fn searched(seed: u32, budget: &Budget) -> Result<Mixed, PassError> {
    let graph = prepared(seed);
    let calibration = calibrate(&graph, 20);
    let (samples, options) = (samples(), QuantizeOptions::default());
    let slices: Vec<_> = samples
        .iter()
        .map(|sample| vec![sample.as_slice()])
        .collect();
    let search = Search {
        graph: &graph,
        calibration: &calibration,
        samples: &slices,
        options: &options,
        rounder: &RoundToNearest,
    };
    mixed(&search, budget, &mut |_, _| {})
}

fn samples() -> Vec<Vec<f32>> {
    (0..12).map(|i| noise(i + 99, 192, 1.0)).collect()
}

fn within(flash: usize) -> Budget {
    Budget {
        flash: Some(flash),
        ..Budget::default()
    }
}

#[test]
fn more_flash_is_never_worse() {
    let most = searched(3, &within(usize::MAX)).unwrap();
    let least = searched(
        3,
        &Budget {
            max_drop: Some(1.0),
            ..Budget::default()
        },
    )
    .unwrap();
    assert!(least.flash < most.flash);
    assert!(least.predicted_sqnr_db < most.predicted_sqnr_db);
    let mut last = least.predicted_sqnr_db;
    for flash in [least.flash, least.flash.midpoint(most.flash), most.flash] {
        let found = searched(3, &within(flash)).unwrap();
        assert!(found.flash <= flash);
        assert!(found.predicted_sqnr_db >= last);
        last = found.predicted_sqnr_db;
        let written = larun_tflite::write(&found.quantized.graph).unwrap();
        assert_eq!(written.len(), found.flash);
    }
    let error = searched(3, &within(least.flash - 1)).unwrap_err();
    assert!(matches!(error, PassError::Budget(_)), "{error}");
}

#[test]
fn a_small_arena_forbids_wide_activations() {
    let wide = searched(4, &within(usize::MAX)).unwrap();
    let is_wide = |mixed: &Mixed| {
        let mut layers = mixed.quantized.decisions.iter();
        layers.any(|d| d.scheme.activations == Activations::Int16)
    };
    assert!(is_wide(&wide));
    let narrow = searched(
        4,
        &Budget {
            ram: Some(wide.ram - 1),
            ..Budget::default()
        },
    )
    .unwrap();
    assert!(narrow.ram < wide.ram);
    let none = Budget {
        ram: Some(16),
        ..Budget::default()
    };
    assert!(matches!(searched(4, &none), Err(PassError::Budget(_))));
}

#[test]
fn results_stay_where_they_must() {
    let budget = Budget {
        max_drop: Some(0.0),
        ..Budget::default()
    };
    let found = searched(5, &budget).unwrap();
    assert_eq!(found.drop, 0.0);
    assert!(matches!(
        searched(5, &Budget::default()),
        Err(PassError::Budget(_))
    ));
}

#[test]
fn fewer_bits_are_more_noise() {
    let graph = prepared(6);
    let calibration = calibrate(&graph, 20);
    let (samples, options) = (samples(), QuantizeOptions::default());
    let slices: Vec<_> = samples
        .iter()
        .map(|sample| vec![sample.as_slice()])
        .collect();
    let search = Search {
        graph: &graph,
        calibration: &calibration,
        samples: &slices,
        options: &options,
        rounder: &RoundToNearest,
    };
    let layers = sensitivity(&search, &mut |_, _| {}).unwrap();
    assert_eq!(layers.len(), 3);
    for layer in &layers {
        let [int4, int8, int16] = &layer.options[..] else {
            panic!("{}: {:?}", layer.name, layer.options);
        };
        assert!(
            int4.noise > int8.noise && int4.bytes < int8.bytes,
            "{}",
            layer.name
        );
        assert!(
            int16.noise < int4.noise && int16.bytes > int8.bytes,
            "{}",
            layer.name
        );
    }
    let empty = Search {
        samples: &[],
        ..search
    };
    assert!(matches!(
        sensitivity(&empty, &mut |_, _| {}),
        Err(PassError::NoSamples)
    ));
    assert_eq!(Calibration::default().samples(), 0);
}
