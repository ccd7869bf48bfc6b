//! An artifact in the making: blobs are stored, and its manifest is put and listed when all of them are.

use std::io::Read as _;
use std::path::Path;

use transship_layout::{Layout, Name, Session};
use transship_spec::{Descriptor, Document, MediaType};

use super::files::store;
use super::{Kind, Request};
use crate::artifact::Artifact;
use crate::image::check_annotations;
use crate::layer::open_regular;
use crate::{Error, Layer, LayerOptions, Warning, pack_layer};

/// An artifact in the making.
#[derive(Debug)]
pub struct Making<'a> {
    session: &'a Session,
    layer: LayerOptions,
    warnings: Vec<Warning>,
}

/// What a kind made: the document that is to be listed. All that it needs is stored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Made {
    /// The manifest or index.
    pub document: Document,
    /// The repository's last name and the tag by which the kind's own tool would push it, where it has a rule for that.
    pub called: Option<(String, String)>,
}

impl Made {
    /// A manifest or index that has no name by itself.
    #[must_use]
    pub fn of(document: Document) -> Self {
        Self { document, called: None }
    }

    /// The same, called `name:tag`.
    #[must_use]
    pub fn called(self, name: impl Into<String>, tag: impl Into<String>) -> Self {
        Self { called: Some((name.into(), tag.into())), ..self }
    }
}

impl Making<'_> {
    /// The layout in which it is made, to read what it refers to.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        self.session.layout()
    }

    /// The session in which blobs are written.
    pub fn session(&self) -> &Session {
        self.session
    }

    /// Stores a file as a blob of its very bytes, of no media type in particular.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Input`] name the file, [`Error::Layout`].
    pub fn store(&self, path: &Path) -> Result<Descriptor, Error> {
        store(self.session, path, self.layer.listener())
    }

    /// Stores bytes as a blob.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub fn store_bytes(&self, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor, Error> {
        Ok(self.session.put_bytes(media_type, bytes)?)
    }

    /// Stores a folder, or a tar, as a compressed tar, by `change` of the options that were asked for.
    ///
    /// # Errors
    /// Those of [`pack_layer`].
    pub fn store_folder(
        &mut self,
        path: &Path,
        change: impl FnOnce(&mut LayerOptions),
    ) -> Result<Layer, Error> {
        let mut options = self.layer.clone();
        change(&mut options);
        let layer = pack_layer(self.session, path, &options)?;
        self.warnings.extend(layer.warnings.iter().cloned());
        Ok(layer)
    }

    /// The empty descriptor, whose blob `{}` is stored, for registries want it (IMG-65).
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub fn empty(&self) -> Result<Descriptor, Error> {
        self.store_bytes(MediaType::OCI_EMPTY, b"{}")?;
        Ok(Descriptor::empty())
    }

    /// A file that is looked into, whole.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Input`], and [`Error::Limit`] past `limit` bytes.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = open_regular(path)?.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::read(path, error))?;
        if bytes.len() as u64 > limit {
            let what = "the size in bytes of what is looked into";
            return Err(Error::Limit { path: path.to_owned(), what, limit });
        }
        Ok(bytes)
    }

    /// Says something that is doubtful, or was left out.
    pub fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }
}

/// Makes an artifact of a kind, and lists it in the layout: under a name, or without one.
///
/// Without a name, and with a subject, it is listed as a referrer, and lives as long as its subject.
///
/// # Errors
/// [`Error::Unsupported`] for a kind that is not packed, [`Error::Option`] for a setting that it has not or a subject that
/// it cannot refer to, and those of [`Packing::pack`](super::Packing::pack). The layout's index is then as it was.
pub fn pack_kind(
    layout: &Layout,
    name: Option<&Name>,
    kind: &dyn Kind,
    request: &Request,
) -> Result<Artifact, Error> {
    let Some(packing) = kind.packing() else {
        return Err(Error::Unsupported(format!("{} is recognised and extracted, not packed", kind.name())));
    };
    let has = |name: &str| packing.settings().iter().any(|setting| setting.name == name);
    if let Some(name) = request.settings.keys().find(|name| !has(name)) {
        return Err(Error::option("a setting", name, format!("{} has no such setting", kind.name())));
    }
    let warnings = check_annotations(&request.annotations)?;
    let session = layout.begin()?;
    let mut making = Making { session: &session, layer: request.layer.clone(), warnings };
    let made = packing.pack(request, &mut making)?;
    if let (Some(subject), None) = (&request.subject, made.document.subject()) {
        let reason = format!("{} refers to nothing; attach something to it instead", kind.name());
        return Err(Error::option("the subject", &subject.digest.to_string(), reason));
    }
    let warnings = making.warnings;
    session.put_document(&made.document)?;
    let artifact = Artifact::of(made, warnings);
    session.commit(|index| artifact.list(index, name))?;
    Ok(artifact)
}
