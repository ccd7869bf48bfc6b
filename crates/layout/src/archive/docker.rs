//! What `docker save` wrote before Docker 25, seen as the layout that it stands for; and the list that `docker load` asks
//! for (IMG-159).

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use transship_codec::{Detected, MAGIC_LEN, detect};
use transship_spec::{Descriptor, Digest, Hasher, ImageConfig, Manifest, MediaType, Reference};

use super::read::{Contents, DOCKER_MANIFEST, Section, Spot, small};
use super::tar::{self, What};
use super::write::edit_text;
use crate::blobs::blob_path;
use crate::index::Index;
use crate::layout::{EMPTY_INDEX, INDEX};
use crate::{Archive, Error, Name, Result};

/// The largest `manifest.json`, in bytes.
pub(super) const MAX_MANIFEST: u64 = 16 << 20;
/// The largest config, in bytes.
const MAX_CONFIG: u64 = 8 << 20;

/// One image of `manifest.json`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
    /// What else Docker says of it.
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

/// The text of `manifest.json` for the images that an index lists: it points at their blobs. `children` tells what an image
/// needs: its config, then its layers. `before` is an archive that is added to: what its own list says of other images is
/// kept, and what it holds without listing it need not be listed now.
///
/// Referrers are no images, and are not listed. A name that is no full reference is not, either; the image is.
///
/// # Errors
/// [`Error::Document`] for an index, and for an artifact that has a name: `docker load` would not know what to do with it.
/// [`Error::Malformed`], and those of `children`.
pub fn docker_manifest(
    index: &[u8],
    before: Option<&Archive>,
    mut children: impl FnMut(&Descriptor) -> Result<Vec<Descriptor>>,
) -> Result<Vec<u8>> {
    let wrong = |source| Error::Malformed { path: INDEX.into(), source };
    let index = Index::parse(index.to_vec()).map_err(wrong)?;
    let held: HashSet<Digest> = match before {
        Some(before) => before.entries()?.into_iter().map(|entry| entry.descriptor.digest).collect(),
        None => HashSet::new(),
    };
    let mut saved: Vec<Saved> = Vec::new();
    let mut places: HashMap<Digest, usize> = HashMap::new();
    for position in 0..index.len() {
        let entry = index.entry(position).map_err(wrong)?;
        let descriptor = &entry.descriptor;
        let place = match places.get(&descriptor.digest) {
            Some(place) => *place,
            None => {
                let needs = children(descriptor)?;
                let config = needs.first().filter(|config| config.media_type.is_image_config());
                let Some(config) = config.filter(|_| !descriptor.media_type.is_index()) else {
                    let is_attached = entry.name().is_none() && !descriptor.media_type.is_index();
                    let is_about = entry.name().is_some_and(crate::names::is_about_a_digest);
                    if is_attached || is_about || held.contains(&descriptor.digest) {
                        continue;
                    }
                    return Err(no_image(descriptor));
                };
                let layers = needs.iter().skip(1).map(|layer| blob_path(&layer.digest)).collect();
                saved.push(Saved {
                    config: blob_path(&config.digest),
                    repo_tags: None,
                    layers: Some(layers),
                    rest: serde_json::Map::new(),
                });
                places.insert(descriptor.digest.clone(), saved.len() - 1);
                saved.len() - 1
            }
        };
        if let (Some(name), Some(image)) = (entry.full_name(), saved.get_mut(place)) {
            image.repo_tags.get_or_insert_default().push(name.to_owned());
        }
    }
    let listed = before.map(Archive::head).transpose()?.flatten().and_then(|head| head.docker);
    if let Some(listed) = listed {
        keep(&listed, &mut saved);
    }
    serde_json::to_vec(&saved).map_err(|error| {
        wrong(transship_spec::Error::Document { what: DOCKER_MANIFEST, reason: error.to_string() })
    })
}

