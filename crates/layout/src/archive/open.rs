//! Opening archives: plain ones as they are, others by way of a temporary file.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use transship_codec::{Decoder, Detected, Limits, MAGIC_LEN, detect};

use super::tar::malformed;
use crate::layout::Durability;
use crate::{Archive, Error, Result};

/// How archives are opened and written. Settings first, then one of the verbs.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is opened before one of open, read and create"]
pub struct ArchiveOptions {
    spool: Option<PathBuf>,
    limits: Limits,
    pub(super) durability: Durability,
}

impl ArchiveOptions {
    /// The folder in which a compressed archive is decompressed, into a file without a name; unless told, the one that
    /// the archive lies in.
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool = Some(folder.into());
        self
    }

    /// How much may come out of a compressed archive.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How hard to try that an archive that is written survives a loss of power.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Opens an archive. A plain tar is read in place; one compressed with gzip or zstd is decompressed first.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::Unsafe`] when it is no file, [`Error::NotALayout`], [`Error::Malformed`],
    /// [`Error::Version`], [`Error::Limit`], [`Error::Storage`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Archive> {
        let path = path.as_ref();
        // Without a wait for whoever may write to it, if it is a FIFO.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from);
        let file = File::from(opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::Absent { path: path.to_owned() },
            _ => Error::storage("opening", path)(error),
        })?);
        let about = file.metadata().map_err(Error::storage("reading", path))?;
        if about.is_dir() {
            let reason = "it is a folder, and not an archive".to_owned();
            return Err(Error::NotALayout { path: path.to_owned(), reason });
        }
        if !about.is_file() {
            return Err(Error::Unsafe { path: path.to_owned(), what: "no regular file" });
        }
        let mut magic = Vec::with_capacity(MAGIC_LEN);
        (&file).take(MAGIC_LEN as u64).read_to_end(&mut magic).map_err(Error::storage("reading", path))?;
        if detect(&magic) == Detected::Plain {
            return Archive::over(file, path.to_owned());
        }
        (&file).seek(SeekFrom::Start(0)).map_err(Error::storage("reading", path))?;
        self.read(file, path)
    }

    /// Reads an archive from a stream, plain or compressed, into a temporary file; `path` is what it is called.
    ///
    /// # Errors
    /// As [`ArchiveOptions::open`].
    pub fn read(&self, stream: impl Read, path: impl AsRef<Path>) -> Result<Archive> {
        let path = path.as_ref();
        let beside = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = self.spool.as_deref().unwrap_or(beside);
        let mut file =
            tempfile::tempfile_in(folder).map_err(Error::storage("making a temporary file in", folder))?;
        let mut decoder = Decoder::sniff(stream, self.limits).map_err(|error| decoding(path, &error))?;
        let mut piece = vec![0; 256 << 10];
        loop {
            let count = match decoder.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(match transship_codec::Error::from_io(&error) {
                        Some(error) => decoding(path, error),
                        None => Error::storage("reading", path)(error),
                    });
                }
            };
            io::Write::write_all(&mut file, &piece[..count])
                .map_err(Error::storage("writing a temporary file in", folder))?;
        }
        Archive::over(file, path.to_owned())
    }
}

fn decoding(path: &Path, error: &transship_codec::Error) -> Error {
    match error {
        transship_codec::Error::Limit { what, limit } => Error::Limit { what, limit: *limit },
        transship_codec::Error::Unsupported(_) => Error::Malformed {
            path: path.to_owned(),
            source: transship_spec::Error::Unsupported(error.to_string()),
        },
        error => malformed(path, error.to_string()),
    }
}
