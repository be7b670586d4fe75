//! Least squares with coefficients that are not negative.

/// Sweeps over the coefficients: many more than any of these problems needs.
const SWEEPS: usize = 20_000;

/// The non-negative `x` that minimises the sum of `(row · x - target)²`, by coordinate descent on the normal equations.
///
/// Columns are scaled to one length first, so that terms that count millions and terms that count ones converge alike. Rows have
/// one length.
#[must_use]
pub fn non_negative_least_squares(rows: &[Vec<f64>], targets: &[f64]) -> Vec<f64> {
    let columns = rows.first().map_or(0, Vec::len);
    let norm = |column: usize| {
        let squares: f64 = rows.iter().map(|row| row[column] * row[column]).sum();
        if squares > 0.0 { squares.sqrt() } else { 1.0 }
    };
    let norms: Vec<f64> = (0..columns).map(norm).collect();
    let product = |a: usize, b: usize| -> f64 {
        let sum: f64 = rows.iter().map(|row| row[a] * row[b]).sum();
        sum / (norms[a] * norms[b])
    };
    let gram: Vec<Vec<f64>> = (0..columns)
        .map(|a| (0..columns).map(|b| product(a, b)).collect())
        .collect();
    let right: Vec<f64> = (0..columns)
        .map(|a| {
            let sum: f64 = rows.iter().zip(targets).map(|(row, t)| row[a] * t).sum();
            sum / norms[a]
        })
        .collect();
    let mut x = vec![0.0; columns];
    for _ in 0..SWEEPS {
        let mut moved = 0.0f64;
        for a in 0..columns {
            if gram[a][a] <= 0.0 {
                continue;
            }
            let gradient: f64 = gram[a].iter().zip(&x).map(|(g, x)| g * x).sum();
            let next = (x[a] + (right[a] - gradient) / gram[a][a]).max(0.0);
            moved = moved.max((next - x[a]).abs());
            x[a] = next;
        }
        if moved < 1e-12 {
            break;
        }
    }
    x.iter().zip(&norms).map(|(x, norm)| x / norm).collect()
}

#[cfg(test)]
mod tests {
    use super::non_negative_least_squares;

    #[test]
    fn finds_what_made_the_targets_and_nothing_negative() {
        let rows: Vec<Vec<f64>> = (1..20)
            .map(|i| vec![f64::from(i), f64::from(i * i % 7), 1.0])
            .collect();
        let targets: Vec<f64> = rows.iter().map(|r| 3.0 * r[0] + 40.0 * r[2]).collect();
        let x = non_negative_least_squares(&rows, &targets);
        assert!((x[0] - 3.0).abs() < 1e-6 && x[1].abs() < 1e-6 && (x[2] - 40.0).abs() < 1e-6);
        let falling: Vec<f64> = rows.iter().map(|r| -r[0]).collect();
        assert_eq!(non_negative_least_squares(&rows, &falling), [0.0, 0.0, 0.0]);
    }
}
