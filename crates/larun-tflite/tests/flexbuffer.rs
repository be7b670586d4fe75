//! The options of custom operators: flexbuffers read as they are written, damaged ones refused.

use larun_graph::ops::{
    DetectionPostProcessOptions, IntList, NoOptions, Op, OpKind, Options, OptionsSource,
    SignalFftOptions, SignalFramerOptions,
};
use larun_graph::{Graph, Node, NodeOp, OpaqueOp, Subgraph};
use larun_tflite::view::{CustomOptions, Model, ViewError, ViewErrorKind};
use larun_tflite::write;
use proptest::prelude::*;

/// What can stand in a map.
#[derive(Clone, Debug)]
enum Value {
    Null,
    Int(i64),
    UInt(u64),
    Float(f32),
    Double(f64),
    Bool(bool),
    Indirect(Box<Self>),
    Ints(Vec<i64>),
    List(Vec<Self>),
    Text(&'static str),
}

/// A writer of flexbuffers that uses one width for everything.
struct Writer {
    bytes: Vec<u8>,
    width: usize,
}

impl Writer {
    fn map(width: usize, entries: &[(&str, Value)]) -> Vec<u8> {
        let mut writer = Self {
            bytes: Vec::new(),
            width,
        };
        let mut keys = Vec::new();
        for (name, _) in entries {
            keys.push(writer.bytes.len());
            writer.bytes.extend(name.as_bytes());
            writer.bytes.push(0);
        }
        writer.number(entries.len() as u64);
        let keys_at = writer.bytes.len();
        keys.iter().for_each(|key| writer.offset(*key));
        let values: Vec<_> = entries.iter().map(|(_, value)| value).collect();
        let places: Vec<_> = values.iter().map(|value| writer.outside(value)).collect();
        writer.offset(keys_at);
        writer.number(width as u64);
        let at = writer.items(&values, &places);
        writer.offset(at);
        writer.bytes.push(writer.packed(9));
        writer.bytes.push(width as u8);
        writer.bytes
    }

    fn number(&mut self, value: u64) {
        self.bytes.extend(&value.to_le_bytes()[..self.width]);
    }

    fn offset(&mut self, to: usize) {
        self.number((self.bytes.len() - to) as u64);
    }

    fn packed(&self, kind: u8) -> u8 {
        kind << 2 | self.width.trailing_zeros() as u8
    }

    fn kind(value: &Value) -> u8 {
        match value {
            Value::Null => 0,
            Value::Int(_) => 1,
            Value::UInt(_) => 2,
            Value::Float(_) | Value::Double(_) => 3,
            Value::Text(_) => 5,
            Value::Indirect(inner) => 5 + Self::kind(inner),
            Value::List(_) => 10,
            Value::Ints(_) => 11,
            Value::Bool(_) => 26,
        }
    }

    /// Writes what does not stand in the map itself.
    fn outside(&mut self, value: &Value) -> usize {
        match value {
            Value::Indirect(inner) => {
                let at = self.bytes.len();
                self.inline(inner);
                at
            }
            Value::Ints(ints) => {
                self.number(ints.len() as u64);
                let at = self.bytes.len();
                ints.iter().for_each(|int| self.number(*int as u64));
                at
            }
            Value::List(values) => {
                let values: Vec<_> = values.iter().collect();
                let places: Vec<_> = values.iter().map(|value| self.outside(value)).collect();
                self.items(&values, &places)
            }
            Value::Text(text) => {
                self.number(text.len() as u64);
                let at = self.bytes.len();
                self.bytes.extend(text.as_bytes());
                self.bytes.push(0);
                at
            }
            _ => 0,
        }
    }

    /// Writes length, values and types.
    fn items(&mut self, values: &[&Value], places: &[usize]) -> usize {
        self.number(values.len() as u64);
        let at = self.bytes.len();
        for (value, place) in values.iter().zip(places) {
            match value {
                Value::Indirect(_) | Value::Ints(_) | Value::List(_) | Value::Text(_) => {
                    self.offset(*place);
                }
                inline => self.inline(inline),
            }
        }
        for value in values {
            self.bytes.push(self.packed(Self::kind(value)));
        }
        at
    }

