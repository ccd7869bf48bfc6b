//! What is said in what is attached: gathered from several blobs, bounded, and never taken for verified.

use transship_spec::{Descriptor, Digest, referrers};

use crate::Error;
use crate::kinds::{Facts, Held, Sight};

/// The most values of one name, and characters of one value.
const VALUES: usize = 32;
const CHARACTERS: usize = 400;
/// The most blobs of one artifact that are looked into.
const BLOBS: usize = 16;

const NOT_READ: &str = "not looked into";
const COMPARED: &str = "compared";

/// Facts under way: values of one name stand together, in the order in which the names came.
#[derive(Debug, Default)]
pub(super) struct Said(Vec<(String, Vec<String>)>);

impl Said {
    /// Facts of something that is signed, of which nothing is checked here.
    pub(super) fn unverified() -> Self {
        let mut said = Self::default();
        said.say("verified", "no: no signature was checked, and what follows is only claimed");
        said
    }

    /// Adds a value, unless it was said before.
    pub(super) fn say(&mut self, name: &str, value: impl Into<String>) {
        let value: String = value.into().chars().take(CHARACTERS).collect();
        let place = match self.0.iter().position(|(there, _)| there == name) {
            Some(place) => place,
            None => {
                self.0.push((name.to_owned(), Vec::new()));
                self.0.len() - 1
            }
        };
        let Some((_, values)) = self.0.get_mut(place) else { return };
        match values.len() {
            VALUES => values.push("and more".to_owned()),
            count if count < VALUES && !values.contains(&value) => values.push(value),
            _ => {}
        }
    }

    /// Adds a value that there may be.
    pub(super) fn say_some(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.say(name, value);
        }
    }

    /// The same for a number.
    pub(super) fn count(&mut self, name: &str, number: Option<usize>) {
        self.say_some(name, number.map(|number| number.to_string()));
    }

    /// Says that something is not what it should be, which ends nothing.
    pub(super) fn unreadable(&mut self, what: &str, reason: &str) {
        self.say("unreadable", format!("{what}: {reason}"));
    }

    /// Lets each of these blobs be looked into that is there and small enough.
    pub(super) fn look<'b>(
        &mut self,
        held: &Held<'_>,
        blobs: impl IntoIterator<Item = &'b Descriptor>,
        mut read: impl FnMut(&mut Self, &Descriptor, &[u8]),
    ) -> Result<(), Error> {
        for (number, blob) in blobs.into_iter().enumerate() {
            if number == BLOBS {
                self.say(NOT_READ, format!("those after the first {BLOBS}"));
                break;
            }
            match held.small(blob) {
                Ok(bytes) => read(self, blob, &bytes),
                Err(Error::Limit { limit, .. }) => {
                    self.say(NOT_READ, format!("{}: it has more than {limit} bytes", blob.digest));
                }
                Err(Error::Layout(transship_layout::Error::MissingBlob { .. })) => {
                    self.say(NOT_READ, format!("{}: it is not there", blob.digest));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says which digest is spoken of, and how that agrees with where it is attached.
    pub(super) fn claims(&mut self, digest: &str, target: &Target) {
        self.say("claims digest", digest);
        self.say(COMPARED, target.compare(digest));
    }

    /// Puts everything that was said among the facts.
    pub(super) fn tell(self, facts: &mut Facts) {
        for (name, values) in self.0 {
            facts.add(&name, values);
        }
    }
}

/// What something is attached to: by its manifest, by its tag, or by the index that lists it.
#[derive(Debug)]
pub(super) enum Target {
    Subject(Digest),
    Tag(Digest),
    Listed(String),
    Unknown,
}

impl Target {
    pub(super) fn of(sight: &Sight<'_>) -> Self {
        // Also of `repository:tag`, and of Singularity's `_cosign:tag`.
        let tag = sight.name().and_then(|name| name.rsplit(':').next()).and_then(referrers::digest_tag);
        let listed = sight.annotation("vnd.docker.reference.digest");
        match (sight.document().subject(), tag, listed) {
            (Some(subject), _, _) => Self::Subject(subject.digest.clone()),
            (None, Some((digest, _)), _) => Self::Tag(digest),
            (None, None, Some(listed)) => Self::Listed(listed.to_owned()),
            (None, None, None) => Self::Unknown,
        }
    }

    /// How a digest that is claimed agrees with it.
    fn compare(&self, claimed: &str) -> String {
        let (what, digest) = match self {
            Self::Subject(digest) => ("the manifest's subject", digest.to_string()),
            Self::Tag(digest) => ("the tag", digest.to_string()),
            Self::Listed(digest) => ("the index's annotation", digest.clone()),
            Self::Unknown => {
                return format!("nothing here says what it is attached to, to compare {claimed}");
            }
        };
        match digest == claimed {
            true => format!("{claimed} agrees with {what}"),
            false => format!("{claimed} does NOT agree with {what}, {digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bounded_in_number_and_length_and_said_once() {
        let mut said = Said::default();
        for number in 0..100 {
            said.say("n", number.to_string());
            said.say("same", "x".repeat(1000));
        }
        let mut facts = Facts::default();
        said.tell(&mut facts);
        assert_eq!(facts.facts[0].values.len(), VALUES + 1);
        assert_eq!(facts.facts[0].values.last().unwrap(), "and more");
        assert_eq!(facts.facts[1].values, ["x".repeat(CHARACTERS)]);
    }
}
