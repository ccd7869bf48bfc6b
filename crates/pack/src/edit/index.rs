//! An index whose images are changed: it is built anew around them by splicing.

use transship_spec::annotations::DOCKER_REFERENCE_DIGEST;
use transship_spec::dialect::retype;
use transship_spec::splice::{Object, array, elements, repointed};
use transship_spec::{Descriptor, Dialect, Digest, Document, Platform, platform};

use super::Work;
use crate::origin::Origin;
use crate::{Error, Warning};

/// A member: as it is written, and what it is.
struct Slot {
    text: String,
    descriptor: Descriptor,
}

impl<'a> Work<'a> {
    /// Changes the images of an index, and of those within it; gives the descriptor of the new one.
    pub(super) fn index(
        &mut self,
        origin: Origin<'a>,
        descriptor: &Descriptor,
        document: &Document,
        top: bool,
    ) -> Result<Descriptor, Error> {
        let Some(index) = document.as_index() else {
            return Err(Error::Image(format!("{} is no index", document.digest())));
        };
        let mut text = Object::new(String::from_utf8_lossy(document.bytes()))?;
        let old = text.get("manifests")?.unwrap_or("null").to_owned();
        let texts = elements(&old)?.into_iter().map(str::to_owned);
        let mut slots: Vec<Slot> = index
            .manifests
            .iter()
            .cloned()
            .zip(texts)
            .map(|(descriptor, text)| Slot { text, descriptor })
            .collect();
        let mut moved = Vec::new();
        for slot in &mut slots {
            let new = self.member(origin, &slot.descriptor)?;
            if new.digest != slot.descriptor.digest {
                moved.push((slot.descriptor.digest.clone(), new.digest.clone()));
                slot.text = repointed(&slot.text, &slot.descriptor, &new)?;
            }
        }
        self.attestations(&mut slots, &moved)?;
        let texts: Vec<&str> = slots.iter().map(|slot| slot.text.as_str()).collect();
        if texts != elements(&old)? {
            let new = array(&old, &texts)?;
            text.set_text("manifests", &new)?;
        }
        if top {
            let before = text.clone();
            self.edit.index_annotations.apply(&mut text)?;
            if text != before {
                self.edited.changes.push("annotations of the index changed".to_owned());
            }
        }
        let media_type = self.dialect(&index.media_type)?;
        retype(&mut text, &index.media_type, &media_type)?;
        let new = Document::parse(text.text().to_owned(), Some(&media_type))?;
        if Dialect::of(&media_type) == Dialect::Docker && !new.annotations().is_empty() {
            return Err(Error::Unsupported("Docker's indexes have no annotations".to_owned()));
        }
        self.put(descriptor, document, &new)
    }

    /// Writes a document in the place of another one; gives a bare descriptor.
    pub(super) fn put(
        &mut self,
        descriptor: &Descriptor,
        old: &Document,
        new: &Document,
    ) -> Result<Descriptor, Error> {
        // One that stays is named as it was, by whatever algorithm.
        let stays = old.bytes() == new.bytes() && old.media_type() == new.media_type();
        let put = self.session.put_document(if stays { old } else { new })?;
        self.edited.documents.push((descriptor.digest.clone(), put.digest.clone()));
        Ok(put)
    }

    /// A member as it is to be: changed if it is an image that is meant, else carried as it is.
    fn member(&mut self, origin: Origin<'a>, member: &Descriptor) -> Result<Descriptor, Error> {
        let is_meant = self.is_meant(member);
        let there = member.data.is_some() || origin.source().size(&member.digest)?.is_some();
        if platform::is_attestation(member) || !there && !is_meant || !member.media_type.is_document() {
            return self.carried(origin, member);
        }
        let document = origin.document(member)?;
        if document.as_index().is_some() {
            return self.index(origin, member, &document, false);
        }
        let is_image =
            document.as_manifest().is_some_and(|manifest| manifest.config.media_type.is_image_config());
        if !is_image || !is_meant {
            return self.carried(origin, member);
        }
        self.image(origin, member, &document)
    }

    fn carried(&mut self, origin: Origin<'a>, member: &Descriptor) -> Result<Descriptor, Error> {
        if self.there {
            return Ok(member.clone());
        }
        let absent = origin.carry_all(self.session, member, self.edit.sparse)?;
        if absent > 0 {
            self.edited.warnings.push(Warning::BlobsAbsent(absent));
        }
        Ok(member.clone())
    }

    fn is_meant(&mut self, member: &Descriptor) -> bool {
        let platforms = &self.edit.platforms;
        let fits = |wanted: &&Platform| {
            member.platform.as_ref().is_some_and(|have| crate::index::is_for(have, wanted))
        };
        let found = platforms.iter().filter(fits).cloned().collect::<Vec<_>>();
        let is_meant = platforms.is_empty() || !found.is_empty();
        self.found.extend(found);
        is_meant
    }

    /// Attestations speak of bytes that are not there any more: they are left out, or made to speak of the new ones.
    fn attestations(&mut self, slots: &mut Vec<Slot>, moved: &[(Digest, Digest)]) -> Result<(), Error> {
        let mut dropped = 0;
        let mut kept = Vec::new();
        for mut slot in std::mem::take(slots) {
            let speaks = slot.descriptor.annotations.get(DOCKER_REFERENCE_DIGEST);
            let about = moved.iter().find(|(old, _)| Some(&old.to_string()) == speaks);
            match about {
                Some(_) if !platform::is_attestation(&slot.descriptor) => kept.push(slot),
                Some((_, new)) if self.edit.keep_attestations => {
                    let mut text = Object::new(slot.text)?;
                    text.within("annotations", |inside| inside.set(DOCKER_REFERENCE_DIGEST, new))?;
                    slot.text = text.text().to_owned();
                    kept.push(slot);
                }
                Some(_) => dropped += 1,
                None => kept.push(slot),
            }
        }
        *slots = kept;
        if dropped > 0 {
            self.edited.warnings.push(Warning::AttestationsDropped(dropped));
        }
        Ok(())
    }
}
