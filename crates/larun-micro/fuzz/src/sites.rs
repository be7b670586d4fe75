//! Where in a file the numbers are that decide how it is read and run.

/// What a number is to a model; sites of one kind are changed alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A dimension of a tensor.
    Dimension,
    /// An element type, one byte.
    ElementType,
    /// Which operator a node is, one word.
    Code,
    /// The older place of that, one byte.
    ShortCode,
    /// The number of a tensor, buffer, subgraph or code.
    Reference,
    /// A field of an operator's options.
    Option,
    /// A byte of a flexbuffer of options, or of a flag.
    Byte,
    /// A scale.
    Float,
    /// A zero point.
    Long,
    /// A word of a small constant: axes, shapes, paddings, indices.
    Constant,
    /// Where a vtable says that a field is.
    Entry,
    /// The length of a vector.
    Length,
}

/// Every kind, as often as it is to be changed: what a kernel checks more than what the loader does.
pub(crate) const KINDS: [Kind; 28] = [
    Kind::Dimension,
    Kind::Dimension,
    Kind::Dimension,
    Kind::Dimension,
    Kind::Dimension,
    Kind::Dimension,
    Kind::ElementType,
    Kind::ElementType,
    Kind::ElementType,
    Kind::Option,
    Kind::Option,
    Kind::Option,
    Kind::Option,
    Kind::Option,
    Kind::Option,
    Kind::Constant,
    Kind::Constant,
    Kind::Constant,
    Kind::Constant,
    Kind::Float,
    Kind::Float,
    Kind::Float,
    Kind::Long,
    Kind::Long,
    Kind::Byte,
    Kind::Reference,
    Kind::Entry,
    Kind::Code,
];

/// A number in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

/// What a field of a table leads to.
#[derive(Clone, Copy)]
enum Field {
    Number(Kind),
    Numbers(Kind),
    Table(&'static [(u16, Self)]),
    Tables(&'static [(u16, Self)]),
    /// Options, whose fields differ from operator to operator.
    Options,
}

const MODEL: &[(u16, Field)] = &[
    (1, Field::Tables(CODE)),
    (2, Field::Tables(SUBGRAPH)),
    (4, Field::Tables(BUFFER)),
];
const CODE: &[(u16, Field)] = &[
    (0, Field::Number(Kind::ShortCode)),
    (1, Field::Numbers(Kind::Byte)),
    (3, Field::Number(Kind::Code)),
];
const SUBGRAPH: &[(u16, Field)] = &[
    (0, Field::Tables(TENSOR)),
    (1, Field::Numbers(Kind::Reference)),
    (2, Field::Numbers(Kind::Reference)),
    (3, Field::Tables(OPERATOR)),
];
const BUFFER: &[(u16, Field)] = &[(0, Field::Numbers(Kind::Constant))];
const TENSOR: &[(u16, Field)] = &[
    (0, Field::Numbers(Kind::Dimension)),
    (1, Field::Number(Kind::ElementType)),
    (2, Field::Number(Kind::Reference)),
    (4, Field::Table(QUANTIZATION)),
    (5, Field::Number(Kind::Byte)),
];
const QUANTIZATION: &[(u16, Field)] = &[
    (2, Field::Numbers(Kind::Float)),
    (3, Field::Numbers(Kind::Long)),
    (6, Field::Number(Kind::Reference)),
];
const OPERATOR: &[(u16, Field)] = &[
    (0, Field::Number(Kind::Reference)),
    (1, Field::Numbers(Kind::Reference)),
    (2, Field::Numbers(Kind::Reference)),
    (3, Field::Number(Kind::Byte)),
    (4, Field::Options),
    (5, Field::Numbers(Kind::Byte)),
    (8, Field::Numbers(Kind::Reference)),
    (11, Field::Number(Kind::Byte)),
    (12, Field::Options),
];

/// Most elements of one vector that are looked at.
const MOST_ELEMENTS: usize = 64;
/// Most sites of a file.
const MOST_SITES: usize = 4096;

/// The sites of a model, as far as it can be read.
pub(crate) fn sites(model: &[u8]) -> Vec<Site> {
    let mut walk = Walk {
        model,
        sites: Vec::new(),
    };
    if let Some(root) = walk.word(0) {
        walk.table(root, MODEL);
    }
    walk.sites
}

struct Walk<'a> {
    model: &'a [u8],
    sites: Vec<Site>,
}

impl Walk<'_> {
    fn word(&self, at: usize) -> Option<usize> {
        let bytes = self.model.get(at..)?.first_chunk::<4>()?;
        usize::try_from(i32::from_le_bytes(*bytes)).ok()
    }

