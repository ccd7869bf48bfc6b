//! Layers that are read, for `unpack` and for `diff`: from where, how much of them, and how far it is.

use std::sync::{Mutex, PoisonError};

use transship_copy::Select;
use transship_copy::endpoint::{self, Ask};
use transship_layout::Source;
use transship_pack::{UnpackLimits, UnpackProgress};
use transship_spec::{Descriptor, Kind};

use crate::args::LayerLimits;
use crate::content::Content;
use crate::exit::Failure;
use crate::progress::{Item, Progress};

/// What the flags say.
pub(super) fn limits(flags: &LayerLimits) -> UnpackLimits {
    UnpackLimits {
        max_size: flags.max_size,
        max_ratio: flags.max_ratio,
        max_entries: flags.max_entries,
        max_depth: flags.max_depth,
        ..UnpackLimits::default()
    }
}

/// What ended the reading of layers; where it was a limit, with what sets another.
pub(super) fn limited(error: transship_pack::Error) -> Failure {
    let failure = Failure::from(error);
    match failure.kind() {
        Kind::Limit => failure.hint(
            "if you trust the image, --max-size, --max-ratio, --max-entries and --max-depth set other limits",
        ),
        _ => failure,
    }
}

/// Where content is read from, with what it needs to live.
pub(super) enum Opened<'a> {
    Local(&'a dyn Source),
    Registry(Box<endpoint::Blocking>),
}

impl<'a> Opened<'a> {
    pub(super) fn of(content: &'a Content) -> Result<Self, Failure> {
        Ok(match content {
            Content::Local { stock, .. } => Self::Local(stock.source()),
            Content::Registry { network, repository, .. } => {
                let endpoint = endpoint::registry(repository.clone());
                let (runtime, ask) = (network.runtime.handle()?, Ask::default());
                Self::Registry(Box::new(endpoint::blocking(endpoint, runtime, Select::All, ask)))
            }
        })
    }

    pub(super) fn source(&self) -> &dyn Source {
        match self {
            Self::Local(source) => *source,
            Self::Registry(source) => &**source,
        }
    }
}

/// Tells of layers while they are read: a bar for each.
#[derive(Debug)]
pub(super) struct Watched {
    progress: Progress,
    current: Mutex<String>,
}

impl Watched {
    /// So many stored bytes are to be read, as far as that is known.
    pub(super) fn new(progress: &Progress, bytes: Option<u64>) -> Self {
        progress.begin(bytes);
        Self { progress: progress.clone(), current: Mutex::default() }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, String> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnpackProgress for Watched {
    fn layer_started(&self, layer: &Descriptor) {
        let key = layer.digest.to_string();
        let name = format!("layer {}", layer.digest.short());
        self.progress.started(Item { key: &key, name: &name, size: Some(layer.size) });
        *self.current() = key;
    }

    fn advanced(&self, bytes: u64) {
        self.progress.advanced(&self.current(), bytes);
    }

    fn layer_finished(&self, _layer: &Descriptor) {
        self.progress.finished(&self.current());
    }
}
