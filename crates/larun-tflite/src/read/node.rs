//! Operators and their options.

use core::cell::Cell;

use larun_graph::{Node, NodeOp, OpaqueOp, OpaqueOptions, OptionsUnion};
use larun_ops::{IntList, Op, OpKind, OptionsSource};

use super::{Place, ReadErrorKind, Reader, Result, name_or_unknown};
use crate::builtin_name;
use crate::raw::Layout;
use crate::view::fields::operator;
use crate::view::{self, OperatorCode, OptionsTable, ViewError};
use crate::write::flexbuffer::custom_options;

impl<'a> Reader<'a> {
    /// Where an operator is, by what it is if that can be read.
    pub(super) fn node_place(
        &self,
        view: &view::Subgraph<'_>,
        subgraph: usize,
        index: usize,
    ) -> Place {
        let code = view.operator(index).and_then(|op| self.code(&op));
        let name = match code {
            Ok(code) if code.code == OperatorCode::CUSTOM => name_or_unknown(Ok(code.custom_name)),
            Ok(code) => builtin_name(code.code)
                .map_or_else(|| format!("builtin {}", code.code), str::to_owned),
            Err(_) => "?".to_owned(),
        };
        Place::Operator {
            subgraph,
            index,
            name,
        }
    }

    fn code(
        &self,
        operator: &view::Operator<'_>,
    ) -> core::result::Result<OperatorCode<'a>, ViewError> {
        self.model.operator_code(operator.code_index()? as usize)
    }

    pub(super) fn node(&self, subgraph: &view::Subgraph<'a>, index: usize) -> Result<Node> {
        let view = subgraph.operator(index)?;
        self.enter(view.table(), operator::INPUTS)?;
        let code = self.code(&view)?;
        let op = match self.known(&view, &code)? {
            Some(op) => NodeOp::Known(op),
            None => NodeOp::Opaque(Box::new(self.opaque(&view, &code)?)),
        };
        let mutating = self.bytes(view.mutating_variable_inputs()?)?;
        Ok(Node {
            op,
            version: code.version,
            inputs: self.optional_tensor_ids(view.inputs()?, "input")?,
            outputs: self.tensor_ids(view.outputs()?, "output")?,
            intermediates: self.optional_tensor_ids(view.intermediates()?, "intermediate")?,
            mutating_variable_inputs: mutating.into_iter().map(|flag| flag != 0).collect(),
            debug_metadata: view.debug_metadata_index()?,
        })
    }

    /// The operator in typed form, `None` where that would lose anything.
    fn known(&self, view: &view::Operator<'a>, code: &OperatorCode<'a>) -> Result<Option<Op>> {
        let Some(kind) = code.kind() else {
            return Ok(None);
        };
        if kind.info().is_custom {
            return known_custom(view, kind);
        }
        let has_custom_options = view.custom_options()?.is_some()
            || view.custom_options_format()? != 0
            || view.large_custom_options()? != (0, 0)
            || code.custom_name.is_some();
        if has_custom_options {
            return Ok(None);
        }
        match view.options()? {
            None => Ok(Some(kind.with_default_options())),
            Some(options) => self.known_options(kind, &options),
        }
    }

    /// Options in typed form, `None` for another operator's and for those with fields that the
    /// operator table does not have.
    fn known_options(&self, kind: OpKind, options: &OptionsTable<'a>) -> Result<Option<Op>> {
        let own = options.union() == view::OptionsUnion::First
            && options.number() == kind.info().options_table;
        if !own {
            return Ok(None);
        }
        self.enter_options(options)?;
        let source = Recorder {
            options,
            read: Cell::new(0),
        };
        let op = Op::read(kind, &source)?;
        Ok(source.read_all().then_some(op))
    }

    fn enter_options(&self, options: &OptionsTable<'a>) -> Result<()> {
        let layout = layout(options)?;
        self.raw(options.table(), layout).map(|_| ())
    }

    fn opaque(&self, view: &view::Operator<'a>, code: &OperatorCode<'a>) -> Result<OpaqueOp> {
        let options = view.options()?.map(|options| self.opaque_options(&options));
        Ok(OpaqueOp {
            code: code.code,
            custom_code: self.text(code.custom_name)?,
            options: options.transpose()?,
            custom_options: self.custom_options(view)?,
            custom_options_format: view.custom_options_format()?,
        })
    }

    fn opaque_options(&self, options: &OptionsTable<'a>) -> Result<OpaqueOptions> {
        let raw = self.raw(options.table(), layout(options)?)?;
        Ok(OpaqueOptions {
            union: match options.union() {
                view::OptionsUnion::First => OptionsUnion::First,
                view::OptionsUnion::Second => OptionsUnion::Second,
            },
            kind: options.number(),
            table: raw.to_bytes(),
        })
    }

    /// The options of a custom operator, in the flatbuffer or behind it.
    fn custom_options(&self, view: &view::Operator<'a>) -> Result<Option<Vec<u8>>> {
        let bytes = match view.large_custom_options()? {
            (0 | 1, _) => view.custom_options()?,
            (offset, size) => Some(self.model.behind(
                operator::LARGE_CUSTOM_OPTIONS_OFFSET,
                offset,
                size,
            )?),
        };
        bytes.map(|bytes| self.bytes(bytes)).transpose()
    }
}

