//! Everything the server logs, line by line.

use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// One line: the organisation it is about, if it says so, and all its fields as text.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) org: Option<String>,
    pub(crate) text: String,
}

static LINES: OnceLock<Mutex<Vec<Line>>> = OnceLock::new();

/// Keeps what is logged from now on; once for the process, since threads log as well.
pub(crate) fn keep() {
    if LINES.set(Mutex::default()).is_ok() {
        tracing::subscriber::set_global_default(Keeping).unwrap();
    }
}

/// What was logged since the last time.
pub(crate) fn take() -> Vec<Line> {
    LINES.get().map(|lines| std::mem::take(&mut *lines.lock().unwrap())).unwrap_or_default()
}

struct Keeping;

impl Subscriber for Keeping {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tidings")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        LINES.get().unwrap().lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "org" {
            self.org = Some(value.to_owned());
        }
        self.record_debug(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.text, "{}={value:?} ", field.name()).unwrap();
    }
}