    fn inline(&mut self, value: &Value) {
        match value {
            Value::Int(int) => self.number(*int as u64),
            Value::UInt(int) => self.number(*int),
            Value::Bool(bool) => self.number(u64::from(*bool)),
            Value::Float(float) if self.width == 4 => self.number(float.to_bits().into()),
            Value::Float(float) => self.number(f64::from(*float).to_bits()),
            Value::Double(float) => self.number(float.to_bits()),
            _ => self.number(0),
        }
    }
}

const NAMES: &[(u16, &str)] = &[(0, "size"), (1, "si"), (2, "flag"), (7, "scale")];

/// Every way to look at every field.
fn look_at(bytes: &[u8], names: &'static [(u16, &'static str)]) -> Result<(), ViewError> {
    let options = CustomOptions::new(bytes, names)?;
    for id in 0..12 {
        let _ = (options.byte(id), options.int(id));
        let _ = (options.float(id), options.ints(id));
    }
    Ok(())
}

proptest! {
    #[test]
    fn numbers_are_read_at_every_width(
        (width, low) in prop_oneof![
            Just((1, i64::from(i8::MIN))), Just((2, i64::from(i16::MIN))),
            Just((4, i64::from(i32::MIN))), Just((8, i64::from(i32::MIN))),
        ],
        part in 0.0f64..1.0,
        flag: bool,
        indirect: bool,
    ) {
        let int = (low as f64 + part * -2.0 * low as f64).floor() as i64;
        let mut values = [Value::Int(int), Value::UInt(int.unsigned_abs() >> 1), Value::Bool(flag)];
        if indirect {
            values = values.map(|value| match value {
                Value::Bool(_) => value,
                value => Value::Indirect(Box::new(value)),
            });
        }
        let [size, si, flag_value] = values;
        let bytes = Writer::map(width, &[("flag", flag_value), ("si", si), ("size", size)]);
        let options = CustomOptions::new(&bytes, NAMES).unwrap();
        prop_assert_eq!(options.int(0).unwrap(), Some(int as i32));
        prop_assert_eq!(options.float(0).unwrap(), Some(int as f32));
        prop_assert_eq!(options.int(1).unwrap(), Some((int.unsigned_abs() >> 1) as i32));
        prop_assert_eq!(options.byte(2).unwrap(), Some(i8::from(flag)));
        prop_assert_eq!(options.int(7).unwrap(), None);
        prop_assert_eq!(options.int(3).unwrap(), None);
    }

    #[test]
    fn floats_are_read(value: f32, wide: bool, indirect: bool) {
        let float = if indirect { Value::Indirect(Box::new(Value::Float(value))) } else { Value::Float(value) };
        let bytes = Writer::map(if wide { 8 } else { 4 }, &[("scale", float)]);
        let options = CustomOptions::new(&bytes, NAMES).unwrap();
        prop_assert_eq!(options.float(7).unwrap().unwrap().to_bits(), value.to_bits());
    }

    #[test]
    fn random_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = look_at(&bytes, NAMES);
    }

    #[test]
    fn damaged_maps_are_safe(
        width in prop_oneof![Just(1usize), Just(2), Just(4), Just(8)],
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let ints = Value::Ints(vec![1, 2, 3]);
        let list = Value::List(vec![Value::Int(1), Value::Indirect(Box::new(Value::Int(-9)))]);
        let mut bytes = Writer::map(width, &[("flag", ints), ("si", list), ("size", Value::Int(7))]);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = look_at(&bytes, NAMES);
        let _ = look_at(&bytes[cut.index(bytes.len())..], NAMES);
    }
}

#[test]
fn vectors_are_read() {
    let list = vec![Value::Int(-1), Value::Indirect(Box::new(Value::UInt(9)))];
    let entries = [
        ("flag", Value::Text("no")),
        ("si", Value::List(list)),
        ("size", Value::Ints(vec![5, -6])),
        ("scale", Value::Ints(vec![0; 40])),
    ];
    let bytes = Writer::map(2, &entries);
    let options = CustomOptions::new(&bytes, NAMES).unwrap();
    assert_eq!(options.ints(0).unwrap(), IntList::new(&[5, -6]));
    assert_eq!(options.ints(1).unwrap(), IntList::new(&[-1, 9]));
    let kind =
        |result: Result<_, ViewError>| result.map(|_: Option<IntList>| ()).unwrap_err().kind();
    assert!(matches!(kind(options.ints(2)), ViewErrorKind::NoNumber(_)));
    assert_eq!(kind(options.ints(7)), ViewErrorKind::TooLong(40));
}

