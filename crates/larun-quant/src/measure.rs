//! How far a tensor is from its reference: SQNR, mean squared and largest error, cosine similarity, KL divergence.
//!
//! With the reference `r` and the other tensor `y`, both of `n` values, and `e = y - r`:
//!
//! | measure | formula | identical tensors |
//! |---|---|---|
//! | signal to quantisation noise ratio, in dB | `10 log10(sum r^2 / sum e^2)` | infinity |
//! | mean squared error | `sum e^2 / n` | 0 |
//! | mean error | `sum e / n` | 0 |
//! | largest error | `max abs(e)` | 0 |
//! | cosine similarity | `sum r y / sqrt(sum r^2 sum y^2)` | 1 |
//! | Kullback-Leibler divergence, in nats | `sum p ln(p / q)` | 0 |
//!
//! Sums are in float64, in an order that depends on the lengths of the slices alone. A meter takes a tensor in any number
//! of pieces and its memory does not grow.

use crate::error::{QuantError, all_finite, same_length};

/// Sums the error of a tensor against its reference, piece by piece.
///
/// ```
/// use larun_quant::measure::ErrorMeter;
///
/// let mut meter = ErrorMeter::new();
/// meter.add(&[1.0, 2.0], &[1.0, 2.5])?;
/// meter.add(&[-2.0], &[-2.0])?;
/// let measures = meter.measures()?;
/// assert_eq!((measures.count, measures.largest, measures.mse), (3, 0.5, 0.25 / 3.0));
/// assert!((measures.sqnr_db - 15.563).abs() < 1e-3);
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ErrorMeter {
    count: u64,
    sums: Sums,
}

/// What one lane of a meter sums.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    reference: f64,
    other: f64,
    product: f64,
    error: f64,
    squared_error: f64,
    largest: f64,
}

/// The measures of a tensor against its reference.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measures {
    /// Number of values.
    pub count: u64,
    /// Signal to quantisation noise ratio in dB. Infinite for identical tensors, those that are all 0 included; minus
    /// infinity for a reference that is all 0 and a tensor that is not.
    pub sqnr_db: f64,
    /// Mean squared error.
    pub mse: f64,
    /// Mean of the tensor less that of the reference.
    pub mean_error: f64,
    /// Largest absolute error.
    pub largest: f64,
    /// Cosine of the angle between the tensors, -1 to 1: 1 if both are all 0, 0 if only one is.
    pub cosine: f64,
    /// Mean square of the reference.
    pub signal: f64,
}

impl ErrorMeter {
    /// A meter that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a piece of `reference` and the same piece of `other`.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch), and [`NotFinite`](QuantError::NotFinite) for the first NaN or
    /// infinity in either; the meter is then as before.
    pub fn add(&mut self, reference: &[f32], other: &[f32]) -> Result<(), QuantError> {
        same_length("values to compare", reference.len(), other.len())?;
        all_finite(reference)?;
        all_finite(other)?;
        let (left, left_rest) = reference.as_chunks::<4>();
        let (right, right_rest) = other.as_chunks::<4>();
        // Lanes that do not wait for each other.
        let mut lanes = [Sums::default(); 4];
        for (left, right) in left.iter().zip(right) {
            for (lane, (&r, &y)) in lanes.iter_mut().zip(left.iter().zip(right)) {
                lane.add(r, y);
            }
        }
        let mut sums = lanes.into_iter().fold(Sums::default(), Sums::union);
        for (&r, &y) in left_rest.iter().zip(right_rest) {
            sums.add(r, y);
        }
        self.sums = self.sums.union(sums);
        self.count += reference.len() as u64;
        Ok(())
    }

    /// What both have seen.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sums: self.sums.union(other.sums),
        }
    }

    /// The measures of all that was seen.
    ///
    /// # Errors
    /// [`NothingObserved`](QuantError::NothingObserved) before the first value.
    pub fn measures(&self) -> Result<Measures, QuantError> {
        if self.count == 0 {
            return Err(QuantError::NothingObserved);
        }
        let (count, sums) = (self.count as f64, &self.sums);
        Ok(Measures {
            count: self.count,
            sqnr_db: ratio_in_db(sums.reference, sums.squared_error),
            mse: sums.squared_error / count,
            mean_error: sums.error / count,
            largest: sums.largest,
            cosine: cosine(sums.product, sums.reference, sums.other),
            signal: sums.reference / count,
        })
    }
}

impl Sums {
    #[inline]
    fn add(&mut self, reference: f32, other: f32) {
        let (r, y) = (f64::from(reference), f64::from(other));
        let error = y - r;
        self.reference += r * r;
        self.other += y * y;
        self.product += r * y;
        self.error += error;
        self.squared_error += error * error;
        self.largest = if error.abs() > self.largest {
            error.abs()
        } else {
            self.largest
        };
    }

    fn union(self, other: Self) -> Self {
        Self {
            reference: self.reference + other.reference,
            other: self.other + other.other,
            product: self.product + other.product,
            error: self.error + other.error,
            squared_error: self.squared_error + other.squared_error,
            largest: self.largest.max(other.largest),
        }
    }
}

fn ratio_in_db(signal: f64, noise: f64) -> f64 {
    if noise == 0.0 {
        f64::INFINITY
    } else if signal == 0.0 {
        f64::NEG_INFINITY
    } else {
        10.0 * libm::log10(signal / noise)
    }
}

fn cosine(product: f64, left: f64, right: f64) -> f64 {
    if left == 0.0 || right == 0.0 {
        return f64::from(u8::from(left == right));
    }
    // Two roots: the product of the sums could leave the range of float64.
    (product / libm::sqrt(left) / libm::sqrt(right)).clamp(-1.0, 1.0)
}

