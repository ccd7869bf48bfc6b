//! Reading all blobs, each once, on several threads; what they show comes out in the order of their digests.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use transship_spec::{Descriptor, Digest, MediaType};

use super::layer::{self, Wanted};
use super::progress::Told;
use super::read::fault;
use super::walk::Walk;
use super::{Code, Finding, Sink, Target};
use crate::blobs::{PIECE, blob_path};
use crate::{Error, Result};

/// Results that may wait to be taken, for each thread.
const AHEAD: usize = 64;
/// More threads than any disk has use for.
const MAX_THREADS: usize = 256;

/// What reading a blob has shown.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) size: u64,
    /// It hashes to its name, or nobody can tell.
    pub(super) right: bool,
    pub(super) corrupt: bool,
    /// It is not there.
    pub(super) vanished: bool,
    /// A stamp vouched for it.
    pub(super) trusted: bool,
    pub(super) findings: Vec<Finding>,
}

/// Reads these blobs.
pub(super) fn read(
    target: &Target<'_>,
    walk: &mut Walk<'_>,
    jobs: &[Digest],
    sink: &mut Sink<'_>,
) -> Result<()> {
    let threads = target.options.threads().min(jobs.len()).min(MAX_THREADS);
    let wanted = std::mem::take(&mut walk.wanted);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::sync_channel(threads * AHEAD);
    std::thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..threads {
            let sender = sender.clone();
            let shared = (&next, &stop);
            let wanted = &wanted;
            let work = move || work(target, jobs, wanted, shared, &sender);
            // Where the system gives no more threads, those that there are do it.
            started += usize::from(std::thread::Builder::new().spawn_scoped(scope, work).is_ok());
        }
        drop(sender);
        if started == 0 {
            return alone(target, walk, jobs, &wanted, sink);
        }
        let (mut waiting, mut turn) = (BTreeMap::new(), 0);
        let mut result = Ok(());
        for (number, outcome) in receiver {
            match outcome {
                Ok(outcome) => drop(waiting.insert(number, outcome)),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    result = result.and(Err(error));
                }
            }
            while let Some(outcome) = waiting.remove(&turn) {
                if let Some(digest) = jobs.get(turn) {
                    result = result.and(settle(walk, digest, &outcome, sink));
                }
                turn += 1;
            }
        }
        result
    })
}

/// Reads all blobs on this thread.
fn alone(
    target: &Target<'_>,
    walk: &mut Walk<'_>,
    jobs: &[Digest],
    wanted: &HashMap<Digest, Wanted>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut piece = vec![0; PIECE];
    for digest in jobs {
        let outcome = one(target, digest, wanted.get(digest), &mut piece)?;
        settle(walk, digest, &outcome, sink)?;
    }
    Ok(())
}

fn settle(walk: &mut Walk<'_>, digest: &Digest, outcome: &Outcome, sink: &mut Sink<'_>) -> Result<()> {
    outcome.findings.iter().for_each(|finding| sink.take(finding));
    walk.done(digest, outcome, sink)
}

type Message = (usize, Result<Outcome>);

/// What each thread does: one blob after the other.
fn work(
    target: &Target<'_>,
    jobs: &[Digest],
    wanted: &HashMap<Digest, Wanted>,
    (next, stop): (&AtomicUsize, &AtomicBool),
    sender: &mpsc::SyncSender<Message>,
) {
    let mut piece = vec![0; PIECE];
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(digest) = jobs.get(number) else { return };
        let outcome = one(target, digest, wanted.get(digest), &mut piece);
        if sender.send((number, outcome)).is_err() {
            return;
        }
    }
}

/// Reads one blob.
fn one(target: &Target<'_>, digest: &Digest, wanted: Option<&Wanted>, piece: &mut [u8]) -> Result<Outcome> {
    let place = || target.place(digest);
    let failed = |error: Error, size: u64| -> Result<Outcome> {
        let (code, message) = fault(error)?;
        let vanished = code == Code::BlobMissing;
        let findings = if vanished { Vec::new() } else { vec![Finding::new(code, place(), message)] };
        Ok(Outcome { size, corrupt: code == Code::BlobCorrupt, vanished, findings, ..Outcome::default() })
    };
    let size = match target.source.size(digest) {
        Ok(Some(size)) => size,
        Ok(None) => return Ok(Outcome { vanished: true, ..Outcome::default() }),
        Err(error) => return failed(error, 0),
    };
    let mut outcome = Outcome { size, right: true, ..Outcome::default() };
    if !digest.is_verifiable() {
        let message = format!("{} cannot be verified", digest.algorithm());
        outcome.findings.push(Finding::new(Code::DigestUnverifiable, place(), message));
        return Ok(outcome);
    }
    if target.options.trust_stamps && is_vouched_for(target, digest) {
        return Ok(Outcome { trusted: true, ..outcome });
    }
    let named = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size);
    let reader = match target.source.open(&named) {
        Ok(reader) => Told { reader, progress: target.options.listener() },
        Err(error) => return failed(error, size),
    };
    let read = match wanted {
        Some(wanted) => layer::read(reader, (digest, wanted), target.options.limits, piece),
        None => drain(reader, piece).map(|()| Vec::new()),
    };
    match read {
        Ok(findings) => Ok(Outcome { findings, ..outcome }),
        Err(error) => failed(Error::from_io(error, "reading", digest.to_string()), size),
    }
}

fn is_vouched_for(target: &Target<'_>, digest: &Digest) -> bool {
    let Some(layout) = target.layout else { return false };
    // What cannot be opened is told when it is read.
    let opened = layout.0.read(&blob_path(digest)).ok().flatten();
    opened.is_some_and(|opened| layout.0.stamps.vouch(&layout.0, digest, &opened.state))
}

/// Reads to the end, where the reader tells whether the content was right.
pub(super) fn drain(mut reader: impl Read, piece: &mut [u8]) -> io::Result<()> {
    loop {
        match reader.read(piece) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
