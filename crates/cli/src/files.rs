//! Small files beside the result: `--digest-file`, `--report`, files of settings.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use transship_spec::Kind;

use crate::exit::Failure;

/// Writes a file whole or not at all.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let mut file = Staged::new(path)?;
    file.write(content)?;
    file.finish()
}

/// A file that appears when it is whole: it is written beside its place, then renamed. Dropped before, it leaves nothing.
pub(crate) struct Staged {
    path: PathBuf,
    form: Form,
}

enum Form {
    Beside(tempfile::NamedTempFile),
    /// What cannot be renamed over is written to: a pipe, a terminal, /dev/stderr.
    Through(File),
}

impl Staged {
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| unwritten(path, &error);
        let form = if path.metadata().is_ok_and(|meta| !meta.is_file()) {
            Form::Through(File::options().write(true).open(path).map_err(failed)?)
        } else {
            let mut builder = tempfile::Builder::new();
            builder.prefix(".transship-");
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            Form::Beside(builder.tempfile_in(folder_of(path)).map_err(failed)?)
        };
        Ok(Self { path: path.to_owned(), form })
    }

    pub(crate) fn write(&mut self, content: &[u8]) -> Result<(), Failure> {
        let written = self.sink().write_all(content);
        written.map_err(|error| unwritten(&self.path, &error))
    }

    /// What takes its content.
    pub(crate) fn sink(&mut self) -> &mut File {
        match &mut self.form {
            Form::Beside(file) => file.as_file_mut(),
            Form::Through(file) => file,
        }
    }

    /// The temporary file, if there is one, which a signal that ends the program leaves behind.
    pub(crate) fn beside(&self) -> Option<PathBuf> {
        match &self.form {
            Form::Beside(file) => Some(file.path().to_owned()),
            Form::Through(_) => None,
        }
    }

    /// Puts the file in its place.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.form {
            Form::Through(_) => Ok(()),
            Form::Beside(file) => {
                file.persist(&self.path).map(drop).map_err(|error| unwritten(&self.path, &error.error))
            }
        }
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::io(format!("cannot write {}", path.display()), error)
}

/// The folder in which a file is.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a file of at most `most` bytes; `-` is standard input.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::io(format!("cannot read {}", path.display()), &error);
    let mut content = Vec::new();
    let taken = if path == Path::new("-") {
        std::io::stdin().lock().take(most + 1).read_to_end(&mut content)
    } else {
        File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut content))
    };
    taken.map_err(failed)?;
    if content.len() as u64 > most {
        let message = format!("{} exceeds the limit of {most} bytes", path.display());
        return Err(Failure::new(Kind::Limit, message));
    }
    Ok(content)
}

/// The lines of a text file that say something: neither empty nor a comment.
pub(crate) fn lines(path: &Path) -> Result<Vec<String>, Failure> {
    const MOST: u64 = 64 << 20;
    lines_of(path, read(path, MOST)?)
}

/// As [`lines`], of a file that was read.
pub(crate) fn lines_of(path: &Path, content: Vec<u8>) -> Result<Vec<String>, Failure> {
    let text = String::from_utf8(content)
        .map_err(|_| Failure::new(Kind::Invalid, format!("{} is not text", path.display())))?;
    let said = |line: &&str| !line.is_empty() && !line.starts_with('#');
    Ok(text.lines().map(str::trim).filter(said).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("digest");
        std::fs::write(&path, "old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        assert_eq!(replace(&folder.path().join("no/digest"), b"x").unwrap_err().code(), 3);
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read(&path, 4).unwrap_err().code(), 9);
        assert_eq!(read(&path.join("x"), 4).unwrap_err().code(), 7);
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images");
        std::fs::write(&path, "# list\n\n oci:a:b \r\nx\n").unwrap();
        assert_eq!(lines(&path).unwrap(), ["oci:a:b", "x"]);
    }
}
