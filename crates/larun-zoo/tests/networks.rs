//! The networks: sizes against those that Keras counts, first weights, and refusals.

use larun_graph::ops::{OpKind, Role};
use larun_graph::{Graph, TensorId};
use larun_zoo::networks::{self, Head, NETWORKS, Network, NetworkError, Takes};
use proptest::prelude::*;

fn spectral(seed: u64) -> Graph {
    networks::find("spectral-small")
        .unwrap()
        .build(&[1024, 1], 6, seed)
        .unwrap()
}

fn kinds(graph: &Graph) -> Vec<OpKind> {
    graph
        .main()
        .unwrap()
        .iter_nodes()
        .filter_map(|(_, node)| node.kind())
        .collect()
}

/// Name, shape and values of every float constant.
fn constants(graph: &Graph) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let subgraph = graph.main().unwrap();
    let ids = (0..subgraph.tensors.len()).map(TensorId::new);
    ids.filter_map(|id| {
        let tensor = subgraph.tensor(id)?;
        Some((
            tensor.name.clone(),
            tensor.shape.dims().to_vec(),
            graph.values::<f32>(id).ok()?,
        ))
    })
    .collect()
}

#[test]
fn spectral_is_the_network_described() {
    use OpKind::*;
    let graph = spectral(0);
    let separable = [
        DepthwiseConv2D,
        BatchNorm,
        Relu,
        Conv2D,
        BatchNorm,
        Relu,
        MaxPool2D,
    ];
    let expected: Vec<OpKind> = [Conv2D, BatchNorm, Relu, MaxPool2D]
        .into_iter()
        .chain(separable)
        .chain(separable)
        .chain([Mean, FullyConnected, FullyConnected, Softmax])
        .collect();
    assert_eq!(kinds(&graph), expected);
    let stats = graph.stats().unwrap();
    let (conv, separable) = (
        1024 * 7 * 8,
        256 * (5 * 8 + 8 * 16) + 64 * (3 * 16 + 16 * 32),
    );
    assert_eq!(stats.macs, conv + separable + 32 * 16 + 16 * 6);
    // Convolutions without bias, four values a normalised channel, dense layers with bias.
    let (weights, normalised) = (
        7 * 8 + 5 * 8 + 8 * 16 + 3 * 16 + 16 * 32,
        8 + 8 + 16 + 16 + 32,
    );
    let total: usize = constants(&graph)
        .iter()
        .map(|(_, _, values)| values.len())
        .sum();
    assert_eq!(total, weights + 4 * normalised + 33 * 16 + 17 * 6);
    assert_eq!(total, 1734);
}

#[test]
fn student_is_the_network_described() {
    use OpKind::*;
    let graph = networks::find("student")
        .unwrap()
        .build(&[1024], 6, 0)
        .unwrap();
    assert_eq!(
        kinds(&graph),
        [
            Conv2D,
            MaxPool2D,
            Conv2D,
            Mean,
            FullyConnected,
            FullyConnected,
            Softmax
        ]
    );
    let stats = graph.stats().unwrap();
    assert_eq!(stats.parameters, 8 * 8 + 41 * 16 + 17 * 16 + 17 * 6);
    assert_eq!(stats.macs, 1018 * 56 + 250 * 640 + 256 + 96);
}

#[test]
fn weights_start_as_in_keras() {
    for (name, shape, values) in constants(&spectral(3)) {
        let part = name.rsplit('/').next().unwrap();
        if part != "weights" {
            let start = if matches!(part, "gamma" | "variance") {
                1.0
            } else {
                0.0
            };
            assert!(values.iter().all(|&value| value == start), "{name}");
            continue;
        }
        let fans = match shape[..] {
            [units, inputs] => inputs + units,
            [1, 1, kernel, channels] if name.contains("depthwise") => kernel * channels + kernel,
            [filters, 1, kernel, channels] => kernel * (channels + filters),
            _ => panic!("{name}: {shape:?}"),
        };
        let limit = (6.0 / fans as f32).sqrt();
        let largest = values
            .iter()
            .fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(
            largest <= limit && largest > 0.8 * limit,
            "{name}: {largest} of {limit}"
        );
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(
            mean.abs() < 3.0 * limit / (3.0 * values.len() as f32).sqrt(),
            "{name}: mean {mean}"
        );
    }
}

