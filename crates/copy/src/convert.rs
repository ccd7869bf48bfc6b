//! One document called in another dialect (IMG-157): only names of media types change, and what they lead to.
//!
//! Documents are spliced: whatever is not a name of a media type, the digest and size of something that was itself
//! converted, or something that Docker's documents have no place for, keeps its bytes (design law 1). A document that has
//! no other name in the dialect stays what it is, to the byte.
//!
//! Nothing is read here, and no blob is looked into: a config or layer of one dialect is one of the other.

use std::collections::{HashMap, HashSet};

use transship_spec::annotations::DOCKER_REFERENCE_DIGEST;
use transship_spec::dialect::retype;
use transship_spec::splice::{Object, array, elements, repointed};
use transship_spec::{Descriptor, Dialect, Digest, Document, Manifest, MediaType, platform};

use crate::{Error, Result};

/// What an index or an image is in another dialect.
#[derive(Debug)]
pub(crate) struct Renamed {
    pub(crate) document: Document,
    /// Annotations that the dialect has no place for.
    pub(crate) annotations: usize,
    /// Attestations that speak of images as they were.
    pub(crate) attestations: usize,
}

impl Renamed {
    fn not(document: &Document) -> Self {
        Self { document: document.clone(), annotations: 0, attestations: 0 }
    }
}

/// Whether this is something that a dialect changes; if not, it is left as it is where it is one of many.
///
/// An artifact of the OCI's has a type, a subject, or a config that runs nothing: it is the same for everybody. Docker's
/// documents are all images, plugins and indexes of them.
pub(crate) fn is_meant(document: &Document, dialect: Dialect) -> bool {
    if Dialect::of(document.media_type()) == Dialect::Docker {
        return true;
    }
    match (document.as_manifest(), document.as_index()) {
        (Some(manifest), _) => {
            let is_plain = manifest.artifact_type.is_none() && manifest.subject.is_none();
            is_plain && manifest.config.media_type.is_image_config()
        }
        (_, Some(index)) => {
            dialect == Dialect::Oci || index.artifact_type.is_none() && index.subject.is_none()
        }
        _ => false,
    }
}

/// What is no image, as the error of who wanted it to be one.
pub(crate) fn no_image(digest: &Digest) -> Error {
    Error::Unsayable {
        digest: digest.clone(),
        what: "it is an artifact and no image".to_owned(),
        remedy: Some("copy it without --convert: it is the same for every reader"),
    }
}

/// An image in a dialect.
///
/// # Errors
/// [`Error::Unsayable`] for a layer that the dialect has no word for.
pub(crate) fn image(document: &Document, manifest: &Manifest, dialect: Dialect) -> Result<Renamed> {
    let mut renaming = Renaming::of(document, dialect)?;
    let mut text = Object::new(text_of(document)?)?;
    let config = text.get("config")?.unwrap_or("{}").to_owned();
    let config = renaming.blob(&config, &manifest.config)?;
    let old = text.get("layers")?.unwrap_or("null").to_owned();
    let layers = elements(&old)?.into_iter().zip(&manifest.layers);
    let layers = layers.map(|(text, layer)| renaming.blob(text, layer)).collect::<Result<Vec<_>>>()?;
    if !renaming.is_needed {
        return Ok(Renamed::not(document));
    }
    text.set_text("config", &config)?;
    if !layers.is_empty() {
        text.set_text("layers", &array(&old, &layers)?)?;
    }
    renaming.finish(document, text, 0)
}

