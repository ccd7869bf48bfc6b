//! What a session is told before it begins: all that may come, and what the roots will be.

use transship_spec::Descriptor;

use super::{Root, Survey};
use crate::endpoint::{Planned, Role};
use crate::graph::State;
use crate::names::Name;
use crate::report::Why;

/// What a root is to be at its destination.
pub(crate) fn role(root: &Root, descriptor: &Descriptor, is_local: bool) -> Role {
    match (&root.why, &root.name) {
        (Why::Referrer(_), _) => Role::Referrer,
        (_, Name::Digest) if !is_local => Role::ByDigest(descriptor.clone()),
        (_, name) => Role::Named(name.clone(), descriptor.clone()),
    }
}

/// Whether the destination names it already, so that its entry is not touched.
pub(crate) fn keeps_its_name(root: &Root, role: &Role) -> bool {
    root.is_there && !root.redeclares && matches!(role, Role::Named(name, _) if *name != Name::Digest)
}

impl Survey {
    /// What may be written to a destination. What is known not to come is not in it; what fails later is.
    pub(crate) fn intent(&self, spot: usize) -> Planned {
        let nodes = &self.spots[spot].graph.nodes;
        let comes = |state: &State| !matches!(state, State::LeftOut | State::Broken(_));
        let content = nodes.iter().filter(|node| comes(&node.state)).map(|node| node.descriptor.clone());
        let is_local = self.destination(spot).is_local();
        let mut roots = Vec::new();
        for root in self.roots.iter().filter(|root| root.to == spot && root.failure.is_none()) {
            let (Some(node), Some(descriptor)) = (root.node.map(|id| &nodes[id]), &root.descriptor) else {
                continue;
            };
            if !comes(&node.state) {
                continue;
            }
            let role = match role(root, descriptor, is_local) {
                role if node.is_document && keeps_its_name(root, &role) => Role::Child,
                // A list of referrers says what the index will.
                Role::Referrer => Role::ByDigest(descriptor.clone()),
                role => role,
            };
            let children = node.children.iter().map(|child| nodes[*child].descriptor.clone()).collect();
            roots.push((role, children));
        }
        Planned { content: content.collect(), roots, ..Planned::default() }
    }
}
