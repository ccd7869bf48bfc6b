//! Standard output: the result of a command and nothing else, the same bytes on a terminal and in a pipe.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

use serde::Serialize;
use transship_spec::Kind;

use crate::args::Format;
use crate::exit::Failure;

/// Where results go, and in which form.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Output {
    format: Format,
}

/// A JSON document that says what its schema is.
#[derive(Debug, Serialize)]
struct Versioned<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    content: &'a T,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints a line.
    pub(crate) fn line(self, text: impl Display) -> Result<(), Failure> {
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Prints bytes as they are.
    pub(crate) fn raw(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| unwritten(&error))
    }

    /// Prints a JSON document; `schema` is its name and version, such as `transship.copy/v1`.
    pub(crate) fn json<T: Serialize>(self, schema: &'static str, content: &T) -> Result<(), Failure> {
        self.raw(&document(schema, content)?)
    }
}

/// A JSON document with the name of its schema, as bytes.
pub(crate) fn document<T: Serialize>(schema: &'static str, content: &T) -> Result<Vec<u8>, Failure> {
    plain_json(&Versioned { schema, content })
}

/// A JSON document that brings its own schema, or needs none.
pub(crate) fn plain_json<T: Serialize>(content: &T) -> Result<Vec<u8>, Failure> {
    let text = serde_json::to_vec_pretty(content);
    let mut text =
        text.map_err(|error| Failure::new(Kind::Unexpected, format!("cannot write JSON: {error}")))?;
    text.push(b'\n');
    Ok(text)
}

/// What went wrong with standard output; a reader that has seen enough is no failure (row 59).
pub(crate) fn unwritten(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::closed(),
        _ => Failure::new(Kind::Storage, format!("standard output: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_begins_with_its_schema() {
        #[derive(Serialize)]
        struct Content {
            digest: &'static str,
        }
        let text = document("transship.test/v1", &Content { digest: "sha256:0" }).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\n  \"schema\": \"transship.test/v1\",\n  \"digest\": \"sha256:0\"\n}\n"
        );
    }

    #[test]
    fn row_59_a_closed_pipe_is_no_failure_and_a_full_disk_is() {
        assert_eq!(unwritten(&ErrorKind::BrokenPipe.into()).code(), 0);
        assert_eq!(unwritten(&ErrorKind::StorageFull.into()).code(), 7);
    }
}
