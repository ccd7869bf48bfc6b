//! Changes of `index.json`: what is not changed keeps its bytes.

use std::fs;
use std::ops::Range;

use transship_layout::{Durability, Entry, Layout, Name};
use transship_spec::{Descriptor, json};

use crate::parts::parts;

/// The body: an index, a name, and the descriptor that is given the name.
pub fn run(bytes: &[u8]) {
    let [index, name, descriptor] = parts::<3>(bytes);
    let Some(name) = std::str::from_utf8(name).ok().and_then(|name| Name::parse(name).ok()) else { return };
    let descriptor = serde_json::from_slice(descriptor).unwrap_or_else(|_| Descriptor::empty());
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::options().durability(Durability::None).create(folder.path()).unwrap();
    let at = folder.path().join("index.json");
    fs::write(&at, index).unwrap();

    let Ok(before) = layout.edit(|index| index.set(&name, &descriptor)) else {
        assert_eq!(fs::read(&at).unwrap(), index, "what fails changes nothing");
        return;
    };
    let named = fs::read(&at).unwrap();
    keeps(index, &named, &name);
    let resolved = layout.resolve_all(Some(name.as_str())).unwrap();
    assert_eq!(resolved.len(), 1, "one entry bears the name");
    assert_eq!(resolved[0].descriptor.digest, descriptor.digest);
    if before.is_none() {
        assert_eq!(entries(&named).len(), entries(index).len() + 1);
    }
    layout.edit(|index| index.set(&name, &descriptor)).unwrap();
    assert_eq!(fs::read(&at).unwrap(), named, "naming it again changes nothing");

    assert!(layout.edit(|index| index.remove(&name)).unwrap());
    let removed = fs::read(&at).unwrap();
    keeps(&named, &removed, &name);
    if before.is_none() && !entries(index).is_empty() {
        assert_eq!(removed, index, "what was added is gone without a trace");
    }
}

/// Everything but entries of the name is there as it was, in its order.
fn keeps(before: &[u8], after: &[u8], name: &Name) {
    let (old, new) = (array(before), array(after));
    assert_eq!(before[..old.start], after[..new.start]);
    assert_eq!(before[old.end..], after[new.end..]);
    let mut left = entries(after).into_iter();
    for entry in entries(before).into_iter().filter(|entry| !bears(&before[entry.clone()], name)) {
        let text = &before[entry];
        assert!(left.any(|kept| after[kept] == *text), "kept: {}", String::from_utf8_lossy(text));
    }
}

/// Whether an entry may have to do with a name.
fn bears(text: &[u8], name: &Name) -> bool {
    let Ok(descriptor) = serde_json::from_slice::<Descriptor>(text) else { return false };
    let entry = Entry::new(0, descriptor);
    [entry.name(), entry.full_name(), entry.tag()].contains(&Some(name.as_str()))
        || entry.name().and_then(|other| Name::parse(other).ok()).as_ref() == Some(name)
}

fn array(index: &[u8]) -> Range<usize> {
    let members = json::members(index, 0..index.len()).unwrap();
    members.into_iter().find(|member| member.name == "manifests").unwrap().value
}

fn entries(index: &[u8]) -> Vec<Range<usize>> {
    json::elements(index, array(index)).unwrap_or_default()
}
