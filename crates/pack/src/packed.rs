//! A layer by itself: packed into a file with a descriptor beside it, and put into an image later on.
//!
//! So build systems keep layers apart from images. The descriptor tells the diff ID and the recipe in annotations
//! ([`annotations::DIFF_ID`], which containerd and `BuildKit` write too, and [`annotations::RECIPE`]). In an image they are
//! left out, the config says the one and nobody asked for the other: the image of a layer that was packed before is the
//! image of its input, to the last byte.
//!
//! Size and digest of the file are checked whenever its bytes go into a layout. The diff ID, which takes decompression, is
//! trusted unless it is to be verified, and so are the recipe and the other annotations.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use transship_codec::{Compression, MAGIC_LEN, detect};
use transship_layout::Session;
use transship_spec::{Descriptor, Digest, Hasher, annotations};

use crate::layer::{encode, open_regular};
use crate::{Error, Layer, LayerOptions};

/// Writes the layer that a folder, a specification or a tar makes to `sink`, which is flushed.
///
/// # Errors
/// As [`pack_layer`](crate::pack_layer), and [`Error::Write`] when the sink fails. What the sink has then is no layer.
///
/// ```
/// use transship_pack::{LayerOptions, write_layer};
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("motd"), "hello")?;
/// let mut bytes = Vec::new();
/// let layer = write_layer(folder.path(), &LayerOptions::default(), &mut bytes)?;
/// assert_eq!(layer.descriptor.size, bytes.len() as u64);
/// assert_eq!(layer.described().annotations["containerd.io/uncompressed"], layer.diff_id.to_string());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_layer(input: &Path, options: &LayerOptions, sink: impl Write + Send) -> Result<Layer, Error> {
    options.listener().started(input);
    let hashed = Hashed { sink, hasher: Hasher::sha256(), size: 0 };
    encode(input, options, hashed)?.layer(options, |mut hashed| {
        hashed.sink.flush().map_err(Error::Write)?;
        Ok((hashed.hasher.finish(), hashed.size, false))
    })
}

impl Layer {
    /// The descriptor with diff ID and recipe as annotations, from which [`PackedLayer::new`] reads them.
    #[must_use]
    pub fn described(&self) -> Descriptor {
        let mut descriptor = self.listed(true);
        descriptor.annotations.insert(annotations::DIFF_ID.to_owned(), self.diff_id.to_string());
        descriptor
    }

    /// The descriptor as manifests list it.
    pub(crate) fn listed(&self, with_recipe: bool) -> Descriptor {
        let mut descriptor = self.descriptor.clone();
        if let (true, Some(recipe)) = (with_recipe, &self.recipe) {
            descriptor.annotations.insert(annotations::RECIPE.to_owned(), recipe.clone());
        }
        descriptor
    }
}

