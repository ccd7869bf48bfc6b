//! One layer: a folder, a specification of a tree, or a tar, compressed and hashed in one pass.
//!
//! Reading, hashing and compressing happen at the same time on threads of their own; every plain byte is hashed once for
//! the diff ID and every stored byte once for the digest (law 5 of ARCHITECTURE.md). Where a layer is stored plain, both
//! are one.
//!
//! A file that begins with `#mtree` is a specification, and becomes the layer that the tree it describes would.
//!
//! A tar that is given as an input is a layer as it is, byte for byte: a plain one is compressed as wanted, one that is
//! compressed already is stored as it came, with the media type of its own compression. Both are read to their end, and
//! refused if they are no tar or not whole. On request it is written anew, as the folder would be into which it unpacks.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};
use transship_codec::{Compression, Decoder, Encoder, EncoderOptions, Limits, MAGIC_LEN, detect};
use transship_layout::Session;
use transship_spec::{Descriptor, Digest};

use crate::mtree;
use crate::pipeline::{self, Pieces};
use crate::tarball::{Check, Flaw, Sink, TAR_RECIPE, TarOptions, write_entries, write_tree};
use crate::tree::{Archive, Specification};
use crate::{Error, Warning};

/// How inputs become layers. The default is a tar by [`TarOptions::default`], in gzip at its default level.
#[derive(Debug, Clone, Default)]
pub struct LayerOptions {
    /// How folders and plain tars are compressed.
    pub compression: Compression,
    /// How hard to try; nothing takes [`Compression::default_level`].
    pub level: Option<i32>,
    /// Threads that compress; zero is one for each core. The bytes do not depend on it.
    pub threads: usize,
    /// How a folder becomes a tar.
    pub tar: TarOptions,
    /// The folder of temporary files: a compressed tar that is normalized needs one. Else it lies beside that tar.
    pub spool: Option<PathBuf>,
    /// Who is told how far it is.
    pub progress: Option<Arc<dyn Progress>>,
}

/// Is told how far packing is. Every method does nothing unless it is written anew; each is called on some thread that has
/// other work to do, so that none should take long.
pub trait Progress: fmt::Debug + Send + Sync {
    /// A folder, a tar or a file is being read.
    fn started(&self, input: &Path) {
        let _ = input;
    }

    /// So many more plain bytes of it were taken in. How many there will be is known of files only.
    fn advanced(&self, bytes: u64) {
        let _ = bytes;
    }

    /// It is stored. `reused` tells whether the layout had it already.
    fn finished(&self, stored: &Descriptor, reused: bool) {
        let _ = (stored, reused);
    }
}

impl LayerOptions {
    /// Who is told, or one who does not listen.
    pub(crate) fn listener(&self) -> &dyn Progress {
        #[derive(Debug)]
        struct Deaf;
        impl Progress for Deaf {}
        self.progress.as_deref().unwrap_or(&Deaf)
    }

    /// The name of all that decides over the bytes of a layer made from a folder, its content and options apart: rules of
    /// the tar, encoder, its version and level.
    ///
    /// # Errors
    /// [`Error::Encode`] for a level that there is not.
    ///
    /// ```
    /// let recipe = transship_pack::LayerOptions::default().recipe()?;
    /// assert!(recipe.starts_with("transship-tar-1+gzip/"));
    /// # Ok::<(), transship_pack::Error>(())
    /// ```
    pub fn recipe(&self) -> Result<String, Error> {
        Ok(format!("{TAR_RECIPE}+{}", transship_codec::recipe(self.compression, self.level)?))
    }

    fn encoder(&self) -> EncoderOptions {
        EncoderOptions { compression: self.compression, level: self.level, threads: self.threads }
    }
}

