//! Images of Singularity and Apptainer: one file, which is the one layer.
//!
//! Apptainer and Singularity write almost the same manifest; Apptainer embeds the empty config and tells when the image was
//! made, by the header of the file. That is the form that is packed, unless `--singularity` asks for the other.

use std::io::Read as _;

use jiff::Timestamp;
use transship_spec::{Descriptor, Manifest, MediaType, annotations, quote};

use super::{Facts, Held, Kind, Made, Making, Packing, Request, Setting, Sight, Sign};
use crate::Error;
use crate::layer::open_regular;

const CONFIG: &str = "application/vnd.sylabs.sif.config.v1+json";
const LAYER: &str = "application/vnd.sylabs.sif.layer.v1.sif";
/// The prototype's own spelling, which Singularity still takes.
const OLD_LAYER: &str = "appliciation/vnd.sylabs.sif.layer.tar";

/// Bytes of the header that is read.
const HEADER: usize = 128;
const SINGULARITY: &str = "singularity";

/// Images of Singularity and Apptainer.
#[derive(Debug)]
pub(super) struct Sif;

impl Kind for Sif {
    fn name(&self) -> &'static str {
        "sif"
    }

    fn about(&self) -> &'static str {
        "an image of Singularity or Apptainer"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        let is_layer = || matches!(sight.layers().as_slice(), [layer] if is_sif(layer));
        match () {
            () if sight.is_config(CONFIG) => Some(Sign::ConfigType),
            () if is_layer() => Some(Sign::LayerType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        [LAYER, OLD_LAYER].iter().for_each(|kind| facts.call(kind, "image"));
        let Some(layer) = held.sight().layers().into_iter().find(|layer| is_sif(layer)) else {
            return Ok(facts);
        };
        facts.title = facts.title.or_else(|| layer.annotations.get(annotations::TITLE).cloned());
        let mut bytes = Vec::new();
        let read = held.open(layer)?.take(HEADER as u64).read_to_end(&mut bytes);
        let name = layer.digest.to_string();
        read.map_err(|error| transship_layout::Error::from_io(error, "reading", &name))?;
        let header = Header::parse(&bytes).map_err(|reason| Error::not_of_kind(name, "SIF", reason))?;
        facts.add("architecture", [header.architecture]);
        facts.add("made", header.created());
        facts.add("identity", [header.identity]);
        facts.add("objects", [header.objects.to_string()]);
        Ok(facts)
    }

    fn packing(&self) -> Option<&dyn Packing> {
        Some(self)
    }
}

impl Packing for Sif {
    fn inputs(&self) -> &'static str {
        "IMAGE.sif"
    }

    fn settings(&self) -> &[Setting] {
        const SETTINGS: &[Setting] = &[Setting {
            name: SINGULARITY,
            value: None,
            help: "Write what Singularity writes: no embedded config, and no time",
            repeated: false,
        }];
        SETTINGS
    }

    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
        let input = request.one_input()?;
        let mut bytes = Vec::new();
        let read = open_regular(&input.path)?.take(HEADER as u64).read_to_end(&mut bytes);
        read.map_err(|error| Error::read(&input.path, error))?;
        let what = input.path.to_string_lossy();
        let header =
            Header::parse(&bytes).map_err(|reason| Error::not_of_kind(what.clone(), "SIF", reason))?;

        let Some(title) = input.path.file_name().and_then(|name| name.to_str()) else {
            return Err(Error::not_of_kind(what, "SIF", "its name is not UTF-8"));
        };
        let media_type = MediaType::parse(LAYER)?;
        let mut layer = Descriptor { media_type, ..making.store(&input.path)? };
        layer.annotations.insert(annotations::TITLE.to_owned(), title.to_owned());

        let mut config = making.store_bytes(MediaType::parse(CONFIG)?, b"{}")?;
        let mut said = request.annotations.clone();
        let told = request.created()?;
        if request.is_set(SINGULARITY) {
            said.extend(told.map(|time| (annotations::CREATED.to_owned(), time)));
        } else {
            config.data = Some(b"{}".as_slice().into());
            let time = told.or_else(|| header.created());
            if let Some(time) = time {
                said.entry(annotations::CREATED.to_owned()).or_insert(time);
            }
        }
        let mut manifest = Manifest::new(config, vec![layer]);
        manifest.annotations = said;
        manifest.subject.clone_from(&request.subject);
        Ok(Made::of(manifest.to_document()?))
    }
}

