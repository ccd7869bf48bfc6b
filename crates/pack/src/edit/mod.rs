//! Images that are there, changed: how they are run, what they are said to be, and their layers.
//!
//! What is asked for changes, and nothing else: manifests, configs and indexes are spliced, so that unknown fields, the
//! forms of numbers and white space stay as they came (IMG-99), and an edit that changes nothing gives the same digest. No
//! layer is written anew unless its content, its times or its compression are to change.
//!
//! The order does not depend on how an edit was put together: layers are taken from another base, dropped, replaced and
//! added, merged, given other times, compressed anew; then come config, media types and annotations. Positions of layers
//! are those that the image has before.

mod changes;
mod config;
mod convert;
mod image;
mod index;
mod layers;
mod rebase;

use transship_layout::{Layout, Name, Session};
use transship_spec::{Descriptor, Dialect, Digest, Platform};

pub use changes::{AnnotationChanges, ConfigEdit, Setting};
pub use layers::{LayerEdit, LayerRef};
pub use rebase::Rebase;

use crate::index::{Member, list};
use crate::{Error, Warning};

/// What is to be changed in an image. The default changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Edit<'a> {
    /// How it is run, and what it says of itself.
    pub config: ConfigEdit,
    /// Annotations of the manifest.
    pub annotations: AnnotationChanges,
    /// Annotations of the index that the image is a member of; without one, an error.
    pub index_annotations: AnnotationChanges,
    /// Its layers.
    pub layers: LayerEdit,
    /// Another base to be built upon.
    pub rebase: Option<Rebase<'a>>,
    /// Whose media types it is to have.
    pub convert: Option<Dialect>,
    /// Which members of an index are changed, exactly as they are listed; all images unless some are named.
    pub platforms: Vec<Platform>,
    /// Whether attestations that speak of the image as it was are kept and made to speak of the new one, instead of being
    /// left out.
    pub keep_attestations: bool,
    /// The value of `SOURCE_DATE_EPOCH`, which history entries of new layers say where nothing else is told.
    pub source_date_epoch: Option<i64>,
    /// Whether layers that are not there are left out, with a warning, instead of being an error.
    pub sparse: bool,
}

/// What became of an image, or of an index of images.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Edited {
    /// What is listed now.
    pub descriptor: Descriptor,
    /// Each manifest that was looked at, and index above it: what it was and what it is. They are the same where nothing
    /// changed.
    pub documents: Vec<(Digest, Digest)>,
    /// What changed, in words, for people.
    pub changes: Vec<String>,
    /// What was left out, or is doubtful.
    pub warnings: Vec<Warning>,
}

/// Changes an image, or the images of an index, and lists the result in the layout: under a name, or without one.
///
/// The image may come from anywhere; all that the result needs is carried into the layout. The old one stays what it is.
///
/// # Errors
/// [`Error::Image`] for artifacts, and for images that contradict themselves; [`Error::Missing`] for a layer, a platform or a
/// variable that is not there; [`Error::Option`] for values that make no sense; [`Error::Unsupported`] for what Docker's media
/// types cannot say; what reading and writing give. The index is then as it was.
///
/// ```
/// use transship_layout::{Layout, Name};
/// use transship_pack::{ConfigChanges, ConfigEdit, Edit, ImageOptions, Member, Take, edit_image, pack_image};
///
/// # let folder = tempfile::tempdir()?;
/// # let rootfs = folder.path().join("rootfs");
/// # std::fs::create_dir(&rootfs)?;
/// let layout = Layout::options().create(folder.path().join("out"))?;
/// let descriptor = pack_image(&layout, None, &[&rootfs], &ImageOptions::default())?.descriptor;
/// let changes = ConfigChanges { user: Some("1000".to_owned()), ..ConfigChanges::default() };
/// let edit = Edit { config: ConfigEdit { changes, ..ConfigEdit::default() }, ..Edit::default() };
/// let image = Member { origin: (&layout).into(), descriptor, take: Take::Itself, there: false };
/// let edited = edit_image(&layout, Some(&Name::short("v1")?), &image, &edit)?;
/// assert_eq!(edited.changes, ["User: absent -> \"1000\""]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn edit_image(
    layout: &Layout,
    name: Option<&Name>,
    image: &Member<'_>,
    edit: &Edit<'_>,
) -> Result<Edited, Error> {
    edit.check()?;
    let session = layout.begin()?;
    let edited = Edited::of(&image.descriptor);
    let edited =
        Work { session: &session, edit, edited, found: Vec::new(), there: image.there }.root(image)?;
    list(session, name, &edited.descriptor)?;
    Ok(edited)
}

impl Edited {
    fn of(descriptor: &Descriptor) -> Self {
        Self {
            descriptor: descriptor.clone(),
            documents: Vec::new(),
            changes: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl Edit<'_> {
    /// Whatever makes no sense is found before anything is read.
    fn check(&self) -> Result<(), Error> {
        self.config.check()?;
        self.annotations.check()?;
        self.index_annotations.check()
    }
}

/// An edit under way.
struct Work<'a> {
    session: &'a Session,
    edit: &'a Edit<'a>,
    edited: Edited,
    /// The platforms asked for that were found.
    found: Vec<Platform>,
    /// Whether what stays need not be carried.
    there: bool,
}

impl<'a> Work<'a> {
    fn root(mut self, image: &Member<'a>) -> Result<Edited, Error> {
        let document = image.origin.document(&image.descriptor)?;
        self.edited.warnings.extend(self.edit.annotations.warnings());
        let new = if document.as_index().is_some() {
            self.index(image.origin, &image.descriptor, &document, true)?
        } else {
            self.alone(&image.descriptor)?;
            self.image(image.origin, &image.descriptor, &document)?
        };
        if let Some(wanted) = self.edit.platforms.iter().find(|wanted| !self.found.contains(wanted)) {
            let have = format!("the index {} has none", document.digest());
            return Err(Error::Missing { what: format!("image for {wanted}"), have });
        }
        let old = &image.descriptor;
        if new.digest != old.digest {
            let platform = new.platform.clone().or_else(|| old.platform.clone());
            let artifact_type = old.artifact_type.clone();
            self.edited.descriptor = Descriptor { platform, artifact_type, ..new };
        }
        Ok(self.edited)
    }

    /// An image that is no member of an index.
    fn alone(&mut self, descriptor: &Descriptor) -> Result<(), Error> {
        if !self.edit.index_annotations.is_empty() {
            return Err(Error::Image(format!(
                "{} is no index, whose annotations could be changed",
                descriptor.digest
            )));
        }
        if let Some(wanted) = self.edit.platforms.first() {
            let have = format!("{} is one image and no index", descriptor.digest);
            return Err(Error::Missing { what: format!("member for {wanted}"), have });
        }
        Ok(())
    }
}