/// A layer in a layout, not yet part of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layer {
    /// What is stored, with the OCI's media type for its compression.
    pub descriptor: Descriptor,
    /// The digest of the plain tar (IMG-95).
    pub diff_id: Digest,
    /// Whether the layout had it already.
    pub reused: bool,
    /// By what recipe its bytes were made, as [`LayerOptions::recipe`] names it; nothing where the tar is the input's own.
    pub recipe: Option<String>,
    /// What could not be kept.
    pub warnings: Vec<Warning>,
}

/// Writes the layer that a folder or a tar makes into a layout.
///
/// Nothing lists the layer until it is part of an image, and nothing of it stays when this fails.
///
/// # Errors
/// [`Error::Read`], [`Error::Changed`], [`Error::Reserved`], [`Error::Limit`], [`Error::Tar`], [`Error::Truncated`],
/// [`Error::Decode`] and [`Error::Input`] name the path at fault; [`Error::Encode`] for a level that there is not;
/// [`Error::Layout`] when the layout cannot be written.
///
/// ```
/// use transship_layout::Layout;
/// use transship_pack::{LayerOptions, pack_layer};
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("motd"), "hello")?;
/// # let out = tempfile::tempdir()?;
/// let layout = Layout::options().create(out.path())?;
/// let session = layout.begin()?;
/// let layer = pack_layer(&session, folder.path(), &LayerOptions::default())?;
/// assert_eq!(layer.descriptor.media_type.as_str(), "application/vnd.oci.image.layer.v1.tar+gzip");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack_layer(session: &Session, input: &Path, options: &LayerOptions) -> Result<Layer, Error> {
    options.listener().started(input);
    encode(input, options, session.writer(None)?)?.layer(options, |writer| {
        let written = writer.commit()?;
        Ok((written.digest, written.size, written.reused))
    })
}

/// A layer that was written to a sink of bytes.
#[derive(Debug)]
pub(crate) struct Encoded<W> {
    pub(crate) sink: W,
    /// The digest of the plain tar; nothing where that is what was stored.
    pub(crate) diff_id: Option<Digest>,
    pub(crate) compression: Compression,
    /// Whether the tar was made by the recipe.
    pub(crate) by_recipe: bool,
    pub(crate) warnings: Vec<Warning>,
}

impl<W> Encoded<W> {
    /// The layer, once `store` tells digest and size of what the sink took, and whether that was there already.
    pub(crate) fn layer(
        self,
        options: &LayerOptions,
        store: impl FnOnce(W) -> Result<(Digest, u64, bool), Error>,
    ) -> Result<Layer, Error> {
        let (digest, size, reused) = store(self.sink)?;
        let descriptor = Descriptor::new(self.compression.layer_media_type(), digest, size);
        options.listener().finished(&descriptor, reused);
        Ok(Layer {
            diff_id: self.diff_id.unwrap_or_else(|| descriptor.digest.clone()),
            descriptor,
            reused,
            recipe: self.by_recipe.then(|| options.recipe()).transpose()?,
            warnings: self.warnings,
        })
    }
}

/// What an input turned out to be. Links to it are followed.
enum Input {
    Folder,
    Specification,
    Tar(File, Compression),
}

impl Input {
    /// # Errors
    /// [`Error::Read`], [`Error::Input`], [`Error::Decode`] for a compression that is known but not read.
    fn open(path: &Path) -> Result<Self, Error> {
        if std::fs::metadata(path).map_err(|error| Error::read(path, error))?.is_dir() {
            return Ok(Self::Folder);
        }
        let mut file = open_regular(path)?;
        let mut magic = Vec::with_capacity(MAGIC_LEN);
        (&mut file)
            .take(MAGIC_LEN as u64)
            .read_to_end(&mut magic)
            .and_then(|_| file.rewind())
            .map_err(|error| Error::read(path, error))?;
        if mtree::is_specification(&magic) {
            return Ok(Self::Specification);
        }
        let compression =
            detect(&magic).compression().map_err(|source| Error::Decode { path: path.to_owned(), source })?;
        Ok(Self::Tar(file, compression))
    }
}

