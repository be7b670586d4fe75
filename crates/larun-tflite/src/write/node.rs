//! Operators, their options and the codes they have.

use std::borrow::Cow;

use flatbuffers::{UnionWIPOffset, WIPOffset};
use larun_graph::{Node, NodeOp, OpaqueOp, OpaqueOptions, OptionsUnion};
use larun_ops::Op;

use super::{Tables, WriteError, Writer, flexbuffer};
use crate::generated::schema;
use crate::raw::{Layout, RawTable};
use crate::view::{self, OperatorCode};

/// The number that stands for all later ones in the field of old.
const LAST_OLD_CODE: i32 = 127;

/// The operator codes in use, in the order of first use.
#[derive(Default)]
pub(super) struct Codes(Vec<Code>);

/// An operator code.
#[derive(Clone, PartialEq)]
struct Code {
    code: i32,
    custom_name: Option<String>,
    version: i32,
}

impl Codes {
    /// The number of a code.
    fn number(&mut self, code: Code) -> u32 {
        let found = self.0.iter().position(|other| *other == code);
        let number = found.unwrap_or_else(|| {
            self.0.push(code);
            self.0.len() - 1
        });
        // There are no more codes than nodes, and those lie in a file below 2 GB.
        number as u32
    }
}

/// Options of either union.
#[derive(Default)]
struct Options {
    first: Option<(u8, WIPOffset<UnionWIPOffset>)>,
    second: Option<(u8, WIPOffset<UnionWIPOffset>)>,
}

impl Writer {
    pub(super) fn node(
        &mut self,
        number: usize,
        index: usize,
        node: &Node,
    ) -> Result<WIPOffset<schema::Operator<'static>>, WriteError> {
        let (code, options) = match &node.op {
            NodeOp::Known(op) => {
                let code = code_of(op, node).ok_or_else(|| WriteError::TrainingOnly {
                    subgraph: number,
                    index,
                    name: op.kind().info().name,
                })?;
                (code, self.options(op))
            }
            NodeOp::Opaque(op) => {
                let options = self.opaque_options(op.options.as_ref());
                let options = options.map_err(|table| WriteError::Opaque {
                    place: format!("subgraph {number}, operator {index} ({})", node.op_name()),
                    what: "options",
                    number: table,
                })?;
                (opaque_code(op, node), options)
            }
        };
        let opcode_index = self.codes.number(code);
        self.operator(opcode_index, node, &options)
    }

    fn operator(
        &mut self,
        opcode_index: u32,
        node: &Node,
        options: &Options,
    ) -> Result<WIPOffset<schema::Operator<'static>>, WriteError> {
        let (custom_options, format) = match &node.op {
            NodeOp::Opaque(op) => (
                op.custom_options.as_deref().map(Cow::Borrowed),
                op.custom_options_format,
            ),
            NodeOp::Known(op) => (flexbuffer::custom_options(op).map(Cow::Owned), 0),
        };
        let intermediates = match node.intermediates.is_empty() {
            true => None,
            false => Some(self.tensor_ids(node.intermediates.iter().copied())?),
        };
        let args = schema::OperatorArgs {
            opcode_index,
            inputs: Some(self.tensor_ids(node.inputs.iter().copied())?),
            outputs: Some(self.tensor_ids(node.outputs.iter().copied().map(Some))?),
            builtin_options_type: schema::BuiltinOptions(number_of(options.first)),
            builtin_options: options.first.map(|(_, table)| table),
            custom_options: custom_options.map(|bytes| self.fbb.create_vector(bytes.as_ref())),
            custom_options_format: schema::CustomOptionsFormat(format),
            mutating_variable_inputs: self.vector(&node.mutating_variable_inputs),
            intermediates,
            large_custom_options_offset: 0,
            large_custom_options_size: 0,
            builtin_options_2_type: schema::BuiltinOptions2(number_of(options.second)),
            builtin_options_2: options.second.map(|(_, table)| table),
            debug_metadata_index: node.debug_metadata,
        };
        Ok(schema::Operator::create(&mut self.fbb, &args))
    }

    fn options(&mut self, op: &Op) -> Options {
        let number = op.kind().info().options_table;
        if number == 0 {
            return Options::default();
        }
        let mut table = RawTable::default();
        op.write(&mut table);
        Options {
            first: Some((number, table.emit(&mut self.fbb))),
            second: None,
        }
    }

    /// The options, or the number of those whose bytes are not a table of the format.
    fn opaque_options(&mut self, options: Option<&OpaqueOptions>) -> Result<Options, u8> {
        let Some(options) = options else {
            return Ok(Options::default());
        };
        let union = match options.union {
            OptionsUnion::First => view::OptionsUnion::First,
            OptionsUnion::Second => view::OptionsUnion::Second,
        };
        let number = options.kind;
        let layout = Layout::of_options(union, number).ok_or(number)?;
        let raw = RawTable::from_bytes(&options.table, layout).map_err(|_| number)?;
        let table = Some((number, raw.emit(&mut self.fbb)));
        Ok(match options.union {
            OptionsUnion::First => Options {
                first: table,
                second: None,
            },
            OptionsUnion::Second => Options {
                first: None,
                second: table,
            },
        })
    }

    /// The codes that the nodes use.
    pub(super) fn operator_codes(&mut self) -> Tables<schema::OperatorCode<'static>> {
        let codes = core::mem::take(&mut self.codes.0);
        let offsets: Vec<_> = codes.iter().map(|code| self.operator_code(code)).collect();
        self.fbb.create_vector(&offsets)
    }

    fn operator_code(&mut self, code: &Code) -> WIPOffset<schema::OperatorCode<'static>> {
        let args = schema::OperatorCodeArgs {
            deprecated_builtin_code: code.code.clamp(i8::MIN.into(), LAST_OLD_CODE) as i8,
            custom_code: self.text(code.custom_name.as_deref()),
            version: code.version,
            builtin_code: schema::BuiltinOperator(code.code),
        };
        schema::OperatorCode::create(&mut self.fbb, &args)
    }
}

/// The code of an operator of the table, `None` for one that no file can hold.
fn code_of(op: &Op, node: &Node) -> Option<Code> {
    let info = op.kind().info();
    let custom = info.is_custom.then_some(OperatorCode::CUSTOM);
    Some(Code {
        code: info.code.or(custom)?,
        custom_name: info.is_custom.then(|| info.name.to_owned()),
        version: node.version,
    })
}

fn opaque_code(op: &OpaqueOp, node: &Node) -> Code {
    Code {
        code: op.code,
        custom_name: op.custom_code.clone(),
        version: node.version,
    }
}

fn number_of(table: Option<(u8, WIPOffset<UnionWIPOffset>)>) -> u8 {
    table.map_or(0, |(number, _)| number)
}
