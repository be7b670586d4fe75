//! Operators that rearrange their input, against where each element of the output comes from.

use larun_ops::{
    DepthToSpaceOptions, ElementType, MirrorPadMode, MirrorPadOptions, Op, OpKind, PackOptions,
    SpaceToDepthOptions, SplitOptions, StridedSliceOptions, UnpackOptions,
};
use proptest::prelude::*;

use crate::layout::{bytes, index, position, product, whole_bytes};
use crate::reference::Noise;
use crate::support::{Node, Tensor};

/// What a node must give: for each element of the output, where in the input it is.
struct Case<'a> {
    op: Op,
    input: &'a [usize],
    output: &'a [usize],
    parameters: Vec<Tensor>,
    element_type: ElementType,
    seed: u64,
}

fn list(values: &[i32]) -> Tensor {
    Tensor::int32(&[values.len()], values).constant()
}

fn pairs(values: &[i32]) -> Tensor {
    Tensor::int32(&[values.len() / 2, 2], values).constant()
}

impl Case<'_> {
    fn holds(self, source: impl Fn(&[usize]) -> Option<Vec<usize>>) -> Result<(), TestCaseError> {
        let element = self.element_type.bits().unwrap() / 8;
        let data = bytes(&mut Noise::new(self.seed), product(self.input) * element);
        let mut expected = vec![0; product(self.output) * element];
        for (i, place) in expected.chunks_exact_mut(element).enumerate() {
            if let Some(from) = source(&position(self.output, i)) {
                let at = index(self.input, &from) * element;
                place.copy_from_slice(&data[at..at + element]);
            }
        }
        let input = Tensor::new(self.element_type, self.input, data);
        let inputs = [input].into_iter().chain(self.parameters);
        let node = Node {
            op: self.op,
            inputs: inputs.map(Some).collect(),
            outputs: vec![Tensor::new(self.element_type, self.output, Vec::new())],
        };
        prop_assert_eq!(node.run().unwrap().swap_remove(0), expected);
        Ok(())
    }
}

fn shuffled(noise: &mut Noise, len: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    for i in (1..len).rev() {
        order.swap(i, noise.below(i + 1));
    }
    order
}

fn ints(values: &[usize]) -> Vec<i32> {
    values.iter().map(|&value| value as i32).collect()
}

