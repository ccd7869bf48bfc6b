//! Kinds that need no code: a file of TOML tells all of them.
//!
//! A description says types, which inputs become which layers, annotations, and by what name the result is called. It is
//! strict: a word that is not known, a type that breaks its grammar and a rule that contradicts another are errors with
//! file, line and column ([`Error::Description`]). It is bounded: 64 KiB a file, 256 files a folder. Whoever needs more than
//! it can say (content that is looked into, several manifests, flags) writes a [`Kind`] in Rust.
//!
//! No folder is looked for: whoever wants descriptions names where they are.

mod lint;
mod pack;
mod read;
mod template;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use transship_spec::{Descriptor, MediaType, annotations};

pub(crate) use lint::lint;
use read::{Description, InputRule};

use super::{Extract, Facts, Held, Kind, Packing, Sight, Sign, Taken};
use crate::Error;
use crate::layer::open_regular;

/// A kind that a file of TOML describes.
///
/// ```
/// use transship_layout::{Layout, Name};
/// use transship_pack::kinds::{Described, Kind as _, Request, pack_kind};
///
/// let poem = Described::parse("poem.toml", r#"
///     name = "poem"
///     about = "poems"
///     artifact-type = "application/vnd.example.poem.v1"
///
///     [[input]]
///     match = "*.txt"
///     type = "text/plain"
///     role = "text"
/// "#)?;
/// assert_eq!(poem.name(), "poem");
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("ode.txt");
/// # std::fs::write(&path, "O wild West Wind")?;
/// # let layout = Layout::options().create(folder.path().join("out"))?;
/// let packed = pack_kind(&layout, Some(&Name::short("ode")?), &poem, &Request::of([&path])?)?;
/// assert_eq!(packed.layers[0].media_type.as_str(), "text/plain");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Described {
    said: Description,
    usage: String,
    origin: PathBuf,
    /// Line and column of its name, from 1.
    place: (usize, usize),
}

impl Described {
    /// The most bytes that a description may have.
    pub const MAX_SIZE: u64 = 64 << 10;
    /// The most descriptions that a folder may hold.
    pub const MAX_FILES: usize = 256;

    /// Reads a description; `origin` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Description`], and [`Error::Limit`] past [`Described::MAX_SIZE`].
    pub fn parse(origin: impl Into<PathBuf>, text: &str) -> Result<Self, Error> {
        let origin = origin.into();
        if text.len() as u64 > Self::MAX_SIZE {
            return Err(too_large(origin));
        }
        read::read(text).map_err(|flaw| flaw.at(&origin, text)).map(|(said, place)| {
            let usage = said.usage();
            Self { said, usage, origin, place }
        })
    }

    /// Reads a description from a file.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Input`] for what is no file that can be read; those of [`Described::parse`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        let read = open_regular(path)?.take(Self::MAX_SIZE + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::read(path, error))?;
        if bytes.len() as u64 > Self::MAX_SIZE {
            return Err(too_large(path.to_owned()));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(path, &text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let bytes = error.into_bytes();
                let text = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default()).into_owned();
                Err(read::Flaw::new(valid, "it is not UTF-8").at(path, &text))
            }
        }
    }

    /// Reads all that end in `.toml` in a folder, by name; not those in folders below, nor hidden ones.
    ///
    /// # Errors
    /// [`Error::Missing`] for a folder without any, [`Error::Limit`] past [`Described::MAX_FILES`], those of
    /// [`Described::open`].
    pub fn in_folder(folder: &Path) -> Result<Vec<Self>, Error> {
        let mut paths = Vec::new();
        for entry in folder.read_dir().map_err(|error| Error::read(folder, error))? {
            let path = entry.map_err(|error| Error::read(folder, error))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !name.ends_with(".toml") || name.starts_with('.') {
                continue;
            }
            if paths.len() == Self::MAX_FILES {
                let (what, limit) = ("the number of descriptions", Self::MAX_FILES as u64);
                return Err(Error::Limit { path: folder.to_owned(), what, limit });
            }
            paths.push(path);
        }
        if paths.is_empty() {
            let what = format!("description of a kind in {}", crate::error::shown(folder));
            return Err(Error::Missing { what, have: "no file there ends in .toml".to_owned() });
        }
        paths.sort();
        paths.iter().map(|path| Self::open(path)).collect()
    }

    /// Where it was read from.
    #[must_use]
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// An error about its name.
    pub(super) fn misnamed(&self, rule: String) -> Error {
        let (line, column) = self.place;
        Error::Description { path: self.origin.clone(), line, column, rule }
    }

    /// The rule by which a layer of this type was made.
    fn rule_of(&self, media_type: &MediaType) -> Option<&InputRule> {
        self.said.input.iter().find(|rule| rule.media_type == *media_type)
    }

    fn extracted(&self, layer: &Descriptor) -> Extract {
        let rule = self.rule_of(&layer.media_type);
        let file = rule.and_then(|rule| Some((rule, rule.file.as_deref()?)));
        match file {
            Some((rule, path)) if !layer.annotations.contains_key(annotations::TITLE) => {
                let taken = match rule.folder {
                    true => Taken::Tar { layer: layer.clone(), plain: None, prefix: None },
                    false => Taken::Blob(layer.clone()),
                };
                Extract { path: path.to_owned(), taken }
            }
            _ => Extract::of_layer(layer),
        }
    }
}

