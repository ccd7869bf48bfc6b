//! How a command ends badly: what is said, what can be done about it, and the exit code.

use std::error::Error;
use std::fmt;

use transship_spec::Kind;

/// Why a command failed, as it is told to people.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    message: String,
    kind: Kind,
    hint: Option<String>,
    signal: Option<i32>,
    closed: bool,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { message: message.into(), kind, hint: None, signal: None, closed: false }
    }

    /// The request makes no sense as it was put.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// A signal asked the program to stop.
    pub(crate) fn interrupted(signal: i32) -> Self {
        Self { signal: Some(signal), ..Self::new(Kind::Interrupted, "interrupted") }
    }

    /// Whoever reads the result has seen enough of it.
    pub(crate) fn closed() -> Self {
        Self { closed: true, ..Self::new(Kind::Storage, "standard output is closed") }
    }

    /// All that there is to say was said: what remains is the exit code.
    pub(crate) fn told(kind: Kind) -> Self {
        Self::new(kind, "")
    }

    /// An error of the operating system about something with a name.
    pub(crate) fn io(name: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(Kind::of_io(error), format!("{name}: {error}"))
    }

    /// What can be done about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What could not be done: `copy docker://…`.
    #[must_use]
    pub(crate) fn doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("cannot {what}: {}", self.message);
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn remedy(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether there is anything to say.
    pub(crate) fn is_silent(&self) -> bool {
        self.closed || self.message.is_empty()
    }

    /// The exit code: that of the kind, or of the signal.
    pub(crate) fn code(&self) -> u8 {
        match self.signal {
            _ if self.closed => 0,
            Some(signal) => signal_code(signal),
            None => self.kind.exit_code(),
        }
    }
}

/// The exit code of a program that a signal ended.
pub(crate) fn signal_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(Kind::Interrupted.exit_code())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An error of one of the crates below: what it means, and what can be done about it.
pub(crate) trait Meaning: Error + Sized {
    fn meaning(&self) -> Kind;

    fn advice(&self) -> Option<String> {
        None
    }
}

impl<E: Meaning> From<E> for Failure {
    fn from(error: E) -> Self {
        let failure = Self::new(error.meaning(), chain(&error));
        match error.advice() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// The messages of an error and of all beneath it. A cause that its error already tells is not told twice.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// Says what could not be done.
pub(crate) trait Cannot<T> {
    fn cannot(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> Cannot<T> for Result<T, E> {
    fn cannot(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| error.into().doing(what))
    }
}

impl Meaning for transship_spec::Error {
    fn meaning(&self) -> Kind {
        self.kind()
    }
}

impl Meaning for transship_registry::Error {
    fn meaning(&self) -> Kind {
        self.kind()
    }

    fn advice(&self) -> Option<String> {
        self.remedy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layered(&'static str, Option<Box<Layered>>);

    impl fmt::Display for Layered {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layered {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|error| error as _)
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = Layered("a", Some(Box::new(Layered("b", Some(Box::new(Layered("c", None)))))));
        assert_eq!(chain(&error), "a: b: c");
        let error = Layered("a: b", Some(Box::new(Layered("b", None))));
        assert_eq!(chain(&error), "a: b");
    }

    #[test]
    fn signals_have_the_codes_that_shells_give_them() {
        assert_eq!(Failure::interrupted(2).code(), 130);
        assert_eq!(Failure::interrupted(15).code(), 143);
    }

    #[test]
    fn what_could_not_be_done_stands_before_the_reason() {
        let result: Result<(), Failure> = Err(Failure::usage("too few").hint("give more"));
        let failure = result.cannot("count").unwrap_err();
        assert_eq!(failure.to_string(), "cannot count: too few");
        assert_eq!((failure.code(), failure.remedy()), (2, Some("give more")));
    }
}
