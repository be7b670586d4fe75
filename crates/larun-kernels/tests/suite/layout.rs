//! Operators that only move elements, over every element type.

use larun_kernels::{Io, Locate, Location, PlanReader};
use larun_ops::{ConcatenationOptions, ElementType, Op, OpKind, ReshapeOptions};
use proptest::prelude::*;

use crate::reference::Noise;
use crate::support::{Node, Tensor};

pub(crate) fn whole_bytes() -> impl Strategy<Value = ElementType> {
    let types = ElementType::ALL.iter().copied();
    let types: Vec<_> = types
        .filter(|t| t.bits().is_some_and(|bits| bits >= 8))
        .collect();
    prop::sample::select(types)
}

pub(crate) fn bytes(noise: &mut Noise, len: usize) -> Vec<u8> {
    noise.int8s(len).into_iter().map(|b| b as u8).collect()
}

pub(crate) fn product(dims: &[usize]) -> usize {
    dims.iter().product()
}

/// The position of an element along each axis.
pub(crate) fn position(dims: &[usize], mut index: usize) -> Vec<usize> {
    let mut at = vec![0; dims.len()];
    for (at, dim) in at.iter_mut().zip(dims).rev() {
        *at = index % dim;
        index /= dim;
    }
    at
}

pub(crate) fn index(dims: &[usize], at: &[usize]) -> usize {
    dims.iter()
        .zip(at)
        .fold(0, |index, (dim, at)| index * dim + at)
}

proptest! {
    #[test]
    fn pad_surrounds_with_zeros(
        dims in prop::collection::vec((0..5usize, 0..3usize, 0..3usize), 1..6),
        element_type in whole_bytes(),
        zero_point: i8,
        seed: u64,
    ) {
        let element = element_type.bits().unwrap() / 8;
        let input: Vec<usize> = dims.iter().map(|d| d.0).collect();
        let output: Vec<usize> = dims.iter().map(|d| d.0 + d.1 + d.2).collect();
        let pairs: Vec<i32> = dims.iter().flat_map(|d| [d.1 as i32, d.2 as i32]).collect();
        let data = bytes(&mut Noise::new(seed), product(&input) * element);
        let zero = if element_type == ElementType::Int8 { zero_point as u8 } else { 0 };
        let quantized = |tensor: Tensor| match element_type {
            ElementType::Int8 => tensor.quantized(&[0.5], &[zero_point.into()]),
            _ => tensor,
        };
        let node = Node {
            op: OpKind::Pad.with_default_options(),
            inputs: vec![
                Some(quantized(Tensor::new(element_type, &input, data.clone()))),
                Some(Tensor::int32(&[dims.len(), 2], &pairs).constant()),
            ],
            outputs: vec![quantized(Tensor::new(element_type, &output, Vec::new()))],
        };
        let mut expected = vec![zero; product(&output) * element];
        for i in 0..product(&input) {
            let at: Vec<usize> = position(&input, i).iter().zip(&dims).map(|(at, d)| at + d.1).collect();
            let at = index(&output, &at) * element;
            expected[at..at + element].copy_from_slice(&data[i * element..][..element]);
        }
        prop_assert_eq!(node.run().unwrap().swap_remove(0), expected);
    }

    #[test]
    fn concatenation_joins(
        dims in prop::collection::vec(1..4usize, 1..5),
        joined in prop::collection::vec(0..4usize, 1..14),
        axis: prop::sample::Index,
        element_type in whole_bytes(),
        negative: bool,
        seed: u64,
    ) {
        let mut noise = Noise::new(seed);
        let element = element_type.bits().unwrap() / 8;
        let axis = axis.index(dims.len());
        let with = |len: usize| {
            let mut dims = dims.clone();
            dims[axis] = len;
            dims
        };
        let option = axis as i32 - if negative { dims.len() as i32 } else { 0 };
        let output = with(joined.iter().sum());
        let mut expected = vec![0; product(&output) * element];
        let (mut inputs, mut start) = (Vec::new(), 0);
        for len in joined {
            let shape = with(len);
            let data = bytes(&mut noise, product(&shape) * element);
            for i in 0..product(&shape) {
                let mut at = position(&shape, i);
                at[axis] += start;
                let at = index(&output, &at) * element;
                expected[at..at + element].copy_from_slice(&data[i * element..][..element]);
            }
            start += len;
            inputs.push(Some(Tensor::new(element_type, &shape, data)));
        }
        let node = Node {
            op: Op::Concatenation(ConcatenationOptions { axis: option, ..Default::default() }),
            inputs,
            outputs: vec![Tensor::new(element_type, &output, Vec::new())],
        };
        prop_assert_eq!(node.run().unwrap().swap_remove(0), expected);
    }

    #[test]
    fn reshape_keeps_the_bytes(rows in 0..5usize, columns in 0..5usize, element_type in whole_bytes(), seed: u64) {
        let len = rows * columns * element_type.bits().unwrap() / 8;
        let data = bytes(&mut Noise::new(seed), len);
        let flat = [(rows * columns) as i32];
        let node = Node {
            op: Op::Reshape(ReshapeOptions::default()),
            inputs: vec![
                Some(Tensor::new(element_type, &[rows, columns], data.clone())),
                Some(Tensor::int32(&[1], &flat).constant()),
            ],
            outputs: vec![Tensor::new(element_type, &[rows * columns], Vec::new())],
        };
        prop_assert_eq!(node.run().unwrap().swap_remove(0), data);
    }
}

/// Input and output are the same eight bytes.
struct Shared;

impl Locate for Shared {
    fn input(&self, _: usize) -> Location<'_> {
        Location::Arena { offset: 4, len: 8 }
    }

    fn output(&self, _: usize) -> Location<'_> {
        Location::Arena { offset: 4, len: 8 }
    }

    fn scratch(&self) -> Location<'_> {
        Location::Absent
    }
}

#[test]
fn views_of_shared_memory_have_nothing_to_do() {
    for kind in [OpKind::Reshape, OpKind::Squeeze, OpKind::ExpandDims] {
        let row = larun_kernels::ALL.iter().find(|row| row.kind == kind);
        let mut arena: Vec<u8> = (0..16).collect();
        let before = arena.clone();
        let io = Io::new(&mut arena, &Shared);
        (row.unwrap().invoke)(PlanReader::new(&[]), io).unwrap();
        assert_eq!(arena, before);
    }
}

#[test]
fn a_shape_known_at_run_time_only_is_taken_from_the_output() {
    let node = |elements: usize| Node {
        op: Op::Reshape(ReshapeOptions::default()),
        inputs: vec![
            Some(Tensor::float(&[4], &[1.0, 2.0, 3.0, 4.0])),
            Some(Tensor::int32(&[2], &[2, 2])),
        ],
        outputs: vec![Tensor::float(&[2, elements / 2], &[])],
    };
    assert_eq!(node(4).run_f32().unwrap(), [1.0, 2.0, 3.0, 4.0]);
    let refusal = node(6).run().unwrap_err();
    assert_eq!(refusal.to_string(), "output 0: must have 4 elements, has 6");
}
