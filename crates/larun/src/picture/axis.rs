//! An axis of a plot: which values it has, where they are, and which are written beside it.

/// A range of values along one side of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What the values are, with their unit.
    pub label: String,
    low: f64,
    high: f64,
    is_log: bool,
    is_whole: bool,
}

/// About so many values are written beside an axis.
const TICKS: f64 = 5.0;

impl Axis {
    /// An axis on which equal distances are equal differences, with a little room around the values; those that are not finite are left
    /// out.
    #[must_use]
    pub fn linear(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let [low, high] = range(values).unwrap_or([0.0, 1.0]);
        // Values that are all alike get a range as large as they are.
        let room = match high > low {
            true => (high - low) * 0.06,
            false => (0.05 * low.abs()).max(0.5),
        };
        Self {
            label: label.to_owned(),
            low: low - room,
            high: high + room,
            is_log: false,
            is_whole: false,
        }
    }

    /// An axis on which equal distances are equal ratios; values that are not above zero are left out.
    #[must_use]
    pub fn log(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|&value| value > 0.0);
        let [low, high] = range(positive).unwrap_or([1.0, 10.0]);
        let room = (high / low).powf(0.06).max(1.1);
        Self {
            label: label.to_owned(),
            low: low / room,
            high: high * room,
            is_log: true,
            is_whole: false,
        }
    }

    /// The axis, going no further than a least and a greatest value.
    #[must_use]
    pub fn within(mut self, least: f64, greatest: f64) -> Self {
        self.low = self.low.max(least);
        self.high = self.high.min(greatest);
        if self.high <= self.low {
            (self.low, self.high) = (least, greatest);
        }
        self
    }

    /// The axis, with whole numbers alone written beside it.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.is_whole = true;
        self
    }

    /// Where a value is, 0 at the axis' beginning, 1 at its end.
    #[must_use]
    pub fn share(&self, value: f64) -> f64 {
        let [low, high, value] = match self.is_log {
            true => [self.low.ln(), self.high.ln(), value.ln()],
            false => [self.low, self.high, value],
        };
        ((value - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// Values to write beside the axis, round ones, and how they are written.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let ratios = match self.is_log {
            true => self.round_ratios(),
            false => Vec::new(),
        };
        match ratios.len() {
            0..3 => self.round_steps(),
            _ => {
                let text = |&tick: &f64| (tick, written(tick, tick));
                ratios.iter().map(text).collect()
            }
        }
    }

    /// Multiples of a round step.
    fn round_steps(&self) -> Vec<(f64, String)> {
        let least = if self.is_whole { 1.0 } else { 0.0 };
        let step = round_step((self.high - self.low) / TICKS).max(least);
        let first = (self.low / step).ceil();
        (0..20)
            .map(|index| (first + f64::from(index)) * step)
            .take_while(|&tick| tick <= self.high)
            // The sum of steps around zero may be a little beside it.
            .map(|tick| if tick.abs() < step * 1e-9 { 0.0 } else { tick })
            .map(|tick| (tick, written(tick, step)))
            .collect()
    }

    /// 1, 2 and 5 times the powers of ten.
    fn round_ratios(&self) -> Vec<f64> {
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let powers = first..=last.min(first.saturating_add(12));
        powers
            .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)))
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }
}

/// A number with as many digits as a step has: 0.2 takes one, 0.05 two.
fn written(value: f64, step: f64) -> String {
    let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

/// The least and the greatest of the finite values, `None` where there are none.
fn range(values: impl IntoIterator<Item = f64>) -> Option<[f64; 2]> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |range, value| {
        let [low, high] = range.unwrap_or([value, value]);
        Some([low.min(value), high.max(value)])
    })
}

/// The least of 1, 2 and 5 times the powers of ten that is no smaller, or little.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let digits = [1.0, 2.0, 5.0].into_iter();
    let mut steps = digits.map(|digit| digit * power);
    let rounded = steps.find(|&rounded| rounded >= 0.75 * step);
    rounded.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::Axis;

    fn texts(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_within() {
        let axis = Axis::linear("%", [88.2, 93.4]);
        assert_eq!(texts(&axis), ["88", "89", "90", "91", "92", "93"]);
        let axis = Axis::linear("loss", [0.0, 0.91]);
        assert_eq!(texts(&axis), ["0.0", "0.2", "0.4", "0.6", "0.8"]);
        let axis = Axis::linear("epoch", [1.0, 2.0]).within(0.5, 2.5).whole();
        assert_eq!(texts(&axis), ["1", "2"]);
        let axis = Axis::log("KB", [4.0, 140.0]);
        assert_eq!(texts(&axis), ["5", "10", "20", "50", "100"]);
        let narrow = Axis::log("KB", [30.0, 44.0]);
        assert_eq!(texts(&narrow), ["30", "35", "40", "45"]);
        let narrower = Axis::log("KB", [8.2, 8.9]);
        assert_eq!(texts(&narrower)[..2], ["7.5", "8.0"]);
    }

    #[test]
    fn no_values_and_values_alike_have_a_range() {
        for values in [&[][..], &[3.0][..], &[0.0, 0.0][..], &[f64::NAN][..]] {
            for axis in [
                Axis::linear("", values.iter().copied()),
                Axis::log("", values.iter().copied()),
            ] {
                let share = axis.share(3.0);
                assert!((0.0..=1.0).contains(&share), "{values:?}: {share}");
                assert!(axis.ticks().len() >= 2, "{values:?}: {axis:?}");
            }
        }
    }

    #[test]
    fn an_axis_keeps_within() {
        let axis = Axis::linear("%", [80.0, 99.9]).within(0.0, 100.0);
        assert_eq!(axis.share(100.0), 1.0);
        let axis = Axis::linear("%", [200.0]).within(0.0, 100.0);
        assert_eq!([axis.share(0.0), axis.share(100.0)], [0.0, 1.0]);
    }
}
