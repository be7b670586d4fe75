//! Operators whose positions are values, known at run time only.

use larun_kernels::{InvokeError, Memory};
use larun_ops::{ElementType, GatherOptions, Op, OpKind};
use proptest::prelude::*;

use crate::layout::{bytes, index, position, product, whole_bytes};
use crate::reference::Noise;
use crate::support::{Node, Tensor};

fn node(op: Op, inputs: Vec<Tensor>, output: Tensor) -> Node {
    Node {
        op,
        inputs: inputs.into_iter().map(Some).collect(),
        outputs: vec![output],
    }
}

fn invoked(node: &Node) -> Result<Vec<u8>, InvokeError> {
    let (words, scratch) = node.prepare().unwrap();
    Ok(node.invoke(&words, scratch)?.swap_remove(0))
}

fn integers(dims: &[usize], values: &[i64], are_wide: bool) -> Tensor {
    if are_wide {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        return Tensor::new(ElementType::Int64, dims, bytes.collect());
    }
    let values: Vec<i32> = values.iter().map(|&value| value as i32).collect();
    Tensor::int32(dims, &values)
}

proptest! {
    #[test]
    fn gather_picks_slices(
        dims in prop::collection::vec(1..4usize, 1..5), more in prop::collection::vec(0..3usize, 0..3),
        axis: prop::sample::Index, shared: prop::sample::Index, wide: bool, element_type in whole_bytes(), seed: u64,
    ) {
        let mut noise = Noise::new(seed);
        let axis = axis.index(dims.len());
        let shared = shared.index(axis + 1);
        let listed = [&dims[..shared], &more[..]].concat();
        let output = [&dims[..axis], &more[..], &dims[axis + 1..]].concat();
        let indices: Vec<i64> = (0..product(&listed)).map(|_| noise.below(dims[axis]) as i64).collect();
        let element = element_type.bits().unwrap() / 8;
        let data = bytes(&mut noise, product(&dims) * element);
        let mut expected = vec![0; product(&output) * element];
        for (i, place) in expected.chunks_exact_mut(element).enumerate() {
            let at = position(&output, i);
            let list = [&at[..shared], &at[axis..axis + more.len()]].concat();
            let picked = indices[index(&listed, &list)] as usize;
            let from = [&at[..axis], &[picked], &at[axis + more.len()..]].concat();
            let from = index(&dims, &from) * element;
            place.copy_from_slice(&data[from..from + element]);
        }
        let options = GatherOptions { axis: axis as i32 - dims.len() as i32, batch_dims: shared as i32 };
        let inputs = vec![Tensor::new(element_type, &dims, data), integers(&listed, &indices, wide)];
        let node = node(Op::Gather(options), inputs, Tensor::new(element_type, &output, Vec::new()));
        prop_assert_eq!(invoked(&node).unwrap(), expected);
    }

    #[test]
    fn gather_nd_picks_by_position(
        dims in prop::collection::vec(1..4usize, 1..6), outer in prop::collection::vec(0..4usize, 0..3),
        named: prop::sample::Index, wide: bool, element_type in whole_bytes(), seed: u64,
    ) {
        let mut noise = Noise::new(seed);
        let named = named.index(dims.len() + 1);
        let listed = [&outer[..], &[named]].concat();
        let output = [&outer[..], &dims[named..]].concat();
        let positions: Vec<i64> = (0..product(&listed)).map(|i| noise.below(dims[i % named]) as i64).collect();
        let element = element_type.bits().unwrap() / 8;
        let data = bytes(&mut noise, product(&dims) * element);
        let run = product(&dims[named..]) * element;
        let mut expected: Vec<u8> = Vec::new();
        for number in 0..product(&outer) {
            let at: Vec<usize> = positions[number * named..][..named].iter().map(|&at| at as usize).collect();
            let from = index(&dims[..named], &at) * run;
            expected.extend(&data[from..from + run]);
        }
        let inputs = vec![Tensor::new(element_type, &dims, data), integers(&listed, &positions, wide)];
        let output = Tensor::new(element_type, &output, Vec::new());
        let node = node(OpKind::GatherNd.with_default_options(), inputs, output);
        prop_assert_eq!(invoked(&node).unwrap(), expected);
    }

    /// Starts outside are moved so that the part lies inside.
    #[test]
    fn update_overwrites_a_part(
        dims in prop::collection::vec((1..4usize, 0..3usize, -3..6i64), 1..6), wide: bool,
        element_type in whole_bytes(), seed: u64,
    ) {
        let mut noise = Noise::new(seed);
        let whole: Vec<usize> = dims.iter().map(|d| d.0 + d.1).collect();
        let part: Vec<usize> = dims.iter().map(|d| d.0).collect();
        let starts: Vec<i64> = dims.iter().map(|d| d.2).collect();
        let element = element_type.bits().unwrap() / 8;
        let mut data = bytes(&mut noise, product(&whole) * element);
        let update = bytes(&mut noise, product(&part) * element);
        let inputs = vec![
            Tensor::new(element_type, &whole, data.clone()),
            Tensor::new(element_type, &part, update.clone()),
            integers(&[dims.len()], &starts, wide),
        ];
        for (i, bytes) in update.chunks_exact(element).enumerate() {
            let moved = position(&part, i).into_iter().zip(&dims);
            let to: Vec<usize> = moved.map(|(at, d)| at + d.2.clamp(0, d.1 as i64) as usize).collect();
            let to = index(&whole, &to) * element;
            data[to..to + element].copy_from_slice(bytes);
        }
        let output = Tensor::new(element_type, &whole, Vec::new());
        let node = node(OpKind::DynamicUpdateSlice.with_default_options(), inputs, output);
        prop_assert_eq!(invoked(&node).unwrap(), data);
    }
}

