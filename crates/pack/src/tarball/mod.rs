//! The tar of a folder, the same bytes for the same files every time (design: ARCHITECTURE.md, "Layers").
//!
//! The rules are frozen under the name [`TAR_RECIPE`]: which entries there are and in what order ([`crate::entry`]), how
//! one is written (`header`), and these:
//! - An entry for everything but the top itself, and for sockets, which no tar can hold. Folders end in a slash.
//! - Owners are numbers, users and groups have no names. Times are whole seconds. Symbolic links have mode 0777.
//! - A file with several names is written at the first of them; the others are hard links to that, without extended
//!   attributes of their own; but a symbolic link is written at each of its names. Holes are written as zeros.
//! - After the last entry two blocks of zeros, and nothing more: no padding to a record of 10 KiB.

mod check;
mod header;
mod options;
pub(crate) mod read;
mod rules;
mod sink;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub(crate) use check::{Check, Flaw};
pub(crate) use header::{BLOCK, Header, Kind, Unsayable};
pub use options::{Ids, ModeRule, MtimeRule, Owner, TarOptions};
pub(crate) use rules::Rules;
pub(crate) use sink::{Buffered, Sink};

use crate::changeset::Difference;
use crate::entry::{Entries, Entry, What};
use crate::tree::Tree;
use crate::{Error, Warning};

/// The name of the rules by which folders become tars. Other rules would have another name.
pub const TAR_RECIPE: &str = "transship-tar-1";

const BUFFER: usize = 256 << 10;

/// Writes the tar of a folder, and says what of it could not be kept.
///
/// The bytes depend on names, content, modes and the options, and on nothing else; see [`TAR_RECIPE`]. The writer is not
/// flushed.
///
/// ```
/// use transship_pack::{TarOptions, write_tar};
/// # let folder = tempfile::tempdir()?;
/// let mut tar = Vec::new();
/// let warnings = write_tar(folder.path(), &TarOptions::default(), &mut tar)?;
/// assert_eq!(tar, [0; 1024], "an empty folder is an empty tar");
/// # assert!(warnings.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Read`], [`Error::Changed`], [`Error::Reserved`] and [`Error::Limit`] name the path at fault;
/// [`Error::Write`] when the writer fails. What was written by then is no tar.
pub fn write_tar(folder: &Path, options: &TarOptions, writer: impl Write) -> Result<Vec<Warning>, Error> {
    let mut sink = Buffered::new(writer, BUFFER);
    let warnings = write_tree(folder, options, &mut sink)?;
    sink.finish().map_err(Error::Write)?;
    Ok(warnings)
}

/// As [`write_tar`], into a sink.
pub(crate) fn write_tree(
    folder: &Path,
    options: &TarOptions,
    sink: &mut impl Sink,
) -> Result<Vec<Warning>, Error> {
    match &options.base {
        Some(base) => write_entries(&mut Difference::new(base, folder, options), sink),
        None => write_entries(&mut Tree::new(folder, options), sink),
    }
}

/// Writes the tar of all entries, and says what could not be kept.
pub(crate) fn write_entries(entries: &mut impl Entries, sink: &mut impl Sink) -> Result<Vec<Warning>, Error> {
    let mut scratch = Vec::new();
    while let Some(entry) = entries.next()? {
        write_entry(entry, &mut scratch, sink)?;
    }
    sink.put(&[0; 2 * BLOCK]).map_err(Error::Write)?;
    Ok(entries.warnings())
}

fn write_entry(mut entry: Entry, scratch: &mut Vec<u8>, sink: &mut impl Sink) -> Result<(), Error> {
    let kind = match &entry.what {
        What::File(_) => Kind::File,
        What::Folder => Kind::Folder,
        What::Symlink(target) => Kind::Symlink(target),
        What::HardLink(first) => Kind::HardLink(first),
        What::CharDevice => Kind::CharDevice,
        What::BlockDevice => Kind::BlockDevice,
        What::Fifo => Kind::Fifo,
    };
    let attributes = entry.attributes;
    let header = Header { path: &entry.path, kind, attributes, xattrs: &entry.xattrs };
    scratch.clear();
    header.encode(scratch).map_err(|unsayable| Problem::Unsayable(unsayable).at(|| entry.place()))?;
    sink.put(scratch).map_err(Error::Write)?;
    if let What::File(content) = &mut entry.what {
        let written =
            copy(content, attributes.size, sink).and_then(|()| content.finish().map_err(Problem::Differs));
        written.map_err(|problem| problem.at(|| entry.place()))?;
    }
    Ok(())
}