#[test]
fn what_is_no_number_of_32_bits_is_refused() {
    let values = [
        Value::Int(1 << 31),
        Value::UInt(u64::MAX),
        Value::Double(0.5),
        Value::Double(f64::NAN),
        Value::Text("7"),
        Value::Ints(vec![7]),
    ];
    for value in values {
        let bytes = Writer::map(8, &[("size", value.clone())]);
        let options = CustomOptions::new(&bytes, NAMES).unwrap();
        let error = options.int(0).unwrap_err();
        assert!(
            matches!(error.kind(), ViewErrorKind::NoNumber(_)),
            "{value:?}: {error}"
        );
        assert!(
            error.to_string().starts_with("Operator.custom_options: "),
            "{error}"
        );
    }
    let bytes = Writer::map(8, &[("size", Value::Double(-7.0)), ("si", Value::Null)]);
    let options = CustomOptions::new(&bytes, NAMES).unwrap();
    assert_eq!((options.int(0), options.int(1)), (Ok(Some(-7)), Ok(None)));
    assert!(CustomOptions::new(&[7, 1 << 2, 1], NAMES).is_err());
}

/// What the reference library in Python writes.
#[test]
fn other_writers_are_understood() {
    let framer = [
        102, 114, 97, 109, 101, 95, 115, 105, 122, 101, 0, 102, 114, 97, 109, 101, 95, 115, 116,
        101, 112, 0, 112, 114, 101, 102, 105, 108, 108, 0, 120, 0, 4, 33, 23, 13, 6, 0, 0, 0, 7, 0,
        0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 144, 1, 0, 0, 44, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63, 6, 10,
        106, 14, 20, 38, 1,
    ];
    let expected = SignalFramerOptions {
        frame_size: 400,
        frame_step: 300,
        prefill: true,
    };
    in_a_file(
        OpKind::SignalFramer,
        Some(&framer),
        Op::SignalFramer,
        expected,
    );
    let post_process = [
        109, 97, 120, 95, 100, 101, 116, 101, 99, 116, 105, 111, 110, 115, 0, 253, 121, 95, 115,
        99, 97, 108, 101, 0, 0, 0, 32, 65, 110, 117, 109, 95, 99, 108, 97, 115, 115, 101, 115, 0,
        108, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 112, 17, 1, 0, 109, 0, 1, 97, 0, 0, 0, 0,
        3, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 112, 17, 1, 0, 20, 6, 6, 117, 115, 101, 95, 114, 101,
        103, 117, 108, 97, 114, 95, 110, 109, 115, 0, 6, 64, 45, 106, 79, 21, 93, 6, 1, 6, 65, 42,
        100, 0, 1, 94, 46, 42, 24, 0, 104, 34, 12, 36, 1,
    ];
    let expected = DetectionPostProcessOptions {
        max_detections: -3,
        y_scale: 10.0,
        use_regular_nms: true,
        ..DetectionPostProcessOptions::default()
    };
    let op = Op::DetectionPostProcess;
    in_a_file(
        OpKind::DetectionPostProcess,
        Some(&post_process),
        op,
        expected,
    );
}

#[test]
fn absent_options_are_the_default_ones() {
    for bytes in [None, Some(&[][..]), Some(&[0, 0, 1])] {
        let (kind, expected) = (
            OpKind::DetectionPostProcess,
            DetectionPostProcessOptions::default(),
        );
        in_a_file(kind, bytes, Op::DetectionPostProcess, expected);
    }
    let (empty, expected) = (Writer::map(1, &[]), SignalFftOptions::default());
    in_a_file(OpKind::SignalRfft, Some(&empty), Op::SignalRfft, expected);
    // An operator without options may have any bytes there.
    in_a_file(OpKind::Decode, Some(&[1, 2, 3]), Op::Decode, NoOptions {});
}

/// Reads options from a model in which they are those of its operator.
fn in_a_file<O: Options>(kind: OpKind, bytes: Option<&[u8]>, op: fn(O) -> Op, expected: O) {
    let opaque = OpaqueOp {
        code: 32,
        custom_code: Some(kind.info().name.to_owned()),
        options: None,
        custom_options: bytes.map(<[u8]>::to_vec),
        custom_options_format: 0,
    };
    let node = Node {
        op: NodeOp::Opaque(Box::new(opaque)),
        ..Node::default()
    };
    let subgraph = Subgraph {
        nodes: vec![node],
        ..Subgraph::default()
    };
    let graph = Graph {
        subgraphs: vec![subgraph],
        ..Graph::default()
    };
    let file = write(&graph).unwrap();
    let operator = Model::new(&file)
        .unwrap()
        .subgraph(0)
        .unwrap()
        .operator(0)
        .unwrap();
    assert_eq!(operator.options_as(), Ok(expected));
    assert_eq!(operator.op(kind), Ok(op(expected)));
}
