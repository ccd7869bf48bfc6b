//! What a kind is: the traits that each of them fulfils, one file a kind.

use std::fmt;

use super::{Extract, Facts, Held, Made, Making, Request, Sight, Sign, titled};
use crate::Error;

/// A sort of artifacts.
///
/// Only the first three methods must be written. All of them are deterministic, and none reads anything but what it is
/// given: no clock, no environment, no network of its own.
pub trait Kind: fmt::Debug + Send + Sync {
    /// The word by which users call it: `helm`. Lower-case letters, digits and `-`.
    fn name(&self) -> &str;

    /// What it is, as a line of a list says it.
    fn about(&self) -> &str;

    /// By what a manifest or an index shows that it is of this kind; nothing when it is not. No blob is read for that.
    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign>;

    /// The same for kinds that only content tells, such as a label in the config. Asked when no sign is found.
    ///
    /// # Errors
    /// What keeps the content from being read.
    fn is_inside(&self, held: &Held<'_>) -> Result<bool, Error> {
        let _ = held;
        Ok(false)
    }

    /// What there is to say of it: title, version, parts, and facts from inside.
    ///
    /// # Errors
    /// [`Error::NotOfKind`] when its content is not what its kind says, and what keeps it from being read.
    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        Ok(Facts::of(held.sight()))
    }

    /// The files that the kind's own tool would make of it, by the names that it would give them.
    ///
    /// # Errors
    /// As [`Kind::describe`].
    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        titled(held.sight())
    }

    /// How it is packed, where packing makes sense.
    fn packing(&self) -> Option<&dyn Packing> {
        None
    }
}

/// How artifacts of a kind are packed.
pub trait Packing: Send + Sync {
    /// What it takes, as usage says it: `CHART.tgz | CHART_DIR`.
    fn inputs(&self) -> &str;

    /// What its help says besides, in a line or some: what its user could not expect.
    fn remarks(&self) -> &str {
        ""
    }

    /// What else can be said, beside what every artifact takes.
    fn settings(&self) -> &[Setting] {
        &[]
    }

    /// Stores blobs, and makes the manifest or index that needs them, which is not stored yet.
    ///
    /// # Errors
    /// [`Error::NotOfKind`] names the input that is not what the kind takes; nothing is listed in the layout then.
    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error>;
}

/// Something that can be said when an artifact of a kind is packed. On the command line it is a flag of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name: lower-case letters, digits and `-`.
    pub name: &'static str,
    /// What its value is, in capitals; nothing for one that is only said or not.
    pub value: Option<&'static str>,
    /// What it does, in a line.
    pub help: &'static str,
    /// Whether it may be said several times.
    pub repeated: bool,
}
