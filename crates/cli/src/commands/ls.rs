//! `transship ls`: the references of a layout, or the tags of a repository as they come.

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use transship_layout::{Entry, Source, read_document};
use transship_registry::{Repository, TagOrDigest};
use transship_spec::{Descriptor, Digest, Document, MediaType, Reference, Tag};

use crate::args;
use crate::content::{Content, kind_of};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::local::Stock;
use crate::network::Network;
use crate::show;

/// Manifests of a repository that are asked for at once.
const AT_ONCE: usize = 8;

/// `transship.ls/v1`
#[derive(Debug, Serialize)]
struct Listing {
    location: String,
    references: Vec<Listed>,
}

/// One reference. What a listing did not look at is left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: Option<String>,
    location: String,
    #[serde(flatten)]
    details: Option<Details>,
}

/// What a reference leads to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    digest: Digest,
    media_type: MediaType,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<MediaType>,
    platforms: Vec<String>,
    /// Bytes of the manifest and of what it names, as far as that is known without a look at other manifests.
    size: u64,
}

pub(crate) fn run(args: &args::Ls, context: &Context) -> Result<(), Failure> {
    list(args, context).cannot(format!("list {}", show::plain(&args.location)))
}

fn list(args: &args::Ls, context: &Context) -> Result<(), Failure> {
    let (place, content) = Content::at(&args.location, context, &args.read.reading, &args.read.network)?;
    match &content {
        Content::Local { reference: Some(reference), .. } => Err(Failure::usage(format!(
            "a layout is listed as a whole, and {} is one entry",
            transship_spec::quote(reference)
        ))
        .hint(format!("transship inspect {place} tells what it is"))),
        Content::Registry { reference, .. } if reference.tag().is_some() || reference.digest().is_some() => {
            Err(Failure::usage(format!("a repository is listed as a whole, and {reference} is one manifest"))
                .hint(format!("transship inspect {place} tells what it is")))
        }
        Content::Local { stock, .. } => list_stock(args, stock, context),
        Content::Registry { network, repository, reference } => {
            list_repository(args, (network, repository), reference, context)
        }
    }
}

fn list_stock(args: &args::Ls, stock: &Stock, context: &Context) -> Result<(), Failure> {
    let entries = stock.source().entries()?;
    if context.output.is_json() {
        let references = entries.iter().map(|entry| listed(stock, entry)).collect();
        let listing = Listing { location: args.location.clone(), references };
        return context.output.json("transship.ls/v1", &listing);
    }
    if args.long {
        let rows: Vec<_> = entries.iter().map(|entry| row(&listed(stock, entry))).collect();
        return print_rows(rows, context);
    }
    let text: String = entries.iter().map(|entry| format!("{}\n", show::plain(&name_of(entry)))).collect();
    context.output.raw(text.as_bytes())
}

/// What an entry is called, so that `oci:DIR:NAME`, or `oci:DIR` with it, names the entry.
fn name_of(entry: &Entry) -> String {
    match entry.full_name().or(entry.name()) {
        Some(name) => name.to_owned(),
        None => format!("@{}", entry.descriptor.digest),
    }
}

fn listed(stock: &Stock, entry: &Entry) -> Listed {
    let name = entry.full_name().or(entry.name()).map(str::to_owned);
    let reference = Some(name.clone().unwrap_or_else(|| format!("@{}", entry.descriptor.digest)));
    let location = stock.location(reference);
    let document = read_document(stock.source(), &entry.descriptor);
    let details = match document {
        Ok(document) => {
            let platform = || platform_of_image(stock.source(), &document);
            details(&entry.descriptor, &document, platform)
        }
        Err(error) => unread(&entry.descriptor, &error),
    };
    Listed { name, location: location.to_string(), details: Some(details) }
}

fn platform_of_image(source: &dyn Source, document: &Document) -> Option<String> {
    let manifest = document.as_manifest().filter(|manifest| manifest.config.media_type.is_image_config())?;
    let mut bytes = Vec::new();
    if manifest.config.size > 8 << 20 {
        return None;
    }
    std::io::Read::read_to_end(&mut source.open(&manifest.config).ok()?, &mut bytes).ok()?;
    Some(transship_spec::ImageConfig::parse(&bytes).ok()?.platform.to_string())
}