/// What went wrong with an entry whose path is known elsewhere.
enum Problem {
    Read(io::Error),
    Changed(&'static str),
    /// It is not what it was said to be.
    Differs(transship_spec::Error),
    Unsayable(Unsayable),
    Write(io::Error),
}

impl Problem {
    fn at(self, path: impl FnOnce() -> PathBuf) -> Error {
        match self {
            Self::Read(source) => Error::Read { path: path(), source },
            Self::Changed(what) => Error::Changed { path: path(), what },
            Self::Differs(error) => Error::Differs { path: path(), reason: error.to_string() },
            Self::Write(source) => Error::Write(source),
            Self::Unsayable(Unsayable::TooLarge) => Error::Limit {
                path: path(),
                what: "the size of its extended attributes and names in bytes",
                limit: 1 << 20,
            },
            Self::Unsayable(Unsayable::Device) => {
                Error::Unsupported(format!("the numbers of the device {}", crate::error::shown(&path())))
            }
        }
    }
}

/// Copies a file of which `stat` said that it has `size` bytes, and pads it to whole blocks.
///
/// One byte more is asked for, so that a file that has grown is noticed, mostly without another call.
fn copy(file: &mut impl Read, size: u64, sink: &mut impl Sink) -> Result<(), Problem> {
    let mut left = size;
    loop {
        let room = sink.room().map_err(Problem::Write)?;
        let want = usize::try_from(left.saturating_add(1)).map_or(room.len(), |most| most.min(room.len()));
        let count = match file.read(&mut room[..want]) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Problem::Read(error)),
        };
        if count as u64 > left {
            return Err(Problem::Changed("it grew"));
        }
        if count == 0 && left > 0 {
            return Err(Problem::Changed("it shrank"));
        }
        sink.fill(count);
        left -= count as u64;
        if left == 0 && count < want {
            break;
        }
    }
    let padding = size.next_multiple_of(BLOCK as u64) - size;
    sink.put(&[0; BLOCK][..padding as usize]).map_err(Problem::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(mut file: impl Read, size: u64, room: usize) -> Result<Vec<u8>, String> {
        let mut sink = Buffered::new(Vec::new(), room);
        match copy(&mut file, size, &mut sink) {
            Ok(()) => Ok(sink.finish().unwrap()),
            Err(problem) => Err(problem.at(|| PathBuf::from("f")).to_string()),
        }
    }

    #[test]
    fn a_file_is_padded_to_whole_blocks() {
        for size in [0, 1, 511, 512, 513, 5000] {
            for room in [1, 7, 512, 4096] {
                let content = vec![b'x'; size];
                let tar = copied(&content[..], size as u64, room).unwrap();
                assert_eq!(tar.len(), size.next_multiple_of(BLOCK), "{size} {room}");
                assert!(tar.starts_with(&content) && tar[size..].iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn a_file_that_grows_or_shrinks_while_it_is_read_is_named() {
        for room in [1, 100, 4096] {
            assert!(copied(&[0; 101][..], 100, room).unwrap_err().starts_with("\"f\" changed"), "{room}");
            assert!(copied(&[0; 99][..], 100, room).unwrap_err().contains("it shrank"), "{room}");
            assert!(copied(&[0; 1][..], 0, room).unwrap_err().contains("it grew"), "{room}");
        }
    }

    #[test]
    fn row_14_an_io_error_of_a_source_names_the_file_and_is_one_of_storage() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(rustix::io::Errno::IO.into())
            }
        }
        let mut sink = Buffered::new(Vec::new(), 16);
        let problem = copy(&mut (&[1, 2][..]).chain(Failing), 4, &mut sink).unwrap_err();
        let error = problem.at(|| PathBuf::from("bad"));
        assert_eq!(error.kind(), transship_spec::Kind::Storage);
        assert!(error.to_string().starts_with("\"bad\" cannot be read"));
    }

    #[test]
    fn row_15_short_and_interrupted_reads_have_no_effect() {
        struct Halting(Vec<u8>, bool);
        impl Read for Halting {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                let count = self.0.len().min(room.len()).min(3);
                room[..count].copy_from_slice(&self.0[..count]);
                self.0.drain(..count);
                Ok(count)
            }
        }
        let content: Vec<u8> = (0..=255).collect();
        let tar = copied(Halting(content.clone(), false), 256, 100).unwrap();
        assert_eq!(&tar[..256], content);
        assert_eq!(tar.len(), 512);
    }
}
