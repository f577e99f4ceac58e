//! One record as a line.

use std::{fmt::Write as _, time::SystemTime};

use tracing::{
    Metadata,
    field::{Field, Visit},
};

/// What a record says.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The session that it is about.
    pub(super) session: Option<String>,
    message: String,
    fields: String,
}

impl Record {
    /// As text that ends with a line feed, and has no other.
    pub(super) fn line(&self, metadata: &Metadata<'_>, session: &str, time: SystemTime) -> String {
        let time = humantime::format_rfc3339_micros(time);
        let (level, target) = (metadata.level(), metadata.target());
        let Self { session: _, message, fields } = self;
        let mut line = format!("{time} {level:>5} {target}: {message} session={session}{fields}");
        if line.contains(['\n', '\r']) {
            line = line.replace('\n', "\\n").replace('\r', "\\r");
        }
        line.push('\n');
        line
    }

    fn add(&mut self, field: &Field, value: std::fmt::Arguments<'_>) {
        match field.name() {
            "message" => self.message = value.to_string(),
            "session" => self.session = Some(value.to_string()),
            name => {
                // Writing to a string does not fail.
                let _ = write!(self.fields, " {name}={value}");
            }
        }
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "session" => self.session = Some(value.to_owned()),
            _ => self.add(field, format_args!("{value:?}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}
