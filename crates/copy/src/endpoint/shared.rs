//! An endpoint that is asked every question once, however many destinations want to know.
//!
//! Lists, what tags mean, manifests and what belongs to them are kept; blobs are not, of which the engine takes care. What
//! could not be told is asked again. So everything that is copied from one place is of one moment.
//!
//! Bounded (design law 6): manifests are kept up to [`ROOM`] bytes; what was resolved and related as long as the number
//! of names and referrers allows ([`MANY`]).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use transship_spec::{Descriptor, Digest, Document};

use super::{Ask, Endpoint, Listed, Pending, Pieces, Place, Planned, Related, Session};
use crate::Result;
use crate::names::Name;

/// Bytes of manifests that are kept.
const ROOM: usize = 32 << 20;
/// Answers of other sorts that are kept.
const MANY: usize = 1_000_000;

/// An endpoint that remembers what it was told, for copies to several destinations.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use transship_copy::endpoint;
/// use transship_layout::Layout;
/// let layout = endpoint::layout(Layout::options().create(folder.path())?);
/// assert_eq!(endpoint::shared(layout.clone()).place(), layout.place());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn shared(endpoint: Arc<dyn Endpoint>) -> Arc<dyn Endpoint> {
    match endpoint.is_local() {
        // It costs nothing to ask.
        true => endpoint,
        false => Arc::new(Shared {
            inner: endpoint,
            named: OnceCell::new(),
            resolved: Memory::default(),
            related: Memory::default(),
            documents: Memory::default(),
        }),
    }
}

#[derive(Debug)]
struct Shared {
    inner: Arc<dyn Endpoint>,
    named: OnceCell<Vec<Listed>>,
    resolved: Memory<(Option<String>, Option<Digest>), Descriptor>,
    related: Memory<(Digest, bool, bool), Related>,
    documents: Memory<Digest, (Descriptor, Bytes)>,
}

/// Answers by question. Whoever asks what is being asked waits for that answer.
#[derive(Debug)]
struct Memory<K, V> {
    answers: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
    used: AtomicUsize,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self { answers: Mutex::default(), used: AtomicUsize::new(0) }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Memory<K, V> {
    /// The answer, known or asked for. What weighs too much is forgotten again.
    async fn recall(
        &self,
        key: K,
        ask: impl Future<Output = Result<V>>,
        (weigh, most): (fn(&V) -> usize, usize),
    ) -> Result<V> {
        let cell = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(key.clone()).or_default())
        };
        let mut is_new = false;
        let asked = cell.get_or_try_init(|| {
            is_new = true;
            ask
        });
        let answer = asked.await.cloned();
        let fits = || match answer.as_ref().map(weigh) {
            Ok(weight) => self.used.fetch_add(weight, Ordering::Relaxed) + weight <= most,
            Err(_) => false,
        };
        if is_new && !fits() {
            self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
        answer
    }
}

impl Shared {
    async fn bytes(&self, descriptor: &Descriptor, is_listed: bool) -> Result<(Descriptor, Bytes)> {
        let ask = async {
            let document = match is_listed {
                true => self.inner.listed_document(descriptor).await?,
                false => self.inner.document(descriptor).await?,
            };
            Ok((document.descriptor(), document.bytes().clone()))
        };
        let weigh: fn(&(Descriptor, Bytes)) -> usize = |(_, bytes)| bytes.len();
        self.documents.recall(descriptor.digest.clone(), ask, (weigh, ROOM)).await
    }
}

impl Endpoint for Shared {
    fn place(&self) -> &Place {
        self.inner.place()
    }

    fn is_local(&self) -> bool {
        false
    }

    fn named(&self) -> Pending<'_, Vec<Listed>> {
        async { Ok(self.named.get_or_try_init(|| self.inner.named()).await?.clone()) }.boxed()
    }

    fn call<'a>(&'a self, reference: Option<&'a str>) -> Pending<'a, Listed> {
        self.inner.call(reference)
    }

    fn resolve<'a>(&'a self, listed: &'a Listed) -> Pending<'a, Descriptor> {
        let key = (listed.called.short.clone(), listed.digest.clone());
        let weigh: fn(&Descriptor) -> usize = |_| 1;
        self.resolved.recall(key, self.inner.resolve(listed), (weigh, MANY)).boxed()
    }

    fn find<'a>(&'a self, names: &'a [Name]) -> BoxFuture<'a, Vec<Result<Option<Descriptor>>>> {
        self.inner.find(names)
    }

    fn has<'a>(&'a self, content: &'a [Descriptor]) -> BoxFuture<'a, Vec<Result<bool>>> {
        self.inner.has(content)
    }

    fn size<'a>(&'a self, digest: &'a Digest) -> Pending<'a, Option<u64>> {
        self.inner.size(digest)
    }

    fn document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        async move {
            let (_, bytes) = self.bytes(descriptor, false).await?;
            // What a list calls it may be wrong, and then it is asked for by that name.
            match bytes.len() as u64 == descriptor.size {
                true => Ok(Document::of_verified(bytes, descriptor)?),
                false => self.inner.document(descriptor).await,
            }
        }
        .boxed()
    }

    fn listed_document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        async move {
            let (right, bytes) = self.bytes(descriptor, true).await?;
            Ok(Document::of_verified(bytes, &right)?)
        }
        .boxed()
    }

    fn related<'a>(&'a self, subject: &'a Digest, ask: Ask) -> Pending<'a, Related> {
        let key = (subject.clone(), ask.referrers, ask.digest_tags);
        let weigh: fn(&Related) -> usize = |related| 1 + related.referrers.len() + related.digest_tags.len();
        self.related.recall(key, self.inner.related(subject, ask), (weigh, MANY)).boxed()
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Pieces {
        self.inner.open(blob, offset)
    }

    fn verify<'a>(&'a self, blob: &'a Descriptor) -> Pending<'a, ()> {
        self.inner.verify(blob)
    }

    fn doubt(&self, blob: &Digest) {
        self.inner.doubt(blob);
    }

    fn begin(&self, plan: Planned) -> Pending<'_, Arc<dyn Session>> {
        self.inner.begin(plan)
    }
}