/// A sink whose bytes are hashed and counted.
struct Hashed<W> {
    sink: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let count = self.sink.write(piece)?;
        self.hasher.update(&piece[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// A layer that was packed before, in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackedLayer {
    /// The file.
    pub path: PathBuf,
    /// What is in it, as a manifest lists it: by the OCI's media type, with annotations other than these two.
    pub descriptor: Descriptor,
    /// The digest of the plain tar.
    pub diff_id: Digest,
    /// How its bytes were made, as far as somebody said.
    pub recipe: Option<String>,
}

impl PackedLayer {
    /// A file with what [`Layer::described`] said of it. Docker's media types are taken by the OCI's names (IMG-157).
    ///
    /// # Errors
    /// [`Error::Packed`] when the descriptor is not one of a layer, tells no diff ID, or contradicts itself.
    pub fn new(path: impl Into<PathBuf>, mut descriptor: Descriptor) -> Result<Self, Error> {
        let path = path.into();
        let refused = |reason: String| Err(Error::Packed { path: path.clone(), reason });
        if !descriptor.media_type.is_layer() {
            return refused(format!("{} is not a media type of layers", descriptor.media_type));
        }
        descriptor.media_type = descriptor.media_type.to_oci().unwrap_or(descriptor.media_type);
        let Some(text) = descriptor.annotations.remove(annotations::DIFF_ID) else {
            let key = annotations::DIFF_ID;
            return refused(format!("its diff ID is missing, the annotation {key}; pack layer writes it"));
        };
        let diff_id = match Digest::parse(&text) {
            Ok(diff_id) => diff_id,
            Err(error) => return refused(format!("its diff ID is none: {error}")),
        };
        let same_algorithm = diff_id.algorithm() == descriptor.digest.algorithm();
        let is_plain = Compression::from_media_type(&descriptor.media_type) == Some(Compression::None);
        if is_plain && same_algorithm && diff_id != descriptor.digest {
            return refused("the diff ID of a plain tar is its digest, and these differ".to_owned());
        }
        let recipe = descriptor.annotations.remove(annotations::RECIPE);
        Ok(Self { path, descriptor, diff_id, recipe })
    }

    /// Puts the file into a layout, unless that has its content already. It is hashed while it is copied; `verify`
    /// decompresses it as well.
    pub(crate) fn put(
        &self,
        session: &Session,
        options: &LayerOptions,
        verify: bool,
    ) -> Result<Layer, Error> {
        let file = open_regular(&self.path).map_err(|error| self.told(error))?;
        self.check_start(&file)?;
        let layer = |reused, warnings| Layer {
            descriptor: self.descriptor.clone(),
            diff_id: self.diff_id.clone(),
            reused,
            recipe: self.recipe.clone(),
            warnings,
        };
        let is_there = session.reuse(&self.descriptor)?;
        if verify {
            let verified = self.put_verified(session, options)?;
            return Ok(layer(verified.reused, verified.warnings));
        }
        if is_there {
            return Ok(layer(true, Vec::new()));
        }
        let written = session.adopt(&file, &self.descriptor).map_err(|error| self.told(error.into()))?;
        Ok(layer(written.reused, Vec::new()))
    }

    /// Whether the file begins as its media type says, which costs next to nothing.
    fn check_start(&self, mut file: &File) -> Result<(), Error> {
        let mut start = Vec::with_capacity(MAGIC_LEN);
        file.take(MAGIC_LEN as u64)
            .read_to_end(&mut start)
            .and_then(|_| file.rewind())
            .map_err(|error| Error::read(&self.path, error))?;
        let found = detect(&start).compression().ok();
        match Compression::from_media_type(&self.descriptor.media_type) {
            Some(said) if found != Some(said) => {
                let begins = match found {
                    Some(Compression::None) => "neither gzip nor zstd",
                    Some(Compression::Gzip) => "gzip",
                    Some(Compression::Zstd) => "zstd",
                    None => "an unknown compression",
                };
                let media_type = &self.descriptor.media_type;
                Err(self
                    .wrong(format!("it is {begins} by its first bytes, and {media_type} by its descriptor")))
            }
            _ => Ok(()),
        }
    }

    fn put_verified(&self, session: &Session, options: &LayerOptions) -> Result<Layer, Error> {
        let compression = Compression::from_media_type(&self.descriptor.media_type);
        let (compression, progress) = (compression.unwrap_or_default(), options.progress.clone());
        let options = LayerOptions { compression, progress, ..LayerOptions::default() };
        options.listener().started(&self.path);
        let written = session.writer(Some(&self.descriptor)).map_err(Error::from);
        let encoded = written.and_then(|writer| encode(&self.path, &options, writer));
        let layer = encoded.and_then(|encoded| {
            encoded.layer(&options, |writer| {
                let written = writer.commit()?;
                Ok((written.digest, written.size, written.reused))
            })
        });
        let layer = layer.map_err(|error| self.told(error))?;
        if layer.diff_id != self.diff_id {
            let (is, said) = (&layer.diff_id, &self.diff_id);
            return Err(self.wrong(format!("its diff ID is {is}, and {said} by its descriptor")));
        }
        Ok(layer)
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Packed { path: self.path.clone(), reason }
    }

    /// What is said of content, or of inputs, is said of this file.
    fn told(&self, error: Error) -> Error {
        match error {
            Error::Input(_) => self.wrong("it is no regular file".to_owned()),
            Error::Layout(transship_layout::Error::Content { source, .. }) => self.wrong(source.to_string()),
            other => other,
        }
    }
}
