//! An image that was built upon one base, put upon another: its own layers stay, those of the base are exchanged. How it is
//! run stays as the image says it.

use transship_spec::annotations::{BASE_DIGEST, BASE_NAME};
use transship_spec::{Annotations, Platform, platform};

use super::image::{Draft, Step};
use super::{AnnotationChanges, Work};
use crate::Error;
use crate::index::Member;

/// How deep indexes may lie in indexes.
const MAX_DEPTH: usize = 32;

/// Two bases: the one that an image was built upon, and the one that it is to be built upon.
#[derive(Debug, Clone)]
pub struct Rebase<'a> {
    /// The base that it has; its layers must be the image's first ones.
    pub old: Member<'a>,
    /// The base that it gets.
    pub new: Member<'a>,
    /// The full name of the new base, for the image's annotations (IMG-171).
    pub name: Option<String>,
}

impl<'a> Work<'a> {
    pub(super) fn rebase(&mut self, draft: &mut Draft<'a>) -> Result<(), Error> {
        let edit = self.edit;
        let Some(rebase) = &edit.rebase else { return Ok(()) };
        let platform = draft.config.platform.clone();
        let (old, new) = (base(&rebase.old, &platform)?, base(&rebase.new, &platform)?);
        let count = old.layers.len();
        let mut pairs = old.layers.iter().zip(&draft.layers);
        if count > draft.layers.len() || !pairs.all(|(base, own)| base.diff_id == own.diff_id) {
            return Err(Error::Image(format!(
                "{} is not built upon {}: the layers of that are not its first ones",
                draft.digest, old.digest
            )));
        }
        self.complete_history(draft);
        let own = draft.layers.split_off(count);
        let steps = own_steps(&draft.history, &old, count);
        draft.layers = new.layers.clone();
        draft.layers.extend(own);
        let mut based = new;
        self.complete_history(&mut based);
        draft.history = based.history;
        draft.history.extend(steps);
        if old.digest != based.digest {
            self.edited.changes.push(format!("base {} -> {}", old.digest, based.digest));
        }
        let set = [(BASE_DIGEST, Some(based.digest.to_string())), (BASE_NAME, rebase.name.clone())];
        let set: Annotations =
            set.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        draft.base = Some(AnnotationChanges { set, ..AnnotationChanges::default() });
        Ok(())
    }
}

/// The image of a base for this platform.
fn base<'a>(member: &Member<'a>, wanted: &Platform) -> Result<Draft<'a>, Error> {
    let mut descriptor = member.descriptor.clone();
    for _ in 0..MAX_DEPTH {
        let document = member.origin.document(&descriptor)?;
        let Some(index) = document.as_index() else {
            return Draft::load(member.origin, &document, member.there);
        };
        let found = platform::select(&index.manifests, wanted).ok_or_else(|| Error::Platform {
            wanted: Box::new(wanted.clone()),
            available: index.manifests.iter().filter_map(|member| member.platform.clone()).collect(),
        })?;
        descriptor = found.clone();
    }
    Err(Error::Image(format!("the indexes of a base lie more than {MAX_DEPTH} deep in each other")))
}

/// The entries of history that are not the old base's: those behind its own, or else behind its last layer's.
fn own_steps(history: &[Step], old: &Draft<'_>, count: usize) -> Vec<Step> {
    let base = old.history.iter().map(|step| &step.text);
    if history.len() >= old.history.len()
        && base.eq(history.iter().take(old.history.len()).map(|step| &step.text))
    {
        return history[old.history.len()..].to_vec();
    }
    let layers = history.iter().enumerate().filter(|(_, step)| !step.is_empty).map(|(at, _)| at + 1);
    let cut = if count == 0 { 0 } else { layers.take(count).last().unwrap_or_default() };
    history[cut..].to_vec()
}
