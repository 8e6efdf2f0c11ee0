//! Progress: bars for people, and nothing where nobody looks.

use std::io::{self, IsTerminal as _};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whether somebody sees a bar. Bars go to standard error, so that results can be redirected.
pub(crate) fn is_seen() -> bool {
    io::stderr().is_terminal()
}

/// A bar up to `length`, or of unknown length. The template is indicatif's.
pub(crate) fn bar(length: Option<u64>, template: &str) -> ProgressBar {
    let bar = match length {
        _ if !is_seen() => ProgressBar::hidden(),
        Some(length) => ProgressBar::new(length),
        None => ProgressBar::no_length(),
    };
    bar.set_style(style(template));
    bar
}

/// Something that turns until it is done, for what nobody can say how long it takes.
pub(crate) fn spinner() -> ProgressBar {
    if is_seen() { ProgressBar::new_spinner() } else { ProgressBar::hidden() }
}

/// Several bars at a time.
pub(crate) fn bars() -> MultiProgress {
    let target = if is_seen() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    MultiProgress::with_draw_target(target)
}

/// How a bar looks.
pub(crate) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// How much of files is read.
pub(crate) const BYTES: &str = "{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
