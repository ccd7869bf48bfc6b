//! Requests to a served layout: paths, queries, ranges and passwords.

use transship_serve::{Passwords, fuzzing, fuzzing::Leaf};
use transship_spec::is_repository;

use crate::parts::parts;

/// The body: a path, a query, a header, and a file of passwords.
pub fn run(bytes: &[u8]) {
    let [path, query, header, passwords] = parts::<4>(bytes);
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    route(text(path));
    queries(text(query));
    ranges(text(header));
    if let Some((user, password)) = fuzzing::credentials(text(header)) {
        assert!(!user.contains(':'));
        assert!(password.len() <= header.len());
    }
    let _ = Passwords::parse(text(passwords));
}

fn route(path: &str) {
    let Ok(Some((name, leaf))) = fuzzing::route(path) else { return };
    assert!(is_repository(&name) && name.len() <= 255);
    assert!(name.split('/').all(|part| !part.starts_with('.')), "it leads nowhere else");
    let plain = match &leaf {
        Leaf::Digest(digest) => format!("/v2/{name}/blobs/{digest}"),
        Leaf::Tag(tag) => format!("/v2/{name}/manifests/{tag}"),
        Leaf::Other => return,
    };
    assert_eq!(fuzzing::route(&plain), Ok(Some((name, leaf))));
}

fn queries(text: &str) {
    let pairs = fuzzing::query(text);
    assert!(pairs.len() <= text.len());
    let written =
        pairs.iter().map(|(key, value)| format!("{}={}", fuzzing::encode(key), fuzzing::encode(value)));
    assert_eq!(fuzzing::query(&written.collect::<Vec<_>>().join("&")), pairs);
}

fn ranges(header: &str) {
    for size in [0, 1, 100, u64::MAX] {
        if let Ok(Some(range)) = fuzzing::range(header, size) {
            assert!(range.start < range.end && range.end <= size, "{range:?} of {size}");
        }
    }
    if let Some(range) = fuzzing::chunk(header) {
        assert!(range.start < range.end);
    }
}
