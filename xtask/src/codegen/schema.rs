//! The part of the schema language that tflite.fbs uses, read strictly: a line that is not understood is an error.
//!
//! flatc has the say on what the schema means; this reads only the names and ids of fields.

use super::Error;

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
    pub(super) id: u8,
}

/// What the line being read stands in.
enum Inside {
    Nothing,
    Table(Table),
    Values,
}

/// The tables of a schema, in its order.
pub(super) fn parse(text: &str) -> Result<Vec<Table>, Error> {
    let mut tables = Vec::new();
    let mut inside = Inside::Nothing;
    for (index, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let error = |message: &str| Error::Schema {
            line: index + 1,
            message: format!("{message}: {line:?}"),
        };
        inside = match inside {
            _ if line.is_empty() => inside,
            Inside::Nothing => match opened(line).ok_or_else(|| error("not a declaration"))? {
                Inside::Table(table) if line.ends_with('}') => {
                    tables.push(table);
                    Inside::Nothing
                }
                other => other,
            },
            Inside::Table(table) if line == "}" => {
                tables.push(table);
                Inside::Nothing
            }
            Inside::Table(mut table) => {
                table
                    .fields
                    .push(field(line).ok_or_else(|| error("not `name: type (id: n);`"))?);
                Inside::Table(table)
            }
            Inside::Values if line == "}" => Inside::Nothing,
            Inside::Values => value(line)
                .map(|()| Inside::Values)
                .ok_or_else(|| error("not `NAME = n,`"))?,
        };
    }
    Ok(tables)
}

/// `table X {`, `table X {}`, `enum X : t {`, `union X {`, or a line that ends in a semicolon.
fn opened(line: &str) -> Option<Inside> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["table", name, "{" | "{}"] => Some(Inside::Table(Table {
            name: name.to_owned(),
            fields: Vec::new(),
        })),
        ["enum", _, ":", _, "{"] | ["union", _, "{"] => Some(Inside::Values),
        ["file_identifier" | "file_extension" | "root_type", last] if last.ends_with(';') => {
            Some(Inside::Nothing)
        }
        _ => None,
    }
}

/// `name: type = default (id: n, attribute);`
fn field(line: &str) -> Option<Field> {
    let (name, rest) = line.split_once(':')?;
    let (_, attributes) = rest.strip_suffix(");")?.split_once("(id: ")?;
    let id = attributes.split(',').next()?.parse().ok()?;
    Some(Field {
        name: name.to_owned(),
        id,
    })
}

/// `NAME = n,`
fn value(line: &str) -> Option<()> {
    let (_, number) = line.strip_suffix(',')?.split_once(" = ")?;
    number.parse::<u32>().ok().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, id: u8) -> Field {
        Field {
            name: name.to_owned(),
            id,
        }
    }

    #[test]
    fn tables_keep_order_names_and_ids() {
        let text = "// x\nenum E : byte {\n  A = 0,\n}\ntable None {}\ntable T {\n  a: [int] (id: 0); // c\n  b: U = 1 (id: 2, force_align: 16);\n}\nroot_type T;\n";
        let tables = parse(text).unwrap();
        assert_eq!(tables.len(), 2);
        assert_eq!(
            tables[0],
            Table {
                name: "None".to_owned(),
                fields: vec![]
            }
        );
        assert_eq!(tables[1].fields, [field("a", 0), field("b", 2)]);
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_names_its_line() {
        for (text, line) in [
            ("table T {\n  a: int;\n}", 2),
            ("struct S {\n}", 1),
            ("enum E : byte {\n  A,\n}", 2),
            ("\ninclude \"x\";", 2),
        ] {
            match parse(text) {
                Err(Error::Schema { line: found, .. }) => assert_eq!(found, line, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
