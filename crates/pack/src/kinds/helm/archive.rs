//! The archive of a chart: read as it streams by, within Helm's own limits, and never unpacked.

use std::io::{BufReader, Read};

use transship_codec::{Compression, Decoder, Limits};
use transship_spec::quote;

use crate::tarball::read::{EntryKind, Fault, Reader};

/// Bytes of one file, and of all: Helm takes no more.
const MAX_FILE: u64 = 5 << 20;
const MAX_SIZE: u64 = 100 << 20;
/// Files and folders.
const MAX_ENTRIES: u64 = 20_000;

/// What is read of a chart.
#[derive(Debug)]
pub(super) struct Archive {
    /// `Chart.yaml`.
    pub(super) chart: Vec<u8>,
    /// `requirements.yaml`, where there is one.
    pub(super) requirements: Option<Vec<u8>>,
}

impl Archive {
    /// Reads an archive to its end.
    ///
    /// What is wrong with it is told as a reason: that it is no gzip, no tar, too large, holds a name that leads out, no
    /// `Chart.yaml`, or the one of another chart.
    pub(super) fn read(reader: impl Read) -> Result<Self, String> {
        // Room for the headers and the padding of all entries.
        let limits = Limits { max_output: MAX_SIZE + MAX_ENTRIES * 1024, ..Limits::default() };
        let decoder = Decoder::new(reader, Compression::Gzip, limits).map_err(|error| error.to_string())?;
        let mut reader = Reader::new(BufReader::new(decoder));
        let mut files = Files::default();
        let (mut count, mut size) = (0, 0);
        while let Some(entry) = reader.next().map_err(|fault| told(&fault))? {
            count += 1;
            size += entry.size;
            if count > MAX_ENTRIES || size > MAX_SIZE || entry.size > MAX_FILE {
                return Err(format!(
                    "it is larger than a chart can be: Helm takes {MAX_SIZE} bytes, {MAX_FILE} a file, and this reads {MAX_ENTRIES} entries"
                ));
            }
            if entry.kind == EntryKind::Folder {
                continue;
            }
            let (root, path) = split(&entry.path)?;
            let Some(place) = files.place(&root, &path)? else { continue };
            let mut bytes = Vec::new();
            loop {
                let chunk = reader.chunk().map_err(|fault| told(&fault))?;
                if chunk.is_empty() {
                    break;
                }
                bytes.extend_from_slice(chunk);
                let count = chunk.len();
                reader.consume(count);
            }
            *place = Some(bytes);
        }
        reader.drain().map_err(|fault| told(&fault))?;
        let chart = files.chart.ok_or("there is no Chart.yaml in a folder at its top")?;
        Ok(Self { chart, requirements: files.requirements })
    }
}

/// The files that are kept.
#[derive(Debug, Default)]
struct Files {
    root: Option<String>,
    chart: Option<Vec<u8>>,
    requirements: Option<Vec<u8>>,
}

impl Files {
    /// Where the content of a file is to be kept, if it is.
    fn place(&mut self, root: &str, path: &str) -> Result<Option<&mut Option<Vec<u8>>>, String> {
        let place = match path {
            "Chart.yaml" => &mut self.chart,
            "requirements.yaml" => &mut self.requirements,
            _ => return Ok(None),
        };
        if place.is_some() {
            return Err(match &self.root {
                Some(first) if first != root => {
                    format!("it holds two charts, {} and {}: pack one at a time", quote(first), quote(root))
                }
                _ => format!("{path} is there twice"),
            });
        }
        self.root.get_or_insert_with(|| root.to_owned());
        Ok(Some(place))
    }
}