/// All measures of `other` against `reference`.
///
/// # Errors
/// As [`ErrorMeter::add`], and [`NothingObserved`](QuantError::NothingObserved) for empty slices.
pub fn measures(reference: &[f32], other: &[f32]) -> Result<Measures, QuantError> {
    let mut meter = ErrorMeter::new();
    meter.add(reference, other)?;
    meter.measures()
}

/// Signal to quantisation noise ratio of `other` against `reference`, in dB; see [`Measures::sqnr_db`].
///
/// # Errors
/// As [`measures`].
pub fn sqnr_db(reference: &[f32], other: &[f32]) -> Result<f64, QuantError> {
    Ok(measures(reference, other)?.sqnr_db)
}

/// Cosine similarity; see [`Measures::cosine`].
///
/// # Errors
/// As [`measures`].
pub fn cosine_similarity(reference: &[f32], other: &[f32]) -> Result<f64, QuantError> {
    Ok(measures(reference, other)?.cosine)
}

/// Mean squared error.
///
/// # Errors
/// As [`measures`].
pub fn mean_squared_error(reference: &[f32], other: &[f32]) -> Result<f64, QuantError> {
    Ok(measures(reference, other)?.mse)
}

/// Largest absolute error.
///
/// # Errors
/// As [`measures`].
pub fn largest_error(reference: &[f32], other: &[f32]) -> Result<f64, QuantError> {
    Ok(measures(reference, other)?.largest)
}

/// Kullback-Leibler divergence `KL(p || q)` of two distributions, in nats.
///
/// Both are scaled to sum to 1 first, so that counts do as well. A term with `p = 0` is 0; `p > 0` where `q = 0` gives
/// infinity.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch), [`NotFinite`](QuantError::NotFinite), and
/// [`NotADistribution`](QuantError::NotADistribution) for a negative value or a sum of 0.
pub fn kl_divergence(p: &[f32], q: &[f32]) -> Result<f64, QuantError> {
    same_length("probabilities", p.len(), q.len())?;
    let (p_sum, q_sum) = (mass(p)?, mass(q)?);
    let terms = p.iter().zip(q).map(|(&p, &q)| {
        let (p, q) = (f64::from(p) / p_sum, f64::from(q) / q_sum);
        if p == 0.0 { 0.0 } else { p * libm::log(p / q) }
    });
    // The true value is not negative; rounding could make it so.
    Ok(terms.sum::<f64>().max(0.0))
}

/// Kullback-Leibler divergence of the softmaxes of two rows of logits, in nats: finite for finite logits.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch), [`NotFinite`](QuantError::NotFinite), and
/// [`NothingObserved`](QuantError::NothingObserved) for empty rows.
pub fn kl_divergence_of_logits(reference: &[f32], other: &[f32]) -> Result<f64, QuantError> {
    same_length("logits", reference.len(), other.len())?;
    let (p_log_sum, q_log_sum) = (log_sum_exp(reference)?, log_sum_exp(other)?);
    let terms = reference.iter().zip(other).map(|(&p, &q)| {
        let log_p = f64::from(p) - p_log_sum;
        libm::exp(log_p) * (log_p - (f64::from(q) - q_log_sum))
    });
    Ok(terms.sum::<f64>().max(0.0))
}

/// Averages the KL divergence over samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KlMeter {
    samples: u64,
    sum: f64,
}

impl KlMeter {
    /// A meter that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the two distributions of one sample, as [`kl_divergence`].
    ///
    /// # Errors
    /// As [`kl_divergence`]; the meter is then as before.
    pub fn add(&mut self, p: &[f32], q: &[f32]) -> Result<(), QuantError> {
        self.take(kl_divergence(p, q)?);
        Ok(())
    }

    /// Takes in the two rows of logits of one sample, as [`kl_divergence_of_logits`].
    ///
    /// # Errors
    /// As [`kl_divergence_of_logits`]; the meter is then as before.
    pub fn add_logits(&mut self, reference: &[f32], other: &[f32]) -> Result<(), QuantError> {
        self.take(kl_divergence_of_logits(reference, other)?);
        Ok(())
    }

    /// Mean divergence of the samples, in nats.
    ///
    /// # Errors
    /// [`NothingObserved`](QuantError::NothingObserved) before the first sample.
    pub fn mean(&self) -> Result<f64, QuantError> {
        if self.samples == 0 {
            return Err(QuantError::NothingObserved);
        }
        Ok(self.sum / self.samples as f64)
    }

    fn take(&mut self, divergence: f64) {
        self.samples += 1;
        self.sum += divergence;
    }
}

/// The sum of values that are none negative, which is above 0.
fn mass(values: &[f32]) -> Result<f64, QuantError> {
    all_finite(values)?;
    if let Some(index) = values.iter().position(|&value| value < 0.0) {
        let value = values.get(index).copied().unwrap_or_default();
        return Err(QuantError::NotADistribution { index, value });
    }
    let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
    if sum == 0.0 {
        return Err(QuantError::NotADistribution {
            index: 0,
            value: 0.0,
        });
    }
    Ok(sum)
}

fn log_sum_exp(logits: &[f32]) -> Result<f64, QuantError> {
    all_finite(logits)?;
    if logits.is_empty() {
        return Err(QuantError::NothingObserved);
    }
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let terms = logits.iter().map(|&x| libm::exp(f64::from(x) - largest));
    Ok(largest + libm::log(terms.sum()))
}
