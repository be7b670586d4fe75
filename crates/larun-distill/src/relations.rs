//! Losses on how the samples of a batch lie to each other (Park et al. 2019): their distances and the angles between them.
//!
//! Values are rows, one a sample; student and teacher may have rows of different lengths.

/// The mean over all pairs of the smooth difference of distances, those of each network divided by their mean.
pub fn distances(student: &[f32], teacher: &[f32], samples: usize) -> (f32, Vec<f32>) {
    let width = student.len() / samples.max(1);
    let (of_student, mean, counted) = scaled_distances(student, samples);
    let (of_teacher, ..) = scaled_distances(teacher, samples);
    let pairs = (samples * samples).max(1) as f64;
    let mut total = 0.0;
    let mut slopes = vec![0.0; of_student.len()];
    for ((slope, s), t) in slopes.iter_mut().zip(&of_student).zip(&of_teacher) {
        let (value, d) = smooth(s - t);
        total += value / pairs;
        *slope = d / pairs;
    }
    // The mean by which distances are divided depends on all of them.
    let through_mean: f64 = slopes
        .iter()
        .zip(&of_student)
        .map(|(g, d)| g * d)
        .sum::<f64>()
        / counted;
    let mut gradient = vec![0.0f64; student.len()];
    for i in 0..samples {
        for j in 0..samples {
            let distance = of_student[i * samples + j] * mean;
            if distance <= 0.0 {
                continue;
            }
            let slope = (slopes[i * samples + j] - through_mean) / mean;
            for k in 0..width {
                let (a, b) = (student[i * width + k], student[j * width + k]);
                let d = slope * (f64::from(a) - f64::from(b)) / distance;
                gradient[i * width + k] += d;
                gradient[j * width + k] -= d;
            }
        }
    }
    (
        total as f32,
        gradient.into_iter().map(|g| g as f32).collect(),
    )
}

/// All distances divided by the mean of those that are not 0, that mean, and how many there are.
fn scaled_distances(values: &[f32], samples: usize) -> (Vec<f64>, f64, f64) {
    let width = values.len() / samples.max(1);
    let row = |i: usize| &values[i * width..][..width];
    let mut distances = Vec::with_capacity(samples * samples);
    for i in 0..samples {
        for j in 0..samples {
            let squares = row(i).iter().zip(row(j)).map(|(&a, &b)| {
                let d = f64::from(a) - f64::from(b);
                d * d
            });
            distances.push(squares.sum::<f64>().sqrt());
        }
    }
    let positive = distances.iter().filter(|&&d| d > 0.0);
    let counted = (positive.clone().count() as f64).max(1.0);
    let mean = (positive.sum::<f64>() / counted).max(f64::MIN_POSITIVE);
    distances.iter_mut().for_each(|d| *d /= mean);
    (distances, mean, counted)
}

/// The mean over all triples of the smooth difference of the cosines at their first sample.
///
/// Takes time with the cube of the number of samples.
pub fn angles(student: &[f32], teacher: &[f32], samples: usize) -> (f32, Vec<f32>) {
    let width = student.len() / samples.max(1);
    let wide = teacher.len() / samples.max(1);
    let triples = (samples * samples * samples).max(1) as f64;
    let mut total = 0.0;
    let mut gradient = vec![0.0f64; student.len()];
    for at in 0..samples {
        let (of_student, lengths) = directions(student, width, at);
        let (of_teacher, _) = directions(teacher, wide, at);
        let mut of_directions = vec![0.0f64; of_student.len()];
        for j in 0..samples {
            for k in 0..samples {
                let s = dot(&of_student, width, j, k);
                let t = dot(&of_teacher, wide, j, k);
                let (value, slope) = smooth(s - t);
                total += value / triples;
                let slope = slope / triples;
                for i in 0..width {
                    of_directions[j * width + i] += slope * of_student[k * width + i];
                    of_directions[k * width + i] += slope * of_student[j * width + i];
                }
            }
        }
        for j in (0..samples).filter(|&j| lengths[j] > 0.0) {
            let along = (0..width)
                .map(|i| of_directions[j * width + i] * of_student[j * width + i])
                .sum::<f64>();
            for i in 0..width {
                let index = j * width + i;
                let d = (of_directions[index] - along * of_student[index]) / lengths[j];
                gradient[index] += d;
                gradient[at * width + i] -= d;
            }
        }
    }
    (
        total as f32,
        gradient.into_iter().map(|g| g as f32).collect(),
    )
}

/// The direction from sample `at` to each, noughts where there is none, and the lengths that they had.
fn directions(values: &[f32], width: usize, at: usize) -> (Vec<f64>, Vec<f64>) {
    let from = &values[at * width..][..width];
    let mut lengths = Vec::new();
    let mut all = Vec::with_capacity(values.len());
    for row in values.chunks_exact(width.max(1)) {
        let difference = row
            .iter()
            .zip(from)
            .map(|(&a, &b)| f64::from(a) - f64::from(b));
        let difference: Vec<f64> = difference.collect();
        let length = difference.iter().map(|d| d * d).sum::<f64>().sqrt();
        lengths.push(length);
        all.extend(
            difference
                .iter()
                .map(|d| if length > 0.0 { d / length } else { 0.0 }),
        );
    }
    (all, lengths)
}

fn dot(rows: &[f64], width: usize, j: usize, k: usize) -> f64 {
    let (a, b) = (&rows[j * width..][..width], &rows[k * width..][..width]);
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Huber's loss with the bend at 1, and its slope.
fn smooth(d: f64) -> (f64, f64) {
    match d.abs() < 1.0 {
        true => (0.5 * d * d, d),
        false => (d.abs() - 0.5, d.signum()),
    }
}