#[test]
fn the_seed_decides_the_weights_and_nothing_else() {
    assert_eq!(constants(&spectral(1)), constants(&spectral(1)));
    let (a, b) = (constants(&spectral(1)), constants(&spectral(2)));
    for ((name, shape, first), (_, other_shape, second)) in a.iter().zip(&b) {
        assert_eq!(shape, other_shape);
        assert_eq!(first == second, !name.ends_with("weights"), "{name}");
    }
    // No two layers share a sequence of numbers.
    let starts: Vec<f32> = a
        .iter()
        .filter(|(name, ..)| name.ends_with("weights"))
        .map(|(.., v)| v[0])
        .collect();
    assert!(
        starts
            .iter()
            .enumerate()
            .all(|(i, start)| !starts[..i].contains(start))
    );
}

#[test]
fn every_trained_constant_has_its_role() {
    for network in NETWORKS {
        let graph = network.build(network.made_for, 3, 0).unwrap();
        let subgraph = graph.main().unwrap();
        for (_, node) in subgraph.iter_nodes() {
            let info = node.kind().unwrap().info();
            let weights = info
                .input(1)
                .filter(|operand| matches!(operand.role, Role::Weights { .. }));
            if weights.is_some() {
                let name = &subgraph.tensor(node.input(1).unwrap()).unwrap().name;
                assert!(name.ends_with("/weights"), "{name}");
            }
        }
        assert!(!network.description.is_empty() && !network.architecture.is_empty());
    }
}

#[test]
fn what_does_not_suit_is_refused() {
    let spectral = networks::find("spectral").unwrap();
    for shape in [&[][..], &[32, 32, 3], &[1024, 0]] {
        assert!(
            matches!(
                spectral.build(shape, 6, 0),
                Err(NetworkError::SampleShape { .. })
            ),
            "{shape:?}"
        );
    }
    let short = spectral.build(&[63, 1], 6, 0).unwrap_err();
    assert_eq!(
        short.to_string(),
        "network spectral needs samples of 64 points or more along each axis, these have 63"
    );
    assert!(matches!(
        spectral.build(&[64], 1, 0),
        Err(NetworkError::TooFewClasses { found: 1, .. })
    ));
    assert!(matches!(
        spectral.build(&[64, usize::MAX], 2, 0),
        Err(NetworkError::Graph(_))
    ));
    let unknown = networks::find("spectrum").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "no network is called \"spectrum\": there are spectral, galaxy, transit, star, spectral-small, spectral-wide, \
         galaxy-wide, student, galaxy-student, ds-cnn, resnet8, mobilenet-v1, autoencoder"
    );
    let galaxy = networks::find("galaxy").unwrap();
    let message = galaxy.build(&[64], 4, 0).unwrap_err().to_string();
    assert!(
        message.contains("[H, W, C]") && message.contains("[64]"),
        "{message}"
    );
    assert!(matches!(
        galaxy.build(&[64, 15, 3], 4, 0),
        Err(NetworkError::TooShort { found: 15, .. })
    ));
}

/// Parameters of the deployed network: the folded one has a bias where training has four values a channel.
fn deployed_parameters(graph: &Graph) -> usize {
    let constants = constants(graph);
    let part = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let count = |wanted: &str| -> usize {
        let of = constants.iter().filter(|(name, ..)| part(name) == wanted);
        of.map(|(.., values)| values.len()).sum()
    };
    // A dense layer before batch normalisation has a bias already.
    let dense_bn: usize = constants
        .iter()
        .filter(|(name, ..)| {
            let layer = name.strip_suffix("/bias").unwrap_or("");
            let norm = format!("{layer}/bn/beta");
            constants.iter().any(|(other, ..)| *other == norm)
        })
        .map(|(.., values)| values.len())
        .sum();
    count("weights") + count("bias") + count("beta") - dense_bn
}

