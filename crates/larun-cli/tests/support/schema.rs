//! A small part of JSON Schema: the keywords that docs/schemas uses. Another keyword, and a property that no schema names, is a
//! mistake, so that a field which is new has to be described.

use serde_json::{Map, Value};

/// What of a value is not as its schema says: places and reasons.
pub(crate) fn violations(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "$", &mut found);
    found
}

/// Keywords that say nothing of values.
const NOTES: [&str; 5] = ["$schema", "$id", "title", "description", "$defs"];

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Some(keywords) = schema.as_object() else {
        found.push(format!("{at}: the schema is no object"));
        return;
    };
    for (keyword, says) in keywords {
        match keyword.as_str() {
            note if NOTES.contains(&note) => {}
            "$ref" => match referred(root, says) {
                Some(referred) => check(root, referred, value, at, found),
                None => found.push(format!("{at}: {says} is not in the schema")),
            },
            "type" if !is_of(says, value) => {
                found.push(format!("{at}: {value} is not of type {says}"));
            }
            "const" if says != value => found.push(format!("{at}: {value} is not {says}")),
            "enum" if !says.as_array().is_some_and(|all| all.contains(value)) => {
                found.push(format!("{at}: {value} is not in {says}"));
            }
            "minimum" if value.as_f64() < says.as_f64() && value.is_number() => {
                found.push(format!("{at}: {value} is below {says}"));
            }
            "type" | "const" | "enum" | "minimum" => {}
            "anyOf" => any_of(root, says, value, at, found),
            "required" => required(says, value, at, found),
            "properties" => properties(root, keywords, value, at, found),
            "items" => each(value, |index, item| {
                check(root, says, item, &format!("{at}[{index}]"), found);
            }),
            "prefixItems" => each(value, |index, item| match says.get(index) {
                Some(says) => check(root, says, item, &format!("{at}[{index}]"), found),
                None => found.push(format!("{at}: {index} elements are too many")),
            }),
            other => found.push(format!("{at}: the keyword {other} is not known here")),
        }
    }
}

fn referred<'s>(root: &'s Value, reference: &Value) -> Option<&'s Value> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

fn is_of(types: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        _ => false,
    };
    types
        .as_array()
        .map_or_else(|| is(types), |types| types.iter().any(is))
}

fn any_of(root: &Value, choices: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let mut nearest: Option<Vec<String>> = None;
    for choice in choices.as_array().into_iter().flatten() {
        let mut wrong = Vec::new();
        check(root, choice, value, at, &mut wrong);
        if nearest
            .as_ref()
            .is_none_or(|least| wrong.len() < least.len())
        {
            nearest = Some(wrong);
        }
    }
    found.extend(nearest.unwrap_or_default());
}

fn required(names: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for name in names
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value
            .as_object()
            .is_some_and(|object| !object.contains_key(name))
        {
            found.push(format!("{at}: {name} is missing"));
        }
    }
}

fn properties(
    root: &Value,
    keywords: &Map<String, Value>,
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) {
    let named = keywords.get("properties").and_then(Value::as_object);
    for (name, inner) in value.as_object().into_iter().flatten() {
        match named.and_then(|named| named.get(name)) {
            Some(says) => check(root, says, inner, &format!("{at}.{name}"), found),
            None => found.push(format!("{at}: {name} is in no schema: describe it")),
        }
    }
}

fn each(value: &Value, mut check: impl FnMut(usize, &Value)) {
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(index, item);
    }
}
