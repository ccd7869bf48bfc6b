//! What well-known registries do unlike ours, as values: one file a registry.
//!
//! A [`Personality`] says what a registry answers, which statuses and headers it uses, which limits it has, and who gets
//! in; a [`TestRegistry`](crate::TestRegistry) plays it in front of our own server, which does the rest. The values are
//! those of the item of the distribution list that [`Personality::plays`] names beside each of them. What nobody has told
//! of a registry is as in ours: a personality is no emulation, but a collection of what is known to break clients.

mod acr;
mod artifactory;
mod ask;
mod distribution;
mod dress;
mod ecr;
mod gar;
mod gate;
mod gcr;
mod ghcr;
mod gitlab;
mod harbor;
mod hub;
mod nexus;
mod play;
mod quay;
mod token;

pub(crate) use play::Play;

/// What one registry does unlike ours. [`Personality::default`] is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Personality {
    /// What it is called where a test fails.
    pub name: &'static str,
    /// What of the distribution list it plays: the item, and the words for it.
    pub plays: &'static [(&'static str, &'static str)],
    /// Who gets in.
    pub access: Access,
    /// Which repositories there can be.
    pub names: Names,
    /// How blobs come in.
    pub uploads: Uploads,
    /// Which blobs are taken from other repositories.
    pub mounts: Mounts,
    /// Which manifests are taken.
    pub manifests: Manifests,
    /// How referrers are listed.
    pub referrers: Referrers,
    /// How tags are listed.
    pub tags: Tags,
    /// How it says no.
    pub refusals: Refusals,
}

impl Default for Personality {
    fn default() -> Self {
        Self {
            name: "ours",
            plays: &[],
            access: Access::default(),
            names: Names::default(),
            uploads: Uploads::default(),
            mounts: Mounts::default(),
            manifests: Manifests::default(),
            referrers: Referrers::default(),
            tags: Tags::default(),
            refusals: Refusals::default(),
        }
    }
}

impl Personality {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Self::hub(),
            Self::ghcr(),
            Self::ecr(),
            Self::gar(),
            Self::gcr(),
            Self::acr(),
            Self::harbor(),
            Self::quay(),
            Self::gitlab(),
            Self::artifactory(),
            Self::nexus(),
            Self::distribution(),
        ]
    }

    /// The same with all sizes divided, so that a test need not move megabytes.
    #[must_use]
    pub fn scaled(mut self, by: u64) -> Self {
        self.uploads.chunk_least /= by;
        for (most, _) in self.uploads.chunk_most.iter_mut().chain(&mut self.uploads.body_most) {
            *most /= by;
        }
        self
    }
}

/// Who gets in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Access {
    /// Everybody, or who knows the one password, as our server asks for it.
    #[default]
    Ours,
    /// Who knows the one password, by a challenge of this realm.
    Basic(&'static str),
    /// Who has a token (DIST-105…111).
    Token(TokenServer),
}

/// Who gives tokens, and how they are asked for. They are opaque, and hold for the scopes that were asked and granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenServer {
    /// The service of the challenge.
    pub service: &'static str,
    /// The path of the realm.
    pub path: &'static str,
    /// On another host and port than the registry.
    pub is_elsewhere: bool,
    /// Only the ping tells where tokens are had; other requests are refused without a challenge.
    pub is_only_at_the_door: bool,
    /// What a `POST` is answered, if it does not change a refresh token into an access token.
    pub post: Option<u16>,
    /// The member of the answer that holds the token.
    pub member: &'static str,
    /// The action `delete` makes the request unreadable.
    pub no_delete: bool,
}

impl Default for TokenServer {
    fn default() -> Self {
        Self {
            service: "registry",
            path: "/token",
            is_elsewhere: false,
            is_only_at_the_door: false,
            post: Some(404),
            member: "token",
            no_delete: false,
        }
    }
}

/// Which repositories there can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Names {
    /// The least number of components, and what a shorter name is answered.
    pub parts: Option<(usize, u16)>,
    /// What must be made before something is pushed.
    pub made_first: MadeFirst,
}

/// What must be made before something is pushed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MadeFirst {
    /// Nothing.
    #[default]
    Nothing,
    /// The repository.
    Repository,
    /// What the first component of the name says.
    Project,
}