fn details(
    descriptor: &Descriptor,
    document: &Document,
    platform: impl FnOnce() -> Option<String>,
) -> Details {
    let platforms = match document.as_index() {
        Some(index) => {
            let images =
                index.manifests.iter().filter(|member| !transship_spec::platform::is_attestation(member));
            images.filter_map(|member| Some(member.platform.as_ref()?.to_string())).collect()
        }
        None => descriptor.platform.as_ref().map(ToString::to_string).or_else(platform).into_iter().collect(),
    };
    let named: u64 = document.children().iter().map(|child| child.size).fold(0, u64::saturating_add);
    Details {
        digest: descriptor.digest.clone(),
        media_type: descriptor.media_type.clone(),
        kind: kind_of(document),
        artifact_type: document.artifact_type().filter(|_| kind_of(document) == "artifact").cloned(),
        platforms,
        size: descriptor.size.saturating_add(named),
    }
}

/// What is known of an entry whose content is not there, or not what it should be.
fn unread(descriptor: &Descriptor, error: &transship_layout::Error) -> Details {
    let kind = match error {
        transship_layout::Error::MissingBlob { .. } => "missing",
        transship_layout::Error::Document { .. } => "unknown",
        _ => "broken",
    };
    Details {
        digest: descriptor.digest.clone(),
        media_type: descriptor.media_type.clone(),
        kind,
        artifact_type: descriptor.artifact_type.clone(),
        platforms: descriptor.platform.iter().map(ToString::to_string).collect(),
        size: descriptor.size,
    }
}

fn row(listed: &Listed) -> Vec<String> {
    let name = listed.name.as_deref().map_or_else(|| "-".to_owned(), show::plain);
    let Some(details) = &listed.details else { return vec![name] };
    let kind = match &details.artifact_type {
        Some(of) => show::plain(of.as_str()),
        None => details.kind.to_owned(),
    };
    let platforms = match details.platforms.as_slice() {
        [] => "-".to_owned(),
        several => show::plain(&several.join(",")),
    };
    vec![name, details.digest.to_string(), show::bytes(details.size), kind, platforms]
}

fn print_rows(mut rows: Vec<Vec<String>>, context: &Context) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let head = ["NAME", "DIGEST", "SIZE", "KIND", "PLATFORMS"].map(str::to_owned).to_vec();
    rows.insert(0, head);
    context.output.raw(show::table(&rows).as_bytes())
}

fn list_repository(
    args: &args::Ls,
    (network, repository): (&Network, &Repository),
    reference: &Reference,
    context: &Context,
) -> Result<(), Failure> {
    let location =
        |tag: &Tag| transship_spec::Location::Registry(reference.with_tag(tag.clone())).to_string();
    let mut rows = Vec::new();
    let mut references = Vec::new();
    network.block_on(async {
        let mut pages = repository.tag_pages();
        while let Some(page) = pages.try_next().await? {
            if !args.long && context.output.is_json() {
                references.extend(page.iter().map(|tag| Listed {
                    name: Some(tag.to_string()),
                    location: location(tag),
                    details: None,
                }));
            } else if !args.long {
                let text: String = page.iter().map(|tag| format!("{tag}\n")).collect();
                context.output.raw(text.as_bytes())?;
            } else {
                let looks = page.into_iter().map(|tag| async move {
                    let details = look(repository, &tag).await?;
                    Ok::<_, Failure>((tag, details))
                });
                let mut looks = futures_util::stream::iter(looks).buffered(AT_ONCE);
                while let Some((tag, details)) = looks.try_next().await? {
                    let listed = Listed { name: Some(tag.to_string()), location: location(&tag), details };
                    rows.push(row(&listed));
                    references.push(listed);
                }
            }
        }
        Ok::<_, Failure>(())
    })?;
    if context.output.is_json() {
        return context
            .output
            .json("transship.ls/v1", &Listing { location: args.location.clone(), references });
    }
    print_rows(rows, context)
}

/// What a tag leads to; nothing if it was deleted since it was listed.
async fn look(repository: &Repository, tag: &Tag) -> Result<Option<Details>, Failure> {
    let manifest = match repository.manifest_get(&TagOrDigest::Tag(tag.clone())).await {
        Ok(manifest) => manifest,
        Err(transship_registry::Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let descriptor = manifest.descriptor();
    match Document::parse(manifest.bytes, Some(&manifest.media_type)) {
        Ok(document) => Ok(Some(details(&descriptor, &document, || None))),
        Err(_) => Ok(Some(Details {
            digest: descriptor.digest,
            media_type: descriptor.media_type,
            kind: "unknown",
            artifact_type: None,
            platforms: Vec::new(),
            size: descriptor.size,
        })),
    }
}