/// Keeps what a list says of images that another one does not know: members of an index for several platforms, say. One
/// that has lost all its names is not kept.
fn keep(listed: &[u8], saved: &mut Vec<Saved>) {
    let usual = |name: &String| {
        Reference::parse(name).map_or_else(|_| name.clone(), |reference| reference.or_latest().to_string())
    };
    // A list that cannot be read is of no use to anybody.
    let listed: Vec<Saved> = serde_json::from_slice(listed).unwrap_or_default();
    let taken: HashSet<String> =
        saved.iter().flat_map(|image| image.repo_tags.iter().flatten()).map(usual).collect();
    for mut image in listed {
        if let Some(known) = saved.iter_mut().find(|known| known.config == image.config) {
            known.rest = image.rest;
            continue;
        }
        let names = image.repo_tags.iter().flatten().filter(|name| !taken.contains(&usual(name)));
        let names: Vec<String> = names.cloned().collect();
        let has_lost_all = names.is_empty() && image.repo_tags.as_ref().is_some_and(|tags| !tags.is_empty());
        // Only blobs are carried over.
        let mut files = std::iter::once(&image.config).chain(image.layers.iter().flatten());
        if !has_lost_all && files.all(|file| super::read::digest_of(file).is_some()) {
            image.repo_tags = image.repo_tags.map(|_| names);
            saved.push(image);
        }
    }
}

fn no_image(descriptor: &Descriptor) -> Error {
    let what = if descriptor.media_type.is_index() { "an index" } else { "no image" };
    let text = format!(
        "{} is {what}, and an archive for docker load holds images for one platform (choose one: --platform; or write \
         another archive: oci-archive:OTHER)",
        descriptor.digest
    );
    Error::Document { digest: descriptor.digest.clone(), source: transship_spec::Error::Unsupported(text) }
}

/// Makes the index, and the manifests that it lists; their content joins `contents`.
pub(super) fn layout(file: &File, path: &Path, manifest: &[u8], contents: &mut Contents) -> Result<Index> {
    let wrong = |source| Error::Malformed { path: path.join(DOCKER_MANIFEST), source };
    let not = |reason: String| wrong(transship_spec::Error::Document { what: DOCKER_MANIFEST, reason });
    transship_spec::json::validate(manifest).map_err(wrong)?;
    let saved: Vec<Saved> = serde_json::from_slice(manifest).map_err(|error| not(error.to_string()))?;
    let file = &Arc::new(file.try_clone().map_err(Error::storage("reading", path))?);
    let mut images = Images { file, path, members: members(file, path, &saved)?, contents };
    let mut roots = Vec::new();
    for image in &saved {
        roots.push((images.enter(image)?, image.repo_tags.as_deref().unwrap_or_default()));
    }
    let empty = Index::parse(EMPTY_INDEX.to_vec()).map_err(wrong)?;
    let text = edit_text(path.join(INDEX), &empty, |index| {
        for (descriptor, tags) in &roots {
            if tags.is_empty() {
                index.add(descriptor)?;
            }
            for tag in *tags {
                let reference = Reference::parse(tag).map_err(wrong)?;
                index.set(&Name::full(&reference.or_latest()), descriptor)?;
            }
        }
        Ok(())
    })?;
    Index::parse(text).map_err(wrong)
}

/// Where the members lie that the images name.
fn members(file: &File, path: &Path, saved: &[Saved]) -> Result<HashMap<String, Spot>> {
    let mut members: HashMap<String, Option<Spot>> = HashMap::new();
    for image in saved {
        for name in std::iter::once(&image.config).chain(image.layers.iter().flatten()) {
            members.extend(tar::normal(name.as_bytes()).map(|name| (name, None)));
        }
    }
    tar::scan(file, path, &mut |member| {
        let name = tar::normal(member.name).filter(|_| member.what != What::Folder);
        if let Some(known) = name.and_then(|name| members.get_mut(&name)) {
            // As for tar: the last of one name counts. What it holds is verified by its digest.
            *known = Some(match member.what {
                What::File => Spot::File { at: member.at, size: member.size },
                what => Spot::Wrong(what),
            });
        }
        Ok(())
    })?;
    Ok(members.into_iter().filter_map(|(name, spot)| Some((name, spot?))).collect())
}

