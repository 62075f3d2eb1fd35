//! Progress of an encoder or an entailment model on stderr.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use impossible_core::event::{Event, Observer, Signal};
use indicatif::{ProgressBar, ProgressStyle};

/// A bar over what a model has to read.
pub struct Bar {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Bar {
    /// A bar; `stop` is the flag of Ctrl-C.
    #[must_use]
    pub fn new(quiet: bool, stop: Arc<AtomicBool>) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, stop }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Bar {
    fn event(&mut self, event: &Event) -> Signal {
        if event.done == 0 {
            self.bar.reset();
        }
        self.bar.set_length(event.total);
        self.bar.set_position(event.done);
        if self.stop.load(Ordering::Relaxed) { Signal::Stop } else { Signal::Continue }
    }
}
