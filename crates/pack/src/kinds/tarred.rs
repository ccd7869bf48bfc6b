//! The files in a tar, compressed or not: met as it streams by, and never unpacked. For kinds that look into theirs.
//!
//! Bounded by sizes, ratio and number of entries; nothing is allocated from a declared size. A tar is known to be whole,
//! and to be what its digest says, once the last file was met.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use transship_codec::{Decoder, Limits};
use transship_spec::quote;

use super::Held;
use crate::Error;
use crate::tarball::read::{EntryKind, Fault, Reader};

/// Plain bytes that are read of one tar.
const MAX_SIZE: u64 = 4 << 30;
const MAX_ENTRIES: u64 = 200_000;

/// A tar that is looked into.
pub(super) struct Tarred<R: Read> {
    reader: Reader<BufReader<Decoder<R>>>,
    /// A path or a digest, and what it should be, for errors.
    what: String,
    kind: &'static str,
    entries: u64,
}

/// A regular file of a tar, its content apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TarFile {
    /// Relative, with slashes, cleaned.
    pub(super) path: String,
    pub(super) size: u64,
}

impl<R: Read> Tarred<R> {
    /// # Errors
    /// [`Error::NotOfKind`] for what is compressed in a way that is not read.
    pub(super) fn new(source: R, what: impl Into<String>, kind: &'static str) -> Result<Self, Error> {
        let what = what.into();
        let limits = Limits { max_output: MAX_SIZE, ..Limits::default() };
        let decoder = Decoder::sniff(source, limits);
        let decoder = decoder.map_err(|error| told(error, &what, kind))?;
        Ok(Self { reader: Reader::new(BufReader::new(decoder)), what, kind, entries: 0 })
    }

    /// The next regular file; nothing at the end of the tar, all of which was read then. Folders, links and devices are
    /// passed over.
    ///
    /// # Errors
    /// [`Error::NotOfKind`] for what is no tar and for paths that lead out, [`Error::Limit`], [`Error::Layout`].
    pub(super) fn next_file(&mut self) -> Result<Option<TarFile>, Error> {
        while let Some(entry) = self.reader.next().map_err(|fault| self.told(fault))? {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                let (path, what) = (self.what.clone().into(), "the number of entries");
                return Err(Error::Limit { path, what, limit: MAX_ENTRIES });
            }
            if entry.kind == EntryKind::File && entry.extents.is_none() {
                return Ok(Some(TarFile { path: self.cleaned(&entry.path)?, size: entry.size }));
            }
        }
        self.reader.drain().map_err(|fault| self.told(fault))?;
        Ok(None)
    }

    /// The content of the file at hand, if it is small enough to be looked into.
    ///
    /// # Errors
    /// As [`Tarred::next_file`].
    pub(super) fn content(&mut self, file: &TarFile) -> Result<Option<Vec<u8>>, Error> {
        if file.size > Held::SMALL {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        loop {
            let count = match self.reader.chunk() {
                Ok([]) => return Ok(Some(bytes)),
                Ok(chunk) => {
                    bytes.extend_from_slice(chunk);
                    chunk.len()
                }
                Err(fault) => return Err(self.told(fault)),
            };
            self.reader.consume(count);
        }
    }

    /// Says what is wrong with what was read.
    pub(super) fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::not_of_kind(self.what.clone(), self.kind, reason)
    }

    fn cleaned(&self, path: &[u8]) -> Result<String, Error> {
        let text = String::from_utf8_lossy(path);
        let parts = text.split('/').filter(|part| !matches!(*part, "" | "."));
        let parts: Vec<&str> = parts.collect();
        match parts.contains(&"..") {
            true => Err(self.wrong(format!("{} in it leads out", quote(&text)))),
            false => Ok(parts.join("/")),
        }
    }

    fn told(&self, fault: Fault) -> Error {
        match fault {
            Fault::Read(error) => match error.downcast::<transship_codec::Error>() {
                Ok(error) => told(error, &self.what, self.kind),
                Err(error) => transship_layout::Error::from_io(error, "reading", self.what.clone()).into(),
            },
            Fault::Invalid(reason) => self.wrong(format!("it is no valid tar: {reason}")),
            Fault::Truncated { offset, missing } => {
                self.wrong(format!("it ends early, after {offset} bytes of tar: {missing}"))
            }
            Fault::Limit { what, limit } => Error::Limit { path: self.what.clone().into(), what, limit },
            Fault::Unsupported(what) => self.wrong(format!("{what} is not read")),
        }
    }
}

/// A fault of the compression; one of the source goes on as what it was.
fn told(error: transship_codec::Error, what: &str, kind: &str) -> Error {
    match error {
        transship_codec::Error::Io(error) => {
            let told = |shared: Arc<io::Error>| io::Error::new(shared.kind(), shared.to_string());
            let error = Arc::try_unwrap(error).unwrap_or_else(told);
            transship_layout::Error::from_io(error, "reading", what.to_owned()).into()
        }
        error => Error::not_of_kind(what, kind, format!("it cannot be decoded: {error}")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write as _;
    use transship_codec::{Compression, Encoder, EncoderOptions};

    /// A tar of these files, plain.
    pub(in crate::kinds) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_cksum();
            tar.append(&header, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    pub(in crate::kinds) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let options = EncoderOptions { compression: Compression::Gzip, level: None, threads: 1 };
        let mut encoder = Encoder::new(Vec::new(), options).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut tarred = Tarred::new(bytes, "x.tar", "bundle")?;
        let mut found = Vec::new();
        while let Some(file) = tarred.next_file()? {
            let content = tarred.content(&file)?;
            found.push((file.path, content.unwrap()));
        }
        Ok(found)
    }

    #[test]
    fn files_are_met_with_cleaned_paths_and_small_content_whether_compressed_or_not() {
        let plain = tar(&[("./a//b", "one"), ("/c", "two")]);
        let wanted = vec![("a/b".to_owned(), b"one".to_vec()), ("c".to_owned(), b"two".to_vec())];
        assert_eq!(read(&plain).unwrap(), wanted);
        assert_eq!(read(&gzip(&plain)).unwrap(), wanted);
    }

    #[test]
    fn what_is_no_whole_tar_or_leads_out_is_refused_by_name() {
        let whole = gzip(&tar(&[("a", "one")]));
        for (bytes, words) in [
            (vec![b'x'; 1024], "no valid tar"),
            (whole[..whole.len() - 9].to_vec(), "decoded"),
            (tar(&[("a", "one")])[..513].to_vec(), "ends early"),
            (tar(&[("a/../../b", "x")]), "leads out"),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("x.tar"), "{words}: {error}");
        }
    }
}