proptest! {
    #[test]
    fn transpose_orders_axes(
        input in prop::collection::vec(0..4usize, 0..9), element_type in whole_bytes(), seed: u64
    ) {
        let permutation = shuffled(&mut Noise::new(seed), input.len());
        let output: Vec<usize> = permutation.iter().map(|&axis| input[axis]).collect();
        let op = OpKind::Transpose.with_default_options();
        let parameters = vec![list(&ints(&permutation))];
        Case { op, input: &input, output: &output, parameters, element_type, seed }.holds(|at| {
            let mut from = vec![0; at.len()];
            permutation.iter().zip(at).for_each(|(&axis, &at)| from[axis] = at);
            Some(from)
        })?;
    }

    #[test]
    fn reverse_turns_axes_around(
        dims in prop::collection::vec((0..4usize, any::<bool>()), 1..7), element_type in whole_bytes(), seed: u64
    ) {
        let shape: Vec<usize> = dims.iter().map(|dim| dim.0).collect();
        let axes: Vec<usize> = (0..dims.len()).filter(|&axis| dims[axis].1).collect();
        let op = OpKind::ReverseV2.with_default_options();
        let parameters = vec![list(&ints(&axes))];
        Case { op, input: &shape, output: &shape, parameters, element_type, seed }.holds(|at| {
            let turned = dims.iter().zip(at);
            Some(turned.map(|(&(dim, turn), &at)| if turn { dim - 1 - at } else { at }).collect())
        })?;
    }

    #[test]
    fn broadcast_stretches_ones(
        dims in prop::collection::vec((0..4usize, any::<bool>()), 0..6),
        outer in prop::collection::vec(0..3usize, 0..3),
        element_type in whole_bytes(),
        known: bool,
        seed: u64,
    ) {
        let input: Vec<usize> = dims.iter().map(|&(dim, stretch)| if stretch { 1 } else { dim }).collect();
        let output: Vec<usize> = outer.iter().copied().chain(dims.iter().map(|dim| dim.0)).collect();
        let shape = Tensor::int32(&[output.len()], &ints(&output));
        let parameters = vec![if known { shape.constant() } else { shape }];
        let op = OpKind::BroadcastTo.with_default_options();
        Case { op, input: &input, output: &output, parameters, element_type, seed }.holds(|at| {
            let inner = at[outer.len()..].iter().zip(&input);
            Some(inner.map(|(&at, &dim)| if dim == 1 { 0 } else { at }).collect())
        })?;
    }

    #[test]
    fn slice_takes_a_part(
        dims in prop::collection::vec((0..4usize, 0..3usize, 0..3usize, any::<bool>()), 1..6),
        element_type in whole_bytes(),
        known: bool,
        seed: u64,
    ) {
        let input: Vec<usize> = dims.iter().map(|d| d.0 + d.1 + d.2).collect();
        let output: Vec<usize> = dims.iter().map(|d| if known && d.3 { d.0 + d.2 } else { d.0 }).collect();
        let begin = ints(&dims.iter().map(|d| d.1).collect::<Vec<_>>());
        let size: Vec<i32> = dims.iter().map(|d| if known && d.3 { -1 } else { d.0 as i32 }).collect();
        let begin = Tensor::int32(&[dims.len()], &begin);
        let begin = if known { begin.constant() } else { begin };
        let parameters = vec![begin, list(&size)];
        let op = OpKind::Slice.with_default_options();
        Case { op, input: &input, output: &output, parameters, element_type, seed }
            .holds(|at| Some(at.iter().zip(&dims).map(|(at, d)| at + d.1).collect()))?;
    }

    #[test]
    fn strided_slice_steps_as_python_does(
        dims in prop::collection::vec((1..6usize, -8..8i32, -8..8i32, prop_oneof![1..4i32, -3..0i32], 0..8u32), 1..6),
        element_type in whole_bytes(),
        seed: u64,
    ) {
        let input: Vec<usize> = dims.iter().map(|d| d.0).collect();
        let (mut taken, mut output, mut masks) = (Vec::new(), Vec::new(), [0; 3]);
        for (axis, &(dim, begin, end, stride, kind)) in dims.iter().enumerate() {
            let dim = dim as i32;
            let (open_begin, open_end) = (kind & 1 != 0, kind & 2 != 0);
            let shrunk = kind == 7 && (-dim..dim).contains(&begin);
            let inside = |at: i32| (if at < 0 { at + dim } else { at }).clamp(if stride < 0 { -1 } else { 0 }, dim - i32::from(stride < 0));
            let all: Vec<i32> = if stride > 0 { (0..dim).collect() } else { (0..dim).rev().collect() };
            let from = if open_begin && !shrunk { all[0] } else { inside(begin) };
            let to = if open_end { None } else { Some(inside(end)) };
            let before = |at: i32| to.is_none_or(|to| if stride > 0 { at < to } else { at > to });
            let from_on = all.into_iter().filter(|&at| if stride > 0 { at >= from } else { at <= from });
            let mut steps: Vec<usize> =
                from_on.filter(|&at| before(at)).step_by(stride.unsigned_abs() as usize).map(|at| at as usize).collect();
            masks[0] |= i32::from(open_begin && !shrunk) << axis;
            masks[1] |= i32::from(open_end) << axis;
            if shrunk {
                masks[2] |= 1 << axis;
                steps = vec![from as usize];
            } else {
                output.push(steps.len());
            }
            taken.push((steps, shrunk));
        }
        let op = Op::StridedSlice(StridedSliceOptions {
            begin_mask: masks[0],
            end_mask: masks[1],
            shrink_axis_mask: masks[2],
            ..Default::default()
        });
        let column = |of: fn(&(usize, i32, i32, i32, u32)) -> i32| list(&dims.iter().map(of).collect::<Vec<_>>());
        let parameters = vec![column(|d| d.1), column(|d| d.2), column(|d| d.3)];
        Case { op, input: &input, output: &output, parameters, element_type, seed }.holds(|at| {
            let mut at = at.iter();
            Some(taken.iter().map(|(steps, shrunk)| if *shrunk { steps[0] } else { steps[*at.next().unwrap()] }).collect())
        })?;
    }

    #[test]
    fn mirrors_surround(
        dims in prop::collection::vec((1..5usize, 0..5usize, 0..5usize), 1..5),
        reflect: bool,
        element_type in whole_bytes(),
        seed: u64,
    ) {
        let skip = usize::from(reflect);
        let dims: Vec<_> = dims.iter().map(|&(dim, a, b)| (dim, a.min(dim - skip), b.min(dim - skip))).collect();
        let input: Vec<usize> = dims.iter().map(|d| d.0).collect();
        let output: Vec<usize> = dims.iter().map(|d| d.0 + d.1 + d.2).collect();
        let mode = if reflect { MirrorPadMode::Reflect } else { MirrorPadMode::Symmetric };
        let sides: Vec<i32> = dims.iter().flat_map(|d| [d.1 as i32, d.2 as i32]).collect();
        let op = Op::MirrorPad(MirrorPadOptions { mode });
        let parameters = vec![pairs(&sides)];
        Case { op, input: &input, output: &output, parameters, element_type, seed }.holds(|at| {
            let mirrored = at.iter().zip(&dims).map(|(&at, &(dim, before, _))| {
                if at < before {
                    before - at - 1 + skip
                } else if at - before < dim {
                    at - before
                } else {
                    2 * dim - 1 - skip - (at - before)
                }
            });
            Some(mirrored.collect())
        })?;
    }

    #[test]
    fn channels_become_blocks_and_back(
        batch in 1..3usize, height in 0..4usize, width in 1..4usize, channels in 1..4usize, block in 1..4usize,
        element_type in whole_bytes(), seed: u64,
    ) {
        let deep = [batch, height, width, channels * block * block];
        let wide = [batch, height * block, width * block, channels];
        let block_size = block as i32;
        let case = |op, input, output| Case { op, input, output, parameters: Vec::new(), element_type, seed };
        case(Op::DepthToSpace(DepthToSpaceOptions { block_size }), &deep, &wide).holds(|at| {
            let &[n, y, x, c] = at else { return None };
            Some(vec![n, y / block, x / block, (y % block * block + x % block) * channels + c])
        })?;
        case(Op::SpaceToDepth(SpaceToDepthOptions { block_size }), &wide, &deep).holds(|at| {
            let &[n, y, x, c] = at else { return None };
            let (pixel, c) = (c / channels, c % channels);
            Some(vec![n, y * block + pixel / block, x * block + pixel % block, c])
        })?;
    }

    #[test]
    fn batches_become_blocks_and_back(
        batch in 1..3usize, channels in 1..4usize,
        // For each axis: elements, block, border before; what is missing to whole blocks is behind.
        axes in prop::collection::vec((1..6usize, 1..4usize, 0..4usize), 1..3),
        element_type in whole_bytes(), seed: u64,
    ) {
        let cells: Vec<usize> = axes.iter().map(|a| (a.0 + a.2).div_ceil(a.1)).collect();
        let blocks: usize = axes.iter().map(|a| a.1).product();
        let outer = |n: usize, dims: Vec<usize>| [vec![n], dims, vec![channels]].concat();
        let space = outer(batch, axes.iter().map(|a| a.0).collect());
        let blocked = outer(batch * blocks, cells.clone());
        let sizes = list(&axes.iter().map(|a| a.1 as i32).collect::<Vec<_>>());
        let borders = axes.iter().zip(&cells).flat_map(|(a, cell)| [a.2 as i32, (cell * a.1 - a.0 - a.2) as i32]);
        let borders = pairs(&borders.collect::<Vec<_>>());
        let case = |kind: OpKind, input, output| Case {
            op: kind.with_default_options(),
            input,
            output,
            parameters: vec![sizes.clone(), borders.clone()],
            element_type,
            seed,
        };
        case(OpKind::SpaceToBatchNd, &space, &blocked).holds(|at| {
            let mut block = at[0] / batch;
            let mut from = vec![at[0] % batch];
            for (i, &(dim, size, border)) in axes.iter().enumerate().rev() {
                let place = at[i + 1] * size + block % size;
                block /= size;
                from.insert(1, place.checked_sub(border).filter(|&place| place < dim)?);
            }
            from.push(*at.last().unwrap());
            Some(from)
        })?;
        case(OpKind::BatchToSpaceNd, &blocked, &space).holds(|at| {
            let (mut block, mut from) = (0, vec![0]);
            for (i, &(_, size, border)) in axes.iter().enumerate() {
                let place = at[i + 1] + border;
                block = block * size + place % size;
                from.push(place / size);
            }
            from[0] = block * batch + at[0];
            from.push(*at.last().unwrap());
            Some(from)
        })?;
    }

    #[test]
    fn parts_and_wholes(
        dims in prop::collection::vec(1..4usize, 1..5), axis: prop::sample::Index, len in 1..4usize, parts in 1..20usize,
        element_type in whole_bytes(), seed: u64,
    ) {
        let axis = axis.index(dims.len());
        let (mut whole, mut part) = (dims.clone(), dims.clone());
        (whole[axis], part[axis]) = (len * parts, len);
        let without: Vec<usize> = (0..dims.len()).filter(|&i| i != axis).map(|i| dims[i]).collect();
        let element = element_type.bits().unwrap() / 8;
        let data = bytes(&mut Noise::new(seed), product(&whole) * element);
        let tensor = |dims: &[usize], data: Vec<u8>| Tensor::new(element_type, dims, data);
        let node = |op, inputs: Vec<Tensor>, outputs| Node { op, inputs: inputs.into_iter().map(Some).collect(), outputs };
        let at = list(&[axis as i32 - dims.len() as i32]);
        let num_splits = parts as i32;
        let outputs = vec![tensor(&part, Vec::new()); parts];
        let split = node(
            Op::Split(SplitOptions { num_splits }), vec![at.clone(), tensor(&whole, data.clone())], outputs.clone(),
        ).run().unwrap();
        let sizes = vec![len as i32; parts];
        let by_size = node(
            Op::SplitV(larun_ops::SplitVOptions { num_splits }),
            vec![tensor(&whole, data.clone()), list(&sizes), at], outputs,
        ).run().unwrap();
        prop_assert_eq!(&split, &by_size);
        for (number, part_bytes) in split.iter().enumerate() {
            for (i, bytes) in part_bytes.chunks_exact(element).enumerate() {
                let mut from = position(&part, i);
                from[axis] += number * len;
                let from = index(&whole, &from) * element;
                prop_assert_eq!(bytes, &data[from..from + element]);
            }
        }
        // Packed slices are what unpacking gives, and the other way round.
        whole[axis] = parts;
        let data = bytes(&mut Noise::new(seed), product(&whole) * element);
        let slices = node(
            Op::Unpack(UnpackOptions { num: num_splits, axis: axis as i32 }),
            vec![tensor(&whole, data.clone())], vec![tensor(&without, Vec::new()); parts],
        ).run().unwrap();
        let slices = slices.into_iter().map(|slice| tensor(&without, slice)).collect();
        let packed = node(
            Op::Pack(PackOptions { values_count: num_splits, axis: axis as i32 }),
            slices, vec![tensor(&whole, Vec::new())],
        ).run().unwrap();
        prop_assert_eq!(&packed[0], &data);
    }
}

