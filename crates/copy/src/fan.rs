//! One stream of a blob for several registries: it is read once, and everybody gets each piece.
//!
//! Those who want the blob are known from the start, and the stream begins when each of them has asked for it or will not.
//! From there on the slowest decides: at most [`WAITING`] pieces wait for anybody. Who takes nothing for [`PATIENCE`], comes too
//! late, or begins anew in the middle, reads from the source by itself; and so do all, from where they are, when the one
//! stream breaks. So nobody's failure is another's, and nobody waits for ever.
//!
//! Nothing is hashed here: whoever takes a blob verifies it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use transship_spec::{Descriptor, Digest, Document};

use crate::Result;
use crate::endpoint::{Ask, Endpoint, Listed, Pending, Pieces, Place, Planned, Related, Session};
use crate::names::Name;

/// Pieces that wait for the slowest.
const WAITING: usize = 2;
/// How long the others wait for somebody who takes nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A blob that goes to several destinations, by the numbers of these.
#[derive(Debug)]
pub(crate) struct Fan {
    source: Arc<dyn Endpoint>,
    members: Vec<usize>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Those who have neither asked for the content nor left.
    awaited: Vec<usize>,
    listeners: Vec<mpsc::Sender<Bytes>>,
    has_begun: bool,
}

impl Fan {
    pub(crate) fn new(source: &Arc<dyn Endpoint>, members: Vec<usize>) -> Self {
        let state = State { awaited: members.clone(), listeners: Vec::new(), has_begun: false };
        Self { source: Arc::clone(source), members, state: Mutex::new(state) }
    }

    pub(crate) fn members(&self) -> &[usize] {
        &self.members
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source, as this member is to read it.
    pub(crate) fn seat(self: &Arc<Self>, member: usize) -> Arc<dyn Endpoint> {
        Arc::new(Seat { fan: Arc::clone(self), member })
    }

    /// A member is done: nobody waits for it.
    pub(crate) fn leave(&self, member: usize, blob: &Descriptor) {
        let mut state = self.state();
        state.awaited.retain(|awaited| *awaited != member);
        self.begin_if_all_are_here(&mut state, blob);
    }

    /// A place among the listeners, for a member that reads for the first time and not too late.
    fn listen(self: &Arc<Self>, member: usize, blob: &Descriptor) -> Option<mpsc::Receiver<Bytes>> {
        let mut state = self.state();
        if state.has_begun || !state.awaited.contains(&member) {
            return None;
        }
        state.awaited.retain(|awaited| *awaited != member);
        let (sender, receiver) = mpsc::channel(WAITING);
        state.listeners.push(sender);
        if state.listeners.len() == 1 {
            self.begin_without_the_late(blob);
        }
        self.begin_if_all_are_here(&mut state, blob);
        Some(receiver)
    }

    fn begin_if_all_are_here(&self, state: &mut State, blob: &Descriptor) {
        if state.awaited.is_empty() && !state.listeners.is_empty() && !state.has_begun {
            self.begin(state, blob);
        }
    }

    fn begin_without_the_late(self: &Arc<Self>, blob: &Descriptor) {
        let (fan, blob) = (Arc::downgrade(self), blob.clone());
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if let Some(fan) = fan.upgrade() {
                let mut state = fan.state();
                if !state.has_begun {
                    fan.begin(&mut state, &blob);
                }
            }
        });
    }

    fn begin(&self, state: &mut State, blob: &Descriptor) {
        state.has_begun = true;
        let listeners = std::mem::take(&mut state.listeners);
        tokio::spawn(pour(self.source.open(blob, 0), listeners));
    }
}

/// Gives every piece to everybody who listens, until it is over or nobody does.
async fn pour(mut pieces: Pieces, mut listeners: Vec<mpsc::Sender<Bytes>>) {
    while let Some(piece) = pieces.next().await {
        // What is wrong with the source everybody finds out alone.
        let Ok(piece) = piece else { return };
        let give = listeners.into_iter().map(|listener| {
            let piece = piece.clone();
            async move {
                let given = tokio::time::timeout(PATIENCE, listener.send(piece)).await;
                matches!(given, Ok(Ok(()))).then_some(listener)
            }
        });
        listeners = futures_util::future::join_all(give).await.into_iter().flatten().collect();
        if listeners.is_empty() {
            return;
        }
    }
}

/// The source as one member sees it.
#[derive(Debug)]
struct Seat {
    fan: Arc<Fan>,
    member: usize,
}

impl Endpoint for Seat {
    fn place(&self) -> &Place {
        self.fan.source.place()
    }

    fn is_local(&self) -> bool {
        self.fan.source.is_local()
    }

    fn named(&self) -> Pending<'_, Vec<Listed>> {
        self.fan.source.named()
    }

    fn call<'a>(&'a self, reference: Option<&'a str>) -> Pending<'a, Listed> {
        self.fan.source.call(reference)
    }

    fn resolve<'a>(&'a self, listed: &'a Listed) -> Pending<'a, Descriptor> {
        self.fan.source.resolve(listed)
    }

    fn find<'a>(&'a self, names: &'a [Name]) -> BoxFuture<'a, Vec<Result<Option<Descriptor>>>> {
        self.fan.source.find(names)
    }

    fn has<'a>(&'a self, content: &'a [Descriptor]) -> BoxFuture<'a, Vec<Result<bool>>> {
        self.fan.source.has(content)
    }

    fn size<'a>(&'a self, digest: &'a Digest) -> Pending<'a, Option<u64>> {
        self.fan.source.size(digest)
    }

    fn document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        self.fan.source.document(descriptor)
    }

    fn related<'a>(&'a self, subject: &'a Digest, ask: Ask) -> Pending<'a, Related> {
        self.fan.source.related(subject, ask)
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Pieces {
        if offset > 0 {
            return self.fan.source.open(blob, offset);
        }
        let (fan, member, blob) = (Arc::clone(&self.fan), self.member, blob.clone());
        let begin = async move {
            match fan.listen(member, &blob) {
                Some(receiver) => heard(receiver, Arc::clone(&fan.source), blob),
                None => fan.source.open(&blob, 0),
            }
        };
        stream::once(begin).flatten().boxed()
    }

    fn verify<'a>(&'a self, blob: &'a Descriptor) -> Pending<'a, ()> {
        self.fan.source.verify(blob)
    }

    fn doubt(&self, blob: &Digest) {
        self.fan.source.doubt(blob);
    }

    fn begin(&self, plan: Planned) -> Pending<'_, Arc<dyn Session>> {
        self.fan.source.begin(plan)
    }
}

/// Where a listener is.
enum Heard {
    Shared(mpsc::Receiver<Bytes>, u64),
    Alone(Pieces),
}

/// What is heard; and what is missing when that ends too soon, from the source itself.
fn heard(receiver: mpsc::Receiver<Bytes>, source: Arc<dyn Endpoint>, blob: Descriptor) -> Pieces {
    let next = move |at: Heard| {
        let (source, blob) = (Arc::clone(&source), blob.clone());
        async move {
            let mut alone = match at {
                Heard::Alone(pieces) => pieces,
                Heard::Shared(mut receiver, got) => match receiver.recv().await {
                    Some(piece) => {
                        let got = got + piece.len() as u64;
                        return Some((Ok(piece), Heard::Shared(receiver, got)));
                    }
                    None if got >= blob.size => return None,
                    None => source.open(&blob, got),
                },
            };
            let piece = alone.next().await?;
            Some((piece, Heard::Alone(alone)))
        }
    };
    stream::unfold(Heard::Shared(receiver, 0), next).boxed()
}