/// How blobs come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploads {
    /// The answer to a chunk that was taken.
    pub patch_status: u16,
    /// What becomes of chunks.
    pub chunks: Chunks,
    /// The most bytes of a `PATCH` with a `Content-Range`, and the answer to one more.
    pub chunk_most: Option<(u64, u16)>,
    /// The least bytes of every chunk but the last: found out when the upload is closed.
    pub chunk_least: u64,
    /// The most bytes of any request, and the answer of the proxy to one more.
    pub body_most: Option<(u64, u16)>,
    /// The `Range` of the answers stays where it was after the first chunk.
    pub stuck_range: bool,
    /// Locations have a `_state`, without which a session is not found.
    pub state: bool,
    /// Locations are on another host and port.
    pub is_elsewhere: bool,
    /// Takes empty blobs.
    pub empty: bool,
    /// Needs the right to delete for giving an upload up.
    pub cancel_deletes: bool,
    /// Names the upload that was given up.
    pub cancel_names: bool,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            patch_status: 202,
            chunks: Chunks::Taken,
            chunk_most: None,
            chunk_least: 0,
            body_most: None,
            stuck_range: false,
            state: false,
            is_elsewhere: false,
            empty: true,
            cancel_deletes: false,
            cancel_names: false,
        }
    }
}

/// What becomes of a `PATCH` with a `Content-Range`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Chunks {
    /// It is taken.
    #[default]
    Taken,
    /// It is refused by this status.
    Refused(u16),
    /// It is taken in place of those before.
    LastOnly,
}

/// Which blobs are taken from other repositories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Every mount begins an upload.
    pub never: bool,
    /// The answer where the project of the source is not known.
    pub unknown_source: Option<u16>,
    /// The answer to a mount that does not say where from.
    pub without_from: Option<u16>,
    /// Repositories do not share what is pushed: a blob is only in those into which it was uploaded or mounted, and a
    /// manifest where it was put. What lay in the layout before is in all of them.
    pub is_separate: bool,
}

impl Mounts {
    /// Mounts, from repositories that share nothing by themselves.
    fn separate() -> Self {
        Self { is_separate: true, ..Self::default() }
    }
}

/// Which manifests are taken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifests {
    /// The document must say its own media type.
    pub own_media_type: bool,
    /// The answer to a `PUT` has a `Location`.
    pub location: bool,
    /// That location is by digest, whatever it was put by.
    pub location_by_digest: bool,
    /// A tag never moves; the same manifest again is refused, too, by another code.
    pub immutable: bool,
    /// The only types of configs and artifacts that are taken.
    pub types: Option<&'static [&'static str]>,
    /// Media types of manifests that are not taken, and the answer.
    pub refused: &'static [(&'static str, u16)],
    /// `HEAD` says another length than `GET`.
    pub head_length_differs: bool,
    /// A tag `sha256-HEX` that there is not is taken for the digest `sha256:HEX`.
    pub digest_by_tag: bool,
}

impl Default for Manifests {
    fn default() -> Self {
        Self {
            own_media_type: false,
            location: true,
            location_by_digest: false,
            immutable: false,
            types: None,
            refused: &[],
            head_length_differs: false,
            digest_by_tag: false,
        }
    }
}

/// How referrers are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Referrers {
    /// The answer to the question for them, where it is not a list.
    pub missing: Option<u16>,
    /// Whether `OCI-Subject` is answered though there is no list.
    pub claims: bool,
    /// The sizes in the lists are wrong.
    pub wrong_sizes: bool,
    /// The server makes the fallback tag, too.
    pub tags_too: bool,
}

/// How tags are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tags {
    /// The largest `n`.
    pub most: Option<usize>,
    /// There are nulls among them.
    pub nulls: bool,
    /// There are digests among them.
    pub digests: bool,
    /// After the last page comes a link with `n=0` to a page with nothing on it, which has such a link, too.
    pub empty_page: bool,
}

/// How a registry says no.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals {
    /// `HEAD` of what is not there, where it is not 404.
    pub absent_head: Option<u16>,
    /// The only code that there is.
    pub code: Option<&'static str>,
    /// Pages in place of JSON.
    pub html: bool,
    /// The answer to an `Accept` on anything but manifests.
    pub accept_elsewhere: Option<u16>,
    /// The answer to every `DELETE` of a manifest or blob.
    pub delete: Option<u16>,
    /// The answer to every `HEAD`.
    pub head: Option<u16>,
}
