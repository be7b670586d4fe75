//! How long a search may take: a number of steps, and a question that the caller answers.

/// What a search may spend before it must come back with what it has.
///
/// A step is a placement tried by the exact search, or an order tried by hill climbing. Steps are the same on every machine, so a
/// search that only they end gives the same plan everywhere. A clock, a cancel button or an interrupt goes into `stop`.
///
/// ```
/// use std::time::{Duration, Instant};
/// use larun_arena::Budget;
///
/// let end = Instant::now() + Duration::from_secs(1);
/// let out_of_time = || Instant::now() >= end;
/// let budget = Budget::steps(1_000_000).or_when(&out_of_time);
/// # let _ = budget;
/// ```
#[derive(Clone, Copy)]
pub struct Budget<'s> {
    steps: u64,
    stop: Option<&'s dyn Fn() -> bool>,
    /// The caller has said so.
    stopped: bool,
}

/// How often the caller is asked whether to stop: every so many steps, a fraction of a millisecond.
const ASK_EVERY: u64 = 128;

impl<'s> Budget<'s> {
    /// At most so many steps.
    #[must_use]
    pub const fn steps(steps: u64) -> Self {
        Self {
            steps,
            stop: None,
            stopped: false,
        }
    }

    /// Ends as well when `stop` says so, asked every so often.
    #[must_use]
    pub const fn or_when(self, stop: &'s dyn Fn() -> bool) -> Self {
        Self {
            stop: Some(stop),
            ..self
        }
    }

    /// Takes a step; false when nothing is left.
    pub(crate) fn spend(&mut self) -> bool {
        if self.steps == 0 {
            return false;
        }
        self.steps -= 1;
        if self.steps.is_multiple_of(ASK_EVERY) && self.stop.is_some_and(|stop| stop()) {
            (self.steps, self.stopped) = (0, true);
        }
        self.steps > 0
    }

    /// Whether nothing is left.
    pub(crate) const fn is_spent(&self) -> bool {
        self.steps == 0
    }

    /// Takes a part of the steps, to be given back by [`put_back`](Self::put_back).
    pub(crate) fn take(&mut self, steps: u64) -> Self {
        let steps = steps.min(self.steps);
        self.steps -= steps;
        Self { steps, ..*self }
    }

    /// Returns what is left of a part; a part that the caller's answer ended ends the whole.
    pub(crate) const fn put_back(&mut self, part: &Self) {
        self.stopped |= part.stopped;
        self.steps = match self.stopped {
            true => 0,
            false => self.steps.saturating_add(part.steps),
        };
    }
}

impl core::fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let stop = self.stop.map(|_| "given");
        f.debug_struct("Budget")
            .field("steps", &self.steps)
            .field("stop", &stop)
            .finish()
    }
}
