//! The files of an artifact, made in a folder by the rules of its kind.
//!
//! **Whole or not at all.** Everything is made in a folder of its own beside its place, and appears there when every blob
//! was read to its end and is what its digest says. What is in the folder already stays; a name that is taken ends the work
//! before anything appears.
//!
//! **Nothing outside is touched**, whatever titles and tars say: names are relative and lead to no parent, links lead to
//! something in the folder that they were packed with, devices and FIFOs are refused. Files belong to whoever extracts
//! them; of their modes the permissions are kept, never setuid, and no extended attributes.

mod folder;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, openat};
use transship_layout::Durability;
use transship_spec::Descriptor;

use crate::kinds::{Held, Kind, Taken};
use crate::unpack::{
    Apply, Ledger, NEW_FILE, PlannedLayer, Problem, Tree, Us, Work, listener, located, read_layers,
};
use crate::{Error, Rootfs, UnpackLimits, UnpackProgress, Warning};
use folder::Folder;

/// Bytes of one piece of a file.
const PIECE: usize = 256 << 10;

/// How the files of an artifact are made. The default is durable, within [`UnpackLimits::default`].
#[derive(Debug, Clone, Default)]
pub struct ExtractOptions {
    /// How much is taken: of all files together, and of each tar.
    pub limits: UnpackLimits,
    /// Whether all must be on disk before anything appears.
    pub durability: Durability,
    /// Who is told how far it is.
    pub progress: Option<Arc<dyn UnpackProgress>>,
}

/// What was made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Extracted {
    /// The files and folders that the artifact names, below the folder in which they are, in its order.
    pub paths: Vec<String>,
    /// Files, folders and links that were made, those of tars with them.
    pub entries: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// What was left out or is doubtful.
    pub warnings: Vec<Warning>,
}

/// Makes the files of an artifact in `folder`, which need not be there; its parent must.
///
/// # Errors
/// Those of [`Kind::files`]; [`Error::InTheWay`] for a name that is taken; [`Error::NotOfKind`] for a name that leads out,
/// [`Error::Entry`] for one in a tar; [`Error::Limit`]; [`Error::Layout`] for what cannot be read, [`Error::Tree`] for what
/// cannot be written.
///
/// ```
/// use transship_layout::{Layout, Name, read_document};
/// use transship_pack::kinds::{Held, Kinds, Sight};
/// use transship_pack::{ExtractOptions, File, Files, extract, pack_files};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.md");
/// # std::fs::write(&path, "# Notes")?;
/// let layout = Layout::options().create(folder.path().join("layout"))?;
/// let file = File { title: "docs/notes.md".to_owned(), path, media_type: None };
/// let packed = pack_files(&layout, None, &Files { files: vec![file], ..Files::default() })?;
///
/// let document = read_document(&layout, &packed.descriptor)?;
/// let (kinds, held) = (Kinds::built_in(), Held::new(Sight::of(&document), &layout));
/// let kind = kinds.of(&held)?;
/// let out = folder.path().join("out");
/// let made = extract(&held, kind, &out, &ExtractOptions::default())?;
/// assert_eq!((kind.name(), made.paths), ("files", vec!["docs/notes.md".to_owned()]));
/// assert_eq!(std::fs::read(out.join("docs/notes.md"))?, b"# Notes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn extract(
    held: &Held<'_>,
    kind: &dyn Kind,
    folder: &Path,
    options: &ExtractOptions,
) -> Result<Extracted, Error> {
    let files = kind.files(held)?;
    crate::kinds::check_files(held.sight(), &files)?;
    let limits = options.limits.possible();
    let rootfs = match folder.try_exists().map_err(|error| Error::tree(folder, error))? {
        true => Rootfs::among(folder)?,
        false => Rootfs::begin(folder)?,
    };
    let (root, umask) = rootfs.open()?;
    let tree = Tree::new(root, Us::here(umask), limits.max_depth);
    let progress = listener(options.progress.as_ref());
    let apply = Apply::new(tree, Ledger::new(false, true), &limits);
    let mut making = Making { held, limits: &limits, progress, apply, warnings: Vec::new() };
    for file in &files {
        let parts: Vec<&[u8]> = file.path.split('/').map(str::as_bytes).collect();
        match &file.taken {
            Taken::Blob(blob) => making.blob(&parts, blob)?,
            Taken::Bytes(bytes) => making.bytes(&parts, bytes)?,
            Taken::Tar { layer, plain, prefix } => {
                let layer = match plain {
                    Some(plain) => PlannedLayer { descriptor: layer.clone(), diff_id: plain.clone() },
                    None => PlannedLayer::untold(layer.clone())?,
                };
                making.tar(&file.path, &layer, prefix.as_deref())?;
            }
        }
    }
    let Making { apply, warnings, .. } = making;
    let (entries, bytes) = (apply.tally.entries, apply.tally.bytes);
    let tree = apply.tree;
    tree.close().map_err(|error| Error::tree(&rootfs.path(), error))?;
    let durable = options.durability == Durability::Full;
    if durable {
        rootfs.sync()?;
    }
    rootfs.finish(durable)?;
    Ok(Extracted { paths: files.into_iter().map(|file| file.path).collect(), entries, bytes, warnings })
}