#[test]
fn entries_of_a_strided_slice_may_stand_for_many_axes_or_new_ones() {
    let run = |options: StridedSliceOptions, output: &[usize], begin: &[i32], end: &[i32]| {
        let data: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let ones = vec![1; begin.len()];
        let inputs = [
            Tensor::float(&[2, 3, 4], &data),
            list(begin),
            list(end),
            list(&ones),
        ];
        Node {
            op: Op::StridedSlice(options),
            inputs: inputs.map(Some).into(),
            outputs: vec![Tensor::float(output, &[])],
        }
        .run_f32()
    };
    let ellipsis = |mask| StridedSliceOptions {
        ellipsis_mask: mask,
        ..Default::default()
    };
    // x[..., 1:2]
    let last = run(ellipsis(1), &[2, 3, 1], &[0, 1], &[0, 2]).unwrap();
    assert_eq!(last, [1.0, 5.0, 9.0, 13.0, 17.0, 21.0]);
    // x[1:2, ...]
    let half = run(ellipsis(2), &[1, 3, 4], &[1, 0], &[2, 0]).unwrap();
    assert_eq!(half[0], 12.0);
    // x[1, newaxis, ..., 3]
    let options = StridedSliceOptions {
        new_axis_mask: 2,
        shrink_axis_mask: 9,
        ..ellipsis(4)
    };
    let picked = run(options, &[1, 3], &[1, 0, 0, 3], &[2, 0, 0, 4]).unwrap();
    assert_eq!(picked, [15.0, 19.0, 23.0]);
    // The end counts from the beginning.
    let options = StridedSliceOptions {
        offset: true,
        ..Default::default()
    };
    let some = run(options, &[1, 2, 1], &[1, -2, 3], &[1, 2, 1]).unwrap();
    assert_eq!(some, [19.0, 23.0]);
    let options = StridedSliceOptions {
        shrink_axis_mask: 1,
        ..Default::default()
    };
    let refusal = run(options, &[3, 4], &[2], &[3]).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "options: the position of a single element lies outside its axis (value 2)"
    );
}