struct Images<'a> {
    file: &'a Arc<File>,
    path: &'a Path,
    members: HashMap<String, Spot>,
    contents: &'a mut Contents,
}

impl Images<'_> {
    /// Makes the manifest of an image; it, its config and its layers become blobs.
    fn enter(&mut self, image: &Saved) -> Result<Descriptor> {
        let spot = self.member(&image.config)?.clone();
        let bytes = small(self.file, self.path, &image.config, &spot, MAX_CONFIG)?;
        let wrong = |source| Error::Malformed { path: self.path.join(&image.config), source };
        let config = ImageConfig::parse(&bytes).map_err(wrong)?;
        let layers = image.layers.as_deref().unwrap_or_default();
        if layers.len() != config.diff_ids.len() {
            return Err(self.malformed(format!(
                "the image {} has {} layers, and its config speaks of {}",
                transship_spec::quote(&image.config),
                layers.len(),
                config.diff_ids.len()
            )));
        }
        let digest = Digest::sha256(&bytes);
        let described = Descriptor::new(MediaType::OCI_CONFIG, digest.clone(), bytes.len() as u64);
        self.contents.blobs.insert(digest, spot);
        let mut listed = Vec::new();
        for (name, diff_id) in layers.iter().zip(&config.diff_ids) {
            listed.push(self.layer(name, diff_id)?);
        }
        let manifest = Manifest::new(described, listed).to_document().map_err(wrong)?;
        let made = Spot::Made(Arc::new(manifest.bytes().to_vec()));
        self.contents.blobs.insert(manifest.digest().clone(), made);
        let mut descriptor = manifest.descriptor();
        descriptor.platform = Some(config.platform);
        Ok(descriptor)
    }

    /// A layer. Docker writes a layer that several images have once, and links to it: it is known by its diff ID then.
    fn layer(&mut self, name: &str, diff_id: &Digest) -> Result<Descriptor> {
        let spot = self.member(name)?.clone();
        let (at, size) = match (&spot, self.contents.blobs.get(diff_id)) {
            (Spot::File { at, size }, _) => (*at, *size),
            (_, Some(Spot::File { size, .. })) => {
                return Ok(Descriptor::new(MediaType::OCI_LAYER_TAR, diff_id.clone(), *size));
            }
            _ => {
                let what = "a link, and links in archives are never followed";
                return Err(Error::Unsafe { path: self.path.join(name), what });
            }
        };
        let reading = || Error::storage("reading", self.path.join(name));
        let mut magic = Vec::new();
        let section = Section::of(self.file, at, size);
        section.clone().take(MAGIC_LEN as u64).read_to_end(&mut magic).map_err(reading())?;
        let (media_type, digest) = match detect(&magic) {
            Detected::Gzip => (MediaType::OCI_LAYER_GZIP, hash(section).map_err(reading())?),
            Detected::Zstd => (MediaType::OCI_LAYER_ZSTD, hash(section).map_err(reading())?),
            _ => (MediaType::OCI_LAYER_TAR, diff_id.clone()),
        };
        self.contents.blobs.insert(digest.clone(), spot);
        Ok(Descriptor::new(media_type, digest, size))
    }

    fn member(&self, name: &str) -> Result<&Spot> {
        let found = tar::normal(name.as_bytes()).and_then(|name| self.members.get(&name));
        found.ok_or_else(|| {
            self.malformed(format!("it names {}, which is not there", transship_spec::quote(name)))
        })
    }

    fn malformed(&self, reason: String) -> Error {
        let source = transship_spec::Error::Document { what: DOCKER_MANIFEST, reason };
        Error::Malformed { path: self.path.join(DOCKER_MANIFEST), source }
    }
}

fn hash(mut section: Section) -> std::io::Result<Digest> {
    let mut hasher = Hasher::sha256();
    let mut piece = vec![0; 256 << 10];
    loop {
        match section.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&piece[..count]),
        }
    }
}
