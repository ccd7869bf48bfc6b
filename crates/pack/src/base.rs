//! What an image is built upon: an image that is there, of which nothing is lost and no layer is written anew.

use std::fmt;
use std::sync::Arc;

use transship_layout::{Entry, Layout, Session, Source, read_document};
use transship_spec::{
    Annotations, Descriptor, Digest, History, ImageConfig, Manifest, Platform, annotations, platform,
};

use crate::Error;
use crate::image::host_platform;
use crate::origin::{Origin, write};

/// How deep indexes may lie in indexes.
const MAX_DEPTH: usize = 32;

/// An image to build upon.
///
/// Its layers are carried into the new image's layout: not at all where they are there already, from a layout as a reflink
/// or a copy, from elsewhere as a copy; all that comes is verified. They keep their digests. An image of Docker's media
/// types is a base like any other; the image built upon it is one of the OCI, and says of its layers, whose bytes are the
/// same, by which OCI type they go (IMG-157). So it can have annotations and layers in zstd, which Docker's manifests
/// cannot.
#[derive(Debug, Clone)]
pub struct Base {
    /// Where it is.
    pub place: Holder,
    /// The manifest, or an index with one for the platform wanted.
    pub descriptor: Descriptor,
    /// The full name that the new image's annotations are to say (IMG-171).
    pub name: Option<String>,
    /// Whether layers that its place does not hold are left out, with a warning, instead of being an error.
    pub sparse: bool,
}

/// What holds a base.
#[derive(Clone)]
#[non_exhaustive]
pub enum Holder {
    /// A layout, with which a new one may share blocks.
    Layout(Layout),
    /// An archive, a registry behind an adapter, or whatever else can be read.
    Source(Arc<dyn Source>),
}

impl Holder {
    pub(crate) fn origin(&self) -> Origin<'_> {
        match self {
            Self::Layout(layout) => Origin::Layout(layout),
            Self::Source(source) => Origin::Source(&**source),
        }
    }

    pub(crate) fn source(&self) -> &dyn Source {
        match self {
            Self::Layout(layout) => layout,
            Self::Source(source) => &**source,
        }
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(layout) => f.debug_tuple("Layout").field(layout).finish(),
            Self::Source(_) => f.write_str("Source"),
        }
    }
}

impl Base {
    /// An entry of a layout, as [`Layout::resolve`] finds it; its full name, if it has one, is said in annotations.
    #[must_use]
    pub fn new(layout: &Layout, entry: &Entry) -> Self {
        Self::at(Holder::Layout(layout.clone()), entry)
    }

    /// An entry of another place.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use transship_layout::Archive;
    /// use transship_pack::Base;
    ///
    /// let archive = Archive::options().open("base.tar")?;
    /// let entry = archive.resolve(None)?;
    /// let base = Base::of(Arc::new(archive), &entry);
    /// # Ok::<(), transship_layout::Error>(())
    /// ```
    #[must_use]
    pub fn of(source: Arc<dyn Source>, entry: &Entry) -> Self {
        Self::at(Holder::Source(source), entry)
    }

    fn at(place: Holder, entry: &Entry) -> Self {
        let name = entry.full_name().map(str::to_owned);
        Self { place, descriptor: entry.descriptor.clone(), name, sparse: false }
    }

    /// Reads manifest and config.
    pub(crate) fn load(&self, wanted: Option<&Platform>) -> Result<Loaded, Error> {
        let (digest, manifest) = self.manifest(wanted)?;
        if !manifest.config.media_type.is_image_config() {
            return Err(Error::Base(format!(
                "{digest} is an artifact of type {}",
                manifest.config.media_type
            )));
        }
        let mut config = self.place.origin().config(&manifest.config)?;
        if config.diff_ids.len() != manifest.layers.len() {
            let (ids, layers) = (config.diff_ids.len(), manifest.layers.len());
            return Err(Error::Base(format!(
                "the config of {digest} has {ids} diff IDs for {layers} layers"
            )));
        }
        if let Some(wanted) = wanted
            && config.platform.fitness(wanted).is_none()
        {
            return Err(Error::Platform {
                wanted: Box::new(wanted.clone()),
                available: vec![config.platform],
            });
        }
        complete_history(&mut config);
        let layers = manifest.layers.into_iter().map(as_oci).collect();
        Ok(Loaded { digest, config, layers })
    }

    /// The manifest for the platform wanted; without a wish, the only one or the one for this machine.
    fn manifest(&self, wanted: Option<&Platform>) -> Result<(Digest, Manifest), Error> {
        let mut descriptor = self.descriptor.clone();
        for _ in 0..MAX_DEPTH {
            let document = read_document(self.place.source(), &descriptor)?;
            if let Some(manifest) = document.as_manifest() {
                return Ok((descriptor.digest, manifest.clone()));
            }
            let Some(index) = document.as_index() else {
                return Err(Error::Base(format!("{} is neither a manifest nor an index", descriptor.digest)));
            };
            descriptor = choose(&index.manifests, wanted)?.clone();
        }
        Err(Error::Base(format!("its indexes lie more than {MAX_DEPTH} deep in each other")))
    }

    /// Sees to it that a layer is in the new image's layout. Tells whether it is.
    pub(crate) fn carry(&self, session: &Session, layer: &Descriptor) -> Result<bool, Error> {
        if session.reuse(layer)? {
            return Ok(true);
        }
        let may_be_absent = self.sparse || layer.media_type.is_nondistributable();
        if may_be_absent && self.place.source().size(&layer.digest)?.is_none() {
            return Ok(false);
        }
        match &self.place {
            Holder::Layout(layout) => drop(session.adopt_from(layout, layer)?),
            Holder::Source(source) => write(session, layer, source.open(layer)?)?,
        }
        Ok(true)
    }
}

/// A base that was read.
pub(crate) struct Loaded {
    pub(crate) digest: Digest,
    pub(crate) config: ImageConfig,
    /// With the OCI's media types.
    pub(crate) layers: Vec<Descriptor>,
}

impl Loaded {
    /// Says in annotations what the image is built upon (IMG-171).
    pub(crate) fn annotate(&self, base: &Base, annotations: &mut Annotations) {
        annotations.insert(annotations::BASE_DIGEST.to_owned(), self.digest.to_string());
        if let Some(name) = &base.name {
            annotations.insert(annotations::BASE_NAME.to_owned(), name.clone());
        }
    }
}

pub(crate) fn choose<'a>(
    members: &'a [Descriptor],
    wanted: Option<&Platform>,
) -> Result<&'a Descriptor, Error> {
    let mut images = members.iter().filter(|member| !platform::is_attestation(member));
    if let (None, Some(only), None) = (wanted, images.next(), images.next()) {
        return Ok(only);
    }
    let wanted = wanted.cloned().unwrap_or_else(host_platform);
    platform::select(members, &wanted).ok_or_else(|| Error::Platform {
        wanted: Box::new(wanted.clone()),
        available: members
            .iter()
            .filter_map(|member| member.platform.clone())
            .filter(|p| !p.is_unknown())
            .collect(),
    })
}

/// The same content by its OCI type.
fn as_oci(layer: Descriptor) -> Descriptor {
    let media_type = layer.media_type.to_oci().unwrap_or(layer.media_type);
    Descriptor { media_type, ..layer }
}

/// Where a base has fewer entries of history than layers, ours would be taken for theirs (IMG-98).
fn complete_history(config: &mut ImageConfig) {
    let have = config.history.iter().filter(|entry| !entry.empty_layer).count();
    for _ in have..config.diff_ids.len() {
        config.history.push(History { comment: Some("of the base image".to_owned()), ..History::default() });
    }
}
