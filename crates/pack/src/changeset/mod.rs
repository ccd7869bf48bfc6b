//! What a layer says of changes: the difference of two trees, and whiteouts for what is gone.

mod difference;

pub(crate) use difference::Difference;

use std::path::PathBuf;

use crate::entry::{Attributes, Content, Entry, Origin, WHITEOUT, What};

/// What hides all that lower layers have in a folder, as the name of a whiteout (IMG-139).
pub(crate) const OPAQUE: &[u8] = b".wh..opq";

/// An entry that takes away what lower layers have at `folder`, which ends in a slash, beneath a name (IMG-135).
///
/// It is the same whatever the options are: it says nothing but its name.
pub(crate) fn whiteout(folder: &[u8], name: &[u8]) -> Entry {
    let path = [folder, WHITEOUT, name].concat();
    Entry {
        origin: Origin::File(PathBuf::from(String::from_utf8_lossy(&path).into_owned())),
        path,
        attributes: Attributes::plain(0o644),
        xattrs: Vec::new(),
        what: What::File(Content::Nothing),
        file: None,
    }
}
