//! What is logged, as lines on standard error: in words, or as tracing-subscriber writes them where somebody wants to see it all.
//! Not responsible for the words.

use std::fmt;
use std::io;

use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::cli::args::Globals;
use crate::cli::render::Console;
use crate::cli::render::fit::colours;
use crate::cli::say::log::{Logged, logged};
use crate::model::Shown;

/// What of the log is told, by how often more was asked for. How packets are paced is told to who asks three times.
/// What cannot be sent to an address is told where it matters, as why nobody answers there.
const LEVELS: [&str; 4] = [
    "warn,quinn_udp=off",
    "warn,quinn_udp=off,qshare=info",
    "warn,quinn_udp=off,qshare=debug,qshare::io::net::congestion=info",
    "info,qshare=debug",
];
const QUIET: &str = "error,quinn_udp=off";

/// Begins to tell what is logged. `$RUST_LOG` goes before `-v` and `-q`.
pub(crate) fn begin(globals: &Globals, output: &Console) {
    let verbose = usize::from(globals.verbose);
    let level = if globals.quiet { QUIET } else { LEVELS[verbose.min(LEVELS.len() - 1)] };
    let wanted = EnvFilter::try_from_default_env().ok();
    let raw = wanted.is_some() || (verbose >= LEVELS.len() - 1 && !globals.quiet);
    let all = tracing_subscriber::registry().with(wanted.unwrap_or_else(|| EnvFilter::new(level)));
    // A second subscriber in one process is refused; the first one stays.
    let _ = if raw {
        let lines = tracing_subscriber::fmt::layer().with_ansi(colours()).with_writer(output.log_writer());
        all.with(lines).try_init()
    } else {
        all.with(Words { output: output.clone(), started: Instant::now() }).try_init()
    };
}

/// Tells in words.
struct Words {
    output: Console,
    started: Instant,
}

/// The fields of a span.
struct Fields(Logged);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Words {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields(Logged::default());
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields(Logged::default());
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Fields>() {
                fields.0.around.extend(around.0.fields.iter().cloned());
            }
        }
        let said = logged(&fields.0, self.output.names());
        let said = Shown(&said);
        match *event.metadata().level() {
            Level::ERROR => self.output.tell(&format!("qshare: error: {said}")),
            Level::WARN => self.output.tell(&format!("qshare: warning: {said}")),
            _ => self.output.tell(&format!("qshare: {:.3} s: {said}", self.started.elapsed().as_secs_f64())),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.0.name),
            name => self.0.fields.push((name, value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl Console {
    /// A place for log lines that does not tear the bars.
    fn log_writer(&self) -> impl Fn() -> LogWriter + Send + Sync + 'static {
        let output = self.clone();
        move || LogWriter(output.clone())
    }
}

/// Standard error with the bars out of the way. It never fails: tracing-subscriber answers a failed write with one of
/// its own to standard error, and panics when that fails too.
#[derive(Debug)]
struct LogWriter(Console);

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.above.get() {
            Some(above) => above.told(&String::from_utf8_lossy(bytes)),
            None => drop(self.0.clear_of_bars(|| io::stderr().lock().write_all(bytes))),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
