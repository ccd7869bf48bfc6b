//! Splitting work among machines that do not talk to each other: who takes what is decided by names alone.
//!
//! A [`Shard`] takes a reference when the SHA-256 of its text says so. So every machine that is told the same number of
//! shards splits the same work in the same way, in whatever order it finds it: the shards are disjoint, and together they
//! are everything. What belongs to a root (referrers, digest tags) is found by whoever takes the root, and stays with it.
//!
//! What it does not do: it does not balance bytes. A blob that several shards need is put by whichever comes first; that the
//! others put it too, at the same moment, does no harm.

use std::fmt;
use std::str::FromStr;

use transship_spec::{Digest, quote};

use crate::endpoint::Place;
use crate::names::Name;
use crate::select::Request;
use crate::{Error, Result};

/// The most shards that work is split into.
const MOST: u32 = 1 << 20;

/// One of N parts of some work, written `I/N`: `0/4` is the first of four, `3/4` the last.
///
/// It is counted from 0, as the indexes of Kubernetes' indexed jobs, of GitHub's matrices and of most others are, so that
/// `$JOB_COMPLETION_INDEX/4` is right as it stands. GitLab counts from 1: `$((CI_NODE_INDEX - 1))/$CI_NODE_TOTAL`. Slurm
/// counts as it is told: `--array=0-3`.
///
/// ```
/// use transship_copy::Shard;
///
/// let shards: Vec<Shard> = ["0/3", "1/3", "2/3"].iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
/// let takers = shards.iter().filter(|shard| shard.takes("registry.example/team/app:v1"));
/// assert_eq!(takers.count(), 1);
/// assert!("3/3".parse::<Shard>().is_err());
/// # Ok::<(), transship_copy::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Shard `index`, counted from 0, of `count`.
    ///
    /// # Errors
    /// [`Error::Shard`] when there are none, more than 1,048,576, or not so many.
    pub fn new(index: u32, count: u32) -> Result<Self> {
        match count {
            1..=MOST if index < count => Ok(Self { index, count }),
            _ => Err(Error::Shard { text: format!("{index}/{count}") }),
        }
    }

    /// Whether what goes to this reference is part of this shard. Any text will do, as long as all shards are asked about
    /// the same.
    #[must_use]
    pub fn takes(&self, reference: &str) -> bool {
        let hash = Digest::sha256(reference.as_bytes());
        // 60 bits are spread evenly enough over a million shards.
        let hash = hash.encoded().get(..15).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        hash.unwrap_or_default() % u64::from(self.count) == u64::from(self.index)
    }

    /// The requests of this shard, in their order.
    ///
    /// They are told apart by where they go: by registry, repository and tag, or by the name in a layout or an archive,
    /// whose path may be another on every machine; what has no name there by its digest or by what it is called at its
    /// source.
    #[must_use]
    pub fn of(&self, requests: Vec<Request>) -> Vec<Request> {
        let is_ours = |request: &Request| {
            let listed = &request.listed;
            let described = listed.descriptor.as_ref().map(|descriptor| &descriptor.digest);
            let digest = request.digest.as_ref().or(listed.digest.as_ref()).or(described);
            let otherwise = digest.map_or_else(|| listed.called.to_string(), Digest::to_string);
            self.takes(&key(request.to.place(), &request.name, &otherwise))
        };
        requests.into_iter().filter(is_ours).collect()
    }
}

/// What tells a destination from all others, on every machine alike.
pub(crate) fn key(place: &Place, name: &Name, otherwise: &str) -> String {
    let name = match name {
        Name::Digest => format!("@{otherwise}"),
        name => format!(":{name}"),
    };
    match place {
        Place::Repository { registry, repository } => format!("{registry}/{repository}{name}"),
        Place::Layout(_) | Place::Archive(_) | Place::DockerArchive(_) => name,
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(index, count)| Some((number(index)?, number(count)?)));
        let shard = parts.and_then(|(index, count)| Self::new(index, count).ok());
        shard.ok_or_else(|| Error::Shard { text: text.to_owned() })
    }
}

/// Digits alone: no sign, no space.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Why a text is no shard.
pub(crate) fn reason(text: &str) -> String {
    let rule = "it is I/N, the shards of N are counted from 0, and there are at most 1048576";
    match text.split_once('/').map(|(index, count)| (number(index), number(count))) {
        Some((Some(index), Some(count))) if index == count && count > 0 => {
            format!(
                "{} is one too many: the shards of {count} are 0/{count} to {}/{count}",
                quote(text),
                count - 1
            )
        }
        _ => format!("{} is not a shard: {rule}", quote(text)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shard_is_counted_from_zero() {
        for good in ["0/1", "0/2", "1/2", "7/8", "1048575/1048576", "00/1"] {
            assert!(good.parse::<Shard>().is_ok(), "{good}");
        }
        for (bad, words) in [
            ("2/2", "the shards of 2 are 0/2 to 1/2"),
            ("3/2", "counted from 0"),
            ("0/0", "counted from 0"),
            ("", "is not a shard"),
            ("1", "is not a shard"),
            ("1/", "is not a shard"),
            ("/1", "is not a shard"),
            ("-1/2", "is not a shard"),
            ("+0/2", "is not a shard"),
            ("0/1/2", "is not a shard"),
            ("0/1048577", "at most"),
            ("0/99999999999", "is not a shard"),
        ] {
            let error = bad.parse::<Shard>().unwrap_err();
            assert!(error.to_string().contains(words), "{bad}: {error}");
            assert_eq!(error.kind(), transship_spec::Kind::Usage);
        }
    }

    #[test]
    fn who_takes_what_never_changes() {
        // What one machine takes must be what another with another version leaves.
        let taken = |shard: &str| {
            let shard: Shard = shard.parse().unwrap();
            (0..12).filter(|at| shard.takes(&format!("registry.example/app:v{at}"))).collect::<Vec<_>>()
        };
        assert_eq!(taken("0/3"), [1, 2, 3, 5, 6, 7, 8, 10]);
        assert_eq!(taken("1/3"), [0, 4]);
        assert_eq!(taken("2/3"), [9, 11]);
    }

    proptest! {
        #[test]
        fn shards_are_disjoint_and_together_they_are_everything(
            references in prop::collection::vec(".{0,40}", 0..20),
            count in 1u32..50,
        ) {
            for reference in &references {
                let takers = (0..count).filter(|index| Shard::new(*index, count).unwrap().takes(reference));
                prop_assert_eq!(takers.count(), 1);
            }
        }
    }

    #[test]
    fn shards_are_about_equal() {
        let shard = Shard::new(3, 8).unwrap();
        let taken = (0..8000).filter(|at| shard.takes(&format!("registry.example/app:{at}"))).count();
        assert!((850..1150).contains(&taken), "{taken}");
    }
}
