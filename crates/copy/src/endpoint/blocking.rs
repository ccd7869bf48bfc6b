//! An endpoint as a [`Source`] for code that blocks: so that inspect, tree, check and unpack take registries, too.
//!
//! What a registry's manifests need is taken to be there, as their presence says (DIST-62): only what is opened is asked
//! for.

use std::collections::{HashMap, HashSet};
use std::io::{self, Cursor, Read};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use tokio::runtime::Handle;
use transship_layout::{Entry, Source};
use transship_spec::annotations::{CONTAINERD_NAME, REF_NAME};
use transship_spec::{Descriptor, Digest, Verifier};

use super::{Ask, Endpoint, Listed, Pieces};
use crate::graph::{MAX_DEPTH, MAX_NODES, too_many};
use crate::select::Select;
use crate::{Error, Result};

/// An endpoint, or one thing in it, read by code that blocks. See [`blocking`].
#[derive(Debug)]
pub struct Blocking {
    endpoint: Arc<dyn Endpoint>,
    runtime: Handle,
    select: Select,
    ask: Ask,
    /// The sizes of what documents that were read need.
    sizes: Mutex<HashMap<Digest, u64>>,
}

/// Makes an endpoint readable by code that blocks: what `select` chooses becomes the entries, and what `ask` asks for
/// (referrers, digest tags) follows it.
///
/// The requests are made by `runtime`, which must have threads of its own to make progress. Never call the source's
/// methods from a task of that runtime: they block.
///
/// ```
/// use transship_copy::{Select, endpoint};
/// use transship_layout::{Layout, Source};
///
/// # let folder = tempfile::tempdir()?;
/// let layout = endpoint::layout(Layout::options().create(folder.path())?);
/// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
/// let source = endpoint::blocking(layout, runtime.handle().clone(), Select::All, endpoint::Ask::default());
/// assert!(source.entries()?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn blocking(endpoint: Arc<dyn Endpoint>, runtime: Handle, select: Select, ask: Ask) -> Blocking {
    Blocking { endpoint, runtime, select, ask, sizes: Mutex::default() }
}

impl Blocking {
    /// Lets the runtime do some work, and waits for it.
    fn wait<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        wait(&self.runtime, work)
    }

    fn sizes(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, u64>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // Who does not wait any more need not know.
        let _ = sender.send(work.await);
    });
    receiver.recv().map_err(|_| Error::Worker("the runtime has ended".to_owned()))?
}

fn foreign(error: Error) -> transship_layout::Error {
    transship_layout::Error::Foreign { kind: error.kind(), source: Box::new(error) }
}

impl Source for Blocking {
    fn entries(&self) -> transship_layout::Result<Vec<Entry>> {
        let (endpoint, select, ask) = (Arc::clone(&self.endpoint), self.select.clone(), self.ask);
        let found = self.wait(async move { gather(&endpoint, &select, ask).await }).map_err(foreign)?;
        self.sizes().extend(found.iter().map(|descriptor| (descriptor.digest.clone(), descriptor.size)));
        Ok(found.into_iter().enumerate().map(|(at, descriptor)| Entry::new(at, descriptor)).collect())
    }

    fn open(&self, descriptor: &Descriptor) -> transship_layout::Result<Box<dyn Read + Send>> {
        if descriptor.media_type.is_document() {
            let (endpoint, wanted) = (Arc::clone(&self.endpoint), descriptor.clone());
            let document = self.wait(async move { endpoint.document(&wanted).await }).map_err(foreign)?;
            let children = document.children().into_iter();
            self.sizes().extend(children.map(|child| (child.digest.clone(), child.size)));
            return Ok(Box::new(Cursor::new(document.bytes().clone())));
        }
        Ok(Box::new(Content {
            runtime: self.runtime.clone(),
            pieces: Some(self.endpoint.open(descriptor, 0)),
            piece: Bytes::new(),
            verifier: Some(Verifier::new(&descriptor.digest, Some(descriptor.size))),
        }))
    }

    fn size(&self, digest: &Digest) -> transship_layout::Result<Option<u64>> {
        if let Some(size) = self.sizes().get(digest) {
            return Ok(Some(*size));
        }
        let (endpoint, wanted) = (Arc::clone(&self.endpoint), digest.clone());
        self.wait(async move { endpoint.size(&wanted).await }).map_err(foreign)
    }
}

