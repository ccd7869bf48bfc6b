//! What of a folder goes into its tar, and how.

use std::path::PathBuf;

use crate::{Excludes, Metadata};

/// How a folder becomes a tar. The default gives the same bytes on every machine.
///
/// ```
/// use transship_pack::{MtimeRule, Owner, TarOptions};
///
/// let options = TarOptions { owner: "1000:1000".parse()?, mtime: MtimeRule::Keep, ..TarOptions::default() };
/// assert_eq!(options.owner, Owner::Fixed { uid: 1000, gid: 1000 });
/// # Ok::<(), transship_pack::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TarOptions {
    /// Who owns the files.
    pub owner: Owner,
    /// Which modes they have.
    pub mode: ModeRule,
    /// Which times they have.
    pub mtime: MtimeRule,
    /// What is left out.
    pub excludes: Excludes,
    /// Whether links are replaced by what they lead to. What they lead to may lie outside of the folder.
    pub dereference: bool,
    /// Whether another name of a file already written is a hard link to it; else its content is written again.
    pub hard_links: bool,
    /// Whether a tar that is given is written anew by these rules; else it is a layer as it is.
    pub normalize: bool,
    /// A folder upon which the layer of a folder is to be put: it says what is to be changed for that.
    pub base: Option<PathBuf>,
    /// Whether a folder is the upper one of an overlayfs: what that says of lower ones becomes whiteouts (IMG-135,
    /// IMG-139). It is not looked at where there is a base.
    pub overlay: bool,
    /// What the folder cannot tell of its files.
    pub metadata: Option<Metadata>,
    /// A folder in the tar that everything lies in, without a slash at its end; it is an entry with the attributes of
    /// the folder packed. Empty for none.
    pub prefix: String,
}

impl Default for TarOptions {
    fn default() -> Self {
        Self {
            owner: Owner::default(),
            mode: ModeRule::default(),
            mtime: MtimeRule::default(),
            excludes: Excludes::default(),
            dereference: false,
            hard_links: true,
            normalize: false,
            base: None,
            overlay: false,
            metadata: None,
            prefix: String::new(),
        }
    }
}

/// Who owns the files of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// All of them this user and group. The default is 0:0.
    Fixed {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// Who owns them on disk.
    Keep,
    /// Who owns them on disk, but for these: a user and a group, and who takes their place.
    Map(Vec<(Ids, Ids)>),
}

/// A user and a group.
pub type Ids = (u32, u32);

impl Default for Owner {
    fn default() -> Self {
        Self::Fixed { uid: 0, gid: 0 }
    }
}

impl std::str::FromStr for Owner {
    type Err = crate::Error;

    /// Reads `UID:GID`, `keep`, or `UID:GID=UID:GID` for some, with commas between; anything else is
    /// [`Error::Option`](crate::Error::Option).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "keep" {
            return Ok(Self::Keep);
        }
        if let Some((uid, gid)) = ids(text) {
            return Ok(Self::Fixed { uid, gid });
        }
        let pair = |text: &str| text.split_once('=').and_then(|(from, to)| Some((ids(from)?, ids(to)?)));
        let map: Option<Vec<_>> = text.split(',').map(pair).collect();
        map.map(Self::Map).ok_or_else(|| {
            let reason = "it takes UID:GID in numbers, keep, or UID:GID=UID:GID,… for some";
            crate::Error::option("an owner", text, reason)
        })
    }
}

fn ids(text: &str) -> Option<Ids> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (uid, gid) = text.split_once(':')?;
    Some((number(uid)?, number(gid)?))
}

/// Which modes the files of a layer have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModeRule {
    /// Those on disk, set-user-ID and sticky bits included.
    #[default]
    Keep,
    /// 0755 for folders and for files that anyone may execute, 0644 for all others.
    Normal,
}

/// Which modification times the files of a layer have, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MtimeRule {
    /// 1970-01-01T00:00:00Z. Caches that compare times see no change: `.pyc` files, `ETag`s, make.
    #[default]
    Zero,
    /// Those on disk, but none later than this second since 1970.
    Clamp(i64),
    /// Those on disk.
    Keep,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_two_numbers_or_keep_or_pairs_of_them() {
        for (text, owner) in [
            ("0:0", Some(Owner::Fixed { uid: 0, gid: 0 })),
            ("1000:4294967295", Some(Owner::Fixed { uid: 1000, gid: u32::MAX })),
            ("keep", Some(Owner::Keep)),
            ("1:2=3:4", Some(Owner::Map(vec![((1, 2), (3, 4))]))),
            ("1:2=3:4,5:6=0:0", Some(Owner::Map(vec![((1, 2), (3, 4)), ((5, 6), (0, 0))]))),
            ("1:2=3:4,", None),
            ("1:2=", None),
            ("1:2=3:4=5:6", None),
            ("1000", None),
            ("a:b", None),
            ("1:", None),
            ("+1:1", None),
            ("-1:1", None),
            ("1:4294967296", None),
            ("1:1:1", None),
        ] {
            assert_eq!(text.parse::<Owner>().ok(), owner, "{text}");
        }
    }
}
