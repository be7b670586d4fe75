//! fields.rs: the numbers of the fields that the zero-copy view reads, and their names for its errors; layouts.rs: the
//! tables that are carried over without being understood.

use core::fmt::Write;

use super::header;
use super::schema::{Schema, Table, Wire};

/// The unions whose tables hold nothing but numbers, vectors of numbers and strings.
const FLAT_UNIONS: [&str; 3] = ["BuiltinOptions", "BuiltinOptions2", "QuantizationDetails"];

/// The fields of the view, by table.
pub(super) fn render(schema: &Schema) -> String {
    let structure: Vec<&Table> = schema
        .tables
        .iter()
        .filter(|table| !is_options(table))
        .collect();
    let mut out = header("");
    out.push_str("\n//! The fields of the file's tables.\n\nuse super::Field;\n");
    for (number, table) in structure.iter().enumerate() {
        constants(&mut out, number, table);
    }
    names(&mut out, &structure);
    out
}

/// The layouts of what is carried over, and what a test holds flatc's numbers to.
pub(super) fn render_layouts(schema: &Schema) -> String {
    let mut out = header("");
    out.push_str("\nuse crate::raw::{Layout, Wire};\n");
    for union in FLAT_UNIONS {
        layouts(&mut out, schema, union);
    }
    agreement(&mut out, schema);
    out
}

/// Whether operators carry this table: the view reads those by the numbers of the operator table.
fn is_options(table: &Table) -> bool {
    table.name.ends_with("Options")
}

/// A module of constants for one table.
fn constants(out: &mut String, number: usize, table: &Table) {
    let module = snake(&table.name);
    let _ = write!(
        out,
        "\n/// The fields of `{}`.\npub mod {module} {{\n    use super::Field;\n\n",
        table.name
    );
    for field in &table.fields {
        let (name, id) = (field.name.to_uppercase(), field.id);
        let _ = writeln!(
            out,
            "    /// `{}.{}`.\n    pub const {name}: Field = Field::new({number}, {id});",
            table.name, field.name
        );
    }
    out.push_str("}\n");
}

/// The names of tables and fields; a union's number stands at the id before the union.
fn names(out: &mut String, tables: &[&Table]) {
    out.push_str("\n/// Name of each table, and of its fields by id.\n");
    out.push_str("pub const NAMES: &[(&str, &[&str])] = &[\n");
    for table in tables {
        let ids = table.fields.iter().map(|field| usize::from(field.id) + 1);
        let names = (0..ids.max().unwrap_or(0)).map(|id| format!("{:?}", name_of(table, id)));
        let names: Vec<String> = names.collect();
        let _ = writeln!(out, "    ({:?}, &[{}]),", table.name, names.join(", "));
    }
    out.push_str("];\n");
}

fn name_of(table: &Table, id: usize) -> String {
    let named = |id| {
        table
            .fields
            .iter()
            .find(|field| usize::from(field.id) == id)
    };
    match (named(id), named(id + 1)) {
        (Some(field), _) => field.name.clone(),
        (None, Some(union)) => format!("{}_type", union.name),
        (None, None) => String::new(),
    }
}

/// The layouts of a union's tables, by number.
fn layouts(out: &mut String, schema: &Schema, name: &str) {
    let union = schema.unions.iter().find(|union| union.name == name);
    let members = union.map_or(&[][..], |union| &union.members);
    let constant = snake(name).to_uppercase();
    let _ = writeln!(
        out,
        "\n/// The tables of `{name}` by number, and how their fields are stored."
    );
    let _ = writeln!(out, "pub(crate) const {constant}: &[Layout] = &[");
    for (member, number) in members {
        let table = schema.tables.iter().find(|table| table.name == *member);
        let fields = table.map_or(&[][..], |table| &table.fields).iter();
        let fields = fields.filter_map(|field| {
            let wire = match schema.wire(&field.kind)? {
                Wire::Scalar(size) => format!("Wire::Scalar{}", 8 * size),
                Wire::Vector(size) => format!("Wire::Vector{}", 8 * size),
                Wire::Text => "Wire::Text".to_owned(),
            };
            Some(format!("({}, {wire})", field.id))
        });
        let fields: Vec<String> = fields.collect();
        let fields = fields.join(", ");
        let _ = writeln!(
            out,
            "    Layout {{ number: {number}, name: {member:?}, fields: &[{fields}] }},"
        );
    }
    out.push_str("];\n");
}

/// Every field with the slot that flatc gives it, for a test that the two agree.
fn agreement(out: &mut String, schema: &Schema) {
    out.push_str("\n/// Table, field and id as in the schema, and the slot that flatc gives it.\n");
    out.push_str("#[cfg(test)]\n");
    out.push_str("pub(crate) const SLOTS: &[(&str, &str, u8, u16)] = &[\n");
    for table in &schema.tables {
        for field in &table.fields {
            let (table, name, id) = (&table.name, &field.name, field.id);
            let keyword = if name == "type" { "_" } else { "" };
            let constant = format!("VT_{}{keyword}", name.to_uppercase());
            let slot = format!("super::schema::{table}::{constant}");
            let _ = writeln!(out, "    ({table:?}, {name:?}, {id}, {slot}),");
        }
    }
    out.push_str("];\n");
}

/// `SubGraph` as `sub_graph`; a digit does not begin a word.
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

    #[test]
    fn constants_names_and_layouts_follow_the_ids() {
        let text = "union BuiltinOptions {\n  AddOptions = 11,\n}\n\
            table SubGraph {\n  u: U (id: 1);\n  type: int (id: 2);\n}\n\
            table AddOptions {\n  x: [int] (id: 0);\n  y: bool (id: 1);\n}\n";
        let schema = Schema::parse(text).unwrap();
        let out = render(&schema) + &render_layouts(&schema);
        for expected in [
            "mod sub_graph {",
            "const U: Field = Field::new(0, 1);",
            "(\"SubGraph\", &[\"u_type\", \"u\", \"type\"]),",
            "(\"SubGraph\", \"type\", 2, super::schema::SubGraph::VT_TYPE_),",
            "number: 11, name: \"AddOptions\", fields: &[(0, Wire::Vector32), (1, Wire::Scalar8)]",
        ] {
            assert!(out.contains(expected), "{expected}\n{out}");
        }
        assert!(!out.contains("mod add_options"), "{out}");
    }
}
