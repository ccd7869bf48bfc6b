//! The closure digest: one hash over all descriptors that are reachable. Its bytes are defined in [`super`].

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use transship_spec::{Digest, Hasher, MediaType};

/// The descriptors seen so far, kept small: a media type is a number.
#[derive(Debug, Default)]
pub(super) struct Closure {
    lines: Vec<(Digest, u64, u32)>,
    types: Vec<MediaType>,
    numbers: HashMap<MediaType, u32>,
}

impl Closure {
    /// The number that stands for a media type.
    pub(super) fn number(&mut self, media_type: &MediaType) -> u32 {
        if let Some(number) = self.numbers.get(media_type) {
            return *number;
        }
        let number = u32::try_from(self.types.len()).unwrap_or(u32::MAX);
        self.types.push(media_type.clone());
        self.numbers.insert(media_type.clone(), number);
        number
    }

    /// The media type that a number stands for.
    pub(super) fn media_type(&self, number: u32) -> Option<&MediaType> {
        self.types.get(usize::try_from(number).ok()?)
    }

    pub(super) fn add(&mut self, digest: &Digest, size: u64, media_type: u32) {
        self.lines.push((digest.clone(), size, media_type));
        // Many manifests name the same blobs: what is twice there is taken out before it grows.
        if self.lines.len() == self.lines.capacity() {
            self.lines.sort_unstable();
            self.lines.dedup();
            // Room for as many again, so that sorting does not become frequent.
            self.lines.reserve(self.lines.len());
        }
    }

    /// Takes out what is not there.
    pub(super) fn leave_out(&mut self, digests: &HashSet<Digest>) {
        if !digests.is_empty() {
            self.lines.retain(|(digest, ..)| !digests.contains(digest));
        }
    }

    /// The digest of all lines, sorted as bytes, each once.
    pub(super) fn digest(mut self) -> Digest {
        self.lines.sort_unstable();
        self.lines.dedup();
        let types = &self.types;
        let rest = |size: u64, number: u32| {
            let media_type = usize::try_from(number).ok().and_then(|number| types.get(number));
            format!("{size} {}", media_type.map_or("", MediaType::as_str))
        };
        self.lines
            .sort_unstable_by(|a, b| by_text(&a.0, &b.0).then_with(|| rest(a.1, a.2).cmp(&rest(b.1, b.2))));
        let mut hasher = Hasher::sha256();
        for (digest, size, media_type) in &self.lines {
            hasher.update(format!("{digest} {}\n", rest(*size, *media_type)).as_bytes());
        }
        hasher.finish()
    }
}

/// The order of digests as they are written; those of one algorithm are in it already. A digest that begins another one
/// ends with the blank that follows it, which comes before every character that a digest may have.
fn by_text(a: &Digest, b: &Digest) -> Ordering {
    match a.algorithm() == b.algorithm() {
        true => a.cmp(b),
        false => a.to_string().cmp(&b.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closure_digest_is_that_of_the_sorted_lines() {
        let (a, b) = (MediaType::parse("a/b").unwrap(), MediaType::parse("a/a").unwrap());
        let digests = ["sha256+x:abc", "blake:abc", "zz:ab", "zz:a"].map(|text| Digest::parse(text).unwrap());
        let sha256 = Digest::sha256(b"1");
        let mut lines = Vec::new();
        let mut closure = Closure::default();
        for (digest, size, media_type) in [
            (&sha256, 10, &a),
            (&sha256, 9, &a),
            (&sha256, 9, &b),
            (&Digest::sha512(b"1"), 1, &a),
            (&Digest::sha256(b"2"), 1, &a),
            (&digests[0], 1, &a),
            (&digests[1], 1, &a),
            (&digests[2], 1, &a),
            (&digests[3], 1, &a),
            (&sha256, 10, &a),
        ] {
            let number = closure.number(media_type);
            closure.add(digest, size, number);
            lines.push(format!("{digest} {size} {media_type}\n"));
        }
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 9);
        assert_eq!(closure.digest(), Digest::sha256(lines.concat().as_bytes()));
    }

    #[test]
    fn repeated_descriptors_take_no_memory() {
        let mut closure = Closure::default();
        let number = closure.number(&MediaType::OCI_MANIFEST);
        let digest = Digest::sha256(b"");
        for _ in 0..10_000 {
            closure.add(&digest, 0, number);
        }
        assert!(closure.lines.capacity() < 100);
    }
}
