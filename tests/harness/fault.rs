//! What went wrong, in words that a person can act on.

use std::fmt;

/// A failed step. Its text never holds a card number or key: answers are quoted only where they are problem documents.
pub struct Fault(String);

/// A step's result.
pub type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    /// A fault of its own.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The same fault, with what was being done in front.
    #[must_use]
    pub fn during(self, what: impl fmt::Display) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// A failed test prints its error with Debug; the words are what a person wants to read there.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Turns any error into a [`Fault`] with what was being done in front: `.map_err(because("cannot read x"))`.
pub fn because<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Fault {
    move |error| Fault(format!("{what}: {error}"))
}
