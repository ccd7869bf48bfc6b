//! Owners, modes and times as the options want them.

use super::options::{ModeRule, MtimeRule, Owner, TarOptions};
use crate::Warning;
use crate::entry::{Attributes, What};
use crate::mtree;

/// Applies the rules, and counts the owners that are lost by it.
#[derive(Debug)]
pub(crate) struct Rules {
    owner: Owner,
    mode: ModeRule,
    mtime: MtimeRule,
    flattened: u64,
}

impl Rules {
    pub(crate) fn new(options: &TarOptions) -> Self {
        Self { owner: options.owner.clone(), mode: options.mode, mtime: options.mtime, flattened: 0 }
    }

    /// What is written of what was found. Whatever a specification says is taken as it says it.
    pub(crate) fn apply(
        &mut self,
        found: Attributes,
        what: &What,
        said: Option<&mtree::Entry>,
    ) -> Attributes {
        let mode = match (what, self.mode) {
            (What::Symlink(_), _) => 0o777,
            (What::Folder, ModeRule::Normal) => 0o755,
            (What::File(_) | What::HardLink(_), ModeRule::Normal) if found.mode & 0o111 != 0 => 0o755,
            (_, ModeRule::Normal) => 0o644,
            (_, ModeRule::Keep) => found.mode,
        };
        let mtime = match self.mtime {
            MtimeRule::Zero => 0,
            MtimeRule::Clamp(latest) => found.mtime.min(latest),
            MtimeRule::Keep => found.mtime,
        };
        let own = (found.uid, found.gid);
        let (uid, gid) = match &self.owner {
            Owner::Keep => own,
            Owner::Fixed { uid, gid } => (*uid, *gid),
            Owner::Map(pairs) => pairs.iter().find(|(from, _)| *from == own).map_or(own, |(_, to)| *to),
        };
        let Some(said) = said else {
            self.flattened += u64::from((uid, gid) != (found.uid, found.gid));
            return Attributes { mode, uid, gid, mtime, ..found };
        };
        let (user, group) = (said.uid.unwrap_or(found.uid), said.gid.unwrap_or(found.gid));
        let (uid, gid) = (said.uid.unwrap_or(uid), said.gid.unwrap_or(gid));
        self.flattened += u64::from((uid, gid) != (user, group));
        Attributes {
            mode: if matches!(what, What::Symlink(_)) { mode } else { said.mode.unwrap_or(mode) },
            uid,
            gid,
            mtime: said.time.map_or(mtime, |time| time.seconds),
            ..found
        }
    }

    /// The owners that were lost.
    pub(crate) fn warning(&self) -> Option<Warning> {
        match self.owner {
            Owner::Fixed { uid, gid } if self.flattened > 0 => {
                Some(Warning::OwnersFlattened { count: self.flattened, written: (uid, gid) })
            }
            _ => None,
        }
    }
}
