//! The one error of this crate: why something was not copied.

use std::sync::Arc;

use transship_spec::{Digest, Kind, quote};

use crate::endpoint::Place;
use crate::saved::Move;
use crate::sync::At;

/// Why a copy could not be planned or carried out.
///
/// Every variant is a meaning; [`Error::kind`] maps it to the exit codes of the command line. Messages are fragments that
/// fit after "cannot …: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A registry failed.
    #[error(transparent)]
    Registry(#[from] transship_registry::Error),
    /// A layout failed.
    #[error(transparent)]
    Layout(#[from] transship_layout::Error),
    /// A text or a document is not what it should be.
    #[error(transparent)]
    Spec(#[from] transship_spec::Error),
    /// A source that cannot give a name to its copy.
    #[error("{called} has no tag to be called by; give the destination a name")]
    NoName {
        /// The source.
        called: String,
    },
    /// One name for several things.
    #[error("{} cannot be the name of everything that is copied; leave it out, or use --map", quote(name))]
    OneName {
        /// The name.
        name: String,
    },
    /// Two things would get one name.
    #[error("{one} and {other} would both be called {}; use --map to tell them apart", quote(name))]
    TwoOnOneName {
        /// The name.
        name: String,
        /// The first that would have it.
        one: String,
        /// The second.
        other: String,
    },
    /// A name would move to the image of another repository.
    #[error(
        "{} in {place} is an image of {there} and would become one of {new}; use --force to move it",
        quote(name)
    )]
    NameMoves {
        /// The name.
        name: String,
        /// The destination.
        place: String,
        /// The repository whose image bears it.
        there: String,
        /// The repository whose image would.
        new: String,
    },
    /// A rule for names that makes no sense.
    #[error("{} is not a map: {reason}", quote(text))]
    Map {
        /// The rule.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A pattern of names that cannot be used.
    #[error("{} is not a pattern of names: {reason}", quote(text))]
    Pattern {
        /// The pattern.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A rule for tags that cannot be read.
    #[error("{} does not tell which tags are meant: {reason}", quote(text))]
    Choice {
        /// The rule.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A file of settings that cannot be meant.
    #[error("{at}: {reason}")]
    Settings {
        /// Where in the file.
        at: At,
        /// What is wrong.
        reason: String,
        /// What to write instead.
        remedy: Option<String>,
    },
    /// A plan to be saved of copies that are not made in the same manner.
    #[error("a saved plan is for copies of one manner, and these are of {count}")]
    Manners {
        /// How many there are.
        count: usize,
    },
    /// A place that could not be opened.
    #[error("{message}")]
    Unopened {
        /// What that means to a program.
        kind: Kind,
        /// What happened.
        message: String,
        /// What to do about it.
        remedy: Option<String>,
    },
    /// A rule for names that leads into another registry.
    #[error("{} is not in {registry}, where the copies go", quote(map))]
    MapLeaves {
        /// What the rule gave.
        map: String,
        /// The registry of the destination.
        registry: String,
    },
    /// A part of some work that there is not.
    #[error("{}", crate::shard::reason(text))]
    Shard {
        /// What was given.
        text: String,
    },
    /// A saved plan that cannot be read.
    #[error("it is not a saved plan: {reason}")]
    Saved {
        /// What is wrong with it.
        reason: String,
    },
    /// A saved plan of a form that this version does not know.
    #[error("it is a plan of the form {}, and this version reads {}", quote(schema), crate::saved::SCHEMA)]
    SavedForm {
        /// The form.
        schema: String,
    },
    /// A place that no text names, so that a plan cannot tell of it.
    #[error("the path of {place} is not text, and a saved plan is")]
    NoLocation {
        /// The place.
        place: String,
    },
    /// A source is not what it was when the plan was made.
    #[error("{}", Move::told(moved, "the source has"))]
    SourceMoved {
        /// What has moved.
        moved: Vec<Move>,
    },
    /// A name at the destination is not what it was when the plan was made.
    #[error("{}", Move::told(moved, "the destination has"))]
    DestinationMoved {
        /// What has moved.
        moved: Vec<Move>,
    },
    /// The destination names a digest, and the source has another.
    #[error("the destination is named by digest {wanted}, and the source is {found}")]
    OtherDigest {
        /// The digest of the destination's name.
        wanted: Digest,
        /// That of the source.
        found: Digest,
    },
    /// The source does not hold what was asked for.
    #[error("{place} has no {}", quote(what))]
    NotFound {
        /// The source.
        place: String,
        /// The tag, name or digest.
        what: String,
    },
    /// There is nothing to copy.
    #[error("{place} holds nothing that has a name")]
    Nothing {
        /// The source.
        place: String,
    },
    /// The source lacks, or holds a wrong copy of, something that the root needs.
    #[error("{place} does not give a right copy of {digest}: {cause}")]
    Source {
        /// The source.
        place: Place,
        /// What is missing or wrong.
        digest: Digest,
        /// What was found out about it.
        cause: Box<Error>,
    },
    /// An index has no member for the platform.
    #[error("{digest} has no image for {platform}; it has {available}")]
    NoPlatform {
        /// The index.
        digest: Digest,
        /// The platform asked for.
        platform: String,
        /// Those that there are.
        available: String,
    },
    /// A registry does not take an index without all of its members (IMG-85).
    #[error("{place} does not take the index {digest} without all of its images: {cause}")]
    Sparse {
        /// The destination.
        place: Place,
        /// The index.
        digest: Digest,
        /// The refusal.
        cause: Box<Error>,
    },
    /// Something that has no form in the media types that were asked for (IMG-157).
    #[error("{digest} cannot be converted: {what}")]
    Unsayable {
        /// The manifest or index.
        digest: Digest,
        /// What it is or has.
        what: String,
        /// What to do about it.
        remedy: Option<&'static str>,
    },
    /// What a referrer refers to was not copied, so neither was the referrer.
    #[error("what it refers to was not copied")]
    Subject,
    /// A limit of this program was reached.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What grew too large.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Other roots failed, and the copy was to stop at the first failure.
    #[error("the copy stopped after another failure")]
    Stopped,
    /// A part of this program ended in an unexpected way.
    #[error("a worker ended unexpectedly: {0}")]
    Worker(String),
    /// An error that several roots have in common.
    #[error(transparent)]
    Shared(#[from] Arc<Error>),
}

/// What functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What this error means to a program.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Registry(error) => error.kind(),
            Self::Layout(error) => error.kind(),
            Self::Spec(error) => error.kind(),
            Self::NoName { .. }
            | Self::OneName { .. }
            | Self::TwoOnOneName { .. }
            | Self::NameMoves { .. }
            | Self::Map { .. }
            | Self::Pattern { .. }
            | Self::Choice { .. }
            | Self::Settings { .. }
            | Self::Manners { .. }
            | Self::MapLeaves { .. }
            | Self::Shard { .. }
            | Self::OtherDigest { .. } => Kind::Usage,
            Self::Saved { .. } | Self::SourceMoved { .. } | Self::DestinationMoved { .. } => Kind::Invalid,
            Self::NotFound { .. } | Self::NoPlatform { .. } | Self::Nothing { .. } => Kind::NotFound,
            Self::Source { cause, .. } => match cause.kind() {
                // The name was found; what it stands for is not whole.
                Kind::NotFound => Kind::Invalid,
                kind => kind,
            },
            Self::Sparse { .. }
            | Self::Unsayable { .. }
            | Self::SavedForm { .. }
            | Self::NoLocation { .. } => Kind::Unsupported,
            Self::Limit { .. } => Kind::Limit,
            Self::Unopened { kind, .. } => *kind,
            Self::Subject | Self::Stopped => Kind::Partial,
            Self::Worker(_) => Kind::Unexpected,
            Self::Shared(error) => error.kind(),
        }
    }

    /// What to do about it, as a sentence fragment for people, where there is something.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.remedy(),
            Self::Source { cause, .. } => cause.remedy(),
            Self::Settings { remedy, .. } | Self::Unopened { remedy, .. } => remedy.clone(),
            Self::Shared(error) => error.remedy(),
            Self::Manners { .. } => Some(
                "say the same of referrers, digest-tags, platform, subset, convert, nondistributable, check-members and link \
                 everywhere, or use several files"
                    .to_owned(),
            ),
            Self::SourceMoved { moved } => Some(Move::remedy(moved)),
            Self::DestinationMoved { .. } => {
                Some("make a new plan, or use --force to replace what is there".to_owned())
            }
            Self::SavedForm { .. } => Some("make a new plan with this version".to_owned()),
            Self::Unsayable { remedy, .. } => remedy.map(str::to_owned),
            Self::Sparse { .. } => {
                let remedy =
                    "copy all platforms, or make a new index of some with --platform and --subset rewrite";
                Some(remedy.to_owned())
            }
            _ => None,
        }
    }

    /// The error of a source, which lacks content or has it wrong; where it could only not be reached, just that.
    pub(crate) fn at_source(place: &Place, digest: &Digest, cause: Self) -> Self {
        match cause.kind() {
            Kind::NotFound | Kind::Invalid | Kind::Limit | Kind::Unsupported | Kind::Storage => {
                Self::Source { place: place.clone(), digest: digest.clone(), cause: Box::new(cause) }
            }
            _ => cause,
        }
    }

    /// Whether a registry refuses a manifest because something that it needs is not there (DIST-62).
    pub(crate) fn is_missing_child(&self) -> bool {
        const CODES: [&str; 3] = ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"];
        match self {
            Self::Registry(error) => {
                error.exchange().is_some_and(|exchange| CODES.iter().any(|code| exchange.has_code(code)))
            }
            Self::Shared(error) => error.is_missing_child(),
            _ => false,
        }
    }

    /// Whether it is the content of a blob, and not the way to it, that is at fault.
    pub(crate) fn is_about_content(&self) -> bool {
        use transship_layout::Error as Layout;
        use transship_registry::Error as Registry;
        match self {
            Self::Registry(Registry::NotFound(_) | Registry::Content { .. }) => true,
            Self::Layout(Layout::MissingBlob { .. } | Layout::Unsafe { .. } | Layout::Content { .. }) => true,
            _ => self.is_wrong_content(),
        }
    }

    /// Whether the content that went or came does not have the digest that it should have.
    pub(crate) fn is_wrong_content(&self) -> bool {
        use transship_layout::Error as Layout;
        use transship_registry::Error as Registry;
        match self {
            Self::Registry(Registry::Content { source, .. })
            | Self::Layout(Layout::Content { source, .. }) => is_mismatch(source),
            Self::Registry(error) => {
                error.exchange().is_some_and(|exchange| exchange.has_code("DIGEST_INVALID"))
            }
            _ => false,
        }
    }

    /// Whether content went wrong on its way, so that it may come whole the next time: from a network, and not for want
    /// of bytes.
    pub(crate) fn is_passing_corruption(&self) -> bool {
        match self {
            Self::Source { place, cause, .. } => {
                cause.is_wrong_content() && matches!(place, Place::Repository { .. })
            }
            error => error.is_wrong_content(),
        }
    }
}

/// A wrong size is known before the content is, and will be the same the next time.
fn is_mismatch(error: &transship_spec::Error) -> bool {
    matches!(error, transship_spec::Error::DigestMismatch { .. })
}
