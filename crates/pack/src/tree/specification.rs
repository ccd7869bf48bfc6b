//! A tree that a specification describes whole, its content lying anywhere.
//!
//! It gives the same bytes as the folder that it describes. Content comes from the file that `content` names, or from one
//! at the path itself, as `bsdtar` has it: both from the current folder of the process, and links to files are followed,
//! since sandboxes of build systems hold nothing else. A file that says `size=0` needs none. Sizes and digests, where the
//! specification has them, are checked. What it does not say of a file is what the file with its content says, but for
//! extended attributes, and then goes by the rules of the options; folders that it names only in paths are made, with mode
//! 0755.
//!
//! Memory grows with the specification; content is opened when its turn comes, and what is `optional` may lack it.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::plan::{Links, as_path, flaw, leave_out, read_specification};
use crate::entry::{Attributes, Content, Entries, Entry, Origin, What};
use crate::layer::open_regular;
use crate::mtree::{self, Type};
use crate::tarball::{Rules, TarOptions};
use crate::{Error, Excludes, Warning};

/// A tree that is described.
pub(crate) struct Specification {
    path: PathBuf,
    /// Sorted by their paths in the tar.
    left: std::vec::IntoIter<(Vec<u8>, mtree::Entry)>,
    rules: Rules,
    links: Links,
    sockets: Option<(u64, PathBuf)>,
}

impl Specification {
    /// Reads a specification. No content is opened yet.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Limit`], [`Error::Specification`], [`Error::Reserved`].
    pub(crate) fn open(path: &Path, options: &TarOptions) -> Result<Self, Error> {
        let entries = read_specification(path)?;
        let planned = plan(path, entries, &options.excludes)?;
        Ok(Self {
            path: path.to_owned(),
            left: planned.into_iter(),
            rules: Rules::new(options),
            links: Links::new(options.hard_links),
            sockets: None,
        })
    }

    /// The entry of a path; nothing for sockets, and for files that need not be there and are not.
    fn entry(&mut self, path: Vec<u8>, said: &mtree::Entry) -> Result<Option<Entry>, Error> {
        let mut origin = Origin::File(as_path(&said.path));
        let mut found = Attributes::plain(if said.kind == Some(Type::Dir) { 0o755 } else { 0o644 });
        let what = match said.kind {
            Some(Type::Dir) => What::Folder,
            Some(Type::Fifo) => What::Fifo,
            Some(Type::Link) => {
                let target = said.link.clone();
                What::Symlink(target.ok_or_else(|| self.flaw(said, "a link takes link=TARGET"))?)
            }
            Some(kind @ (Type::Char | Type::Block)) => {
                found.device =
                    said.device.ok_or_else(|| self.flaw(said, "a device takes device=native,MAJOR,MINOR"))?;
                if kind == Type::Char { What::CharDevice } else { What::BlockDevice }
            }
            Some(Type::Socket) => {
                self.sockets.get_or_insert((0, as_path(&said.path))).0 += 1;
                return Ok(None);
            }
            Some(Type::File) | None => {
                let content = as_path(said.content.as_ref().unwrap_or(&said.path));
                match self.content(&content, said)? {
                    None => return Ok(None),
                    Some((file, attributes)) => {
                        found = attributes;
                        origin = Origin::File(content);
                        What::File(file)
                    }
                }
            }
        };
        let what = self.links.first(said, &path).map_or(what, What::HardLink);
        Ok(Some(Entry {
            attributes: self.rules.apply(found, &what, Some(said)),
            xattrs: if matches!(what, What::HardLink(_)) { Vec::new() } else { said.xattrs.clone() },
            path,
            what,
            origin,
            file: None,
        }))
    }

