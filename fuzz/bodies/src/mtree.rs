//! Specifications of trees.

use transship_pack::mtree::{MAX_ENTRIES, parse};

/// The body: a specification, and what is printed of it.
pub fn run(bytes: &[u8]) {
    let Ok(text) = printed(bytes) else { return };
    assert_eq!(printed(&text).unwrap(), text, "what is printed is read as the same");
}

fn printed(bytes: &[u8]) -> Result<Vec<u8>, transship_pack::mtree::Flaw> {
    let entries = parse(bytes)?;
    assert!(entries.len() <= MAX_ENTRIES);
    let mut text = Vec::new();
    entries.iter().for_each(|entry| entry.print(&mut text));
    Ok(text)
}