/// Whether the layer of an input is made here, by a recipe; else its tar is the input's own.
///
/// # Errors
/// As [`encode`], for what the input is.
pub(crate) fn is_made(input: &Path, options: &LayerOptions) -> Result<bool, Error> {
    Ok(match Input::open(input)? {
        Input::Folder | Input::Specification => true,
        Input::Tar(..) => options.tar.normalize,
    })
}

/// Opens a regular file, and never waits for a FIFO.
pub(crate) fn open_regular(path: &Path) -> Result<File, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file =
        openat(CWD, path, flags, Mode::empty()).map(File::from).map_err(|error| Error::read(path, error))?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(Error::Input(path.to_owned())),
        Err(error) => Err(Error::read(path, error)),
    }
}

/// Writes the layer that a folder or a tar makes to `sink`, which is not flushed.
///
/// # Errors
/// Those that name the path at fault, [`Error::Write`] when the sink fails, [`Error::Encode`] for a level that there is
/// not.
pub(crate) fn encode<W: Write + Send>(
    input: &Path,
    options: &LayerOptions,
    sink: W,
) -> Result<Encoded<W>, Error> {
    let made = |encoded| Encoded { by_recipe: true, ..encoded };
    match Input::open(input)? {
        Input::Folder => compress(options, sink, |pieces| write_tree(input, &options.tar, pieces)).map(made),
        Input::Specification => {
            let mut tree = Specification::open(input, &options.tar)?;
            compress(options, sink, |pieces| write_entries(&mut tree, pieces)).map(made)
        }
        Input::Tar(file, compression) if options.tar.normalize => {
            let file = plain(file, compression, input, options.spool.as_deref())?;
            let mut tree = Archive::read(file, input, &options.tar)?;
            compress(options, sink, |pieces| write_entries(&mut tree, pieces)).map(made)
        }
        Input::Tar(file, Compression::None) => compress(options, sink, |pieces| {
            let mut check = TarCheck::new(input);
            pump(file, pieces, |bytes| check.update(bytes)).map_err(|problem| problem.at(input))?;
            check.finish()
        }),
        Input::Tar(file, compression) => keep(file, compression, input, options.listener(), sink),
    }
}

/// The plain bytes of a tar: the file, or a temporary one that has no name.
fn plain(file: File, compression: Compression, input: &Path, spool: Option<&Path>) -> Result<File, Error> {
    if compression == Compression::None {
        return Ok(file);
    }
    let beside = input.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut spooled = tempfile::tempfile_in(spool.unwrap_or(beside)).map_err(Error::Write)?;
    let decoder = Decoder::new(file, compression, Limits::default());
    let mut decoder = decoder.map_err(|source| Error::Decode { path: input.to_owned(), source })?;
    let mut room = vec![0; pipeline::BUFFER];
    loop {
        match decoder.read(&mut room) {
            Ok(0) => break,
            Ok(count) => spooled.write_all(&room[..count]).map_err(Error::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Problem::Read(error).at(input)),
        }
    }
    spooled.rewind().map_err(Error::Write)?;
    Ok(spooled)
}

/// Compresses what `produce` makes.
pub(crate) fn compress<W: Write>(
    options: &LayerOptions,
    sink: W,
    produce: impl FnOnce(&mut Pieces) -> Result<Vec<Warning>, Error> + Send,
) -> Result<Encoded<W>, Error> {
    let compression = options.compression;
    let mut encoder = Encoder::new(sink, options.encoder())?;
    let (warnings, diff_id) = pipeline::run(compression != Compression::None, produce, |bytes| {
        options.listener().advanced(bytes.len() as u64);
        encoder.write_all(bytes).map_err(encoding)
    })?;
    let sink = encoder.finish().map_err(|error| encoding(error.into()))?;
    Ok(Encoded { sink, diff_id, compression, by_recipe: false, warnings })
}

/// An error that came through an encoder: its own, or the sink's.
fn encoding(error: io::Error) -> Error {
    match transship_codec::Error::from_io(&error) {
        Some(own) => Error::Encode(own.clone()),
        None => writing(error),
    }
}

