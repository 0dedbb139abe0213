//! Shows the progress of work on stderr while a command runs for longer than a moment, if that is a terminal.

use std::fmt::Debug;
use std::io::{self, IsTerminal, Write, stderr};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::progress::TARGET;
use crate::telemetry::install::BoxedLayer;

use super::terminal;

/// What takes less than this is not worth a bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time between two drawings.
const TICK: Duration = Duration::from_millis(100);

/// The bar of the process, which is hidden at first.
static BAR: LazyLock<ProgressBar> =
    LazyLock::new(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style(0)));
/// Whether the bar may not be shown any more.
static HAS_ENDED: AtomicBool = AtomicBool::new(false);

/// Returns the layer that listens to what is reported, and has it shown from then on; `None` where nobody would see it.
pub fn layer() -> Option<BoxedLayer> {
    if !stderr().is_terminal() || terminal::is_quiet() {
        return None;
    }
    std::thread::spawn(|| {
        std::thread::sleep(PATIENCE);
        if !HAS_ENDED.load(Ordering::Relaxed) {
            BAR.set_draw_target(ProgressDrawTarget::stderr());
            BAR.enable_steady_tick(TICK);
        }
    });
    Some(Listener.with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE)).boxed())
}

/// Returns the style of a bar for so many things, or of a mere count if their number is not known.
fn style(of: u64) -> ProgressStyle {
    let template = if of == 0 { "{spinner} {pos} {msg}" } else { "{bar:24} {pos} of {len} {msg}, {eta} left" };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Removes the bar for good, because the result follows.
pub fn end() {
    if !HAS_ENDED.swap(true, Ordering::Relaxed) {
        BAR.finish_and_clear();
    }
}

/// Writes to stderr, above the bar if there is one.
pub struct AboveBar;

impl Write for AboveBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BAR.suspend(|| stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

/// Listens to what is reported.
struct Listener;

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut step = Step::default();
        event.record(&mut step);
        if BAR.message() != step.what {
            BAR.reset();
            BAR.set_style(style(step.of));
            BAR.set_message(step.what);
        }
        BAR.set_length(step.of);
        BAR.set_position(step.done);
    }
}

/// What an event reports.
#[derive(Default)]
struct Step {
    what: String,
    done: u64,
    of: u64,
}

impl Visit for Step {
    fn record_str(&mut self, _: &Field, value: &str) {
        value.clone_into(&mut self.what);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "done" => self.done = value,
            _ => self.of = value,
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
