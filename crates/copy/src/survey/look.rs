//! What destinations have of the roots, by name or in their lists of referrers: one question each, before it is known what
//! the roots are, since that tells how to find it out.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use transship_layout::check::KEPT_PLATFORMS;
use transship_spec::{Descriptor, Digest};

use super::Survey;
use crate::Result;
use crate::endpoint::{Ask, QUESTIONS};
use crate::names::Name;
use crate::report::Why;

/// What the names of roots stand for at their destinations.
pub(super) type Found = HashMap<usize, Result<Option<Descriptor>>>;

impl Survey {
    /// Asks the destinations what they have under the names of these roots.
    pub(super) async fn look(&self, new: Range<usize>) -> Found {
        let mut all = Found::new();
        for spot in 0..self.spots.len() {
            let is_named = |id: &usize| {
                let root = &self.roots[*id];
                root.to == spot && root.failure.is_none() && !matches!(root.why, Why::Referrer(_))
            };
            let ids: Vec<usize> = new.clone().filter(is_named).collect();
            let names: Vec<Name> = ids.iter().map(|id| self.roots[*id].name.clone()).collect();
            let found = self.destination(spot).find(&names).await;
            all.extend(ids.into_iter().zip(found));
        }
        all
    }

    /// Notes which roots the destinations have under their names.
    pub(super) async fn compare(&mut self, new: Range<usize>, found: Found) {
        for (id, found) in found {
            let is_local = self.destination(self.roots[id].to).is_local();
            let root = &mut self.roots[id];
            if root.failure.is_some() {
                continue;
            }
            match found {
                Ok(found) => {
                    let declared = found.as_ref().and_then(|found| found.annotations.get(KEPT_PLATFORMS));
                    let declared = declared.cloned();
                    root.there = found.map(|found| found.digest);
                    let digests = (&root.there, root.descriptor.as_ref());
                    root.is_there = matches!(digests, (Some(one), Some(other)) if *one == other.digest);
                    if is_local && root.is_there {
                        root.declare(declared.as_deref(), &self.documents);
                    }
                }
                Err(error) => root.failure = Some(Arc::new(error)),
            }
            // What has no name is only entered, which changes nothing where it is there.
            root.is_there |= is_local && root.name == Name::Digest;
        }
        for spot in 0..self.spots.len() {
            self.look_for_referrers(spot, new.clone()).await;
        }
    }

    /// A registry is asked which referrers it lists, once for each subject that it has.
    async fn look_for_referrers(&mut self, spot: usize, new: Range<usize>) {
        let is_local = self.destination(spot).is_local();
        let mut subjects: HashMap<Digest, Vec<usize>> = HashMap::new();
        for id in new {
            let root = &mut self.roots[id];
            let Why::Referrer(subject) = &root.why else { continue };
            if root.to != spot || root.failure.is_some() {
                continue;
            }
            let there = self.spots[spot].graph.document(subject);
            if is_local {
                root.is_there = true;
            } else if there.is_some_and(|id| self.spots[spot].graph.nodes[id].state.is_present()) {
                subjects.entry(subject.clone()).or_default().push(id);
            }
        }
        let destination = self.destination(spot);
        let ask = Ask { referrers: true, digest_tags: false, many: subjects.len() > 1 };
        let question = |(subject, ids): (Digest, Vec<usize>)| async move {
            // Where that cannot be known they are put again, which does no harm.
            let listed = destination.related(&subject, ask).await.unwrap_or_default().referrers;
            (ids, listed)
        };
        let answers: Vec<_> =
            stream::iter(subjects).map(question).buffer_unordered(QUESTIONS).collect().await;
        for (ids, listed) in answers {
            for id in ids {
                let root = &mut self.roots[id];
                let digest = root.descriptor.as_ref().map(|descriptor| &descriptor.digest);
                root.is_there = listed.iter().any(|listed| Some(&listed.digest) == digest);
            }
        }
    }
}