/// A custom operator in typed form, `None` where its options would be written in another way than they are in the file.
fn known_custom(view: &view::Operator<'_>, kind: OpKind) -> Result<Option<Op>> {
    if view.options()?.is_some()
        || view.custom_options_format()? != 0
        || view.large_custom_options()? != (0, 0)
    {
        return Ok(None);
    }
    // Options that make no sense are kept as they are.
    let op = view.op(kind).ok();
    let written = op.as_ref().and_then(custom_options);
    let same = written.as_deref() == view.custom_options()?;
    Ok(op.filter(|_| same))
}

fn layout(options: &OptionsTable<'_>) -> Result<&'static Layout> {
    let newer = ReadErrorKind::NewerTable {
        union: match options.union() {
            view::OptionsUnion::First => "BuiltinOptions",
            view::OptionsUnion::Second => "BuiltinOptions2",
        },
        number: options.number(),
    };
    Layout::of_options(options.union(), options.number()).ok_or(newer)
}

/// A source that remembers which fields were asked for.
struct Recorder<'a, 't> {
    options: &'t OptionsTable<'a>,
    /// A bit for each id.
    read: Cell<u64>,
}

impl Recorder<'_, '_> {
    fn asked(&self, id: u16) -> &OptionsTable<'_> {
        let bit = 1u64.checked_shl(id.into()).unwrap_or(0);
        self.read.set(self.read.get() | bit);
        self.options
    }

    /// Whether every field that is there was asked for.
    fn read_all(&self) -> bool {
        let read = self.read.get();
        let mut present = self.options.table().present();
        present.all(|id| id < 64 && read >> id & 1 == 1)
    }
}

impl OptionsSource for Recorder<'_, '_> {
    type Error = ViewError;

    fn byte(&self, id: u16) -> core::result::Result<Option<i8>, ViewError> {
        self.asked(id).byte(id)
    }

    fn int(&self, id: u16) -> core::result::Result<Option<i32>, ViewError> {
        self.asked(id).int(id)
    }

    fn float(&self, id: u16) -> core::result::Result<Option<f32>, ViewError> {
        self.asked(id).float(id)
    }

    fn ints(&self, id: u16) -> core::result::Result<Option<IntList>, ViewError> {
        self.asked(id).ints(id)
    }

    fn unknown_value(&self, id: u16, value: i8) -> core::result::Result<(), ViewError> {
        self.options.unknown_value(id, value)
    }
}
