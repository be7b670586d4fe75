//! What the templates have in common: how they are filled in, and text that is safe in a comment.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Value};

use crate::CodegenError;

/// Fills in a template: a line that holds a tag alone leaves no line behind.
pub(crate) fn render(template: &str, values: Value) -> Result<String, CodegenError> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .keep_trailing_newline(true)
            .trim_blocks(true)
            .build()?,
    );
    Ok(environment.render_str(template, values)?)
}

/// Text in lines that can follow `//`: nothing that ends the comment early or draws the next line into it.
pub(crate) fn comment(text: &str) -> Vec<String> {
    let harmless = |c: char| match c {
        '\\' => '/',
        // Three characters that old compilers read as a backslash begin with two of these.
        '?' => '.',
        c if c.is_control() => ' ',
        c => c,
    };
    text.lines()
        .map(|line| line.trim().chars().map(harmless).collect())
        .collect()
}