/// An error of a sink, which may be a layout's.
fn writing(error: io::Error) -> Error {
    error.downcast::<transship_layout::Error>().map_or_else(Error::Write, Error::Layout)
}

/// Stores a compressed tar as it is, and decodes it meanwhile to know its diff ID.
fn keep<W: Write + Send>(
    file: File,
    compression: Compression,
    input: &Path,
    listener: &dyn Progress,
    sink: W,
) -> Result<Encoded<W>, Error> {
    let decode = |pieces: &mut Pieces| {
        let mut tee = Tee { file, sink, failed: None };
        let mut check = TarCheck::new(input);
        let decoder = Decoder::new(&mut tee, compression, Limits::default());
        let mut decoder = decoder.map_err(|source| Error::Decode { path: input.to_owned(), source })?;
        let pumped = pump(&mut decoder, pieces, |bytes| check.update(bytes));
        match (pumped, tee.failed) {
            (_, Some(error)) => Err(writing(error)),
            (Err(problem), None) => Err(problem.at(input)),
            (Ok(()), None) => Ok((tee.sink, check.finish()?)),
        }
    };
    let ((sink, warnings), diff_id) = pipeline::run(true, decode, |bytes| {
        listener.advanced(bytes.len() as u64);
        Ok(())
    })?;
    Ok(Encoded { sink, diff_id, compression, by_recipe: false, warnings })
}

/// What is read from the file is written to the sink.
struct Tee<W> {
    file: File,
    sink: W,
    /// Why the sink took no more.
    failed: Option<io::Error>,
}

impl<W: Write> Read for Tee<W> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(room)?;
        if let Err(error) = self.sink.write_all(&room[..count]) {
            self.failed = Some(error);
            return Err(io::ErrorKind::Other.into());
        }
        Ok(count)
    }
}

/// Why bytes could not be moved from a file into the pipeline.
pub(crate) enum Problem {
    Read(io::Error),
    Content(Error),
    Stopped(io::Error),
}

impl Problem {
    pub(crate) fn at(self, path: &Path) -> Error {
        match self {
            Self::Read(error) => match transship_codec::Error::from(error) {
                transship_codec::Error::Io(error) => {
                    Error::read(path, io::Error::new(error.kind(), error.to_string()))
                }
                source => Error::Decode { path: path.to_owned(), source },
            },
            Self::Content(error) => error,
            Self::Stopped(error) => Error::Write(error),
        }
    }
}

/// Moves all bytes of a reader into the pipeline, and shows them to `look`.
pub(crate) fn pump(
    mut reader: impl Read,
    pieces: &mut Pieces,
    mut look: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Problem> {
    loop {
        let room = pieces.room().map_err(Problem::Stopped)?;
        let count = match reader.read(room) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Problem::Read(error)),
        };
        look(&room[..count]).map_err(Problem::Content)?;
        pieces.fill(count);
    }
}

/// [`Check`] with the path that errors name.
struct TarCheck<'a> {
    path: &'a Path,
    check: Check,
}

impl<'a> TarCheck<'a> {
    fn new(path: &'a Path) -> Self {
        Self { path, check: Check::new() }
    }

    fn update(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.check.update(bytes).map_err(|flaw| flawed(self.path.to_owned(), flaw))
    }

    fn finish(self) -> Result<Vec<Warning>, Error> {
        let path = self.path.to_owned();
        match self.check.finish() {
            Ok(0) => Ok(Vec::new()),
            Ok(bytes) => Ok(vec![Warning::AfterEnd { path, bytes }]),
            Err(flaw) => Err(flawed(path, flaw)),
        }
    }
}

fn flawed(path: PathBuf, flaw: Flaw) -> Error {
    match flaw {
        Flaw::Invalid(reason) => Error::Tar { path, reason },
        Flaw::Truncated { offset, missing } => Error::Truncated { path, offset, missing },
    }
}
