//! Layouts opened by the flags, and layouts that are made where there is none.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use transship_layout::archive::ArchiveOptions;
use transship_layout::{Archive, Entry, Error, Layout, LayoutOptions, NewLayout, Source};
use transship_spec::Location;

use crate::args::{Durability, Links, Reading, Writing};
use crate::context::Context;
use crate::exit::{Failure, Meaning};
use crate::interrupt::AtExit;
use crate::place::{Form, Place, is_pipe};

/// How layouts are opened.
pub(crate) fn options(reading: &Reading, writing: &Writing) -> LayoutOptions {
    let links = match reading.links {
        Links::Inside => transship_layout::Links::Inside,
        Links::Follow => transship_layout::Links::Follow,
        Links::Refuse => transship_layout::Links::Refuse,
    };
    let durability = match writing.durability {
        Durability::Full => transship_layout::Durability::Full,
        Durability::None => transship_layout::Durability::None,
    };
    Layout::options().links(links).durability(durability).single_writer(writing.single_writer)
}

/// How archives are opened. What must be kept in a temporary file goes where the system has those.
pub(crate) fn archives(writing: &Writing) -> ArchiveOptions {
    let durability = match writing.durability {
        Durability::Full => transship_layout::Durability::Full,
        Durability::None => transship_layout::Durability::None,
    };
    Archive::options().spool(std::env::temp_dir()).durability(durability)
}

/// A layout or an archive that is read.
#[derive(Debug)]
pub(crate) enum Stock {
    Layout(Layout),
    Archive(Archive, Form),
}

impl Stock {
    /// Opens what is on this machine; nothing for a registry.
    pub(crate) fn open(place: &Place, reading: &Reading) -> Result<Option<Self>, Failure> {
        Ok(Some(match place {
            Place::Registry(_) => return Ok(None),
            Place::Layout { path, .. } => {
                Self::Layout(options(reading, &Writing::default()).open_read_only(path)?)
            }
            Place::Archive { path, form, .. } => Self::Archive(open_archive(path)?, *form),
        }))
    }

    pub(crate) fn source(&self) -> &dyn Source {
        match self {
            Self::Layout(layout) => layout,
            Self::Archive(archive, _) => archive,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Layout(layout) => layout.path(),
            Self::Archive(archive, _) => archive.path(),
        }
    }

    /// Something in it, as it can be typed.
    pub(crate) fn location(&self, reference: Option<String>) -> Location {
        let path = self.path().to_owned();
        match self {
            Self::Layout(_) => Location::Layout { path, reference },
            Self::Archive(_, Form::Oci) => Location::Archive { path, reference },
            Self::Archive(_, Form::Docker) => Location::DockerArchive { path, reference },
        }
    }

    pub(crate) fn resolve(&self, reference: Option<&str>) -> Result<Entry, Error> {
        match self {
            Self::Layout(layout) => layout.resolve(reference),
            Self::Archive(archive, _) => archive.resolve(reference),
        }
    }

    pub(crate) fn resolve_all(&self, reference: Option<&str>) -> Result<Vec<Entry>, Error> {
        match self {
            Self::Layout(layout) => layout.resolve_all(reference),
            Self::Archive(archive, _) => archive.resolve_all(reference),
        }
    }
}

/// Opens an archive; one from a pipe is kept in a temporary file.
pub(crate) fn open_archive(path: &Path) -> Result<Archive, Failure> {
    let options = archives(&Writing::default());
    Ok(match is_pipe(path) {
        true => options.read(std::io::stdin().lock(), path)?,
        false => options.open(path)?,
    })
}

/// A layout that is written to. One that was not there is made beside its place, and appears when all is done; dropped
/// before, or ended by a signal, it leaves nothing.
pub(crate) struct Target<'a> {
    // Dropped first: an end by signal waits until it is removed.
    made: Made,
    _at_exit: Option<AtExit<'a>>,
}

enum Made {
    Now(NewLayout),
    Before(Layout),
}

impl<'a> Target<'a> {
    pub(crate) fn open(path: &Path, options: &LayoutOptions, context: &'a Context) -> Result<Self, Failure> {
        let none = match options.open(path) {
            Ok(layout) => return Ok(Self { made: Made::Before(layout), _at_exit: None }),
            Err(error @ (Error::Absent { .. } | Error::NotALayout { .. })) => error,
            Err(error) => return Err(error.into()),
        };
        // A signal must not come between making the folder and saying that it is to be removed.
        let grace = context.interrupts.grace();
        let new = match options.build(path) {
            Ok(new) => new,
            // What is there is no layout, which says more than that something is there.
            Err(Error::Exists { .. }) => return Err(not_a_target(none)),
            Err(error) => return Err(error.into()),
        };
        let beside = new.path().to_owned();
        let at_exit = context.interrupts.at_exit(move || remove(&beside));
        let target = Self { made: Made::Now(new), _at_exit: Some(at_exit) };
        drop(grace);
        context.interrupts.check()?;
        Ok(target)
    }

    /// Puts a new layout in its place.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.made {
            Made::Now(new) => new.finish().map(drop).map_err(Into::into),
            Made::Before(_) => Ok(()),
        }
    }
}

/// Removes a folder that others still write to: until they notice that it is gone, they may put something into it.
pub(crate) fn remove(folder: &Path) {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let _ = std::fs::remove_dir_all(folder);
        // What else was removed meanwhile is an error to it, too.
        if folder.symlink_metadata().is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Why a layout cannot be written to, and where one could be made.
pub(crate) fn not_a_target(error: Error) -> Failure {
    match error {
        Error::NotALayout { .. } => {
            Failure::from(error).hint("a layout is made in an empty folder, or in one that is not there")
        }
        error => error.into(),
    }
}

impl Deref for Target<'_> {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        match &self.made {
            Made::Now(new) => new,
            Made::Before(layout) => layout,
        }
    }
}

impl Meaning for Error {
    fn meaning(&self) -> transship_spec::Kind {
        self.kind()
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::NoSuchReference { path, .. } => {
                Some(format!("transship ls {} lists what is there", location(path)))
            }
            Self::Busy { .. } => Some("try again when it has ended".to_owned()),
            Self::MissingBlob { .. } => Some(
                "copy it again from where it came from: transship copy puts back what is missing".to_owned(),
            ),
            Self::Unreadable { source, .. } if matches!(**source, Self::MissingBlob { .. }) => Some(
                "copy it again from where it came from; if it is the member of an index that was left out on \
                 purpose, --sparse says so"
                    .to_owned(),
            ),
            Self::Unreadable { .. } => Some(
                "copy it again from where it came from, or take away the entry that leads to it".to_owned(),
            ),
            _ => None,
        }
    }
}

/// A path as a location.
fn location(path: &Path) -> Location {
    match is_pipe(path) || path.is_file() {
        true => Location::Archive { path: path.to_owned(), reference: None },
        false => Location::Layout { path: path.to_owned(), reference: None },
    }
}
