//! Losses on the scores of a classifier: value and gradient with respect to the student's scores, means over the batch.
//!
//! Scores are rows of `classes` logits, one a sample.

/// What a student's scores cost beside a teacher's.
pub trait LogitLoss {
    /// The loss of a batch and its gradient with respect to `student`.
    ///
    /// `student` and `teacher` hold `labels.len()` rows of `classes` logits each.
    fn value_and_gradient(
        &self,
        student: &[f32],
        teacher: &[f32],
        labels: &[u32],
        classes: usize,
    ) -> (f32, Vec<f32>);
}

/// `T^2 KL(softmax(t / T) || softmax(s / T))` (Hinton, Vinyals and Dean 2015): the square keeps the gradient's size whatever the
/// temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hinton {
    /// The temperature `T`.
    pub temperature: f32,
}

/// The same on probabilities: `T^2 KL(softmax(softmax(t) / T) || softmax(softmax(s) / T))`, which code computes that softens the
/// outputs of networks which end in SOFTMAX already. Its targets are nearly uniform and its gradients tiny; it is here under its
/// own name for comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// The temperature `T`.
    pub temperature: f32,
}

/// Decoupled targets (Zhao et al. 2022): the divergence of the label's probability from all others together, and that among the
/// others, weighed apart; both times `T^2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoupled {
    /// The temperature `T`.
    pub temperature: f32,
    /// The weight of the label against all others.
    pub target: f32,
    /// The weight of the others among themselves.
    pub others: f32,
}

impl LogitLoss for Hinton {
    fn value_and_gradient(
        &self,
        student: &[f32],
        teacher: &[f32],
        labels: &[u32],
        classes: usize,
    ) -> (f32, Vec<f32>) {
        let t = f64::from(self.temperature);
        let samples = labels.len().max(1) as f64;
        rows(
            student,
            teacher,
            labels,
            classes,
            |s, t_logits, _, gradient| {
                let (p, q) = (softmax(t_logits, t), softmax(s, t));
                for ((g, p), q) in gradient.iter_mut().zip(&p).zip(&q) {
                    *g = (t * (q - p) / samples) as f32;
                }
                t * t * divergence(&p, &q) / samples
            },
        )
    }
}

impl LogitLoss for Published {
    fn value_and_gradient(
        &self,
        student: &[f32],
        teacher: &[f32],
        labels: &[u32],
        classes: usize,
    ) -> (f32, Vec<f32>) {
        let t = f64::from(self.temperature);
        let samples = labels.len().max(1) as f64;
        rows(
            student,
            teacher,
            labels,
            classes,
            |s, t_logits, _, gradient| {
                let (of_teacher, of_student) = (softmax(t_logits, 1.0), softmax(s, 1.0));
                let soft = |probabilities: &[f64]| softmax64(probabilities, t);
                let (p, q) = (soft(&of_teacher), soft(&of_student));
                // First by the student's probabilities, then through its SOFTMAX.
                let inner: Vec<f64> = q
                    .iter()
                    .zip(&p)
                    .map(|(q, p)| t * (q - p) / samples)
                    .collect();
                let mean: f64 = inner.iter().zip(&of_student).map(|(d, y)| d * y).sum();
                for ((g, d), y) in gradient.iter_mut().zip(&inner).zip(&of_student) {
                    *g = (y * (d - mean)) as f32;
                }
                t * t * divergence(&p, &q) / samples
            },
        )
    }
}

impl LogitLoss for Decoupled {
    fn value_and_gradient(
        &self,
        student: &[f32],
        teacher: &[f32],
        labels: &[u32],
        classes: usize,
    ) -> (f32, Vec<f32>) {
        let t = f64::from(self.temperature);
        let (target, others) = (f64::from(self.target), f64::from(self.others));
        let samples = labels.len().max(1) as f64;
        rows(
            student,
            teacher,
            labels,
            classes,
            |s, t_logits, label, gradient| {
                let (p, q) = (softmax(t_logits, t), softmax(s, t));
                let (pt, qt) = (
                    p[label],
                    q[label].clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON),
                );
                let of_label = divergence(&[pt, 1.0 - pt], &[qt, 1.0 - qt]);
                let slope = (1.0 - pt) / (1.0 - qt) - pt / qt;
                let rest = |of: &[f32]| {
                    let mut of: Vec<f64> = of.iter().map(|&x| f64::from(x)).collect();
                    of.remove(label);
                    softmax64(&of, t)
                };
                let (rest_p, rest_q) = (rest(t_logits), rest(s));
                let factor = t * t / samples;
                for (class, g) in gradient.iter_mut().enumerate() {
                    let own = f64::from(u8::from(class == label));
                    let by_target = slope * qt * (own - q[class]) / t;
                    let by_others = match class.cmp(&label) {
                        core::cmp::Ordering::Equal => 0.0,
                        core::cmp::Ordering::Less => (rest_q[class] - rest_p[class]) / t,
                        core::cmp::Ordering::Greater => (rest_q[class - 1] - rest_p[class - 1]) / t,
                    };
                    *g = (factor * (target * by_target + others * by_others)) as f32;
                }
                factor * (target * of_label + others * divergence(&rest_p, &rest_q))
            },
        )
    }
}

/// Sums `f` over the rows; `f` gets student, teacher, label and the place for the gradient.
fn rows(
    student: &[f32],
    teacher: &[f32],
    labels: &[u32],
    classes: usize,
    mut f: impl FnMut(&[f32], &[f32], usize, &mut [f32]) -> f64,
) -> (f32, Vec<f32>) {
    let mut gradient = vec![0.0; student.len()];
    let classes = classes.max(1);
    let rows = student
        .chunks_exact(classes)
        .zip(teacher.chunks_exact(classes))
        .zip(gradient.chunks_exact_mut(classes))
        .zip(labels);
    let mut total = 0.0;
    for (((student, teacher), gradient), &label) in rows {
        total += f(
            student,
            teacher,
            (label as usize).min(classes - 1),
            gradient,
        );
    }
    (total as f32, gradient)
}

fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let logits: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
    softmax64(&logits, temperature)
}

fn softmax64(logits: &[f64], temperature: f64) -> Vec<f64> {
    let max = logits.iter().fold(f64::NEG_INFINITY, |max, &x| max.max(x));
    let powers: Vec<f64> = logits
        .iter()
        .map(|&x| libm::exp((x - max) / temperature))
        .collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|x| x / sum).collect()
}

/// `sum of p log(p / q)`.
fn divergence(p: &[f64], q: &[f64]) -> f64 {
    let terms = p.iter().zip(q).filter(|(p, _)| **p > 0.0);
    terms
        .map(|(&p, &q)| p * (libm::log(p) - libm::log(q.max(f64::MIN_POSITIVE))))
        .sum()
}
