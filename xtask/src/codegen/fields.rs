//! fields.rs: the ids of the fields that the zero-copy view reads, and their names for its errors.

use core::fmt::Write;

use super::header;
use super::schema::Table;

/// The generated file.
pub(super) fn render(tables: &[Table]) -> String {
    let (options, structure): (Vec<&Table>, Vec<&Table>) =
        tables.iter().partition(|table| is_options(table));
    let mut out = header("");
    out.push_str("\nuse crate::view::Field;\n");
    for (number, table) in structure
        .iter()
        .enumerate()
        .filter(|(_, table)| !table.fields.is_empty())
    {
        constants(&mut out, number, table);
    }
    names(&mut out, &structure);
    agreement(&mut out, &structure, &options);
    out
}

/// Whether operators carry this table: the view reads those by ids from the operator table.
fn is_options(table: &Table) -> bool {
    table.name.ends_with("Options")
}

/// A module of constants for one table.
fn constants(out: &mut String, number: usize, table: &Table) {
    let _ = write!(
        out,
        "\npub(crate) mod {} {{\n    use super::Field;\n\n",
        snake(&table.name)
    );
    for field in &table.fields {
        let name = field.name.to_uppercase();
        let _ = writeln!(
            out,
            "    pub(crate) const {name}: Field = Field::new({number}, {});",
            field.id
        );
    }
    out.push_str("}\n");
}

/// The names of tables and fields; a union's number stands at the id before the union.
fn names(out: &mut String, tables: &[&Table]) {
    out.push_str("\n/// Name of each table, and of its fields by id.\n");
    out.push_str("pub(crate) const NAMES: &[(&str, &[&str])] = &[\n");
    for table in tables {
        let count = table
            .fields
            .iter()
            .map(|field| usize::from(field.id) + 1)
            .max()
            .unwrap_or(0);
        let by_id: Vec<String> = (0..count)
            .map(|id| format!("{:?}", name_of(table, id)))
            .collect();
        let _ = writeln!(out, "    ({:?}, &[{}]),", table.name, by_id.join(", "));
    }
    out.push_str("];\n");
}

fn name_of(table: &Table, id: usize) -> String {
    let named = |id: usize| {
        table
            .fields
            .iter()
            .find(|field| usize::from(field.id) == id)
            .map(|field| &field.name)
    };
    named(id)
        .cloned()
        .or_else(|| named(id + 1).map(|union| format!("{union}_type")))
        .unwrap_or_default()
}

/// Every field with the slot that flatc gives it, for a test that the two agree.
fn agreement(out: &mut String, structure: &[&Table], options: &[&Table]) {
    out.push_str("\n/// Table, field and id as in the schema, and the slot that flatc gives it.\n");
    out.push_str("#[cfg(all(test, feature = \"std\"))]\n");
    out.push_str("pub(crate) const SLOTS: &[(&str, &str, u8, u16)] = &[\n");
    for table in structure.iter().chain(options) {
        for field in &table.fields {
            let (table, name) = (&table.name, &field.name);
            let keyword = if name == "type" { "_" } else { "" };
            let constant = format!("VT_{}{keyword}", name.to_uppercase());
            let _ = writeln!(
                out,
                "    ({table:?}, {name:?}, {}, super::schema::{table}::{constant}),",
                field.id
            );
        }
    }
    out.push_str("];\n");
}

/// `SubGraph` as `sub_graph`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codegen::schema::parse;

    #[test]
    fn constants_and_names_follow_the_ids() {
        let schema = "table SubGraph {\n  u: U (id: 1);\n  type: int (id: 2);\n}\ntable AddOptions {\n  x: int (id: 0);\n}\n";
        let text = render(&parse(schema).unwrap());
        assert!(text.contains("mod sub_graph {"), "{text}");
        assert!(
            text.contains("const U: Field = Field::new(0, 1);"),
            "{text}"
        );
        assert!(
            text.contains("(\"SubGraph\", &[\"u_type\", \"u\", \"type\"]),"),
            "{text}"
        );
        assert!(
            text.contains("(\"SubGraph\", \"type\", 2, super::schema::SubGraph::VT_TYPE_),"),
            "{text}"
        );
        assert!(!text.contains("mod add_options"), "{text}");
    }
}
