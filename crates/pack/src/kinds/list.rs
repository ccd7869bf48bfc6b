//! The kinds that are known, and which of them something is of.

use std::path::Path;
use std::sync::Arc;

use transship_spec::{Descriptor, Manifest, MediaType, quote};

use super::{Described, Held, Kind, Sight, unknown};
use crate::Error;

/// A list of kinds. Where two of them find the same sign, the one that joined last decides: a user's own kind before those
/// that are built in.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    kinds: Vec<Arc<dyn Kind>>,
}

impl Kinds {
    /// No kinds.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The kinds that this library knows.
    #[must_use]
    pub fn built_in() -> Self {
        let mut kinds: Vec<Arc<dyn Kind>> = vec![
            Arc::new(super::files::FilesKind),
            Arc::new(super::sif::Sif),
            Arc::new(super::helm::Helm),
            Arc::new(super::cnab::Cnab),
            Arc::new(super::helm::Plugin),
            Arc::new(super::conftest::Conftest),
            Arc::new(super::opa::Opa),
            Arc::new(super::wasm::Wasm),
            Arc::new(super::flux::Flux),
            Arc::new(super::compose::Compose),
            Arc::new(super::known::TIMONI),
            Arc::new(super::known::DEVCONTAINER),
            Arc::new(super::known::MODEL),
            Arc::new(super::known::HAULER),
        ];
        kinds.extend(super::attached::all());
        Self { kinds }
    }

    /// The same with one more.
    ///
    /// # Errors
    /// [`Error::Option`] for a name that is no name, or is taken.
    pub fn with(mut self, kind: impl Kind + 'static) -> Result<Self, Error> {
        self.check(kind.name()).map_err(|rule| Error::option("the name of a kind", kind.name(), rule))?;
        self.kinds.push(Arc::new(kind));
        Ok(self)
    }

    /// The same with those that files of TOML in a folder describe, in the order of their names.
    ///
    /// # Errors
    /// Those of [`Described::in_folder`], and [`Error::Description`] for a name that is taken.
    pub fn with_folder(mut self, folder: &Path) -> Result<Self, Error> {
        for kind in Described::in_folder(folder)? {
            self.check(kind.name())
                .map_err(|rule| kind.misnamed(format!("{}: {rule}", quote(kind.name()))))?;
            self.kinds.push(Arc::new(kind));
        }
        Ok(self)
    }

    fn check(&self, name: &str) -> Result<(), &'static str> {
        check_name(name)?;
        self.find(name).map_or(Ok(()), |_| Err("another kind has this name"))
    }

    /// All of them, those that are built in first.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Kind> {
        self.kinds.iter().map(|kind| &**kind)
    }

    /// The kind of this name.
    ///
    /// # Errors
    /// [`Error::Missing`] with the names that there are.
    pub fn named(&self, name: &str) -> Result<&dyn Kind, Error> {
        self.find(name).ok_or_else(|| {
            let names: Vec<&str> = self.iter().map(Kind::name).collect();
            Error::Missing {
                what: format!("kind {}", quote(name)),
                have: format!("there are {}", names.join(", ")),
            }
        })
    }

    fn find(&self, name: &str) -> Option<&dyn Kind> {
        self.iter().find(|kind| kind.name() == name)
    }

    /// The kind that something shows to be of; none for images, for indexes of them, and for what is unknown.
    #[must_use]
    pub fn recognise(&self, sight: &Sight<'_>) -> Option<&dyn Kind> {
        let found = self.iter().filter_map(|kind| Some((kind.recognise(sight)?, kind)));
        // The first of the strongest, looked at from the end of the list.
        let found = found.collect::<Vec<_>>().into_iter().rev();
        found.min_by_key(|(sign, _)| *sign).map(|(_, kind)| kind)
    }

    /// The kind of artifacts of this type, as far as the type alone tells it: what a list of referrers says of each.
    #[must_use]
    pub fn of_type(&self, artifact_type: &MediaType) -> Option<&dyn Kind> {
        // Whether it is the artifact's own type or that of its config is not told there.
        let config = Descriptor { media_type: artifact_type.clone(), ..Descriptor::empty() };
        let mut manifest = Manifest::new(config, Vec::new());
        manifest.artifact_type = Some(artifact_type.clone());
        let document = manifest.to_document().ok()?;
        self.recognise(&Sight::of(&document))
    }

    /// The kind of an artifact: what it shows, what only content tells, or [`unknown`].
    ///
    /// # Errors
    /// What keeps the content from being read.
    pub fn of(&self, held: &Held<'_>) -> Result<&dyn Kind, Error> {
        Ok(self.recognise_inside(held)?.unwrap_or_else(|| unknown()))
    }

    /// The same as [`Kinds::recognise`], and what only content tells.
    ///
    /// # Errors
    /// What keeps the content from being read.
    pub fn recognise_inside(&self, held: &Held<'_>) -> Result<Option<&dyn Kind>, Error> {
        if let Some(kind) = self.recognise(held.sight()) {
            return Ok(Some(kind));
        }
        for kind in self.kinds.iter().rev() {
            if kind.is_inside(held)? {
                return Ok(Some(&**kind));
            }
        }
        Ok(None)
    }
}

/// Names that something else has: what is told of content that is of no kind, and what stands in the place of a kind.
const TAKEN: [&str; 5] = ["artifact", "image", "index", "layer", "help"];

/// Whether a text can be the name of a kind, and else the rule that it breaks.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = (1..=64).contains(&name.len()) && name.bytes().all(is_letter) && !name.starts_with('-');
    match () {
        () if !is_name => Err("it takes 1 to 64 lower-case letters, digits and -"),
        () if TAKEN.contains(&name) => Err("artifact, image, index, layer and help are no names of kinds"),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Sign;
    use transship_spec::Document;

    #[derive(Debug)]
    struct Dummy(&'static str, Option<Sign>);

    impl Kind for Dummy {
        fn name(&self) -> &str {
            self.0
        }
        fn about(&self) -> &str {
            "a dummy"
        }
        fn recognise(&self, _: &Sight<'_>) -> Option<Sign> {
            self.1
        }
    }

    fn document() -> Document {
        let config = Descriptor::of(MediaType::parse("a/b").unwrap(), b"c");
        Manifest::new(config, Vec::new()).to_document().unwrap()
    }

    #[test]
    fn the_strongest_sign_decides_and_among_equals_the_kind_that_joined_last() {
        let kinds = Kinds::none()
            .with(Dummy("by-name", Some(Sign::Name)))
            .and_then(|kinds| kinds.with(Dummy("first", Some(Sign::ConfigType))))
            .and_then(|kinds| kinds.with(Dummy("second", Some(Sign::ConfigType))))
            .and_then(|kinds| kinds.with(Dummy("by-layer", Some(Sign::LayerType))))
            .and_then(|kinds| kinds.with(Dummy("never", None)))
            .unwrap();
        let document = document();
        assert_eq!(kinds.recognise(&Sight::of(&document)).unwrap().name(), "second");
        assert!(Kinds::none().recognise(&Sight::of(&document)).is_none());
    }

    #[test]
    fn a_kind_has_a_name_of_its_own() {
        for name in ["", "Helm", "a b", "-x", "files", "artifact", "image", "help"] {
            assert!(Kinds::built_in().with(Dummy(name, None)).is_err(), "{name}");
        }
        let error = Kinds::built_in().named("chart").unwrap_err();
        assert!(error.to_string().contains("files"), "{error}");
    }
}
