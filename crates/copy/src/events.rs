//! What goes on during a copy, told to whoever wants to know.

use std::fmt::Debug;

use transship_spec::Descriptor;

use crate::report::RootReport;

/// How content came to be at its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Placed {
    /// Its bytes were moved.
    Copied,
    /// The registry took it from another of its repositories.
    Mounted,
    /// The file system shares its bytes with the source.
    Reflinked,
    /// It is the source's file under another name, a hard link.
    Linked,
    /// It was there.
    Present,
}

/// Told of what is planned, moved and done. Every method does nothing unless it is written, must be quick, and may be
/// called from several threads at once.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use transship_spec::Descriptor;
///
/// #[derive(Debug, Default)]
/// struct Meter(AtomicU64);
///
/// impl transship_copy::Events for Meter {
///     fn blob_progress(&self, _blob: &Descriptor, bytes: u64) {
///         self.0.fetch_add(bytes, Ordering::Relaxed);
///     }
/// }
/// ```
pub trait Events: Send + Sync + Debug {
    /// The plan is made: so many blobs and bytes are missing, as far as is known.
    fn planned(&self, blobs: u64, bytes: u64) {
        let _ = (blobs, bytes);
    }

    /// A blob begins to move. Called again for the same blob when it has to begin anew.
    fn blob_started(&self, blob: &Descriptor) {
        let _ = blob;
    }

    /// More bytes of a blob have moved. Those of a try that fails are counted, too.
    fn blob_progress(&self, blob: &Descriptor, bytes: u64) {
        let _ = (blob, bytes);
    }

    /// A blob is at its destination; [`Placed::Present`] when nothing had to be done for it.
    fn blob_done(&self, blob: &Descriptor, how: Placed) {
        let _ = (blob, how);
    }

    /// A blob that began to move did not arrive, and is not tried again.
    fn blob_failed(&self, blob: &Descriptor) {
        let _ = blob;
    }

    /// A root is finished, for good or ill. In a layout it becomes visible with all others at the end.
    fn root_done(&self, root: &RootReport) {
        let _ = root;
    }

    /// Something is odd or was left out. It is in the report, too.
    fn warning(&self, text: &str) {
        let _ = text;
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quiet;

impl Events for Quiet {}
