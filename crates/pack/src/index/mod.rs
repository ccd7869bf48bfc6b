//! Indexes over images: made, added to, and taken from (IMG-75…85).
//!
//! An index that is there is changed by splicing: its members, unknown fields and even its white space stay as they came,
//! but for what is asked for. The order of members is kept, since the first that fits is chosen (IMG-80). Attestations of
//! `BuildKit` go with the image that they speak of (IMG-83).

mod members;
mod remove;

use std::borrow::Cow;

use transship_layout::{Layout, Name, Session};
use transship_spec::splice::{Object, array, elements};
use transship_spec::{Annotations, Descriptor, Document, Index, MediaType, Platform, platform};

use crate::image::check_annotations;
use crate::origin::Origin;
use crate::{Error, Warning};

use members::{Slot, Slots};
pub(crate) use remove::is_for;
pub use remove::{Removal, remove_from_index};

/// Something that is to be listed in an index.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// Where it is.
    pub origin: Origin<'a>,
    /// What it is: an image, an artifact or an index.
    pub descriptor: Descriptor,
    /// What of it is taken.
    pub take: Take,
    /// Whether all of it is there already where the result goes in the end, so that nothing of it needs to be carried into
    /// the layout: it lies in the same repository, or the result is only looked at.
    pub there: bool,
}

/// What of a member is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Take {
    /// It itself. An index becomes an index in an index.
    #[default]
    Itself,
    /// The members of an index, and theirs where they are indexes, in their order; of anything else, it itself.
    Members,
    /// What serves these platforms, with its attestations. An image must serve one of them.
    Platforms(Vec<Platform>),
}

/// What an index is to say beside its members.
#[derive(Debug, Clone, Default)]
pub struct IndexOptions {
    /// Annotations of the index.
    pub annotations: Annotations,
    /// Annotations that each new member gets in the index.
    pub member_annotations: Annotations,
    /// The platform that each new member gets in the index, instead of what its config says.
    pub member_platform: Option<Platform>,
    /// What sort of artifact the index is (IMG-84).
    pub artifact_type: Option<MediaType>,
    /// The manifest that the index refers to.
    pub subject: Option<Descriptor>,
    /// Whether a new member takes the place of the one for the same platform, which is an error otherwise.
    pub replace: bool,
    /// Whether blobs that are not there are left out, with a warning, instead of being an error.
    pub sparse: bool,
}

/// An index in a layout.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Indexed {
    /// The index.
    pub descriptor: Descriptor,
    /// Its members as they are now.
    pub members: Vec<Descriptor>,
    /// Those that are new.
    pub added: Vec<Descriptor>,
    /// Those that are gone.
    pub removed: Vec<Descriptor>,
    /// What was left out, or is doubtful.
    pub warnings: Vec<Warning>,
}

/// Makes an index of images, artifacts and indexes, and lists it in the layout: under a name, or without one.
///
/// The platform of an image is what its config says. All that a member leads to is carried into the layout. Without
/// members the index is empty, which is legal.
///
/// # Errors
/// [`Error::Listed`] for two members of one platform, [`Error::Platform`] where nothing serves a platform that is asked
/// for, [`Error::Option`] for an annotation that makes no sense, and what reading and writing give.
///
/// ```
/// use transship_layout::{Layout, Name};
/// use transship_pack::{ImageOptions, IndexOptions, Member, Take, create_index, pack_image};
///
/// # let folder = tempfile::tempdir()?;
/// # let rootfs = folder.path().join("rootfs");
/// # std::fs::create_dir(&rootfs)?;
/// let layout = Layout::options().create(folder.path().join("out"))?;
/// let mut members = Vec::new();
/// for platform in ["linux/amd64", "linux/arm64"] {
///     let options = ImageOptions { platform: Some(platform.parse()?), ..ImageOptions::default() };
///     let descriptor = pack_image(&layout, None, &[&rootfs], &options)?.descriptor;
///     members.push(Member { origin: (&layout).into(), descriptor, take: Take::Itself, there: false });
/// }
/// let index = create_index(&layout, Some(&Name::short("v1")?), &members, &IndexOptions::default())?;
/// assert_eq!(index.members[1].platform, Some("linux/arm64".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn create_index(
    layout: &Layout,
    name: Option<&Name>,
    members: &[Member<'_>],
    options: &IndexOptions,
) -> Result<Indexed, Error> {
    let head = Index {
        artifact_type: options.artifact_type.clone(),
        subject: options.subject.clone(),
        annotations: options.annotations.clone(),
        ..Index::new(Vec::new())
    };
    let mut draft = Draft::new(layout, &head.to_document()?)?;
    draft.warnings = check_annotations(&options.annotations)?;
    draft.add(members, options)?;
    draft.write(name)
}

