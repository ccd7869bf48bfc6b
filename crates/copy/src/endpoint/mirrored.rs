//! A repository that has mirrors: they are asked first for all that has a digest, and the repository itself for the rest.
//!
//! What a tag means, which tags there are and what refers to what is for the repository to say: a mirror may be late. A
//! manifest or blob is what its digest says, wherever it comes from. A mirror that lacks something, or breaks off, is
//! followed by the next, the repository last, from the byte where it ended; one that cannot be reached, or does not let us
//! in, is not asked again. A blob that is read for the second time, maybe since it came wrong, comes from the repository.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use transship_spec::{Descriptor, Digest, Document, Kind};

use super::{Ask, Endpoint, Listed, Pending, Pieces, Place, Planned, Related, Session};
use crate::names::Name;
use crate::{Error, Result};

/// A source that is read by way of its mirrors, first to last.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use transship_copy::endpoint;
/// use transship_layout::Layout;
/// let source = endpoint::layout(Layout::options().create(folder.path().join("a"))?);
/// let mirror = endpoint::layout(Layout::options().create(folder.path().join("b"))?);
/// assert_eq!(endpoint::mirrored(source.clone(), vec![mirror]).place(), source.place());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn mirrored(endpoint: Arc<dyn Endpoint>, mirrors: Vec<Arc<dyn Endpoint>>) -> Arc<dyn Endpoint> {
    if mirrors.is_empty() {
        return endpoint;
    }
    let mirrors = mirrors.into_iter().map(|endpoint| Mirror { endpoint, is_lost: AtomicBool::new(false) });
    Arc::new(Mirrored { own: endpoint, mirrors: mirrors.collect(), read: Mutex::default() })
}

#[derive(Debug)]
struct Mirrored {
    own: Arc<dyn Endpoint>,
    mirrors: Arc<[Mirror]>,
    /// Blobs that were read from the begin.
    read: Mutex<HashSet<Digest>>,
}

#[derive(Debug)]
struct Mirror {
    endpoint: Arc<dyn Endpoint>,
    /// Whether asking it is no use.
    is_lost: AtomicBool,
}

impl Mirror {
    fn has_failed(&self, error: &Error) {
        tracing::debug!(mirror = %self.endpoint.place(), %error, "a mirror did not help");
        if matches!(error.kind(), Kind::Network | Kind::Denied) {
            self.is_lost.store(true, Ordering::Relaxed);
        }
    }
}

impl Endpoint for Mirrored {
    fn place(&self) -> &Place {
        self.own.place()
    }

    fn is_local(&self) -> bool {
        self.own.is_local()
    }

    fn named(&self) -> Pending<'_, Vec<Listed>> {
        self.own.named()
    }

    fn call<'a>(&'a self, reference: Option<&'a str>) -> Pending<'a, Listed> {
        self.own.call(reference)
    }

    fn resolve<'a>(&'a self, listed: &'a Listed) -> Pending<'a, Descriptor> {
        self.own.resolve(listed)
    }

    fn find<'a>(&'a self, names: &'a [Name]) -> BoxFuture<'a, Vec<Result<Option<Descriptor>>>> {
        self.own.find(names)
    }

    fn has<'a>(&'a self, content: &'a [Descriptor]) -> BoxFuture<'a, Vec<Result<bool>>> {
        self.own.has(content)
    }

    fn size<'a>(&'a self, digest: &'a Digest) -> Pending<'a, Option<u64>> {
        self.own.size(digest)
    }

    fn document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        let read = async move {
            for mirror in self.mirrors.iter().filter(|mirror| !mirror.is_lost.load(Ordering::Relaxed)) {
                match mirror.endpoint.document(descriptor).await {
                    Ok(document) => return Ok(document),
                    Err(error) => mirror.has_failed(&error),
                }
            }
            self.own.document(descriptor).await
        };
        read.boxed()
    }

    fn listed_document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        self.own.listed_document(descriptor)
    }

    fn related<'a>(&'a self, subject: &'a Digest, ask: Ask) -> Pending<'a, Related> {
        self.own.related(subject, ask)
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Pieces {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if offset == 0 && !read.insert(blob.digest.clone()) {
            return self.own.open(blob, 0);
        }
        let way = Way {
            own: Arc::clone(&self.own),
            mirrors: Arc::clone(&self.mirrors),
            blob: blob.clone(),
            next: 0,
            got: offset,
            pieces: None,
        };
        stream::unfold(way, Way::piece).boxed()
    }

    fn verify<'a>(&'a self, blob: &'a Descriptor) -> Pending<'a, ()> {
        self.own.verify(blob)
    }

    fn begin(&self, plan: Planned) -> Pending<'_, Arc<dyn Session>> {
        self.own.begin(plan)
    }
}

/// A blob on its way from one after the other.
struct Way {
    own: Arc<dyn Endpoint>,
    mirrors: Arc<[Mirror]>,
    blob: Descriptor,
    /// Whom to ask next; behind the mirrors it is the repository.
    next: usize,
    got: u64,
    pieces: Option<Pieces>,
}

impl Way {
    async fn piece(mut self) -> Option<(Result<bytes::Bytes>, Self)> {
        loop {
            let mut pieces = match self.pieces.take() {
                Some(pieces) => pieces,
                None => self.ask(),
            };
            let mirror = self.next.checked_sub(1).and_then(|at| self.mirrors.get(at));
            match (pieces.next().await, mirror) {
                (Some(Ok(piece)), _) => {
                    self.got += piece.len() as u64;
                    self.pieces = Some(pieces);
                    return Some((Ok(piece), self));
                }
                (Some(Err(error)), Some(mirror)) => mirror.has_failed(&error),
                (None, Some(_)) if self.got < self.blob.size => {}
                (Some(Err(error)), None) => {
                    self.pieces = Some(pieces);
                    return Some((Err(error), self));
                }
                (None, _) => return None,
            }
        }
    }

    fn ask(&mut self) -> Pieces {
        while let Some(mirror) = self.mirrors.get(self.next) {
            self.next += 1;
            if !mirror.is_lost.load(Ordering::Relaxed) {
                return mirror.endpoint.open(&self.blob, self.got);
            }
        }
        self.next = self.mirrors.len() + 1;
        self.own.open(&self.blob, self.got)
    }
}