    /// The content of a file, and what is found beside it.
    fn content(&self, path: &Path, said: &mtree::Entry) -> Result<Option<(Content, Attributes)>, Error> {
        let file = match open_regular(path) {
            Ok(file) => file,
            Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return self.lacking(path, said);
            }
            Err(error) => return Err(error),
        };
        let stat = rustix::fs::fstat(file.as_fd()).map_err(|error| Error::read(path, error))?;
        let found = Attributes::of(&stat);
        if let Some(size) = said.size
            && size != found.size
        {
            let reason = format!("it has {} bytes, and not {size}", found.size);
            return Err(Error::Differs { path: path.to_owned(), reason });
        }
        Ok(Some((Content::known(file, &said.digests), found)))
    }

    fn lacking(&self, path: &Path, said: &mtree::Entry) -> Result<Option<(Content, Attributes)>, Error> {
        match &said.content {
            _ if said.optional => Ok(None),
            Some(_) => Err(Error::read(path, io::ErrorKind::NotFound)),
            None if said.size == Some(0) => Ok(Some((Content::Nothing, Attributes::plain(0o644)))),
            None => Err(self.flaw(said, "it has no content here; say content=PATH, or size=0 for none")),
        }
    }

    fn flaw(&self, said: &mtree::Entry, reason: &str) -> Error {
        flaw(&self.path, said, reason)
    }
}

impl Entries for Specification {
    fn next(&mut self) -> Result<Option<Entry>, Error> {
        while let Some((path, said)) = self.left.next() {
            if let Some(entry) = self.entry(path, &said)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn warnings(&mut self) -> Vec<Warning> {
        let sockets = self.sockets.take().map(|(count, first)| Warning::Sockets { count, first });
        sockets.into_iter().chain(self.rules.warning()).collect()
    }
}

/// What is to be written, in order: without what is left out, and with the folders that nobody named.
fn plan(
    path: &Path,
    entries: Vec<mtree::Entry>,
    excludes: &Excludes,
) -> Result<Vec<(Vec<u8>, mtree::Entry)>, Error> {
    let named: HashMap<&[u8], &mtree::Entry> = entries.iter().map(|said| (&*said.path, said)).collect();
    let mut implied = HashMap::new();
    for said in &entries {
        check(path, said)?;
        for (end, _) in said.path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let folder = &said.path[..end];
            match named.get(folder) {
                Some(named) if kind(named) == Type::Dir => {}
                Some(_) => return Err(flaw(path, said, "it lies in what is no folder")),
                None => drop(implied.insert(folder.to_vec(), said.line)),
            }
        }
    }
    let implied = implied.into_iter().map(|(path, line)| mtree::Entry {
        path,
        line,
        kind: Some(Type::Dir),
        ..mtree::Entry::default()
    });
    let implied: Vec<_> = implied.collect();
    let mut planned: Vec<_> = entries
        .into_iter()
        .chain(implied)
        .filter(|said| !said.path.is_empty())
        .map(|mut said| {
            said.kind = Some(kind(&said));
            let mut path = said.path.clone();
            if said.kind == Some(Type::Dir) {
                path.push(b'/');
            }
            (path, said)
        })
        .collect();
    planned.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    leave_out(&mut planned, excludes);
    Ok(planned)
}

/// Whether a tree can have such a path.
fn check(path: &Path, said: &mtree::Entry) -> Result<(), Error> {
    if said.path.split(|byte| *byte == b'/').any(|name| name.starts_with(b".wh.")) {
        return Err(Error::Reserved(as_path(&said.path)));
    }
    if said.path.is_empty() && kind(said) != Type::Dir {
        return Err(flaw(path, said, "the top of a tree is a folder"));
    }
    if said.xattrs.iter().any(|(name, _)| name.contains(&b'=')) {
        return Err(flaw(path, said, "no tar can hold an extended attribute with = in its name"));
    }
    Ok(())
}

/// The type of an entry; where nothing is said, it follows from the rest.
fn kind(said: &mtree::Entry) -> Type {
    match said.kind {
        Some(kind) => kind,
        None if said.path.is_empty() => Type::Dir,
        None if said.link.is_some() => Type::Link,
        None => Type::File,
    }
}