/// Files being made.
struct Making<'a> {
    held: &'a Held<'a>,
    limits: &'a UnpackLimits,
    progress: &'a dyn UnpackProgress,
    apply: Apply<'a>,
    warnings: Vec<Warning>,
}

impl Making<'_> {
    /// A blob as a file: its reader ends with an error when it is not what its descriptor says.
    fn blob(&mut self, parts: &[&[u8]], blob: &Descriptor) -> Result<(), Error> {
        self.progress.layer_started(blob);
        let mut content = self.held.open(blob)?;
        let mut file = self.file(parts, blob.size)?;
        let mut piece = vec![0; PIECE];
        loop {
            let count = match content.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let digest = blob.digest.to_string();
                    return Err(transship_layout::Error::from_io(error, "reading", digest).into());
                }
            };
            file.write_all(&piece[..count]).map_err(|error| Error::tree(&path_of(parts), error))?;
            self.progress.advanced(count as u64);
        }
        self.progress.layer_finished(blob);
        Ok(())
    }

    fn bytes(&mut self, parts: &[&[u8]], bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.file(parts, bytes.len() as u64)?;
        file.write_all(bytes).map_err(|error| Error::tree(&path_of(parts), error))
    }

    /// A new file of this name, with the folders above it.
    fn file(&mut self, parts: &[&[u8]], size: u64) -> Result<File, Error> {
        let tally = &mut self.apply.tally;
        (tally.entries, tally.bytes) = (tally.entries + 1, tally.bytes.saturating_add(size));
        if tally.bytes > self.limits.max_size {
            let what = "the size of all files in bytes";
            return Err(Error::Limit { path: path_of(parts), what, limit: self.limits.max_size });
        }
        let digest = self.held.sight().document().digest();
        let Some((name, parents)) = parts.split_last() else {
            return Err(Error::not_of_kind(digest.to_string(), "artifact", "a file has no name"));
        };
        let tree = &mut self.apply.tree;
        tree.enter(parents, true).map_err(|why| located(digest, &parts.join(&b'/'), Problem::from(why)))?;
        let made = openat(tree.here(), *name, NEW_FILE, Mode::from_raw_mode(0o666));
        Ok(File::from(made.map_err(|error| Error::tree(&path_of(parts), error))?))
    }

    fn tar(&mut self, folder: &str, layer: &PlannedLayer, prefix: Option<&str>) -> Result<(), Error> {
        let work = Work {
            source: self.held.source(),
            layers: std::slice::from_ref(layer),
            limits: self.limits,
            progress: self.progress,
        };
        let mut taker = Folder::new(&mut self.apply, self.limits, (folder, prefix));
        // A tar without entries is a folder all the same.
        let digest = &layer.descriptor.digest;
        taker.make_place().map_err(|problem| located(digest, folder.as_bytes(), problem))?;
        self.warnings.extend(read_layers(work, &mut taker)?);
        Ok(())
    }
}

fn path_of(parts: &[&[u8]]) -> std::path::PathBuf {
    String::from_utf8_lossy(&parts.join(&b'/')).into_owned().into()
}