impl Kind for Described {
    fn name(&self) -> &str {
        &self.said.name
    }

    fn about(&self) -> &str {
        &self.said.about
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        let is_type = |own: &MediaType| sight.is_type(own.as_str());
        let is_config = |own: &MediaType| sight.is_config(own.as_str());
        match &self.said {
            said if said.artifact_type.as_ref().is_some_and(is_type) => Some(Sign::ArtifactType),
            said if said.config.as_ref().is_some_and(|config| is_config(&config.media_type)) => {
                Some(Sign::ConfigType)
            }
            _ => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        for rule in self.said.input.iter().rev() {
            if let Some(role) = &rule.role {
                facts.call(rule.media_type.as_str(), role);
            }
        }
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        let layers = held.sight().layers().into_iter();
        let layers = layers.filter(|layer| layer.media_type != MediaType::OCI_EMPTY);
        let files: Vec<Extract> = layers.map(|layer| self.extracted(layer)).collect();
        super::check_files(held.sight(), &files)?;
        Ok(files)
    }

    fn packing(&self) -> Option<&dyn Packing> {
        (!self.said.input.is_empty()).then_some(self)
    }
}

fn too_large(path: PathBuf) -> Error {
    Error::Limit { path, what: "the size in bytes of a description", limit: Described::MAX_SIZE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str =
        "name = \"poem\"\nabout = \"poems\"\nartifact-type = \"application/vnd.example.poem.v1\"\n";

    #[test]
    fn a_folder_of_descriptions_is_read_by_name_and_nothing_else_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert!(Described::in_folder(folder.path()).unwrap_err().to_string().contains(".toml"));
        write("b.toml", &LEAST.replace("poem\"", "b\""));
        write("a.toml", LEAST);
        write("README.md", "no TOML");
        write(".hidden.toml", "no TOML");
        std::fs::create_dir(folder.path().join("below")).unwrap();
        let found = Described::in_folder(folder.path()).unwrap();
        assert_eq!(found.iter().map(Kind::name).collect::<Vec<_>>(), ["poem", "b"]);
        write("c.toml", "about = 5");
        assert!(Described::in_folder(folder.path()).unwrap_err().to_string().contains("c.toml"));
    }

    #[test]
    fn what_is_read_is_bounded_and_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, format!("{LEAST}#{}", "x".repeat(64 << 10))).unwrap();
        assert!(matches!(Described::open(&path), Err(Error::Limit { .. })));
        assert!(matches!(Described::open(folder.path()), Err(Error::Input(_))));
        std::fs::write(&path, b"name = \"a\"\n# \xff").unwrap();
        let error = Described::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 2, column 3") && error.contains("UTF-8"), "{error}");
        for number in 0..=Described::MAX_FILES {
            std::fs::write(folder.path().join(format!("{number}.toml")), LEAST).unwrap();
        }
        assert!(matches!(Described::in_folder(folder.path()), Err(Error::Limit { .. })));
    }
}