/// The operations of the benchmark's own files, as their converters made them.
#[test]
fn the_networks_of_mlperf_tiny_are_the_benchmarks() {
    for (name, classes, macs, parameters) in [
        ("ds-cnn", 12, 2_656_768, 22_604),
        ("resnet8", 10, 12_501_632, 77_706),
        ("mobilenet-v1", 2, 7_489_664, 210_850),
        ("autoencoder", 2, 264_192, 265_864),
    ] {
        let network = networks::find(name).unwrap();
        let graph = network.build(network.made_for, classes, 0).unwrap();
        assert_eq!(graph.stats().unwrap().macs, macs, "{name}");
        assert_eq!(deployed_parameters(&graph), parameters, "{name}");
    }
}

#[test]
fn laruns_networks_keep_their_limits() {
    for (name, classes, kib) in [
        ("spectral", 6, 48),
        ("spectral-small", 6, 48),
        ("spectral-wide", 6, 48),
        ("galaxy", 4, 95),
        ("transit", 2, 32),
        ("star", 7, 24),
    ] {
        let network = networks::find(name).unwrap();
        let graph = network.build(network.made_for, classes, 0).unwrap();
        let (macs, parameters) = (graph.stats().unwrap().macs, deployed_parameters(&graph));
        println!("{name}: {parameters} parameters, {macs} MACs");
        assert!(parameters < 100_000 && macs < 10_000_000, "{name}");
        assert!(parameters < kib * 1024, "{name}");
    }
}

#[test]
fn two_views_meet_in_one_network() {
    let graph = networks::transit_views(201, 61, 2, 1).unwrap();
    let subgraph = graph.main().unwrap();
    let shape = |id: TensorId| subgraph.tensor(id).unwrap().shape.dims().to_vec();
    assert_eq!(shape(subgraph.inputs[0]), [1, 1, 201, 1]);
    assert_eq!(shape(subgraph.inputs[1]), [1, 1, 61, 1]);
    assert_eq!(shape(subgraph.outputs[0]), [1, 2]);
    for (global, local, classes) in [(15, 61, 2), (201, 7, 2), (201, 61, 1)] {
        assert!(networks::transit_views(global, local, classes, 1).is_err());
    }
}

/// A sample shape that a network takes, `extra` beyond the least.
fn sample_shape(network: &Network, extra: usize, channels: usize) -> Vec<usize> {
    match network.takes {
        Takes::Signal { min_points } => vec![min_points + extra, channels],
        Takes::Image { min_side } => vec![min_side + extra % 40, min_side + extra % 7, channels],
        Takes::Row => vec![1 + extra],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn networks_fit_any_input_and_number_of_classes(extra in 0usize..300, channels in 1usize..4, classes in 2usize..12) {
        for network in NETWORKS {
            let sample = sample_shape(network, extra, channels);
            let graph = network.build(&sample, classes, 0).unwrap();
            let subgraph = graph.main().unwrap();
            let shape = |id: TensorId| subgraph.tensor(id).unwrap().shape.dims().to_vec();
            let input = shape(subgraph.inputs[0]);
            prop_assert!(input.ends_with(&sample) && input.iter().product::<usize>() == sample.iter().product::<usize>());
            let outputs = if network.head == Head::Classes { classes } else { sample[0] };
            prop_assert_eq!(shape(subgraph.outputs[0]), [1, outputs]);
            let mut less = sample.clone();
            less[0] = network.takes.least() - 1;
            let refused = network.build(&less, classes, 0).is_err();
            prop_assert!(refused);
        }
    }
}
