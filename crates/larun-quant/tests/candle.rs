//! The candle operators against the functions on slices that they stand for.

#![cfg(feature = "candle")]

use candle_core::{DType, Device, Result, Tensor, Var};
use larun_quant::candle::{
    fake_quant, fake_quant_per_channel, learned_step, pact, quantize_dequantized,
};
use larun_quant::fake_quant::{
    FakeQuant, LearnedStep, Pact, quantize_dequantize, straight_through,
};
use larun_quant::{Affine, IntegerRange};

const VALUES: [f32; 12] = [
    -3.0, -1.02, -0.9, -0.31, 0.0, 0.04, 0.26, 0.77, 1.2, 2.3, 5.5, 8.0,
];
const WEIGHTS: [f32; 12] = [
    0.3, -1.0, 0.7, 0.2, -0.4, 1.1, 0.9, -0.6, 0.5, -0.8, 0.1, 0.25,
];

fn var(values: &[f32]) -> Result<Var> {
    Var::new(values, &Device::Cpu)
}

/// The output, and the gradients of `sum weights output` by each of these.
fn run(output: &Tensor, by: &[&Var]) -> Result<(Vec<f32>, Vec<Vec<f32>>)> {
    let weights = Tensor::new(&WEIGHTS, &Device::Cpu)?.reshape(output.shape())?;
    let gradients = (output * weights)?.sum_all()?.backward()?;
    let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
    let of = |var: &&Var| flat(gradients.get(var.as_tensor()).expect("a gradient"));
    Ok((flat(output)?, by.iter().map(of).collect::<Result<_>>()?))
}

#[test]
fn ranges_are_trained() -> Result<()> {
    let (x, min, max) = (var(&VALUES)?, var(&[-1.0])?, var(&[2.0])?);
    let (found, gradients) = run(&fake_quant(&x, &min, &max, 4, false)?, &[&x, &min, &max])?;
    let expected = FakeQuant::new(-1.0, 2.0, 4, false).expect("a range");
    let (mut outputs, mut of_inputs) = ([0.0; 12], [0.0; 12]);
    expected.forward(&VALUES, &mut outputs).expect("lengths");
    let of_range = expected
        .backward(&VALUES, &WEIGHTS, &mut of_inputs)
        .expect("lengths");
    assert_eq!(found, outputs);
    assert_eq!(
        gradients,
        [of_inputs.to_vec(), vec![of_range.min], vec![of_range.max]]
    );
    Ok(())
}

#[test]
fn channels_have_their_own_ranges_in_any_layout() -> Result<()> {
    let x = Var::from_tensor(&Tensor::new(&VALUES, &Device::Cpu)?.reshape((3, 4))?)?;
    let (min, max) = (var(&[-1.0, -2.0, -0.5])?, var(&[2.0, 1.0, 7.0])?);
    let plain = fake_quant_per_channel(&x, &min, &max, 0, 8, true)?;
    let turned = fake_quant_per_channel(&x.t()?, &min, &max, 1, 8, true)?
        .t()?
        .contiguous()?;
    let (found, gradients) = run(&plain, &[&x, &min, &max])?;
    assert_eq!(
        run(&turned, &[&x, &min, &max])?,
        (found.clone(), gradients.clone())
    );
    for (channel, (min, max)) in [(-1.0, 2.0), (-2.0, 1.0), (-0.5, 7.0)]
        .into_iter()
        .enumerate()
    {
        let part = channel * 4..channel * 4 + 4;
        let expected = FakeQuant::new(min, max, 8, true).expect("a range");
        let mut of_inputs = [0.0; 4];
        let inputs = &VALUES[part.clone()];
        let of_range = expected
            .backward(inputs, &WEIGHTS[part.clone()], &mut of_inputs)
            .expect("lengths");
        assert_eq!(gradients[0][part.clone()], of_inputs);
        assert_eq!(
            (gradients[1][channel], gradients[2][channel]),
            (of_range.min, of_range.max)
        );
        let outputs: Vec<f32> = inputs.iter().map(|&x| expected.apply(x)).collect();
        assert_eq!(found[part], outputs);
    }
    Ok(())
}

