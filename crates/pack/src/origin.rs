//! Where content comes from that is to be listed or changed: the layout that is written, another one, or any other source.

use std::io::{self, Read};

use transship_layout::{Layout, Session, Source, graph, read_document};
use transship_spec::{Descriptor, Document, ImageConfig};

use crate::Error;

/// The largest config that is read, in bytes.
const MAX_CONFIG: u64 = 8 << 20;
const PIECE: usize = 256 << 10;

/// Where content comes from. What a layout holds is carried as a reflink or a copy, what any other source holds is read and
/// written; what the layout that is written holds already stays where it is.
#[derive(Clone, Copy)]
pub enum Origin<'a> {
    /// A layout, perhaps the one that is written.
    Layout(&'a Layout),
    /// An archive, or a registry seen as a source.
    Source(&'a dyn Source),
}

impl std::fmt::Debug for Origin<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Layout(layout) => layout.fmt(f),
            Self::Source(_) => f.write_str("Source"),
        }
    }
}

impl<'a> From<&'a Layout> for Origin<'a> {
    fn from(layout: &'a Layout) -> Self {
        Self::Layout(layout)
    }
}

impl<'a> Origin<'a> {
    /// What is read from.
    #[must_use]
    pub fn source(self) -> &'a dyn Source {
        match self {
            Self::Layout(layout) => layout,
            Self::Source(source) => source,
        }
    }

    pub(crate) fn document(self, descriptor: &Descriptor) -> Result<Document, Error> {
        Ok(read_document(self.source(), descriptor)?)
    }

    /// The bytes of a config, verified.
    pub(crate) fn config_bytes(self, config: &Descriptor) -> Result<Vec<u8>, Error> {
        if config.size > MAX_CONFIG {
            return Err(transship_spec::Error::Limit {
                what: "the size of a config in bytes",
                limit: MAX_CONFIG,
            })?;
        }
        if let Some(data) = config.embedded()? {
            return Ok(data.to_vec());
        }
        let mut bytes = Vec::new();
        self.source().open(config)?.read_to_end(&mut bytes).map_err(|error| reading(error, config))?;
        Ok(bytes)
    }

    pub(crate) fn config(self, config: &Descriptor) -> Result<ImageConfig, Error> {
        Ok(ImageConfig::parse(&self.config_bytes(config)?)?)
    }

    /// Sees to it that the layout that is written holds a blob, and tells whether it does. A blob may be absent where
    /// nothing is lost by it: one that is not to be distributed (IMG-150), and one that the layout that is written would
    /// have had to hold all along.
    pub(crate) fn carry(
        self,
        session: &Session,
        blob: &Descriptor,
        sparse: bool,
    ) -> transship_layout::Result<bool> {
        if session.reuse(blob)? {
            return Ok(true);
        }
        let there = blob.data.is_some() || self.source().size(&blob.digest)?.is_some();
        if !there && (sparse || blob.media_type.is_nondistributable() || self.is(session.layout())) {
            return Ok(false);
        }
        let broken = |source| transship_layout::Error::Document { digest: blob.digest.clone(), source };
        match (blob.embedded().map_err(broken)?, self) {
            (Some(data), _) => write(session, blob, data)?,
            (None, Self::Layout(layout)) => drop(session.adopt_from(layout, blob)?),
            (None, Self::Source(source)) => write(session, blob, source.open(blob)?)?,
        }
        Ok(true)
    }

    /// As [`Origin::carry`], of a document with all that it leads to. Tells how many blobs are absent.
    pub(crate) fn carry_all(self, session: &Session, root: &Descriptor, sparse: bool) -> Result<u64, Error> {
        let mut absent = 0;
        graph::walk(self.source(), [root], &mut |node| {
            match node.document {
                Some(document) => drop(session.put_document(document)?),
                None => absent += u64::from(!self.carry(session, node.descriptor, sparse)?),
            }
            Ok(())
        })?;
        Ok(absent)
    }

    /// Whether this is that layout.
    fn is(self, layout: &Layout) -> bool {
        let whole = |layout: &Layout| layout.path().canonicalize().ok();
        matches!(self, Self::Layout(own) if whole(own).is_some() && whole(own) == whole(layout))
    }
}

/// Reads a blob to its end, which verifies it, and writes it.
pub(crate) fn write(
    session: &Session,
    blob: &Descriptor,
    mut reader: impl Read,
) -> transship_layout::Result<()> {
    let mut writer = session.writer(Some(blob))?;
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => writer.push(&piece[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(reading(error, blob)),
        }
    }
    writer.commit().map(drop)
}

/// An error of a reader of blobs, which may be a layout's.
pub(crate) fn reading(error: io::Error, blob: &Descriptor) -> transship_layout::Error {
    transship_layout::Error::from_io(error, "reading", blob.digest.to_string())
}