fn is_sif(layer: &Descriptor) -> bool {
    matches!(layer.media_type.as_str(), LAYER | OLD_LAYER)
}

/// What the beginning of a SIF says.
#[derive(Debug)]
struct Header {
    architecture: &'static str,
    identity: String,
    /// Seconds since 1970.
    made: i64,
    objects: i64,
}

impl Header {
    /// Reads the header, as `pkg/sif` of Sylabs lays it out: texts end in NUL, numbers are little-endian.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let part = |from: usize, to: usize| bytes.get(from..to).ok_or("it is shorter than a header");
        if part(32, 42)? != b"SIF_MAGIC\0" {
            return Err("it does not have the magic of a SIF at byte 32".to_owned());
        }
        let version = part(42, 44)?;
        if version != b"01" {
            let version = String::from_utf8_lossy(version);
            return Err(format!("it is of version {} of the format, which is not known", quote(&version)));
        }
        let number = |at: usize| -> Result<i64, String> {
            let bytes = part(at, at + 8)?.try_into().map_err(|_| "it is shorter than a header")?;
            Ok(i64::from_le_bytes(bytes))
        };
        let (free, total) = (number(80)?, number(88)?);
        Ok(Self {
            architecture: architecture(part(45, 47)?),
            identity: uuid(part(48, 64)?),
            made: number(64)?,
            objects: total.saturating_sub(free),
        })
    }

    /// When it was made (RFC 3339); nothing where no calendar has that second.
    fn created(&self) -> Option<String> {
        Timestamp::from_second(self.made).ok().map(|time| time.to_string())
    }
}

fn architecture(code: &[u8]) -> &'static str {
    match code {
        b"01" => "386",
        b"02" => "amd64",
        b"03" => "arm",
        b"04" => "arm64",
        b"05" => "ppc64",
        b"06" => "ppc64le",
        b"07" => "mips",
        b"08" => "mipsle",
        b"09" => "mips64",
        b"10" => "mips64le",
        b"11" => "s390x",
        b"12" => "riscv64",
        _ => "unknown",
    }
}

fn uuid(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let group = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().concat();
    [group(0, 4), group(4, 6), group(6, 8), group(8, 10), group(10, 16)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[..31].copy_from_slice(b"#!/usr/bin/env run-singularity\n");
        bytes[32..42].copy_from_slice(b"SIF_MAGIC\0");
        bytes[42..45].copy_from_slice(b"01\0");
        bytes[45..48].copy_from_slice(b"02\0");
        bytes[48..64].copy_from_slice(&[0xab; 16]);
        bytes[64..72].copy_from_slice(&1_600_000_000_i64.to_le_bytes());
        bytes[80..88].copy_from_slice(&45_i64.to_le_bytes());
        bytes[88..96].copy_from_slice(&48_i64.to_le_bytes());
        bytes
    }

    #[test]
    fn a_header_tells_architecture_identity_time_and_how_many_objects_there_are() {
        let header = Header::parse(&header()).unwrap();
        assert_eq!((header.architecture, header.objects), ("amd64", 3));
        assert_eq!(header.identity, "abababab-abab-abab-abab-abababababab");
        assert_eq!(header.created().as_deref(), Some("2020-09-13T12:26:40Z"));
    }

    #[test]
    fn what_is_no_sif_is_refused_with_the_reason() {
        let mut other = header();
        other[32] = b'X';
        assert!(Header::parse(&other).unwrap_err().contains("magic"));
        let mut newer = header();
        newer[42..44].copy_from_slice(b"02");
        assert!(Header::parse(&newer).unwrap_err().contains("02"));
        for length in 0..96 {
            assert!(Header::parse(&header()[..length]).is_err(), "{length}");
        }
        let mut never = header();
        never[64..72].copy_from_slice(&i64::MAX.to_le_bytes());
        assert_eq!(Header::parse(&never).unwrap().created(), None);
    }
}