/// Adds members to an index, and gives the new one its name.
///
/// A member that is listed already is left as it is, with a warning. What the index says beside its members is set where
/// the options say something, and else stays.
///
/// # Errors
/// As [`create_index`], and [`Error::Image`] for what is no index.
pub fn add_to_index(
    layout: &Layout,
    name: Option<&Name>,
    index: &Member<'_>,
    members: &[Member<'_>],
    options: &IndexOptions,
) -> Result<Indexed, Error> {
    let warnings = check_annotations(&options.annotations)?;
    let mut draft = Draft::of(layout, index, options.sparse)?;
    draft.warnings.extend(warnings);
    draft.head(options)?;
    draft.add(members, options)?;
    draft.write(name)
}

/// An index that is being changed.
struct Draft {
    session: Session,
    media_type: MediaType,
    text: Object,
    slots: Slots,
    warnings: Vec<Warning>,
}

impl Draft {
    fn new(layout: &Layout, document: &Document) -> Result<Self, Error> {
        let index = document.as_index().ok_or_else(|| no_index(document))?;
        let text = Object::new(String::from_utf8_lossy(document.bytes()))?;
        let texts = elements(text.get("manifests")?.unwrap_or("null"))?;
        let slots = index.manifests.iter().zip(texts).map(|(descriptor, text)| Slot::kept(descriptor, text));
        Ok(Self {
            session: layout.begin()?,
            media_type: index.media_type.clone(),
            slots: Slots::new(slots.collect()),
            text,
            warnings: Vec::new(),
        })
    }

    /// An index that is there, with all that it leads to.
    fn of(layout: &Layout, index: &Member<'_>, sparse: bool) -> Result<Self, Error> {
        let document = index.origin.document(&index.descriptor)?;
        let mut draft = Self::new(layout, &document)?;
        if !index.there {
            draft.carry(index.origin, &index.descriptor, sparse)?;
        }
        Ok(draft)
    }

    fn carry(&mut self, origin: Origin<'_>, root: &Descriptor, sparse: bool) -> Result<(), Error> {
        let absent = origin.carry_all(&self.session, root, sparse)?;
        if absent > 0 {
            self.warnings.push(Warning::BlobsAbsent(absent));
        }
        Ok(())
    }

    /// What is said beside the members.
    fn head(&mut self, options: &IndexOptions) -> Result<(), Error> {
        if let Some(artifact_type) = &options.artifact_type {
            self.text.set("artifactType", artifact_type)?;
        }
        if let Some(subject) = &options.subject {
            self.text.set("subject", subject)?;
        }
        annotate(&mut self.text, &options.annotations)
    }

    fn add(&mut self, members: &[Member<'_>], options: &IndexOptions) -> Result<(), Error> {
        let mut again = 0;
        for member in members {
            let before = self.slots.len();
            for mut listed in members::taken(member)? {
                if self.slots.holds(&listed) {
                    again += 1;
                    continue;
                }
                listed.annotations.extend(options.member_annotations.clone());
                if let Some(platform) = &options.member_platform
                    && !platform::is_attestation(&listed)
                {
                    listed.platform = Some(platform.clone());
                }
                if !member.there {
                    self.carry(member.origin, &listed, options.sparse)?;
                }
                self.slots.insert(listed, before, options.replace)?;
            }
        }
        if again > 0 {
            self.warnings.push(Warning::ListedAlready(again));
        }
        Ok(())
    }

    /// Writes the index, and lists it.
    fn write(mut self, name: Option<&Name>) -> Result<Indexed, Error> {
        let old = self.text.get("manifests")?.unwrap_or("null");
        if self.slots.is_changed() {
            let new = array(old, &self.slots.texts()?)?;
            self.text.set_text("manifests", &new)?;
        }
        let document = Document::parse(self.text.text().to_owned(), Some(&self.media_type))?;
        let descriptor = self.session.put_document(&document)?;
        let listed = Descriptor { artifact_type: document.artifact_type().cloned(), ..descriptor };
        list(self.session, name, &listed)?;
        let Slots { added, removed, .. } = self.slots;
        let members = document.as_index().map(|index| index.manifests.clone()).unwrap_or_default();
        Ok(Indexed { descriptor: listed, members, added, removed, warnings: self.warnings })
    }
}

/// Commits what was written, and lists it under a name, or without one.
pub(crate) fn list(session: Session, name: Option<&Name>, descriptor: &Descriptor) -> Result<(), Error> {
    session.commit(|index| match name {
        Some(name) => index.set(name, descriptor).map(drop),
        None => index.pin(descriptor).map(drop),
    })?;
    Ok(())
}

/// Sets annotations of a document or a descriptor.
pub(crate) fn annotate(text: &mut Object, annotations: &Annotations) -> Result<(), Error> {
    text.within("annotations", |inside| {
        for (key, value) in annotations {
            inside.set(key, value)?;
        }
        Ok::<_, Error>(())
    })
}

fn no_index(document: &Document) -> Error {
    let what = match document.as_manifest() {
        Some(manifest) if manifest.config.media_type.is_image_config() => Cow::Borrowed("an image"),
        _ => Cow::Owned(format!("a {}", document.media_type())),
    };
    Error::Image(format!("{} is {what}, and no index", document.digest()))
}
