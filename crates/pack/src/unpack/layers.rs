//! Layers, read one after the other and entry by entry: what unpacking them and comparing them have in common.

use std::path::{Path, PathBuf};
use std::thread::scope;

use rustix::io::Errno;
use transship_spec::Digest;

use super::names::Refused;
use super::stream;
pub(crate) use super::stream::{Plain, Work};
use crate::tarball::read::{Entry, Fault, Reader};
use crate::{Error, Warning};

/// Who takes the entries of layers.
pub(crate) trait Layers {
    /// Takes an entry, whose path is given apart; content comes from `reader`, and what is not taken of it is skipped.
    fn entry(&mut self, path: &[u8], entry: Entry, reader: &mut Reader<&mut Plain>) -> Result<(), Problem>;

    /// A layer is over. Whether it was what it should be is only known after that.
    fn end_layer(&mut self) -> Result<(), Problem>;
}

/// Why an entry cannot be taken.
#[derive(Debug)]
pub(crate) enum Problem {
    System(Errno),
    Write(std::io::Error),
    Unsafe(&'static str),
    Limit {
        what: &'static str,
        limit: u64,
    },
    /// The tar is at fault, and not this entry.
    Tar(Fault),
}

impl From<Errno> for Problem {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

impl From<Refused> for Problem {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Unsafe(reason) => Self::Unsafe(reason),
            Refused::TooLong { what, limit } => Self::Limit { what, limit },
        }
    }
}

/// Reads all layers to their ends, each verified, and tells what is doubtful about them.
pub(crate) fn read_layers(work: Work<'_>, taker: &mut impl Layers) -> Result<Vec<Warning>, Error> {
    let mut warnings = Vec::new();
    scope(|scope| {
        let (mut plain, threads) = stream::start(scope, work)?;
        let taken: Result<(), Error> = work.layers.iter().try_for_each(|layer| {
            warnings.extend(whole_layer(&layer.descriptor.digest, &mut plain, taker)?);
            Ok(())
        });
        // The threads end when nobody takes what they give.
        drop(plain);
        for thread in threads {
            thread.join().map_err(|_| Error::Thread)?;
        }
        taken
    })?;
    Ok(warnings)
}

fn whole_layer(digest: &Digest, plain: &mut Plain, taker: &mut impl Layers) -> Result<Vec<Warning>, Error> {
    match one_layer(digest, plain, taker) {
        Ok(found) => plain.finish_layer().map(|()| found),
        // A layer that is not what it should be is the cause of whatever is wrong in it.
        Err(error @ Error::Layer { .. }) => Err(plain.finish_layer().err().unwrap_or(error)),
        Err(error) => Err(error),
    }
}

fn one_layer(digest: &Digest, plain: &mut Plain, taker: &mut impl Layers) -> Result<Vec<Warning>, Error> {
    let at = |path: &[u8], problem| located(digest, path, problem);
    let mut reader = Reader::new(plain);
    while let Some(mut entry) = reader.next().map_err(|fault| at(b"", Problem::Tar(fault)))? {
        let path = std::mem::take(&mut entry.path);
        taker.entry(&path, entry, &mut reader).map_err(|problem| at(&path, problem))?;
    }
    taker.end_layer().map_err(|problem| at(b"", problem))?;
    let lacks_end_mark = reader.lacks_end_mark();
    let bytes = reader.drain().map_err(|fault| at(b"", Problem::Tar(fault)))?;
    let path = PathBuf::from(digest.to_string());
    let after = (bytes > 0).then_some(Warning::AfterEnd { path, bytes });
    let end = lacks_end_mark.then(|| Warning::NoEndMark(digest.clone()));
    Ok(after.into_iter().chain(end).collect())
}

/// What a problem means, where it is known in which layer and entry it was met.
pub(crate) fn located(layer: &Digest, path: &[u8], problem: Problem) -> Error {
    use std::os::unix::ffi::OsStrExt as _;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let entry = |reason: &str| Error::Entry {
        layer: layer.clone(),
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let broken = |reason: String| Error::Layer { digest: layer.clone(), reason };
    match problem {
        Problem::System(error) => Error::tree(path, error),
        Problem::Write(error) => Error::tree(path, error),
        Problem::Unsafe(reason) => entry(reason),
        Problem::Limit { what, limit } => Error::Limit { path: path.to_owned(), what, limit },
        Problem::Tar(Fault::Invalid(reason)) => broken(reason),
        Problem::Tar(Fault::Truncated { offset, missing }) => {
            broken(format!("it ends early, after {offset} bytes: {missing}"))
        }
        Problem::Tar(Fault::Limit { what, limit }) => {
            Error::Limit { path: PathBuf::from(layer.to_string()), what, limit }
        }
        Problem::Tar(Fault::Unsupported(what)) => Error::Unsupported(format!("{what} in layer {layer}")),
        Problem::Tar(Fault::Read(error)) => Error::Write(error),
    }
}
