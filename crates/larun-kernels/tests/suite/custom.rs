//! TFLM_DECODE and TFLite_Detection_PostProcess.

use larun_ops::{DetectionPostProcessOptions, ElementType, NoOptions, Op};
use proptest::prelude::*;

use crate::support::{Node, Tensor};

/// Codes of `width` bits, the most significant bit first.
fn pack(codes: &[usize], width: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; (codes.len() * width).div_ceil(8)];
    for (i, code) in codes.iter().enumerate() {
        for bit in 0..width {
            let at = i * width + bit;
            let set = (code >> (width - 1 - bit) & 1) as u8;
            bytes[at / 8] |= set << (7 - at % 8);
        }
    }
    bytes
}

fn decode(codes: Vec<u8>, header: [u8; 7], values: &[u8], output: Tensor) -> Node {
    let mut description = [&header[..], &[0; 9]].concat();
    description.extend(values);
    let bytes = |bytes: Vec<u8>| Tensor::new(ElementType::UInt8, &[bytes.len()], bytes).constant();
    Node {
        op: Op::Decode(NoOptions {}),
        inputs: vec![Some(bytes(codes)), Some(bytes(description))],
        outputs: vec![output],
    }
}

const WIDTHS: [(ElementType, usize); 4] = [
    (ElementType::Int8, 1),
    (ElementType::Int16, 2),
    (ElementType::Float32, 4),
    (ElementType::Int64, 8),
];

