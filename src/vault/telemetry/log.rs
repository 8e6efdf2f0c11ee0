//! Log events: one JSON object a line on standard error. Only types that say of themselves that they are log-safe can be
//! logged, so that a request, an answer, a configuration or a card cannot get in by accident.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::SystemTime;

use strongroom_wire::{ActId, Kind, NodeName, RequestId, Scope, SecretId, TenantId, Token, admin};

/// A value that may stand in a log: it is public, or a name that reveals nothing about a card or a key.
pub trait LogSafe {
    /// Writes the value as JSON.
    fn write_json(&self, out: &mut String);
}

macro_rules! safe_text {
    ($($name:ty),*) => {
        $(impl LogSafe for $name {
            fn write_json(&self, out: &mut String) {
                text(out, &self.to_string());
            }
        })*
    };
}

macro_rules! safe_plain {
    ($($name:ty),*) => {
        $(impl LogSafe for $name {
            fn write_json(&self, out: &mut String) {
                // Writing to a String does not fail.
                let _ = write!(out, "{self}");
            }
        })*
    };
}

safe_text!(
    ActId,
    Token,
    SecretId,
    RequestId,
    TenantId,
    NodeName,
    admin::KeyPurpose,
    std::net::SocketAddr,
    std::net::IpAddr
);
safe_plain!(u8, u16, u32, u64, usize, i32, bool);

/// Text that stands in the program itself.
impl LogSafe for &'static str {
    fn write_json(&self, out: &mut String) {
        text(out, self);
    }
}

impl LogSafe for Scope {
    fn write_json(&self, out: &mut String) {
        text(out, self.as_str());
    }
}

impl LogSafe for Kind {
    fn write_json(&self, out: &mut String) {
        text(out, self.slug());
    }
}

/// The operating system's word for a fault; the message that goes with it may name a path and is left out.
impl LogSafe for std::io::ErrorKind {
    fn write_json(&self, out: &mut String) {
        text(out, &self.to_string());
    }
}

/// How loud an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The ordinary course.
    Info,
    /// Somebody should look.
    Warn,
    /// Something does not work.
    Error,
}

/// Writes `{"at":...,"level":...,"event":...,fields}` as one line. A standard error that cannot be written to is not a
/// reason to stop serving; what must be durable goes into the audit log.
pub fn event(level: Level, event: &'static str, fields: &[(&'static str, &dyn LogSafe)]) {
    let line = line(level, event, fields, SystemTime::now());
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// [`event`] at [`Level::Info`].
pub fn info(name: &'static str, fields: &[(&'static str, &dyn LogSafe)]) {
    event(Level::Info, name, fields);
}

/// [`event`] at [`Level::Warn`].
pub fn warn(name: &'static str, fields: &[(&'static str, &dyn LogSafe)]) {
    event(Level::Warn, name, fields);
}

/// [`event`] at [`Level::Error`].
pub fn error(name: &'static str, fields: &[(&'static str, &dyn LogSafe)]) {
    event(Level::Error, name, fields);
}

fn line(level: Level, event: &'static str, fields: &[(&'static str, &dyn LogSafe)], at: SystemTime) -> String {
    let at_ms = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0));
    let level = match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let mut out = String::with_capacity(160);
    out.push_str("{\"at\":");
    text(&mut out, &admin::rfc3339_ms(at_ms));
    out.push_str(",\"level\":");
    text(&mut out, level);
    out.push_str(",\"event\":");
    text(&mut out, event);
    for (name, value) in fields {
        out.push(',');
        text(&mut out, name);
        out.push(':');
        value.write_json(&mut out);
    }
    out.push_str("}\n");
    out
}

fn text(out: &mut String, value: &str) {
    // A string always serializes.
    out.push_str(&serde_json::to_string(value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json() {
        let token = Token::fresh();
        let line = line(Level::Warn, "swept", &[("token", &token), ("count", &3u64)], SystemTime::UNIX_EPOCH);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["event"], "swept");
        assert_eq!(read["token"], token.to_string());
        assert_eq!(read["count"], 3);
        assert_eq!(read["at"], "1970-01-01T00:00:00.000Z");
        assert!(line.ends_with("}\n"));
    }
}
