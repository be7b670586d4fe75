//! Progress on stderr, bars on a terminal and plain lines elsewhere; and what Ctrl-C does.

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use larun::optimize::{Progress, epoch_line};
use larun::train::{BatchEvent, EpochMetrics, Observer};

/// Whether a training runs: it stops after its step and writes a checkpoint; anything else is ended at once.
static TRAINING: AtomicBool = AtomicBool::new(false);
/// Whether Ctrl-C was pressed.
static STOP: AtomicBool = AtomicBool::new(false);

/// What Ctrl-C does, in every command: no file is left that is not whole, and a training leaves its checkpoint. Pressed again, it ends
/// a training that does not come to its checkpoint.
pub(crate) fn handle_interrupts() {
    let handler = || {
        let again = STOP.swap(true, Ordering::Relaxed);
        if again || !TRAINING.load(Ordering::Relaxed) {
            larun::files::abandon();
            // What a shell gives for a program that Ctrl-C ended.
            std::process::exit(130);
        }
    };
    // Without a handler Ctrl-C ends the program at once, which loses an epoch at most.
    let _ = ctrlc::set_handler(handler);
}

/// Shows how a long command goes, and stops it when Ctrl-C is pressed.
pub(crate) struct Reporter {
    bar: ProgressBar,
    epochs: usize,
    /// When the first epoch of this run began, and how many have ended since.
    started: Option<(Instant, u32)>,
    terminal: bool,
    quiet: bool,
}

impl Reporter {
    /// A reporter; a quiet one shows nothing.
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            epochs: 0,
            started: None,
            terminal: std::io::stderr().is_terminal(),
            quiet,
        }
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{text}");
        }
    }

    /// How long the training still takes where it does not end before its last epoch, by the epochs that this run has done.
    fn left(&self, elapsed: Duration, done: u32, epoch: usize) -> Option<String> {
        let left = u32::try_from(self.epochs.saturating_sub(epoch)).ok()?;
        if done == 0 || left == 0 {
            return None;
        }
        Some(format!("at most {} left", about(elapsed / done * left)))
    }

    fn start_bar(&mut self, len: u64) {
        self.bar.finish_and_clear();
        let target = match self.quiet || !self.terminal {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        self.bar = ProgressBar::with_draw_target(Some(len), target);
        let style = ProgressStyle::with_template("  {bar:30} {pos}/{len} {msg} {eta}");
        self.bar
            .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    }
}

impl Progress for Reporter {
    fn stage(&mut self, name: &str) {
        TRAINING.store(false, Ordering::Relaxed);
        self.started = None;
        self.bar.finish_and_clear();
        self.line(name);
    }

    fn samples(&mut self, done: usize, total: usize) {
        if self.bar.length() != Some(total as u64) {
            self.start_bar(total as u64);
        }
        self.bar.set_position(done as u64);
        if done == total {
            self.bar.finish_and_clear();
        }
    }

    fn training(&mut self) -> &mut dyn Observer {
        self
    }
}

impl Observer for Reporter {
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batches: usize) {
        TRAINING.store(true, Ordering::Relaxed);
        self.epochs = epochs;
        let (start, done) = *self.started.get_or_insert((Instant::now(), 0));
        self.start_bar(batches as u64);
        let left = self.left(start.elapsed(), done, epoch.saturating_sub(1));
        let left = left.map_or_else(String::new, |left| format!(", {left}"));
        self.bar
            .set_message(format!("epoch {epoch} of {epochs}{left}, this one"));
    }

    fn batch_finished(&mut self, event: BatchEvent<'_>) -> ControlFlow<()> {
        self.bar.set_position(event.batch as u64);
        match STOP.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn epoch_finished(&mut self, metrics: &EpochMetrics, is_best: bool) {
        self.bar.finish_and_clear();
        let mark = if is_best { "  best so far" } else { "" };
        let (epoch, epochs) = (metrics.epoch, self.epochs);
        let left = self.started.as_mut().and_then(|(start, done)| {
            *done += 1;
            // Said once, and again where it has to be: every tenth epoch.
            let says = *done == 1 || done.is_multiple_of(10);
            says.then_some((start.elapsed(), *done))
        });
        let left = left.and_then(|(elapsed, done)| self.left(elapsed, done, epoch));
        let left = left.map_or_else(String::new, |left| format!("  ({left})"));
        self.line(&format!(
            "  epoch {epoch:3}/{epochs}  {}{mark}{left}",
            epoch_line(metrics)
        ));
    }
}

/// A time in the largest unit that says enough.
fn about(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{} s", seconds.max(1)),
        seconds @ 100..6000 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::about;
    use core::time::Duration;

    #[test]
    fn times_are_said_in_a_unit_that_fits() {
        let said = |seconds| about(Duration::from_secs(seconds));
        assert_eq!(said(0), "1 s");
        assert_eq!(said(99), "99 s");
        assert_eq!(said(130), "3 min");
        assert_eq!(said(9000), "2.5 h");
    }
}
