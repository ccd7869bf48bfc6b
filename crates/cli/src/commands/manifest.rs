//! `transship manifest get|put`: the raw bytes of a manifest, out and in.

use serde::Serialize;
use transship_layout::Name;
use transship_registry::TagOrDigest;
use transship_spec::{Digest, Document, Kind, MediaType};

use crate::args::{self, ManifestCommand, Reading};
use crate::content::{Content, Sink};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::local::Target;
use crate::place::Place;
use crate::{files, local, show};

/// `transship.put/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Put {
    pub(super) location: String,
    pub(super) digest: Digest,
    pub(super) media_type: MediaType,
    pub(super) size: u64,
}

pub(crate) fn run(command: &ManifestCommand, context: &Context) -> Result<(), Failure> {
    match command {
        ManifestCommand::Get(args) => {
            get(args, context).cannot(format!("get the manifest of {}", show::plain(&args.location)))
        }
        ManifestCommand::Put(args) => put(args, context).cannot(format!(
            "put {} to {}",
            args.file.display(),
            show::plain(&args.location)
        )),
    }
}

fn get(args: &args::ManifestGet, context: &Context) -> Result<(), Failure> {
    let (_, content) = Content::at(&args.location, context, &args.fetch.reading, &args.fetch.network)?;
    let document = match (&content, &args.platform) {
        // One request is enough where nothing is to be chosen.
        (Content::Registry { network, repository, reference }, None) => {
            let manifest = network.block_on(repository.manifest_get(&crate::content::which(reference)))?;
            // Whatever it is, a manifest is JSON; pages of login forms are not.
            transship_spec::json::validate(&manifest.bytes).cannot("read it as a manifest")?;
            return context.output.raw(&manifest.bytes);
        }
        (_, wanted) => content.document(&content.resolve(wanted.as_ref())?)?,
    };
    context.output.raw(document.bytes())
}

fn put(args: &args::ManifestPut, context: &Context) -> Result<(), Failure> {
    let bytes = files::read(&args.file, Document::MAX_SIZE as u64)?;
    let document = Document::parse(bytes, args.media_type.as_ref())?;
    let (place, sink) = Sink::at(&args.location, context, &args.store.network)?;
    match &sink {
        Sink::Layout { path, reference } => {
            let options = local::options(&Reading::default(), &args.store.writing);
            let target = Target::open(path, &options, context)?;
            put_into_layout(&target, &document, reference.as_deref())?;
            target.finish()?;
        }
        Sink::Registry { network, repository, reference } => {
            check_digest(&document, reference.digest())?;
            let which = match reference.tag() {
                Some(tag) => TagOrDigest::Tag(tag.clone()),
                None => TagOrDigest::Digest(document.digest().clone()),
            };
            let pushed = network.block_on(repository.manifest_put(
                &which,
                document.media_type(),
                document.bytes().clone(),
            ))?;
            network.block_on(repository.list_referrer(&document, &pushed))?;
        }
    }
    done(&place, &document, context)
}

fn put_into_layout(
    layout: &transship_layout::Layout,
    document: &Document,
    reference: Option<&str>,
) -> Result<(), Failure> {
    let (name, digest) = match reference.map(|text| (text, transship_spec::split_digest(text))) {
        None => (None, None),
        Some((_, Some((before, digest)))) => (Some(before).filter(|name| !name.is_empty()), Some(digest)),
        Some((text, None)) => (Some(text), None),
    };
    let name = name.map(Name::parse).transpose()?;
    check_digest(document, digest.as_ref())?;
    let session = layout.begin()?;
    let mut missing = Vec::new();
    for child in document.children() {
        if !session.reuse(child)? {
            missing.push(child.digest.to_string());
        }
    }
    if !missing.is_empty() {
        return Err(Failure::new(
            Kind::Invalid,
            format!("it names what is not there: {}", missing.join(", ")),
        )
        .hint("put its blobs first: transship blob put"));
    }
    let descriptor = session.put_document(document)?;
    session.commit(|index| {
        match &name {
            Some(name) => drop(index.set(name, &descriptor)?),
            None => drop(index.add(&descriptor)?),
        }
        Ok(())
    })?;
    Ok(())
}

/// A digest in the location is a promise about what is put there.
fn check_digest(document: &Document, promised: Option<&Digest>) -> Result<(), Failure> {
    match promised {
        Some(promised) if promised != document.digest() => Err(transship_spec::Error::DigestMismatch {
            expected: promised.clone(),
            actual: document.digest().clone(),
        }
        .into()),
        _ => Ok(()),
    }
}

fn done(place: &Place, document: &Document, context: &Context) -> Result<(), Failure> {
    let descriptor = document.descriptor();
    if !context.output.is_json() {
        return context.output.line(&descriptor.digest);
    }
    let put = Put {
        location: place.location().to_string(),
        digest: descriptor.digest,
        media_type: descriptor.media_type,
        size: descriptor.size,
    };
    context.output.json("transship.put/v1", &put)
}