#[test]
fn padding_is_the_zero_point() {
    let node = |element_type, zero_point: i64, input: Vec<u8>, output: Vec<u8>| {
        let tensor = |dims: &[usize], data| {
            Tensor::new(element_type, dims, data).quantized(&[0.5], &[zero_point])
        };
        let node = |kind: OpKind, dims: &[usize], parameters: [Tensor; 2]| Node {
            op: kind.with_default_options(),
            inputs: [tensor(&[1, 2, 1], input.clone())]
                .into_iter()
                .chain(parameters)
                .map(Some)
                .collect(),
            outputs: vec![tensor(dims, Vec::new())],
        };
        let blocks = node(
            OpKind::SpaceToBatchNd,
            &[3, 1, 1],
            [list(&[3]), pairs(&[0, 1])],
        );
        assert_eq!(blocks.run().unwrap()[0], output);
        let value = tensor(&[], output[output.len() - output.len() / 3..].to_vec());
        let padded = node(
            OpKind::PadV2,
            &[1, 3, 1],
            [pairs(&[0, 0, 0, 1, 0, 0]), value],
        );
        assert_eq!(padded.run().unwrap()[0], output);
    };
    node(ElementType::Int8, -3, vec![1, 2], vec![1, 2, 0xFD]);
    node(
        ElementType::Int16,
        258,
        vec![1, 0, 2, 0],
        vec![1, 0, 2, 0, 2, 1],
    );
}

#[test]
fn elements_that_would_change_their_meaning_are_refused() {
    let node = Node {
        op: OpKind::Transpose.with_default_options(),
        inputs: vec![
            Some(Tensor::int8(&[2, 1], &[1, 2], 0.5, 3)),
            Some(list(&[1, 0])),
        ],
        outputs: vec![Tensor::int8(&[1, 2], &[], 0.25, 3)],
    };
    let refusal = node.run().unwrap_err();
    assert_eq!(refusal.to_string(), "output 0: scale must be 0.5, is 0.25");
    let node = Node {
        op: Op::Pack(PackOptions {
            values_count: 1,
            axis: 0,
        }),
        inputs: vec![Some(Tensor::int8(&[2], &[1, 2], 0.5, 3))],
        outputs: vec![Tensor::int8(&[1, 2], &[], 0.5, 4)],
    };
    let refusal = node.run().unwrap_err();
    assert_eq!(refusal.to_string(), "output 0: zero point must be 3, is 4");
}