#[test]
fn steps_and_thresholds_are_trained() -> Result<()> {
    let (x, scale, offset) = (var(&VALUES)?, var(&[0.3])?, var(&[0.1])?);
    let integers = IntegerRange::INT4;
    let (mut outputs, mut of_inputs) = ([0.0; 12], [0.0; 12]);
    let output = learned_step(&x, &scale, Some(offset.as_tensor()), integers)?;
    let (found, gradients) = run(&output, &[&x, &scale, &offset])?;
    let step = LearnedStep {
        scale: 0.3,
        offset: 0.1,
        integers,
    };
    step.forward(&VALUES, &mut outputs).expect("lengths");
    let of_step = step
        .backward(&VALUES, &WEIGHTS, &mut of_inputs)
        .expect("lengths");
    assert_eq!(found, outputs);
    assert_eq!(
        gradients,
        [
            of_inputs.to_vec(),
            vec![of_step.scale],
            vec![of_step.offset]
        ]
    );

    let (found, gradients) = run(&learned_step(&x, &scale, None, integers)?, &[&x, &scale])?;
    let step = LearnedStep {
        offset: 0.0,
        ..step
    };
    step.forward(&VALUES, &mut outputs).expect("lengths");
    let of_step = step
        .backward(&VALUES, &WEIGHTS, &mut of_inputs)
        .expect("lengths");
    assert_eq!(found, outputs);
    assert_eq!(gradients, [of_inputs.to_vec(), vec![of_step.scale]]);

    let alpha = var(&[2.0])?;
    let (found, gradients) = run(&pact(&x, &alpha, 3)?, &[&x, &alpha])?;
    let expected = Pact::new(2.0, 3).expect("positive");
    expected.forward(&VALUES, &mut outputs).expect("lengths");
    let of_alpha = expected
        .backward(&VALUES, &WEIGHTS, &mut of_inputs)
        .expect("lengths");
    assert_eq!(found, outputs);
    assert_eq!(gradients, [of_inputs.to_vec(), vec![of_alpha]]);
    Ok(())
}

#[test]
fn fixed_parameters_pass_gradients_straight_through() -> Result<()> {
    let (x, affine) = (var(&VALUES)?, Affine::new(0.2, -3));
    let integers = IntegerRange::INT4;
    let (found, gradients) = run(&quantize_dequantized(&x, affine, integers)?, &[&x])?;
    let (mut outputs, mut of_inputs) = ([0.0; 12], [0.0; 12]);
    quantize_dequantize(affine, integers, &VALUES, &mut outputs).expect("lengths");
    straight_through(affine, integers, &VALUES, &WEIGHTS, &mut of_inputs).expect("lengths");
    assert_eq!(found, outputs);
    assert_eq!(gradients, [of_inputs.to_vec()]);
    Ok(())
}

#[test]
fn what_is_refused() -> Result<()> {
    let (x, one, two) = (var(&VALUES)?, var(&[1.0])?, var(&[1.0, 2.0])?);
    let double = x.to_dtype(DType::F64)?;
    assert!(quantize_dequantized(&double, Affine::new(1.0, 0), IntegerRange::INT8).is_err());
    assert!(fake_quant(&x, &one, &one, 8, false).is_err());
    assert!(fake_quant(&x, &two, &two, 8, false).is_err());
    assert!(fake_quant(&x, &one, &two, 8, false).is_err());
    assert!(fake_quant_per_channel(&x, &one, &two, 1, 8, false).is_err());
    let error = learned_step(&x, &two, None, IntegerRange::INT8).expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("the scale must have one element")
    );
    let (minus, zero) = (var(&[-1.0])?, var(&[0.0])?);
    assert!(learned_step(&x, &minus, None, IntegerRange::INT8).is_err());
    assert!(pact(&x, &zero, 8).is_err());
    Ok(())
}
