//! How a blob of another layout is taken in: by sharing its blocks, by a link, or by moving its bytes.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use transship_spec::Descriptor;

use crate::blobs::{blob_path, verify_file};
use crate::dir::{FileState, Opened};
use crate::ingest::{Whole, Written};
use crate::layout::Inner;
use crate::{Error, Layout, Links, Result, Session};

/// What a blob that is taken from another layout has in common with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Link {
    /// Its blocks, where the file system can, and else nothing. Each file can be changed without the other.
    #[default]
    Reflink,
    /// Nothing: all bytes are read and written.
    Copy,
    /// Everything: it is the same file. Whoever writes into it, damages both layouts; both must lie on one file system.
    /// The other layout's stamp is lost by it: its blob is hashed again when it is next needed.
    Hard,
    /// Everything: it is an absolute symbolic link to the other layout's file, which may lie on another file system. Whoever
    /// moves, removes or changes that file, takes it from both. It is read only with [`Links::Follow`], and so must be
    /// the layout that it is written into. What the other layout itself has as a link is followed to its end.
    Symbolic,
}

impl Session {
    /// Takes in a blob of another layout in the given way. It is verified first: by its stamp there, or by one hash.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// use transship_layout::{Layout, Link};
    /// use transship_spec::MediaType;
    ///
    /// let from = Layout::options().create(folder.path().join("from"))?;
    /// let session = from.begin()?;
    /// let blob = session.put_bytes(MediaType::parse("text/plain")?, b"content")?;
    /// session.commit(|_| Ok(()))?;
    ///
    /// let to = Layout::options().create(folder.path().join("to"))?;
    /// let session = to.begin()?;
    /// assert!(session.adopt_with(&from, &blob, Link::Hard)?.linked);
    /// session.commit(|_| Ok(()))?;
    /// assert!(to.has(&blob)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Session::adopt_from`]; for links also [`Error::Unlinkable`], and [`Error::Vanished`] when the blob is
    /// replaced or written to meanwhile.
    pub fn adopt_with(&self, source: &Layout, expected: &Descriptor, link: Link) -> Result<Written> {
        match link {
            Link::Reflink => self.adopt_from(source, expected),
            Link::Copy => self.copy(&source.open_file(expected)?, expected),
            Link::Hard => self.link(source, expected, false),
            Link::Symbolic if self.layout().0.options.links != Links::Follow => {
                let reason =
                    "a layout that holds such links is read with --links follow, and this one is not";
                let source = io::Error::new(io::ErrorKind::Unsupported, reason);
                Err(Error::Unlinkable { path: self.layout().0.at(&blob_path(&expected.digest)), source })
            }
            Link::Symbolic => self.link(source, expected, true),
        }
    }

    fn link(&self, source: &Layout, expected: &Descriptor, is_symbolic: bool) -> Result<Written> {
        let (digest, size) = (expected.digest.clone(), expected.size);
        if self.ingest.reuse(expected)? {
            return Ok(Written { digest, size, reused: true, reflinked: false, linked: false });
        }
        let from = &source.0;
        let name = blob_path(&digest);
        let reading = || Error::storage("reading", from.at(&name));
        let (file, _) = from.sized_blob(expected)?;
        let state = FileState::of(&file).map_err(reading())?;
        if !from.stamps.vouch(from, &digest, &state) {
            verify_file(&file, expected)
                .map_err(reading())?
                .map_err(|source| Error::Content { path: from.at(&name), source })?;
        }
        // It keeps the folder from being tidied away until the link is there.
        let (folder, placeholder, _) = self.ingest.temporary()?;
        let temporary = format!("{placeholder}-link");
        let linked = match is_symbolic {
            true => self.target(from, &name).and_then(|target| folder.symlink(&temporary, &target)),
            false => folder.link(&temporary, &from.root, &name),
        };
        let _ = folder.remove_file(&placeholder);
        linked.map_err(|source| Error::Unlinkable { path: from.at(&name), source })?;
        let mut whole = Whole::new(folder, temporary, digest, size);
        whole.is_linked = true;
        // The name may have led elsewhere by then, and the file may have been written to.
        let links = if is_symbolic { Links::Follow } else { Links::Refuse };
        let linked = whole.folder.read(&whole.name, links);
        let Some(Opened { fd, state: now, .. }) =
            linked.ok().filter(|linked| linked.state.is_same_content(&state))
        else {
            return Err(Error::Vanished { digests: vec![whole.digest.clone()] });
        };
        from.stamps.note(&whole.digest, &now);
        whole.leads_to = is_symbolic.then_some(now);
        let written = self.ingest.place(whole, &File::from(fd))?;
        Ok(Written { linked: !written.reused, ..written })
    }

    /// Where a symbolic link to another layout's blob leads.
    fn target(&self, from: &Inner, name: &str) -> io::Result<PathBuf> {
        let target = from.at(name).canonicalize()?;
        // A link in the place of what it leads to would be all that is left of it.
        match self.layout().0.at(name).canonicalize() {
            Ok(here) if here == target => Err(io::Error::other("it would lead to itself")),
            _ => Ok(target),
        }
    }
}