proptest! {
    #[test]
    fn tables_are_looked_up_by_channel(
        element in 0usize..4, width in 1usize..8, channels in 1usize..4, run in 1usize..9, last: bool, seed: u64,
    ) {
        let (element_type, len) = WIDTHS[element];
        let entries = 1usize << width;
        let random = |i: usize| (seed.wrapping_mul(i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize;
        let codes: Vec<usize> = (0..channels * run).map(|i| random(i) % entries).collect();
        let table: Vec<u8> = (0..channels * entries * len).map(|i| random(i) as u8).collect();
        let dims = if last { [run, channels] } else { [channels, run] };
        let (scales, zero_points) = (vec![1.0; channels], vec![0; channels]);
        let output = Tensor::new(element_type, &dims, Vec::new())
            .quantized(&scales, &zero_points)
            .along(usize::from(last));
        let header = [0, 1, 0, 0, 1, width as u8, entries as u8];
        let node = decode(pack(&codes, width), header, &table, output);
        let expected = codes.iter().enumerate().flat_map(|(i, code)| {
            let channel = if last { i % channels } else { i / run };
            let at = (channel * entries + code) * len;
            table[at..at + len].to_vec()
        });
        prop_assert_eq!(node.run().unwrap().swap_remove(0), expected.collect::<Vec<u8>>());
    }

    #[test]
    fn pruned_elements_are_zero_points(
        kept in prop::collection::vec(any::<bool>(), 12), channels in prop::sample::select(vec![1usize, 3]), last: bool,
    ) {
        let dims = if last { [12 / channels, channels] } else { [channels, 12 / channels] };
        let zero_points: Vec<i64> = (0..channels as i64).map(|c| c - 5).collect();
        let output = Tensor::new(ElementType::Int8, &dims, Vec::new())
            .quantized(&vec![1.0; channels], &zero_points)
            .along(usize::from(last));
        let mut values = 1u8..;
        let expected: Vec<u8> = kept.iter().enumerate().map(|(i, &kept)| {
            let channel = if last { i % channels } else { i / (12 / channels) };
            if kept { values.next().unwrap() } else { zero_points[channel] as u8 }
        }).collect();
        let bits: Vec<usize> = kept.iter().map(|&kept| kept.into()).collect();
        let node = decode(pack(&bits, 1), [2, 1, 0, 0, 1, 0, 0], &Vec::from_iter(1..=12), output);
        prop_assert_eq!(node.run().unwrap().swap_remove(0), expected);
    }
}

#[test]
fn what_cannot_be_decoded_is_refused() {
    let output = || Tensor::int8(&[4], &[], 1.0, 0);
    let said = |codes: &[u8], header: [u8; 7], values: &[u8]| {
        let node = decode(codes.to_vec(), header, values, output());
        node.prepare().unwrap_err().to_string()
    };
    let table = [0, 1, 0, 0, 1, 2, 4];
    assert!(
        decode(vec![0b00_01_10_01], table, &[1, 2, 3], output())
            .prepare()
            .is_ok()
    );
    let short = "input 1: the constant must have 20 bytes, has 19";
    assert_eq!(said(&[0b00_01_10_11], table, &[1, 2, 3]), short);
    let short = "input 0: the constant must have 1 bytes, has 0";
    assert_eq!(said(&[], table, &[1, 2, 3]), short);
    let pruned = [2, 1, 0, 0, 1, 0, 0];
    let short = "input 1: the constant must have 18 bytes, has 17";
    assert_eq!(said(&[0b1010_0000], pruned, &[1]), short);
    let unknown = said(&[0], [3, 1, 0, 0, 1, 0, 0], &[]);
    assert_eq!(unknown, "input 1: kind of code 3 is not supported");
    let version = said(&[0], [0, 2, 0, 0, 1, 2, 4], &[1, 2, 3, 4]);
    assert_eq!(version, "input 1: version of the header 2 is not supported");
}

/// Boxes of height and width 2 around centres on a line, with scores for a background and two classes.
fn detection(centres: &[f32], scores: &[[f32; 3]], by_class: bool) -> Node {
    let count = centres.len();
    let boxes: Vec<f32> = centres.iter().flat_map(|&x| [0.0, x, 0.0, 0.0]).collect();
    let anchors = [0.0, 0.0, 2.0, 2.0].repeat(count);
    Node {
        op: Op::DetectionPostProcess(DetectionPostProcessOptions {
            max_detections: 3,
            max_classes_per_detection: 1,
            detections_per_class: 2,
            use_regular_nms: by_class,
            nms_score_threshold: 0.2,
            nms_iou_threshold: 0.5,
            num_classes: 2,
            y_scale: 1.0,
            x_scale: 2.0,
            h_scale: 1.0,
            w_scale: 1.0,
        }),
        inputs: vec![
            Some(Tensor::float(&[1, count, 4], &boxes)),
            Some(Tensor::float(&[1, count, 3], scores.as_flattened())),
            Some(Tensor::float(&[count, 4], &anchors).constant()),
        ],
        outputs: vec![
            Tensor::float(&[1, 3, 4], &[]),
            Tensor::float(&[1, 3], &[]),
            Tensor::float(&[1, 3], &[]),
            Tensor::float(&[1], &[]),
        ],
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.chunks_exact(4);
    words
        .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

#[test]
fn the_best_boxes_that_do_not_overlap_are_kept() {
    // The second overlaps the first by far, the third by a third of what both cover; the fourth scores too low.
    let centres = [0.0, 0.1, 1.0, 9.0, 5.0];
    let scores = [
        [0.9, 0.5, 0.3],
        [0.9, 0.6, 0.2],
        [0.9, 0.1, 0.4],
        [0.9, 0.1, 0.1],
        [0.9, 0.4, 0.6],
    ];
    let outputs = detection(&centres, &scores, false).run().unwrap();
    let [boxes, classes, found, count] = [0, 1, 2, 3].map(|i| floats(&outputs[i]));
    assert_eq!(
        (found, classes, count),
        (vec![0.6, 0.6, 0.4], vec![0.0, 1.0, 1.0], vec![3.0])
    );
    assert_eq!(boxes[..8], [-1.0, -0.9, 1.0, 1.1, -1.0, 4.0, 1.0, 6.0]);

    // Two of each class: 0.6 and 0.4 of the first; 0.6 and 0.4 of the second. Of equal scores the first class's.
    let outputs = detection(&centres, &scores, true).run().unwrap();
    let [classes, found, count] = [1, 2, 3].map(|i| floats(&outputs[i]));
    assert_eq!(
        (found, classes, count),
        (vec![0.6, 0.6, 0.4], vec![0.0, 1.0, 0.0], vec![3.0])
    );
}

#[test]
fn places_without_a_detection_are_zero() {
    let outputs = detection(&[0.0, 3.0], &[[0.0, 0.1, 0.5], [0.0, f32::NAN, 0.1]], false);
    let outputs = outputs.run().unwrap();
    assert_eq!(floats(&outputs[2]), [0.5, 0.0, 0.0]);
    assert_eq!(floats(&outputs[3]), [1.0]);
    assert_eq!(floats(&outputs[0])[4..], [0.0; 8]);
}
