//! What the tests of kinds have in common.

use std::path::{Path, PathBuf};

use transship_layout::{Layout, Name, Source as _, read_document};
use transship_pack::kinds::{Facts, Held, Kinds, Request, Sight, pack_kind};
use transship_pack::{Artifact, Error, ExtractOptions, extract};
use transship_spec::Descriptor;

/// Where the data of a kind is.
pub(crate) fn data(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/kinds").join(kind)
}

/// A layout in a folder of its own.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) layout: Layout,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::options().create(folder.path().join("layout")).unwrap();
        Self { folder, layout }
    }

    /// A file in the folder.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn pack(&self, kind: &str, request: &Request) -> Result<Artifact, Error> {
        let name = Name::short("v1").unwrap();
        pack_kind(&self.layout, Some(&name), Kinds::built_in().named(kind)?, request)
    }

    /// The bytes of a blob.
    pub(crate) fn blob(&self, descriptor: &Descriptor) -> Vec<u8> {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut self.layout.open(descriptor).unwrap(), &mut bytes).unwrap();
        bytes
    }

    /// The kind of an artifact, and what there is to say of it.
    pub(crate) fn described(&self, descriptor: &Descriptor) -> (String, Facts) {
        let document = read_document(&self.layout, descriptor).unwrap();
        let held = Held::new(Sight::of(&document).listed(descriptor), &self.layout);
        let kinds = Kinds::built_in();
        let kind = kinds.of(&held).unwrap();
        (kind.name().to_owned(), kind.describe(&held).unwrap())
    }

    /// Extracts an artifact, and gives the paths of its files.
    pub(crate) fn extracted(&self, descriptor: &Descriptor, to: &Path) -> Result<Vec<String>, Error> {
        let document = read_document(&self.layout, descriptor).unwrap();
        let held = Held::new(Sight::of(&document).listed(descriptor), &self.layout);
        let kinds = Kinds::built_in();
        Ok(extract(&held, kinds.of(&held)?, to, &ExtractOptions::default())?.paths)
    }
}

/// The values of a fact.
pub(crate) fn fact<'a>(facts: &'a Facts, name: &str) -> &'a [String] {
    let fact = facts.facts.iter().find(|fact| fact.name == name);
    fact.unwrap_or_else(|| panic!("no {name} in {facts:?}")).values.as_slice()
}
