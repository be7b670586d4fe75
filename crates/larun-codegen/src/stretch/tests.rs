//! Every stretch of the fixtures' and the corpus' models, gone through byte by byte.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use larun_arena::{Buffer, check};
use larun_kernels::Processor;

use super::{ALIGNMENT, Nodes, Part, Place, Placed, Rows, Stream, Use};
use crate::compiled::{Compiled, Model, place};
use larun_micro::host::PreparedTensor;

const WISHES: [Rows; 4] = [
    Rows {
        in_place: true,
        stream: Stream::Never,
    },
    Rows {
        in_place: false,
        stream: Stream::Always,
    },
    Rows {
        in_place: true,
        stream: Stream::Always,
    },
    Rows {
        in_place: true,
        stream: Stream::ToFit(32 << 10),
    },
];

/// The fixtures, and the corpus where there is one.
fn models() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![
        root.join("fixtures/models/spectral/model.tflite"),
        root.join("crates/larun-micro/fixtures/transit.tflite"),
    ];
    let Some(corpus) = std::env::var_os("LARUN_CORPUS").map(PathBuf::from) else {
        println!("skipped: LARUN_CORPUS is not set");
        return files;
    };
    let folders = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).collect()
    };
    for family in folders(&corpus.join("models")) {
        files.extend(
            folders(&family)
                .iter()
                .map(|model| model.join("model.tflite")),
        );
    }
    files
}

/// What lies in each byte of the activations: a byte of a value.
struct Memory {
    bytes: Vec<Option<(usize, usize)>>,
}

impl Memory {
    fn write(&mut self, tensor: usize, first: usize, at: usize, len: usize) {
        for (index, byte) in self.bytes[at..at + len].iter_mut().enumerate() {
            *byte = Some((tensor, first + index));
        }
    }

    fn check(&self, tensor: usize, first: usize, at: usize, len: usize) {
        for (index, byte) in self.bytes[at..at + len].iter().enumerate() {
            assert_eq!(*byte, Some((tensor, first + index)), "at {}", at + index);
        }
    }
}

fn offset(compiled: &Compiled<'_>, tensor: usize) -> usize {
    match place(compiled.main().unwrap(), tensor) {
        Some(PreparedTensor::Activations { offset, .. }) => offset,
        other => panic!("{other:?}"),
    }
}

/// Goes through the steps: what a node reads are the rows that its window sees, and the whole output is there at the end.
fn go_through(compiled: &Compiled<'_>, nodes: &Nodes, placed: &Placed) {
    let stretch = &placed.stretch;
    let row_nodes: Vec<_> = stretch
        .nodes
        .clone()
        .map(|node| nodes.get(node).unwrap())
        .collect();
    let output = row_nodes.last().unwrap().output;
    let mut memory = Memory {
        bytes: vec![None; compiled.activation_bytes()],
    };
    let mut outside = HashMap::new();
    for part in stretch.schedule.steps.iter().flat_map(|step| &step.reads) {
        if let Place::Outside(tensor) = part.place {
            outside.insert(tensor, offset(compiled, tensor));
        }
    }
    for read in row_nodes.iter().flat_map(|node| &node.reads) {
        if let Some(&at) = outside.get(&read.tensor) {
            memory.write(read.tensor, 0, at, read.bytes);
        }
    }
    let start = |part: &Part| {
        part.bytes.start
            + match part.place {
                Place::Outside(tensor) => outside[&tensor],
                Place::Line(node) => placed.lines[node],
                Place::Output => offset(compiled, output.tensor),
            }
    };
    let room = compiled.pieces.iter().map(|(piece, _)| piece);
    let room = room.filter(|piece| matches!(piece.what, Use::Scratch(_)));
    let room = room.filter(|piece| piece.buffer.first as usize == stretch.nodes.start);
    let room: u32 = room.map(|piece| piece.buffer.size).sum();
    for step in &stretch.schedule.steps {
        let node = row_nodes[step.node];
        if let Some(rows) = &step.rows {
            let plan = node.form.plan(rows).unwrap();
            let scratch = nodes.scratch_bytes(stretch.nodes.start + step.node, &plan);
            assert!(scratch <= room as usize);
        }
        let (to, len) = (start(&step.write), step.write.bytes.len());
        let Some(rows) = &step.rows else {
            let from = start(&step.reads[0]);
            assert_eq!(step.reads[0].bytes.len(), len);
            memory.bytes.copy_within(from..from + len, to);
            continue;
        };
        let seen = node.form.seen(rows);
        for (read, part) in node.reads.iter().zip(&step.reads) {
            let (at, len) = (start(part), part.bytes.len());
            assert_eq!(len, seen.len() * read.row());
            assert!(at + len <= to || to + step.write.bytes.len() <= at);
            memory.check(read.tensor, seen.start * read.row(), at, len);
        }
        assert_eq!(len, rows.len() * node.output.row());
        memory.write(node.output.tensor, rows.start * node.output.row(), to, len);
    }
    memory.check(
        output.tensor,
        0,
        offset(compiled, output.tensor),
        output.bytes,
    );
}

#[test]
fn rows_are_there_when_they_are_read() {
    let mut found = 0;
    for file in models() {
        let bytes = fs::read(&file).unwrap();
        let model = Model::new(&bytes).unwrap();
        for processor in [Processor::Portable, Processor::Armv7em] {
            let whole = model.compile(processor, Rows::default()).unwrap();
            for wish in WISHES {
                let compiled = model.compile(processor, wish).unwrap();
                assert!(compiled.activation_bytes() <= whole.activation_bytes());
                let nodes = Nodes::of(&compiled, compiled.main().unwrap());
                for placed in &compiled.stretches {
                    go_through(&compiled, &nodes, placed);
                    found += 1;
                }
                let buffers: Vec<Buffer> = compiled
                    .pieces
                    .iter()
                    .map(|(piece, _)| piece.buffer)
                    .collect();
                let offsets: Vec<u32> = compiled.pieces.iter().map(|&(_, at)| at).collect();
                check(&buffers, &offsets, ALIGNMENT).unwrap();
            }
        }
    }
    assert!(found > 0);
}

#[test]
fn layers_are_streamed_where_nothing_else_fits_and_no_further() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/spectral/model.tflite");
    let model = Model::new(&fs::read(file).unwrap()).unwrap();
    let bytes = |stream| {
        let wish = Rows {
            in_place: true,
            stream,
        };
        let compiled = model.compile(Processor::Portable, wish).unwrap();
        let streamed = compiled
            .stretches
            .iter()
            .filter(|it| it.stretch.nodes.len() > 1);
        (compiled.activation_bytes(), streamed.count())
    };
    let (in_place, streamed) = bytes(Stream::Never);
    assert_eq!(streamed, 0);
    assert_eq!(bytes(Stream::ToFit(in_place)), (in_place, 0));
    let (least, all) = bytes(Stream::Always);
    let (fits, some) = bytes(Stream::ToFit(in_place - 1));
    assert!(least < in_place && fits < in_place && 0 < some && some <= all);
    // What does not fit whatever is done takes the least.
    assert_eq!(bytes(Stream::ToFit(1)).0, least);
}
