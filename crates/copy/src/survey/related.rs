//! What belongs to manifests without being part of them: it makes new roots.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use transship_spec::{Descriptor, Digest, MediaType, referrers};

use super::{Root, Survey};
use crate::Error;
use crate::endpoint::{Listed, QUESTIONS, Related};
use crate::graph::{self, NodeId, State};
use crate::names::{Called, Name};
use crate::plan::Referrers;
use crate::report::Why;

impl Survey {
    /// Looks for what belongs to the manifests that were met, and makes roots of it.
    pub(super) async fn relate(&mut self) {
        let wanted = self.ask(false);
        if self.is_fixed || !wanted.referrers && !wanted.digest_tags {
            return;
        }
        let mut questions = Vec::new();
        let documents = &self.documents;
        for (at, spot) in self.spots.iter_mut().enumerate() {
            let new = std::mem::replace(&mut spot.related, spot.graph.nodes.len())..spot.graph.nodes.len();
            let met = |id: &NodeId| {
                let node = &spot.graph.nodes[*id];
                let is_met = node.is_document && matches!(node.state, State::Present | State::Missing);
                // Nothing speaks of what was made just now.
                is_met && !documents.is_made(&node.descriptor.digest)
            };
            questions.extend(new.filter(met).map(|id| (at, id)));
        }
        // Not all at once: an answer may be a long list.
        for batch in questions.chunks(QUESTIONS) {
            self.relate_some(batch).await;
        }
    }

    async fn relate_some(&mut self, questions: &[(usize, NodeId)]) {
        let this = &*self;
        let question = |(spot, id): &(usize, NodeId)| {
            let (spot, id) = (*spot, *id);
            let node = &this.spots[spot].graph.nodes[id];
            let asked = |root: &&Root| root.from == node.from && root.why == Why::Asked;
            let ask = this.ask(this.roots.iter().filter(asked).nth(1).is_some());
            async move { (spot, id, this.source(node.from).related(&node.descriptor.digest, ask).await) }
        };
        let answers: Vec<_> = stream::iter(questions).map(question).buffered(QUESTIONS).collect().await;
        for (spot, id, related) in answers {
            let parent = self.spots[spot].graph.nodes[id].root;
            let subject = self.spots[spot].graph.nodes[id].descriptor.digest.clone();
            match related {
                Ok(mut related) => {
                    self.warnings.append(&mut related.doubts);
                    self.add(spot, parent, &subject, related);
                }
                Err(error) => self.cannot_relate(parent, subject, error),
            }
        }
    }

    /// What belongs to a manifest is not known, and that is a root that fails.
    fn cannot_relate(&mut self, parent: usize, subject: Digest, error: Error) {
        let listed = self.roots[parent].listed.clone();
        let mut root = self.belonging(parent, listed, Why::Referrer(subject), Name::Digest);
        root.failure = Some(Arc::new(error));
        self.roots.push(root);
    }

    fn add(&mut self, spot: usize, parent: usize, subject: &Digest, related: Related) {
        let types: &[MediaType] = match &self.options.referrers {
            Referrers::Types(types) => types,
            _ => &[],
        };
        let chosen: Vec<Descriptor> =
            referrers::filter(&related.referrers, types).map(Descriptor::bare).collect();
        if self.roots.len() + chosen.len() > graph::MAX_NODES {
            return self.cannot_relate(parent, subject.clone(), graph::too_many());
        }
        for descriptor in chosen {
            let is_known = self.spots[spot].graph.document(&descriptor.digest).is_some();
            if is_known || !self.taken.insert((spot, descriptor.digest.clone())) {
                continue;
            }
            let listed = Listed {
                called: Called::default(),
                digest: Some(descriptor.digest.clone()),
                descriptor: Some(descriptor),
            };
            let root = self.belonging(parent, listed, Why::Referrer(subject.clone()), Name::Digest);
            self.roots.push(root);
        }
        for (tag, listed) in related.digest_tags {
            let name = self.roots[parent].name.beside(&tag);
            if self.names.insert((spot, name.clone())) {
                let root = self.belonging(parent, listed, Why::DigestTag(subject.clone()), name);
                self.roots.push(root);
            }
        }
    }

    /// A root that belongs to another one.
    fn belonging(&self, parent: usize, listed: Listed, why: Why, name: Name) -> Root {
        let above = &self.roots[parent];
        let depth = above.depth + 1;
        let failure = (depth > graph::MAX_DEPTH).then(|| {
            let what = "the number of referrers that refer to one another";
            Arc::new(Error::Limit { what, limit: graph::MAX_DEPTH as u64 })
        });
        Root {
            from: above.from,
            to: above.to,
            listed,
            name,
            why,
            parent: Some(parent),
            depth,
            named: None,
            there: None,
            wanted: None,
            descriptor: None,
            node: None,
            is_there: false,
            redeclares: false,
            failure,
            part: None,
            converted: Vec::new(),
            kept: None,
        }
    }
}
