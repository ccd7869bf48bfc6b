//! Layers: the hash of the blob, the diff ID of what is in it, and its tar, in one read (IMG-95, IMG-110).

use std::io::{self, Cursor, Read};

use transship_codec::{Compression, Decoder, Limits, MAGIC_LEN, detect};
use transship_spec::{Digest, Hasher};

use super::blobs::drain;
use super::tar::Tar;
use super::{Code, Finding, Place};

/// What a layer is to be.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// What descriptors say it is compressed with; one of them at least.
    compressions: Vec<Compression>,
    /// The diff IDs that configs name, each with a manifest that says so; seldom more than one.
    diff_ids: Vec<(Digest, Digest)>,
}

impl Wanted {
    pub(super) fn call(&mut self, compression: Compression) {
        if !self.compressions.contains(&compression) {
            self.compressions.push(compression);
        }
    }

    pub(super) fn expect(&mut self, diff_id: &Digest, manifest: &Digest) {
        // One right answer is enough to tell the wrong ones; hostile manifests may name ever more of them.
        const MOST: usize = 16;
        if self.diff_ids.len() < MOST && self.diff_ids.iter().all(|(known, _)| known != diff_id) {
            self.diff_ids.push((diff_id.clone(), manifest.clone()));
        }
    }
}

/// Reads a layer to its end. What is wrong with it is returned; that the blob itself is not what it should be, or cannot
/// be read, is the error.
pub(super) fn read(
    mut reader: impl Read,
    (digest, wanted): (&Digest, &Wanted),
    limits: Limits,
    piece: &mut [u8],
) -> io::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let find = |code, message: String| Finding::new(code, Place::digest(digest), message);
    let mut head = Vec::with_capacity(MAGIC_LEN);
    reader.by_ref().take(MAGIC_LEN as u64).read_to_end(&mut head)?;
    let mut wrong = |found: &str, compression| {
        let message = format!("{found}, and its type says {compression}");
        findings.push(find(Code::LayerCompression, message));
    };
    let compression = match detect(&head).compression() {
        // Nothing at all is what it is said to be.
        Ok(found) if head.is_empty() => wanted.compressions.first().copied().unwrap_or(found),
        Ok(found) => {
            let others = wanted.compressions.iter().filter(|said| **said != found);
            others.for_each(|said| wrong(&format!("it is {found}"), said));
            found
        }
        Err(error) => {
            wanted.compressions.iter().for_each(|said| wrong(&error.to_string(), said));
            return drain(reader, piece).map(|()| findings);
        }
    };
    let mut reader = Cursor::new(head).chain(reader);
    let mut decoder = match Decoder::new(&mut reader, compression, limits) {
        Ok(decoder) => decoder,
        Err(error) => {
            findings.push(find(Code::LayerUnverifiable, error.to_string()));
            return drain(reader, piece).map(|()| findings);
        }
    };
    let mut diff_ids = DiffIds::new(digest, wanted, compression);
    let mut tar = Tar::default();
    let fault = loop {
        match decoder.read(piece) {
            Ok(0) => break None,
            Ok(count) => {
                let plain = piece.get(..count).unwrap_or_default();
                diff_ids.update(plain);
                tar.feed(plain);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => match transship_codec::Error::from_io(&error).cloned() {
                Some(fault) => break Some(fault),
                None => return Err(error),
            },
        }
    };
    drop(decoder);
    let Some(fault) = fault else {
        diff_ids.finish(&mut findings);
        findings.extend(tar.finish(digest));
        return Ok(findings);
    };
    // If the blob is not what it should be, that is all there is to say.
    drain(reader, piece)?;
    let code = match fault {
        transship_codec::Error::Limit { .. } => Code::LimitExceeded,
        transship_codec::Error::Io(_) => Code::BlobUnreadable,
        _ => Code::LayerUndecodable,
    };
    findings.push(find(code, fault.to_string()));
    Ok(findings)
}

/// Compares what comes out of a layer with the diff IDs that are expected of it.
struct DiffIds<'a> {
    layer: &'a Digest,
    wanted: &'a Wanted,
    hashers: Vec<Hasher>,
    /// Whether the layer's own digest is a diff ID: nothing is compressed, and nothing need be hashed twice.
    is_plain: bool,
}

impl<'a> DiffIds<'a> {
    fn new(layer: &'a Digest, wanted: &'a Wanted, compression: Compression) -> Self {
        let is_plain = compression == Compression::None;
        let mut hashers: Vec<(&str, Hasher)> = Vec::new();
        for (diff_id, _) in &wanted.diff_ids {
            let algorithm = diff_id.algorithm();
            let is_known = is_plain && algorithm == layer.algorithm()
                || hashers.iter().any(|(known, _)| *known == algorithm);
            if let Some(hasher) = diff_id.hasher().filter(|_| !is_known) {
                hashers.push((algorithm, hasher));
            }
        }
        let hashers = hashers.into_iter().map(|(_, hasher)| hasher).collect();
        Self { layer, wanted, hashers, is_plain }
    }

    fn update(&mut self, plain: &[u8]) {
        self.hashers.iter_mut().for_each(|hasher| hasher.update(plain));
    }

    fn finish(self, findings: &mut Vec<Finding>) {
        let mut found: Vec<Digest> = self.hashers.into_iter().map(Hasher::finish).collect();
        if self.is_plain {
            found.push(self.layer.clone());
        }
        for (diff_id, manifest) in &self.wanted.diff_ids {
            let place = Place::digest(self.layer);
            match found.iter().find(|found| found.algorithm() == diff_id.algorithm()) {
                Some(found) if found == diff_id => {}
                Some(found) => {
                    let message = format!("its diff ID is {found}, and manifest {manifest} wants {diff_id}");
                    findings.push(Finding::new(Code::DiffIdMismatch, place, message));
                }
                None => {
                    let message = format!("a diff ID of {} cannot be verified", diff_id.algorithm());
                    findings.push(Finding::new(Code::LayerUnverifiable, place, message));
                }
            }
        }
    }
}
