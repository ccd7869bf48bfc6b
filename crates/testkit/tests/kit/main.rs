//! Whether the kit does what it says: whoever tests with it has to know.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod faults;
mod fixtures;
mod personalities;
mod registries;

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use transship_registry::{Client, Error, Repository, Retry, Settings, TagOrDigest, Timeouts};
use transship_spec::{Descriptor, Document, Tag};

/// Settings with short waits.
fn quick() -> Settings {
    Settings {
        timeouts: Timeouts {
            first_byte: Duration::from_millis(500),
            closing: Duration::from_millis(500),
            idle: Duration::from_millis(300),
            connect: Duration::from_millis(300),
            tls: Duration::from_millis(100),
            ..Timeouts::default()
        },
        retry: Retry { base: Duration::from_millis(1), cap: Duration::from_millis(4), ..Retry::default() },
        ..Settings::default()
    }
}

fn repository(address: &str, name: &str) -> Repository {
    Client::new(quick()).unwrap().repository(address, name).unwrap()
}

fn tag(name: &str) -> TagOrDigest {
    TagOrDigest::Tag(Tag::parse(name).unwrap())
}

async fn get(repository: &Repository, blob: &Descriptor) -> Result<Bytes, Error> {
    let pieces: Vec<Bytes> = repository.blob_get(blob).try_collect().await?;
    Ok(pieces.concat().into())
}

fn layer(image: &Document) -> Descriptor {
    image.as_manifest().unwrap().layers[1].clone()
}