/// The chosen roots, and after them what belongs to them.
async fn gather(endpoint: &Arc<dyn Endpoint>, select: &Select, ask: Ask) -> Result<Vec<Descriptor>> {
    let listed = match select {
        Select::One(reference) => vec![endpoint.call(reference.as_deref()).await?],
        Select::All => endpoint.named().await?,
    };
    let ask = Ask { many: listed.len() > 1, ..ask };
    let resolve =
        |listed: Listed| async move { Ok::<_, Error>(named(endpoint.resolve(&listed).await?, &listed)) };
    let mut found = Vec::new();
    let mut resolving = futures_util::stream::iter(listed).map(resolve).buffered(super::QUESTIONS);
    while let Some(descriptor) = resolving.next().await {
        found.push(descriptor?);
    }
    if ask.referrers || ask.digest_tags {
        belongings(endpoint, &mut found, ask).await?;
    }
    Ok(found)
}

/// Adds what belongs to manifests that `found` leads to.
async fn belongings(endpoint: &Arc<dyn Endpoint>, found: &mut Vec<Descriptor>, ask: Ask) -> Result<()> {
    let mut seen: HashSet<Digest> = HashSet::new();
    let mut known: HashSet<Digest> = found.iter().map(|root| root.digest.clone()).collect();
    let mut next: Vec<(Descriptor, usize)> = found.iter().map(|root| (root.clone(), 0)).collect();
    while let Some((descriptor, depth)) = next.pop() {
        if !descriptor.media_type.is_document()
            || depth > MAX_DEPTH
            || !seen.insert(descriptor.digest.clone())
        {
            continue;
        }
        if seen.len() > MAX_NODES {
            return Err(too_many());
        }
        if descriptor.media_type.is_index() {
            let document = endpoint.document(&descriptor).await?;
            next.extend(document.children().into_iter().map(|child| (child.clone(), depth + 1)));
        }
        let related = endpoint.related(&descriptor.digest, ask).await?;
        let mut new = Vec::new();
        for referrer in related.referrers {
            // Its size may be wrong in a list (DIST-173), and who reads it relies on that.
            let document = endpoint.listed_document(&referrer).await?;
            new.push(transship_spec::referrers::descriptor(&document));
        }
        for (_, listed) in related.digest_tags {
            new.push(named(endpoint.resolve(&listed).await?, &listed));
        }
        for descriptor in new {
            next.push((descriptor.clone(), depth + 1));
            if known.insert(descriptor.digest.clone()) {
                found.push(descriptor);
            }
        }
    }
    Ok(())
}

/// A descriptor with the names that an entry of a layout would have.
fn named(mut descriptor: Descriptor, listed: &Listed) -> Descriptor {
    if let Some(full) = listed.called.full.as_ref().filter(|full| full.tag().is_some()) {
        descriptor.annotations.insert(REF_NAME.to_owned(), full.to_string());
        descriptor.annotations.insert(CONTAINERD_NAME.to_owned(), full.to_string());
    } else if let Some(short) = &listed.called.short {
        descriptor.annotations.insert(REF_NAME.to_owned(), short.clone());
    }
    descriptor
}

/// A blob as it comes, verified while it is read.
struct Content {
    runtime: Handle,
    /// Gone after the end, or after an error.
    pieces: Option<Pieces>,
    piece: Bytes,
    verifier: Option<Verifier>,
}

impl Content {
    fn next(&mut self) -> Result<()> {
        let Some(mut pieces) = self.pieces.take() else { return Ok(()) };
        let next = wait(&self.runtime, async move { Ok((pieces.next().await.transpose()?, pieces)) });
        match next? {
            (Some(piece), pieces) => {
                if let Some(verifier) = &mut self.verifier {
                    verifier.update(&piece)?;
                }
                (self.piece, self.pieces) = (piece, Some(pieces));
            }
            (None, _) => {
                if let Some(verifier) = self.verifier.take() {
                    verifier.finish()?;
                }
            }
        }
        Ok(())
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && self.pieces.is_some() {
            self.next().map_err(|error| io::Error::other(foreign(error)))?;
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
