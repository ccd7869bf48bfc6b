//! What the name of an entry means: a path below the root, or a deletion in lower layers (IMG-119, IMG-135…141).

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What AUFS keeps for itself: `.wh..wh.aufs`, `.wh..wh.orph/`, `.wh..wh.plnk/`.
const AUFS: &[u8] = b".wh..wh.";

/// The longest name that file systems have.
const MAX_NAME: usize = 255;

/// What an entry is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    Root,
    /// Something with this name in this folder.
    Node(Vec<&'a [u8]>, &'a [u8]),
    /// What lower layers have by this name is deleted.
    Whiteout(Vec<&'a [u8]>, &'a [u8]),
    /// What lower layers have in this folder is deleted.
    Opaque(Vec<&'a [u8]>),
    /// Nothing that concerns anybody but AUFS.
    Foreign,
}

/// Why a name is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Unsafe(&'static str),
    TooLong { what: &'static str, limit: u64 },
}

/// Reads the path of an entry. At most so many bytes long, and so many folders deep.
pub(crate) fn meaning(path: &[u8], (longest, deepest): (usize, usize)) -> Result<Meaning<'_>, Refused> {
    if path.is_empty() {
        return Err(Refused::Unsafe("it has no path"));
    }
    let mut parents = split(path, longest)?;
    let Some(name) = parents.pop() else { return Ok(Meaning::Root) };
    if parents.len() > deepest {
        return Err(Refused::TooLong { what: "the depth of a path", limit: deepest as u64 });
    }
    if parents.iter().any(|part| part.starts_with(AUFS)) {
        return Ok(Meaning::Foreign);
    }
    if parents.iter().any(|part| part.starts_with(WHITEOUT)) {
        return Err(Refused::Unsafe("a folder of it has a name that only deletions have"));
    }
    let Some(hidden) = name.strip_prefix(WHITEOUT) else { return Ok(Meaning::Node(parents, name)) };
    match hidden {
        b"" | b"." | b".." => Err(Refused::Unsafe("it is a whiteout of nothing")),
        _ if name == OPAQUE => Ok(Meaning::Opaque(parents)),
        _ if name.starts_with(AUFS) => Ok(Meaning::Foreign),
        hidden => Ok(Meaning::Whiteout(parents, hidden)),
    }
}

/// The parts of a path, from the root whether it is absolute or not.
///
/// One with `..` is refused, even if it comes back: readers disagree about those.
pub(crate) fn split(path: &[u8], longest: usize) -> Result<Vec<&[u8]>, Refused> {
    if path.len() > longest {
        return Err(Refused::TooLong { what: "the length of a path in bytes", limit: longest as u64 });
    }
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    let parts: Vec<&[u8]> = parts.collect();
    if parts.iter().any(|part| part.len() > MAX_NAME) {
        return Err(Refused::TooLong { what: "the length of a name in bytes", limit: MAX_NAME as u64 });
    }
    if path.contains(&0) {
        return Err(Refused::Unsafe("its path holds a NUL"));
    }
    match parts.iter().any(|part| *part == b"..") {
        true => Err(Refused::Unsafe("its path holds ..")),
        false => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_119_img_135_names_mean_nodes_deletions_or_nothing() {
        let read = |path: &str| match meaning(path.as_bytes(), (4096, 5)) {
            Ok(Meaning::Root) => "root".to_owned(),
            Ok(Meaning::Node(parents, name)) => format!("node {} {}", parents.len(), name.escape_ascii()),
            Ok(Meaning::Whiteout(parents, name)) => format!("out {} {}", parents.len(), name.escape_ascii()),
            Ok(Meaning::Opaque(parents)) => format!("opaque {}", parents.len()),
            Ok(Meaning::Foreign) => "aufs".to_owned(),
            Err(Refused::Unsafe(_)) => "unsafe".to_owned(),
            Err(Refused::TooLong { .. }) => "limit".to_owned(),
        };
        for (path, expected) in [
            ("./", "root"),
            ("/", "root"),
            (".", "root"),
            ("a", "node 0 a"),
            ("./a/", "node 0 a"),
            ("/a//./b", "node 1 b"),
            ("a\\b", "node 0 a\\\\b"),
            ("...", "node 0 ..."),
            ("a/.wh.b", "out 1 b"),
            (".wh.b/", "out 0 b"),
            (".wh. ", "out 0  "),
            ("a/.wh..wh..opq", "opaque 1"),
            (".wh..wh..opq", "opaque 0"),
            (".wh..wh.aufs", "aufs"),
            (".wh..wh.plnk/1.2", "aufs"),
            ("x/.wh..wh.orph/y/z", "aufs"),
            (".wh..wh.", "aufs"),
            (".wh.", "unsafe"),
            ("a/.wh..", "unsafe"),
            (".wh...", "unsafe"),
            (".wh.a/b", "unsafe"),
            ("", "unsafe"),
            ("..", "unsafe"),
            ("../x", "unsafe"),
            ("a/../../x", "unsafe"),
            ("a/../b", "unsafe"),
            ("a\0b", "unsafe"),
            ("1/2/3/4/5/6", "node 5 6"),
            ("1/2/3/4/5/6/7", "limit"),
        ] {
            assert_eq!(read(path), expected, "{path:?}");
        }
        assert_eq!(read(&"n".repeat(255)), format!("node 0 {}", "n".repeat(255)));
        assert_eq!(read(&"n".repeat(256)), "limit");
        assert_eq!(read(&"n/".repeat(2049)), "limit");
    }
}
