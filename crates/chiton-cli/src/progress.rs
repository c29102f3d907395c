//! The progress bar of a transfer, on a terminal only.

use core::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar is drawn, in times a second.
const RATE: u8 = 10;

/// Shows how far one file is.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins a bar for a file whose name may be shown; nothing is drawn unless `visible` and
    /// standard output is a terminal.
    pub(crate) fn new(name: &str, visible: bool) -> Self {
        if !visible || !crate::terminal::stdout_is_tty() {
            return Self { bar: None };
        }
        let template =
            "{msg:40!} {percent:>3}% {bytes:>11} {binary_bytes_per_sec:>13} {eta_precise}";
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let target = ProgressDrawTarget::stdout_with_hz(RATE);
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
        bar.set_message(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar: Some(bar) }
    }

    /// Says how much is done of what is known to come.
    pub(crate) fn update(&self, done: u64, total: Option<u64>) {
        if let Some(bar) = &self.bar {
            bar.set_length(total.unwrap_or(done));
            bar.set_position(done);
        }
    }

    /// Writes a line above the bar.
    pub(crate) fn print(&self, line: String) {
        match &self.bar {
            Some(bar) => bar.suspend(|| crate::log::print(line)),
            None => crate::log::print(line),
        }
    }

    /// Leaves the bar as it stands and goes to the next line.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
            // What comes next would be written over it.
            crate::log::print("");
        }
    }
}