/// An index in a dialect, around members that may have become others.
///
/// An attestation speaks of bytes by their digest: of an image that has become another one it is no longer true, and left
/// out. Members that are the same in both stay as they are.
///
/// # Errors
/// None in practice: the index was read before.
pub(crate) fn index(
    document: &Document,
    members: &[Descriptor],
    new: &HashMap<Digest, Descriptor>,
    dialect: Dialect,
) -> Result<Renamed> {
    let mut renaming = Renaming::of(document, dialect)?;
    let moved = |member: &Descriptor| {
        let new = new.get(&member.digest).filter(|_| member.media_type.is_document());
        new.filter(|new| !new.is_same_content(member))
    };
    let gone = members.iter().filter(|member| moved(member).is_some_and(|new| new.digest != member.digest));
    let gone: HashSet<String> = gone.map(|member| member.digest.to_string()).collect();
    renaming.is_needed |= members.iter().any(|member| moved(member).is_some());
    if !renaming.is_needed {
        return Ok(Renamed::not(document));
    }
    let mut text = Object::new(text_of(document)?)?;
    let old = text.get("manifests")?.unwrap_or("null").to_owned();
    let (mut kept, mut attestations) = (Vec::new(), 0);
    for (text, member) in elements(&old)?.into_iter().zip(members) {
        let about = member.annotations.get(DOCKER_REFERENCE_DIGEST);
        match moved(member) {
            Some(new) => {
                let bare = Descriptor { platform: None, ..new.clone() };
                kept.push(renaming.plain(&repointed(text, member, &bare)?, member)?);
            }
            None if platform::is_attestation(member) && about.is_some_and(|about| gone.contains(about)) => {
                attestations += 1;
            }
            None => kept.push(text.to_owned()),
        }
    }
    if !members.is_empty() {
        text.set_text("manifests", &array(&old, &kept)?)?;
    }
    renaming.finish(document, text, attestations)
}

/// A document that is being renamed.
struct Renaming<'a> {
    digest: &'a Digest,
    dialect: Dialect,
    media_type: MediaType,
    /// Whether it is Docker's already: then what is not is the business of whoever made it.
    is_dockers: bool,
    is_needed: bool,
    annotations: usize,
}

impl<'a> Renaming<'a> {
    fn of(document: &'a Document, dialect: Dialect) -> Result<Self> {
        let was = document.media_type();
        let media_type = dialect.type_for(was).ok_or_else(|| no_image(document.digest()))?;
        let is_needed = media_type != *was;
        let is_dockers = Dialect::of(was) == Dialect::Docker;
        Ok(Self { digest: document.digest(), dialect, media_type, is_dockers, is_needed, annotations: 0 })
    }

    /// The text of a descriptor of a config or a layer.
    fn blob(&mut self, text: &str, blob: &Descriptor) -> Result<String> {
        let media_type = match self.dialect.type_for(&blob.media_type) {
            Some(media_type) => media_type,
            None if self.is_dockers => blob.media_type.clone(),
            None => return Err(self.unsayable(blob)),
        };
        self.is_needed |= media_type != blob.media_type;
        let mut object = Object::new(text)?;
        if media_type != blob.media_type {
            object.set("mediaType", &media_type)?;
        }
        self.plain(object.text(), blob)
    }

    /// A descriptor without what Docker's have no place for. What it embeds is a blob all the same (IMG-65).
    fn plain(&mut self, text: &str, was: &Descriptor) -> Result<String> {
        let mut object = Object::new(text)?;
        if self.dialect == Dialect::Docker && !self.is_dockers {
            self.annotations += was.annotations.len();
            for name in ["annotations", "artifactType", "data"] {
                object.remove(name)?;
            }
        }
        Ok(object.text().to_owned())
    }

    fn unsayable(&self, blob: &Descriptor) -> Error {
        let recompress =
            "transship edit LOCATION --recompress gzip --convert docker makes an image that they can say";
        let is_zstd = blob.media_type == MediaType::OCI_LAYER_ZSTD;
        Error::Unsayable {
            digest: self.digest.clone(),
            what: format!("{} is {}, for which they have no word", blob.digest, blob.media_type),
            remedy: is_zstd.then_some(recompress),
        }
    }

    fn finish(mut self, document: &Document, mut text: Object, attestations: usize) -> Result<Renamed> {
        if self.dialect == Dialect::Docker && !self.is_dockers && text.remove("annotations")? {
            self.annotations += document.annotations().len();
        }
        retype(&mut text, document.media_type(), &self.media_type)?;
        let bytes = text.text().as_bytes().to_vec();
        let document = Document::parse(bytes, Some(&self.media_type))?;
        Ok(Renamed { document, annotations: self.annotations, attestations })
    }
}

fn text_of(document: &Document) -> Result<&str> {
    std::str::from_utf8(document.bytes()).map_err(|_| {
        let reason = "it is not UTF-8".to_owned();
        transship_spec::Error::Document { what: "document", reason }.into()
    })
}
