//! EMBEDDING_LOOKUP and GATHER along the first axis: rows of a table by their numbers.

use super::{Differentiable, ShapeError, Tape, View, arity};

/// Rows of a table. Inputs: numbers (as whole floats) of any shape, and a table `[R, ..]`; output: the shape of the numbers, then
/// that of a row. Numbers have no gradient; those outside the table count as the nearest inside.
#[derive(Clone, Copy, Debug)]
pub struct Embedding;

impl Embedding {
    fn rows(table: &View<'_>) -> (usize, usize) {
        let rows = table.shape.first().copied().unwrap_or(1);
        (rows, table.data.len() / rows.max(1))
    }

    fn row(number: f32, rows: usize) -> usize {
        (number.max(0.0) as usize).min(rows.saturating_sub(1))
    }
}

impl Differentiable for Embedding {
    fn name(&self) -> &'static str {
        "EMBEDDING_LOOKUP"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [numbers, table] = arity(self.name(), inputs)?;
        match table {
            [_, row @ ..] => Ok([numbers, row].concat()),
            [] => Err(ShapeError::new(self.name(), "the table has no rows")),
        }
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [numbers, table] = inputs else { return };
        let (rows, length) = Self::rows(table);
        for (output, &number) in output.chunks_exact_mut(length.max(1)).zip(numbers.data) {
            let row = Self::row(number, rows);
            output.copy_from_slice(&table.data[row * length..][..length]);
        }
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([numbers, table], [of_numbers, of_table]) = (tape.inputs, gradients) else {
            return;
        };
        if let Some(gradient) = of_numbers {
            gradient.fill(0.0);
        }
        let Some(gradient) = of_table else { return };
        let (rows, length) = Self::rows(table);
        gradient.fill(0.0);
        for (g, &number) in tape.gradient.chunks_exact(length.max(1)).zip(numbers.data) {
            let row = &mut gradient[Self::row(number, rows) * length..][..length];
            row.iter_mut().zip(g).for_each(|(total, g)| *total += g);
        }
    }
}
