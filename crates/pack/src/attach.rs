//! Referrers in a layout that also readers without an eye for `subject` find: under the fallback tag.

use transship_layout::{Layout, Name};
use transship_spec::{Descriptor, Digest, Document, MediaType, referrers};

use crate::Error;

/// Lists a referrer under the fallback tag of its subject, too (DIST-75), as regclient does in layouts. One that is listed
/// there stays as it is.
///
/// The referrer is in the layout already. Others may add to the list at the same time: none of them is lost.
///
/// # Errors
/// [`Error::Image`] when that name stands for something else than an index; [`Error::Layout`].
///
/// ```
/// use transship_layout::Layout;
/// use transship_pack::{ArtifactOptions, Files, list_by_fallback_tag, pack_files};
/// use transship_spec::{Descriptor, MediaType, referrers};
/// # let folder = tempfile::tempdir()?;
/// # let layout = Layout::options().create(folder.path().join("layout"))?;
///
/// let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"an image");
/// let artifact = ArtifactOptions { subject: Some(subject.clone()), ..ArtifactOptions::default() };
/// let attached = pack_files(&layout, None, &Files { artifact, ..Files::default() })?;
/// list_by_fallback_tag(&layout, &subject.digest, &attached.descriptor)?;
///
/// let list = layout.resolve(Some(referrers::fallback_tag(&subject.digest).as_str()))?.descriptor;
/// assert_eq!(layout.read_document(&list)?.as_index().map(|index| index.manifests.len()), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn list_by_fallback_tag(layout: &Layout, subject: &Digest, referrer: &Descriptor) -> Result<(), Error> {
    let tag = referrers::fallback_tag(subject);
    let name = Name::short(tag.as_str())?;
    loop {
        let session = layout.begin()?;
        let before = match session.resolve(Some(tag.as_str())) {
            Ok(entry) => Some(entry.descriptor),
            Err(transship_layout::Error::NoSuchReference { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let current = before.as_ref().map(|list| layout.read_document(list)).transpose()?;
        if current.as_ref().is_some_and(|list| list.as_index().is_none()) {
            return Err(Error::Image(format!("{tag} is no index, so it cannot list what is attached")));
        }
        let Some(list) = referrers::merge(current.as_ref(), referrer.clone()) else { return Ok(()) };
        let list = session.put_document(&Document::parse(list, Some(&MediaType::OCI_INDEX))?)?;
        let digest = before.map(|before| before.digest);
        let done = session.commit(|index| {
            let entries = index.entries()?;
            let there = entries.iter().find(|entry| entry.tag() == Some(tag.as_str()));
            let is_same = there.map(|entry| &entry.descriptor.digest) == digest.as_ref();
            if is_same {
                index.set(&name, &list)?;
            }
            Ok(is_same)
        })?;
        if done {
            return Ok(());
        }
    }
}
