//! A source that holds one image with one layer, in memory.

use std::io::{self, Cursor, Read};

use transship_layout::check::{self, Finding, Options};
use transship_layout::{Entry, Error, Result, Source};
use transship_spec::{Descriptor, Digest, Manifest, MediaType};

/// The image. What it holds is handed out in pieces of at most so many bytes.
pub(crate) struct Single {
    manifest: Descriptor,
    blobs: Vec<(Digest, Vec<u8>)>,
    piece: usize,
}

impl Single {
    pub(crate) fn new(media_type: MediaType, layer: &[u8], piece: usize) -> Self {
        let diff_id = Digest::sha256(layer);
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
        );
        let layers = vec![Descriptor::of(media_type, layer)];
        let described = Descriptor::of(MediaType::OCI_CONFIG, config.as_bytes());
        let manifest = Manifest::new(described.clone(), layers).to_document().unwrap();
        let blobs = vec![
            (diff_id, layer.to_vec()),
            (described.digest, config.into_bytes()),
            (manifest.digest().clone(), manifest.bytes().to_vec()),
        ];
        Self { manifest: manifest.descriptor(), blobs, piece }
    }

    /// What a check finds, line by line.
    pub(crate) fn findings(&self, options: &Options) -> Vec<Finding> {
        let mut findings = Vec::new();
        let report = check::content(self, options, &mut |finding| findings.push(finding.clone())).unwrap();
        assert_eq!(report.errors + report.warnings + report.notes, findings.len() as u64);
        findings
    }
}

impl Source for Single {
    fn entries(&self) -> Result<Vec<Entry>> {
        Ok(vec![Entry::new(0, self.manifest.clone())])
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let blob = self.blobs.iter().find(|(digest, _)| *digest == descriptor.digest);
        let missing = || Error::MissingBlob { path: "memory".into(), digest: descriptor.digest.clone() };
        let (_, content) = blob.ok_or_else(missing)?;
        Ok(Box::new(Pieces { content: Cursor::new(content.clone()), piece: self.piece }))
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let blob = self.blobs.iter().find(|(have, _)| have == digest);
        Ok(blob.map(|(_, content)| content.len() as u64))
    }
}

/// A reader that gives little at a time.
pub(crate) struct Pieces<R> {
    pub(crate) content: R,
    pub(crate) piece: usize,
}

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.piece);
        self.content.read(&mut buffer[..most])
    }
}