/// The folder of a chart, and the path below it: with slashes, cleaned.
fn split(path: &[u8]) -> Result<(String, String), String> {
    let path = String::from_utf8_lossy(path);
    // Windows has made some.
    let path = if path.contains('\\') { path.replace('\\', "/") } else { path.into_owned() };
    let Some((root, below)) = path.split_once('/') else {
        return match path.as_str() {
            "Chart.yaml" => {
                Err("its Chart.yaml lies in no folder; the folder of a chart is called as the chart"
                    .to_owned())
            }
            _ => Err(format!("{} lies in no folder", quote(&path))),
        };
    };
    let leads_out = || format!("{} leads out of its folder", quote(&path));
    if below.starts_with('/') {
        return Err(leads_out());
    }
    let mut parts = Vec::new();
    for part in below.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(leads_out)?),
            name => parts.push(name),
        }
    }
    Ok((root.to_owned(), parts.join("/")))
}

/// A fault as a reason.
fn told(fault: &Fault) -> String {
    match fault {
        Fault::Read(error) => match transship_codec::Error::from_io(error) {
            Some(transship_codec::Error::Io(error)) => error.to_string(),
            Some(error) => format!("it cannot be decoded: {error}"),
            None => error.to_string(),
        },
        Fault::Invalid(reason) => format!("it is no valid tar: {reason}"),
        Fault::Truncated { offset, missing } => {
            format!("it ends early, after {offset} bytes of tar: {missing}")
        }
        Fault::Limit { what, limit } => format!("{what} is over {limit}"),
        Fault::Unsupported(what) => format!("{what} is not read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use transship_codec::{Encoder, EncoderOptions};

    fn tgz(files: &[(&str, &str)]) -> Vec<u8> {
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
        zip(&tar.into_inner().unwrap())
    }

    fn zip(bytes: &[u8]) -> Vec<u8> {
        let options = EncoderOptions { compression: Compression::Gzip, level: None, threads: 1 };
        let mut encoder = Encoder::new(Vec::new(), options).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn refused(bytes: &[u8]) -> String {
        Archive::read(bytes).unwrap_err()
    }

    #[test]
    fn the_files_that_count_are_found_wherever_they_stand() {
        let archive = Archive::read(
            tgz(&[
                ("c/values.yaml", "x"),
                ("c/charts/sub/Chart.yaml", "sub"),
                ("c/./Chart.yaml", "own"),
                ("c\\requirements.yaml", "needed"),
            ])
            .as_slice(),
        )
        .unwrap();
        assert_eq!(archive.chart, b"own");
        assert_eq!(archive.requirements.as_deref(), Some(b"needed".as_slice()));
    }

    #[test]
    fn what_is_no_archive_of_one_chart_is_refused_with_the_reason() {
        let whole = tgz(&[("c/Chart.yaml", "own")]);
        for (bytes, words) in [
            (tgz(&[("c/values.yaml", "x")]), "no Chart.yaml"),
            (tgz(&[]), "no Chart.yaml"),
            (tgz(&[("Chart.yaml", "x")]), "lies in no folder"),
            (tgz(&[("c/Chart.yaml", "x"), ("d/Chart.yaml", "x")]), "two charts, \"c\" and \"d\""),
            (tgz(&[("c/Chart.yaml", "x"), ("c/a/../Chart.yaml", "x")]), "there twice"),
            (tgz(&[("c/Chart.yaml", "x"), ("c/../../x", "x")]), "leads out"),
            (tgz(&[("c/Chart.yaml", "x"), ("c//etc/passwd", "x")]), "leads out"),
            (tgz(&[("c/Chart.yaml", &"x".repeat(MAX_FILE as usize + 1))]), "larger than a chart"),
            (b"name: c".to_vec(), "decoded"),
            (whole[..whole.len() - 9].to_vec(), "decoded"),
            (zip(&[b'x'; 1024]), "no valid tar"),
        ] {
            let reason = refused(&bytes);
            assert!(reason.contains(words), "{words}: {reason}");
        }
    }

    #[test]
    fn zeros_without_end_are_not_decoded_without_end() {
        let bomb = zip(&vec![0; 130 << 20]);
        assert!(
            refused(&bomb).contains("Chart.yaml") || refused(&bomb).contains("decoded"),
            "{}",
            refused(&bomb)
        );
    }
}
