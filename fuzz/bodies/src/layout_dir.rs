//! A layout whose files are any bytes: listed, resolved, walked, swept and edited.

use std::io::Read;
use std::time::Duration;

use transship_layout::graph::{self, Presence};
use transship_layout::{Durability, GcOptions, Layout, Name};
use transship_spec::{Descriptor, Digest};

use crate::tree;

/// The body: a tree.
pub fn run(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    tree::write(&tree::parse(bytes), folder.path());
    let Ok(layout) = Layout::options().durability(Durability::None).open(folder.path()) else { return };
    let entries = layout.entries().unwrap_or_default();
    for entry in &entries {
        if let Ok(mut content) = layout.open_blob(&entry.descriptor) {
            let mut all = Vec::new();
            if content.read_to_end(&mut all).is_ok() {
                assert_eq!(all.len() as u64, entry.descriptor.size);
                if entry.descriptor.digest.algorithm() == "sha256" {
                    assert_eq!(Digest::sha256(&all), entry.descriptor.digest, "a reader verifies");
                }
            }
        }
        let _ = layout.resolve_all(entry.name());
    }
    let _ = layout.resolve(None);
    let _ = graph::referrers_of(&layout);
    sweep(&layout);
    let Ok(name) = Name::short("v1") else { return };
    if layout.edit(|index| index.set(&name, &Descriptor::empty())).is_ok() {
        assert!(layout.resolve(Some("v1")).is_ok(), "what was named is found");
    }
}

/// Collecting garbage takes nothing that an entry leads to which stays.
fn sweep(layout: &Layout) {
    let before = present(layout);
    let options = GcOptions { grace: Duration::ZERO, ..GcOptions::default() };
    let Ok(plan) = layout.plan_gc(&options) else { return };
    if layout.gc(&options).is_err() {
        return;
    }
    let gone: Vec<&Digest> = plan.blobs.iter().map(|(digest, _)| digest).collect();
    let after = present(layout);
    for digest in before.iter().filter(|digest| !gone.contains(digest)) {
        assert!(matches!(layout.size(digest), Ok(Some(_))), "{digest} was not to go");
    }
    if plan.entries.is_empty() {
        assert_eq!(before, after, "no entry went, and so nothing that one leads to");
    }
    assert!(layout.plan_gc(&options).is_ok_and(|plan| plan.is_empty()), "once is enough");
}

/// All that is there of what the entries lead to, but what descriptors hold themselves.
fn present(layout: &Layout) -> Vec<Digest> {
    let mut found = Vec::new();
    for entry in layout.entries().unwrap_or_default() {
        let nodes = graph::closure(layout, [&entry.descriptor]).unwrap_or_default();
        let there = nodes.into_iter().filter(|(_, presence)| *presence == Presence::Present);
        let there = there.filter(|(descriptor, _)| descriptor.data.is_none());
        found.extend(there.map(|(descriptor, _)| descriptor.digest));
    }
    found.sort();
    found.dedup();
    found
}
