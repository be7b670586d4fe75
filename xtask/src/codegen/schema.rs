//! The part of the schema language that tflite.fbs uses, read strictly: a line that is not
//! understood is an error.
//!
//! flatc has the say on what the schema means; this takes from it what the view and the writer
//! need: numbers of fields and union members, and the size of each field on the wire.

use super::Error;

/// A schema.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) tables: Vec<Table>,
    pub(super) unions: Vec<Union>,
    /// Names of the enums and the scalar types that they are stored as.
    enums: Vec<(String, String)>,
}

/// A table and its fields.
#[derive(Debug, PartialEq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

/// A field with its number in the table.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) id: u8,
}

/// A union and the numbers of the tables that it may hold.
#[derive(Debug, PartialEq)]
pub(super) struct Union {
    pub(super) name: String,
    pub(super) members: Vec<(String, u8)>,
}

/// How a field is stored.
#[derive(Debug, PartialEq)]
pub(super) enum Wire {
    /// A number of this many bytes.
    Scalar(usize),
    /// A vector of such numbers.
    Vector(usize),
    /// A string.
    Text,
}

impl Schema {
    /// The tables of a schema, in its order.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut schema = Self::default();
        let mut open = Open::Nothing;
        for (index, line) in text.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default().trim();
            if !line.is_empty() {
                open = schema.line(open, line).ok_or_else(|| Error::Schema {
                    line: index + 1,
                    message: format!("not understood: {line:?}"),
                })?;
            }
        }
        Ok(schema)
    }

    /// One line, standing in the declaration `open`.
    fn line(&mut self, open: Open, line: &str) -> Option<Open> {
        match (open, line) {
            (Open::Nothing, _) => {
                let opened = declaration(line)?;
                Some(if line.ends_with("{}") {
                    self.close(opened)
                } else {
                    opened
                })
            }
            (open, "}") => Some(self.close(open)),
            (Open::Table(mut table), _) => {
                table.fields.push(field(line)?);
                Some(Open::Table(table))
            }
            (Open::Union(mut union), _) => {
                let (name, number) = value(line)?;
                union
                    .members
                    .push((name.to_owned(), u8::try_from(number).ok()?));
                Some(Open::Union(union))
            }
            (Open::Enum(name, kind), _) => value(line).map(|_| Open::Enum(name, kind)),
        }
    }

    fn close(&mut self, open: Open) -> Open {
        match open {
            Open::Table(table) => self.tables.push(table),
            Open::Union(union) => self.unions.push(union),
            Open::Enum(name, kind) => self.enums.push((name, kind)),
            Open::Nothing => {}
        }
        Open::Nothing
    }

    /// How a field of this type is stored; `None` for tables, unions and vectors of tables.
    pub(super) fn wire(&self, kind: &str) -> Option<Wire> {
        match kind
            .strip_prefix('[')
            .and_then(|kind| kind.strip_suffix(']'))
        {
            Some(element) => self.size(element).map(Wire::Vector),
            None if kind == "string" => Some(Wire::Text),
            None => self.size(kind).map(Wire::Scalar),
        }
    }

    fn size(&self, kind: &str) -> Option<usize> {
        let stored = self.enums.iter().find(|(name, _)| name == kind);
        match stored.map_or(kind, |(_, stored)| stored) {
            "byte" | "ubyte" | "bool" => Some(1),
            "short" | "ushort" => Some(2),
            "int" | "uint" | "float" => Some(4),
            "long" | "ulong" | "double" => Some(8),
            _ => None,
        }
    }
}

/// What the line being read stands in.
enum Open {
    Nothing,
    Table(Table),
    Union(Union),
    Enum(String, String),
}

/// `table X {`, `table X {}`, `enum X : t {`, `union X {`, or a statement of one line.
fn declaration(line: &str) -> Option<Open> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["table", name, "{" | "{}"] => Some(Open::Table(Table {
            name: name.to_owned(),
            fields: Vec::new(),
        })),
        ["union", name, "{"] => Some(Open::Union(Union {
            name: name.to_owned(),
            members: Vec::new(),
        })),
        ["enum", name, ":", kind, "{"] => Some(Open::Enum(name.to_owned(), kind.to_owned())),
        ["file_identifier" | "file_extension" | "root_type", last] if last.ends_with(';') => {
            Some(Open::Nothing)
        }
        _ => None,
    }
}

/// `name: type = default (id: n, attribute);`
fn field(line: &str) -> Option<Field> {
    let (name, rest) = line.split_once(": ")?;
    let (kind, attributes) = rest.strip_suffix(");")?.split_once(" (id: ")?;
    let kind = kind.split(" = ").next()?;
    let id = attributes.split(',').next()?.parse().ok()?;
    Some(Field {
        name: name.to_owned(),
        kind: kind.to_owned(),
        id,
    })
}

/// `NAME = n,`
fn value(line: &str) -> Option<(&str, u32)> {
    let (name, number) = line.strip_suffix(',')?.split_once(" = ")?;
    Some((name, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "// x\nenum E : byte {\n  A = 0,\n}\ntable None {}\nunion U {\n  None = 3,\n}\n\
        table T {\n  a: [long] (id: 0); // c\n  b: U = 1 (id: 2, force_align: 16);\n  c: E (id: 3);\n}\n\
        root_type T;\n";

    #[test]
    fn declarations_keep_order_names_numbers_and_types() {
        let schema = Schema::parse(TEXT).unwrap();
        let names: Vec<&str> = schema
            .tables
            .iter()
            .map(|table| table.name.as_str())
            .collect();
        assert_eq!(names, ["None", "T"]);
        let fields = schema.tables[1].fields.iter();
        let fields: Vec<_> = fields
            .map(|f| (f.name.as_str(), f.kind.as_str(), f.id))
            .collect();
        assert_eq!(fields, [("a", "[long]", 0), ("b", "U", 2), ("c", "E", 3)]);
        assert_eq!(schema.unions[0].members, [("None".to_owned(), 3)]);
    }

    #[test]
    fn fields_are_stored_as_their_types_say() {
        let schema = Schema::parse(TEXT).unwrap();
        assert_eq!(schema.wire("[long]"), Some(Wire::Vector(8)));
        assert_eq!(schema.wire("E"), Some(Wire::Scalar(1)));
        assert_eq!(schema.wire("[E]"), Some(Wire::Vector(1)));
        assert_eq!(schema.wire("string"), Some(Wire::Text));
        assert_eq!(schema.wire("U"), None);
        assert_eq!(schema.wire("[T]"), None);
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_names_its_line() {
        let cases = [
            ("table T {\n  a: int;\n}", 2),
            ("struct S {\n}", 1),
            ("enum E : byte {\n  A,\n}", 2),
            ("union U {\n  A = 256,\n}", 2),
            ("\ninclude \"x\";", 2),
        ];
        for (text, line) in cases {
            match Schema::parse(text) {
                Err(Error::Schema { line: found, .. }) => assert_eq!(found, line, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
