//! Progress on stderr: bars on a terminal, plain lines elsewhere.

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io::IsTerminal;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use larun::optimize::{Progress, epoch_line};
use larun::train::{BatchEvent, EpochMetrics, Observer};

/// Shows how a long command goes, and stops it when Ctrl-C is pressed.
pub(crate) struct Reporter {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    epochs: usize,
    terminal: bool,
    quiet: bool,
}

impl Reporter {
    /// A reporter; a quiet one shows nothing.
    pub(crate) fn new(quiet: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        // Without a handler Ctrl-C ends the program at once, which loses an epoch at most.
        let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
        Self {
            bar: ProgressBar::hidden(),
            stop,
            epochs: 0,
            terminal: std::io::stderr().is_terminal(),
            quiet,
        }
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{text}");
        }
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
        self.epochs = epochs;
        self.start_bar(batches as u64);
        self.bar.set_message(format!("epoch {epoch} of {epochs}"));
    }

    fn batch_finished(&mut self, event: BatchEvent<'_>) -> ControlFlow<()> {
        self.bar.set_position(event.batch as u64);
        match self.stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn epoch_finished(&mut self, metrics: &EpochMetrics, is_best: bool) {
        self.bar.finish_and_clear();
        let mark = if is_best { "  best so far" } else { "" };
        let (epoch, epochs) = (metrics.epoch, self.epochs);
        self.line(&format!(
            "  epoch {epoch:3}/{epochs}  {}{mark}",
            epoch_line(metrics)
        ));
    }
}