#[test]
fn an_index_outside_is_an_error_that_names_its_operand() {
    let table = || Tensor::float(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    for outside in [-1, 2, i64::from(i32::MAX), i64::from(i32::MIN)] {
        let numbers = |dims: &[usize]| integers(dims, &[outside], false);
        let gather = Op::Gather(GatherOptions::default());
        let one = node(
            gather,
            vec![table(), numbers(&[1])],
            Tensor::float(&[1, 2], &[]),
        );
        let error = invoked(&one).unwrap_err();
        assert_eq!(error, InvokeError::OutOfRange(Memory::input(1)));
        assert_eq!(error.to_string(), "input 1 holds a value out of range");
        let gather = OpKind::GatherNd.with_default_options();
        let one = node(
            gather,
            vec![table(), numbers(&[1, 1])],
            Tensor::float(&[1, 2], &[]),
        );
        assert_eq!(
            invoked(&one),
            Err(InvokeError::OutOfRange(Memory::input(1)))
        );
        let lookup = OpKind::EmbeddingLookup.with_default_options();
        let one = node(
            lookup,
            vec![numbers(&[1]), table()],
            Tensor::float(&[1, 2], &[]),
        );
        assert_eq!(
            invoked(&one),
            Err(InvokeError::OutOfRange(Memory::input(0)))
        );
    }
}

#[test]
fn a_table_of_int8_gives_real_rows() {
    let row = |scales: &[f32]| {
        let zero_points = vec![0; scales.len()];
        let table = Tensor::int8(&[2, 3], &[1, -2, 3, -128, 5, 127], 1.0, 0);
        let table = table.quantized(scales, &zero_points).constant();
        let lookup = OpKind::EmbeddingLookup.with_default_options();
        let ids = Tensor::int32(&[2], &[1, 0]);
        node(lookup, vec![ids, table], Tensor::float(&[2, 3], &[])).run_f32()
    };
    assert_eq!(row(&[0.5]).unwrap(), [-64.0, 2.5, 63.5, 0.5, -1.0, 1.5]);
    assert_eq!(
        row(&[0.5, 2.0]).unwrap(),
        [-256.0, 10.0, 254.0, 0.5, -1.0, 1.5]
    );
    let refusal = row(&[0.5, 2.0, 1.0]).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "input 1: has 3 scales, expected 1 or 2"
    );
}

#[test]
fn shapes_as_values() {
    let run = |op: OpKind, inputs: Vec<Tensor>, output: &[usize]| {
        let output = Tensor::int32(output, &[]);
        let bytes = invoked(&node(op.with_default_options(), inputs, output))?;
        let word = |bytes: &[u8]| i32::from_le_bytes(bytes.try_into().unwrap());
        Ok(bytes.chunks_exact(4).map(word).collect::<Vec<_>>())
    };
    let shape = run(
        OpKind::Shape,
        vec![Tensor::new(ElementType::Bool, &[3, 1, 2], vec![1; 6])],
        &[3],
    );
    assert_eq!(shape, Ok(vec![3, 1, 2]));
    let pair = |a: &[i32], b: &[i32]| {
        let tensors = [a, b].map(|values| Tensor::int32(&[values.len()], values));
        run(
            OpKind::BroadcastArgs,
            tensors.into(),
            &[a.len().max(b.len())],
        )
    };
    assert_eq!(pair(&[4, 1, 0], &[5, 1]), Ok(vec![4, 5, 0]));
    assert_eq!(
        pair(&[2], &[3]),
        Err(InvokeError::OutOfRange(Memory::input(1)))
    );
    let fill = |dims: &[i32]| {
        let dims = Tensor::int32(&[dims.len()], dims);
        run(OpKind::Fill, vec![dims, Tensor::int32(&[], &[7])], &[1, 3])
    };
    assert_eq!(fill(&[1, 3]), Ok(vec![7; 3]));
    assert_eq!(
        fill(&[3, 1]),
        Err(InvokeError::OutOfRange(Memory::input(0)))
    );
}