    fn half(&self, at: usize) -> Option<usize> {
        let bytes = self.model.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_le_bytes(*bytes).into())
    }

    /// What the offset at a place leads to.
    fn follow(&self, at: usize) -> Option<usize> {
        let target = at + self.word(at)?;
        (target < self.model.len()).then_some(target)
    }

    fn add(&mut self, at: usize, kind: Kind) {
        if self.sites.len() < MOST_SITES {
            self.sites.push(Site { at, kind });
        }
    }

    /// Where the entries of a table's vtable are, and how many.
    fn vtable(&self, table: usize) -> Option<(usize, usize)> {
        let bytes = self.model.get(table..)?.first_chunk::<4>()?;
        let vtable = table as i64 - i64::from(i32::from_le_bytes(*bytes));
        let vtable = usize::try_from(vtable).ok()?;
        let entries = self.half(vtable)?.checked_sub(4)? / 2;
        Some((vtable + 4, entries.min(MOST_ELEMENTS)))
    }

    fn table(&mut self, table: usize, fields: &'static [(u16, Field)]) {
        let Some((vtable, entries)) = self.vtable(table) else {
            return;
        };
        for &(number, field) in fields {
            let entry = vtable + 2 * usize::from(number);
            let offset = self.half(entry).filter(|&offset| offset != 0);
            let Some(offset) = offset.filter(|_| usize::from(number) < entries) else {
                continue;
            };
            self.add(entry, Kind::Entry);
            self.field(table + offset, field);
        }
    }

    fn field(&mut self, at: usize, field: Field) {
        match field {
            Field::Number(kind) => self.add(at, kind),
            Field::Numbers(kind) => self.numbers(at, kind),
            Field::Table(fields) => {
                if let Some(table) = self.follow(at) {
                    self.table(table, fields);
                }
            }
            Field::Tables(fields) => self.tables(at, fields),
            Field::Options => {
                if let Some(table) = self.follow(at) {
                    self.options(table);
                }
            }
        }
    }

    fn numbers(&mut self, at: usize, kind: Kind) {
        let Some(start) = self.follow(at) else { return };
        let Some(len) = self.word(start) else { return };
        self.add(start, Kind::Length);
        let size = match kind {
            Kind::Byte => 1,
            Kind::Long => 8,
            _ => 4,
        };
        // The length of a buffer is in bytes.
        let len = if kind == Kind::Constant { len / 4 } else { len };
        for i in 0..len.min(MOST_ELEMENTS) {
            self.add(start + 4 + i * size, kind);
        }
    }

    fn tables(&mut self, at: usize, fields: &'static [(u16, Field)]) {
        let Some(start) = self.follow(at) else { return };
        let len = self.word(start).unwrap_or_default();
        self.add(start, Kind::Length);
        for i in 0..len.min(MOST_ELEMENTS) {
            if self.sites.len() == MOST_SITES {
                return;
            }
            if let Some(table) = self.follow(start + 4 + 4 * i) {
                self.table(table, fields);
            }
        }
    }

    /// Options: every field, and the elements of those that lead to short vectors.
    fn options(&mut self, table: usize) {
        let Some((vtable, entries)) = self.vtable(table) else {
            return;
        };
        for entry in (0..entries).map(|i| vtable + 2 * i) {
            let Some(offset) = self.half(entry).filter(|&offset| offset != 0) else {
                continue;
            };
            self.add(entry, Kind::Entry);
            let at = table + offset;
            self.add(at, Kind::Option);
            let vector = self.follow(at).filter(|&start| start > at);
            let Some(len) = vector.and_then(|start| self.word(start)) else {
                continue;
            };
            if let Some(start) = vector.filter(|_| (1..=16).contains(&len)) {
                (0..len).for_each(|i| self.add(start + 4 + 4 * i, Kind::Option));
            }
        }
    }
}
