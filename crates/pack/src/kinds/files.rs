//! Any files as an artifact, in the form of ORAS 1.1, which ORAS pulls and others read.
//!
//! A file is a layer of its very bytes, a folder is a tar in gzip, by the rules of [`TAR_RECIPE`](crate::TAR_RECIPE) but
//! without hard links, which ORAS does not write. Layers are in the order given, and each says its title.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;

use transship_codec::Compression;
use transship_layout::{Layout, Name, Session};
use transship_spec::{Descriptor, MediaType, annotations};

pub use super::input::File;
use super::{Kind, Sight, Sign};
use crate::artifact::{Artifact, ArtifactOptions, UNKNOWN_CONFIG};
use crate::layer::{Progress, open_regular};
use crate::{Error, LayerOptions, TarOptions, Warning, pack_layer};

/// What an artifact of files is, unless told otherwise: ORAS's word for what it does not know.
pub(crate) const UNKNOWN_ARTIFACT: &str = "application/vnd.unknown.artifact.v1";
const PIECE: usize = 256 << 10;

/// Files by their titles, as ORAS 1.0 and 1.1 write them.
#[derive(Debug)]
pub(crate) struct FilesKind;

impl Kind for FilesKind {
    fn name(&self) -> &'static str {
        "files"
    }

    fn about(&self) -> &'static str {
        "any files and folders, by their titles (ORAS)"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        let is_titled =
            || sight.layers().iter().any(|layer| layer.annotations.contains_key(annotations::TITLE));
        match () {
            () if sight.is_type(UNKNOWN_ARTIFACT) => Some(Sign::ArtifactType),
            () if sight.is_config(UNKNOWN_CONFIG) => Some(Sign::ConfigType),
            // An artifact of a type that nobody knows is one of files all the same.
            () if is_titled() => Some(Sign::Annotation),
            () => None,
        }
    }
}

/// Files, and how they become an artifact.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// What goes into it, in this order. Without any, the artifact is what its manifest says (IMG-67).
    pub files: Vec<File>,
    /// What else the artifact says.
    pub artifact: ArtifactOptions,
    /// How folders become tars; compression is gzip, and prefix and hard links are what ORAS's form says.
    pub layer: LayerOptions,
}

/// Makes an artifact of files and folders, and lists it in the layout: under a name, or without one.
///
/// Without a name, and with a subject, it is listed as a referrer, and lives as long as its subject.
///
/// # Errors
/// [`Error::Title`] for two files of one title and [`Error::Option`] for titles that lead out, before anything is read;
/// [`Error::Read`] and [`Error::Input`] for what is no file or folder; those of [`pack_layer`]; [`Error::Layout`].
///
/// ```
/// use transship_layout::{Layout, Name};
/// use transship_pack::{File, Files, pack_files};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.md");
/// # std::fs::write(&path, "# Notes")?;
/// # let layout = Layout::options().create(folder.path().join("layout"))?;
///
/// let file = File { title: "notes.md".to_owned(), path, media_type: Some("text/markdown".parse()?) };
/// let files = Files { files: vec![file], ..Files::default() };
/// let artifact = pack_files(&layout, Some(&Name::short("notes")?), &files)?;
/// assert_eq!(artifact.layers[0].annotations["org.opencontainers.image.title"], "notes.md");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack_files(layout: &Layout, name: Option<&Name>, files: &Files) -> Result<Artifact, Error> {
    check_titles(&files.files)?;
    let draft = files.artifact.draft(Some(UNKNOWN_ARTIFACT))?;
    let session = layout.begin()?;
    let (mut layers, mut warnings) = (Vec::new(), Vec::new());
    for file in &files.files {
        let (layer, more) = write_layer(&session, file, &files.layer)?;
        layers.push(layer);
        warnings.extend(more);
    }
    let mut artifact = draft.write(&session, layers, files.layer.listener())?;
    artifact.warnings.splice(0..0, warnings);
    session.commit(|index| artifact.list(index, name))?;
    Ok(artifact)
}

fn check_titles(files: &[File]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for file in files {
        file.check_title()?;
        if !seen.insert(&file.title) {
            return Err(Error::Title(file.title.clone()));
        }
    }
    Ok(())
}

fn write_layer(
    session: &Session,
    file: &File,
    options: &LayerOptions,
) -> Result<(Descriptor, Vec<Warning>), Error> {
    let metadata = std::fs::metadata(&file.path).map_err(|error| Error::read(&file.path, error))?;
    let (mut layer, warnings) = if metadata.is_dir() {
        write_folder(session, file, options)?
    } else {
        write_file(session, file, options)?
    };
    layer.annotations.insert(annotations::TITLE.to_owned(), file.title.clone());
    if let Some(media_type) = &file.media_type {
        layer.media_type = media_type.clone();
    }
    Ok((layer, warnings))
}

fn write_folder(
    session: &Session,
    file: &File,
    options: &LayerOptions,
) -> Result<(Descriptor, Vec<Warning>), Error> {
    // What lies in the folder `.` lies in no folder.
    let prefix = if file.title == "." { String::new() } else { file.title.clone() };
    let tar = TarOptions { prefix, hard_links: false, ..options.tar.clone() };
    let level = options.level.filter(|_| options.compression == Compression::Gzip);
    let options = LayerOptions { compression: Compression::Gzip, level, tar, ..options.clone() };
    let layer = pack_layer(session, &file.path, &options)?;
    let mut descriptor = layer.descriptor;
    let said = [
        (annotations::ORAS_CONTENT_DIGEST, layer.diff_id.to_string()),
        (annotations::ORAS_CONTENT_UNPACK, "true".to_owned()),
    ];
    descriptor.annotations.extend(said.map(|(key, value)| (key.to_owned(), value)));
    Ok((descriptor, layer.warnings))
}

fn write_file(
    session: &Session,
    file: &File,
    options: &LayerOptions,
) -> Result<(Descriptor, Vec<Warning>), Error> {
    let written = store(session, &file.path, options.listener())?;
    let warnings = if written.size == 0 { vec![Warning::EmptyFile(file.title.clone())] } else { Vec::new() };
    // ORAS calls any file a tar; its readers go by the title.
    Ok((Descriptor { media_type: MediaType::OCI_LAYER_TAR, ..written }, warnings))
}

/// Stores a file as a blob of its very bytes.
pub(crate) fn store(session: &Session, path: &Path, listener: &dyn Progress) -> Result<Descriptor, Error> {
    listener.started(path);
    let mut file = open_regular(path)?;
    let mut writer = session.writer(None)?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => {
                writer.push(&piece[..count])?;
                listener.advanced(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::read(path, error)),
        }
    }
    let written = writer.commit()?;
    let descriptor = Descriptor::new(MediaType::OCTET_STREAM, written.digest, written.size);
    listener.finished(&descriptor, written.reused);
    Ok(descriptor)
}
