//! One layout as it is served, and the view of its index that requests are answered from.
//!
//! The view is read once for each state of `index.json`: a request looks at the file's state and takes the view that is
//! there, without a lock, when that has not changed. A layout that was replaced by another one under the same path is
//! opened anew; what is being read from the old one goes on.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use transship_layout::Layout;
use transship_spec::Kind;

use crate::lease::Leases;
use crate::referrers::Graph;
use crate::remembered::Remembered;
use crate::view::{Naming, View};

/// A file changed less long ago than this may change again without its times telling.
const TICK: Duration = Duration::from_millis(25);

/// A layout that is served.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) naming: Naming,
    path: PathBuf,
    current: RwLock<Arc<Opened>>,
    reload: Mutex<()>,
    /// Whoever changes the index holds it, so that threads do not queue up for the lock on disk.
    pub(crate) writes: tokio::sync::Mutex<()>,
    pub(crate) leases: Leases,
    /// Manifests put by digest, whose entries we made; see `push`.
    pub(crate) adopted: Remembered,
    /// What was deleted and may still lie in the layout; see `delete`.
    pub(crate) withdrawn: Remembered,
    pub(crate) graph: Graph,
}

/// A layout and the view of one state of its index.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) layout: Layout,
    pub(crate) view: Arc<View>,
    state: Option<State>,
    /// Whether the state tells for certain that nothing changed.
    settled: bool,
}

impl Mount {
    /// Reads the view. Blocking.
    pub(crate) fn new(naming: Naming, layout: Layout) -> Result<Self, transship_layout::Error> {
        let path = layout.path().to_owned();
        let opened = Opened::read(layout, &naming, State::of(&path))?;
        Ok(Self {
            naming,
            path,
            current: RwLock::new(Arc::new(opened)),
            reload: Mutex::default(),
            writes: tokio::sync::Mutex::default(),
            leases: Leases::default(),
            adopted: Remembered::default(),
            withdrawn: Remembered::default(),
            graph: Graph::default(),
        })
    }

    /// The layout and its view as they are now. Blocking.
    ///
    /// An index that cannot be read, since another program is writing it in place, leaves the view that was there.
    pub(crate) fn now(&self) -> Arc<Opened> {
        let current = self.current();
        let state = State::of(&self.path);
        if state.is_none() || current.is_of(&state) {
            return current;
        }
        let _one_reads = self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current();
        let state = State::of(&self.path);
        if state.is_none() || current.is_of(&state) {
            return current;
        }
        let is_moved = State::folder(&current.state) != State::folder(&state);
        let layout = if is_moved { current.layout.reopen() } else { Ok(current.layout.clone()) };
        match layout.and_then(|layout| Opened::read(layout, &self.naming, state)) {
            Ok(opened) => {
                if is_moved {
                    self.leases.end();
                }
                let opened = Arc::new(opened);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&opened);
                opened
            }
            Err(error) => {
                let passing = matches!(error.kind(), Kind::Invalid | Kind::Busy | Kind::NotFound);
                let level = if passing { "is being changed" } else { "cannot be read" };
                tracing::warn!("the index {level}, and is served as it was: {error}");
                current
            }
        }
    }

    fn current(&self) -> Arc<Opened> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the view read again, since we changed the index ourselves.
    pub(crate) fn changed(&self) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let Opened { layout, view, state, .. } = &**current;
        let (layout, view, state) = (layout.clone(), Arc::clone(view), *state);
        *current = Arc::new(Opened { layout, view, state, settled: false });
    }
}

impl Opened {
    fn read(layout: Layout, naming: &Naming, state: Option<State>) -> Result<Self, transship_layout::Error> {
        let before = SystemTime::now();
        let view = Arc::new(View::of(&layout.entries()?, naming));
        let settled = state.is_some_and(|state| state.is_older_than(before, TICK));
        Ok(Self { layout, view, state, settled })
    }

    fn is_of(&self, state: &Option<State>) -> bool {
        self.settled && self.state == *state
    }
}

/// What tells one state of an index from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    folder: (u64, u64),
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    fn of(layout: &std::path::Path) -> Option<Self> {
        let folder = std::fs::metadata(layout).ok()?;
        let index: Metadata = std::fs::metadata(layout.join("index.json")).ok()?;
        Some(Self {
            folder: (folder.dev(), folder.ino()),
            inode: index.ino(),
            size: index.size(),
            modified: (index.mtime(), index.mtime_nsec()),
            changed: (index.ctime(), index.ctime_nsec()),
        })
    }

    fn folder(state: &Option<Self>) -> Option<(u64, u64)> {
        state.map(|state| state.folder)
    }

    fn is_older_than(&self, now: SystemTime, age: Duration) -> bool {
        let (seconds, nanoseconds) = self.modified.max(self.changed);
        let since = Duration::new(seconds.try_into().unwrap_or(0), nanoseconds.try_into().unwrap_or(0));
        now.duration_since(SystemTime::UNIX_EPOCH + since).is_ok_and(|passed| passed >= age)
    }
}
