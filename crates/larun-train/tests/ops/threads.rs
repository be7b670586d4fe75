//! The same bits at any number of threads.

use larun_train::ops::{
    Add, AveragePool2d, BatchNorm, Clamp, Conv2d, DepthwiseConv2d, Differentiable, FullyConnected,
    MaxPool2d, Mean, Mul, Statistics, Window2d,
};

use crate::common::{Array, forward, run};

fn assert_same_bits(operator: &dyn Differentiable, inputs: &[Array]) {
    let gradient = Array::distinct(&[forward(operator, inputs).0.data.len()], 9).data;
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let run = pool.install(|| run(operator, inputs, &gradient));
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let gradients: Vec<_> = run.gradients.iter().map(|g| bits(g)).collect();
        (bits(&run.output), gradients)
    };
    let one = on(1);
    for threads in [2, 5] {
        assert!(one == on(threads), "{operator:?} at {threads} threads");
    }
}

#[test]
fn same_bits_at_any_thread_count() {
    let image = || Array::distinct(&[41, 9, 20, 8], 1);
    let window = Window2d::same([3, 3]);
    let vector = |n: usize| Array::distinct(&[n], 3);
    let full = Array::distinct(&[12, 3, 3, 8], 2);
    let depthwise = Array::distinct(&[1, 3, 3, 8], 2);
    assert_same_bits(&Conv2d { window }, &[image(), full, vector(12)]);
    assert_same_bits(
        &DepthwiseConv2d { window },
        &[image(), depthwise, vector(8)],
    );
    assert_same_bits(&AveragePool2d { window }, &[image()]);
    assert_same_bits(&MaxPool2d { window }, &[image()]);
    assert_same_bits(&Clamp::RELU, &[image()]);
    assert_same_bits(&Add, &[image(), vector(8)]);
    assert_same_bits(&Mul, &[image(), Array::distinct(&[41, 1, 1, 8], 4)]);
    let norm = BatchNorm {
        epsilon: 1e-3,
        statistics: Statistics::Batch,
        activation: None,
    };
    assert_same_bits(&norm, &[image(), vector(8), vector(8)]);
    let mean = Mean {
        axes: vec![1, 2],
        keep_dims: true,
    };
    assert_same_bits(&mean, &[image()]);
    let rows = Array::distinct(&[900, 40], 1);
    let weights = Array::distinct(&[30, 40], 2);
    assert_same_bits(
        &FullyConnected { keep_dims: false },
        &[rows, weights, vector(30)],
    );
}
