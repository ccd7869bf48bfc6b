//! `PUT` of manifests (DIST-60…71).
//!
//! A manifest is stored byte for byte, once all that it needs is there. By a tag it becomes, or replaces, the entry of that
//! name. By a digest it becomes an entry without a name, so that it is a root that garbage collection keeps.
//!
//! Whoever pushes an index pushes its members by their digests first, and some clients push every manifest by digest before
//! they tag it. So when the same server then takes the index, or the tag, that is the claim on the manifest, and the entry
//! without a name is taken back. Entries that were there before, or that another process made, are never touched; what a
//! restart makes us forget stays an entry: too much is kept, never too little.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use transship_layout::{Name, Session};
use transship_spec::{Descriptor, Digest, Document, Kind, MediaType, Tag};

use crate::body::{self, Body};
use crate::mount::Mount;
use crate::pull::add;
use crate::refusal::Refusal;
use crate::route::Which;
use crate::service::{Call, DIGEST, Found, Shared, blocking};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");
/// How many tags may be given with one manifest (DIST-65).
const TAGS: usize = 100;
/// How much of a body that is too large is taken before the answer, so that a client that sends first and reads later
/// gets to see it.
const DRAINED: u64 = 16 << 20;

/// A manifest on its way into a layout.
struct Push {
    shared: Arc<Shared>,
    repository: String,
    document: Document,
    tags: Vec<Tag>,
}

/// Stores a manifest.
pub(crate) async fn manifest(
    mut call: Call,
    repository: String,
    which: Which,
) -> Result<Response<Body>, Refusal> {
    let bytes = receive(&mut call).await?;
    let push = Push {
        document: read(&call, &which, bytes)?,
        tags: tags(&call, &which)?,
        shared: call.shared,
        repository,
    };
    // What may have to be hashed is hashed before others have to wait.
    let (push, found, session) = blocking(move || {
        let found = push.shared.find(&push.repository)?;
        let session = push.prepare(&found)?;
        Ok((push, found, session))
    })
    .await?;
    let mount = Arc::clone(&found.mount);
    let _one_writes = mount.writes.lock().await;
    blocking(move || {
        push.commit(&found.mount, session)?;
        push.response(&which)
    })
    .await
}

/// The body, within the limit of manifests (DIST-64).
async fn receive(call: &mut Call) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("a manifest has at most {} bytes", Document::MAX_SIZE);
        Refusal::too_large(message)
    };
    if call.length().is_some_and(|length| length > DRAINED) {
        return Err(too_large().with(http::header::CONNECTION, "close"));
    }
    let mut bytes = BytesMut::new();
    let mut count = 0;
    while let Some(frame) = next(&mut call.body, call.shared.limits.silence).await? {
        count += frame.len() as u64;
        if count > DRAINED {
            return Err(too_large().with(http::header::CONNECTION, "close"));
        }
        if count <= Document::MAX_SIZE as u64 {
            bytes.extend_from_slice(&frame);
        }
    }
    if count > Document::MAX_SIZE as u64 { Err(too_large()) } else { Ok(bytes.freeze()) }
}

/// The next piece of a request's body.
pub(crate) async fn next(body: &mut Body, silence: std::time::Duration) -> Result<Option<Bytes>, Refusal> {
    loop {
        match tokio::time::timeout(silence, body.frame()).await {
            Err(_) => return Err(Refusal::silent()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(Refusal::bad_upload(format!("the body broke off: {error}"))),
            Ok(Some(Ok(frame))) => {
                // Trailers say nothing that we need.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The document in the body: of the type that the request says, and of the digest that it is put by.
fn read(call: &Call, which: &Which, bytes: Bytes) -> Result<Document, Refusal> {
    let given = call.header(CONTENT_TYPE).map(MediaType::parse_content_type).transpose();
    let given = given.map_err(|error| Refusal::bad_manifest(error.to_string()))?;
    // A client that says nothing in particular leaves it to the body.
    let given =
        given.filter(|given| *given != MediaType::OCTET_STREAM && given.as_str() != "application/json");
    let refuse = |error: transship_spec::Error| match error.kind() {
        Kind::Unsupported => {
            Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "MANIFEST_INVALID", error.to_string())
        }
        _ => Refusal::bad_manifest(error.to_string()),
    };
    let document = Document::parse(bytes, given.as_ref()).map_err(refuse)?;
    match which {
        Which::Digest(digest) if digest != document.digest() => {
            if !digest.is_verifiable() {
                let message = format!("{} is not an algorithm that this registry knows", digest.algorithm());
                return Err(Refusal::bad_digest(message));
            }
            let expected = Descriptor { digest: digest.clone(), ..document.descriptor() };
            Document::verify(document.bytes().clone(), &expected)
                .map_err(|error| Refusal::bad_digest(error.to_string()))
        }
        Which::Neither(name) => Err(Refusal::bad_tag(name)),
        _ => Ok(document),
    }
}

/// The tags that the manifest gets: that of the path, or those of the query beside a digest (DIST-65).
fn tags(call: &Call, which: &Which) -> Result<Vec<Tag>, Refusal> {
    if let Which::Tag(tag) = which {
        return Ok(vec![tag.clone()]);
    }
    let mut tags = Vec::new();
    for tag in call.query.all("tag") {
        if tags.len() == TAGS {
            let message = format!("a manifest takes at most {TAGS} tags at once");
            return Err(Refusal::new(StatusCode::URI_TOO_LONG, "TAG_INVALID", message));
        }
        let tag = Tag::parse(tag).map_err(|_| Refusal::bad_tag(tag))?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

impl Push {
    /// Sees that all is there that the document needs, and writes it. Blocking.
    fn prepare(&self, found: &Found) -> Result<Session, Refusal> {
        let session = found.opened.layout.begin()?;
        let mut seen = HashSet::new();
        for child in self.document.children() {
            if !seen.insert(&child.digest) || child.media_type.is_nondistributable() {
                continue;
            }
            if found.mount.withdrawn.has(&child.digest) || !session.reuse(child)? {
                return Err(Refusal::missing_child(&child.digest));
            }
        }
        session.put_document(&self.document)?;
        Ok(session)
    }

    /// Gives the document its entry. Blocking.
    fn commit(&self, mount: &Mount, session: Session) -> Result<(), Refusal> {
        let (view, host) = (&mount.now().view, &self.shared.host);
        let name = |tag| view.name(&mount.naming, &self.repository, tag, host);
        let names: Option<Vec<Name>> = self.tags.iter().map(name).collect();
        let names = names.ok_or_else(|| Refusal::bad_name(&self.repository))?;
        let descriptor = self.document.descriptor();
        let claimed: Vec<&Digest> =
            claimed(&self.document, !names.is_empty()).filter(|digest| mount.adopted.has(digest)).collect();
        let added = session.commit(|index| {
            for digest in &claimed {
                index.unpin(digest)?;
            }
            for name in &names {
                index.set(name, &descriptor)?;
            }
            if names.is_empty() { index.add(&descriptor) } else { Ok(false) }
        });
        mount.changed();
        if added? {
            mount.adopted.note(&descriptor.digest);
        }
        for digest in claimed {
            mount.adopted.forget(digest);
        }
        mount.withdrawn.forget(&descriptor.digest);
        Ok(())
    }

    fn response(&self, which: &Which) -> Result<Response<Body>, Refusal> {
        let digest = self.document.digest().to_string();
        let reference = match which {
            Which::Tag(tag) => tag.as_str(),
            _ => &digest,
        };
        let mut response = body::bare(StatusCode::CREATED);
        add(&mut response, LOCATION, &format!("/v2/{}/manifests/{reference}", self.repository))?;
        add(&mut response, DIGEST, &digest)?;
        if let Some(subject) = self.document.subject() {
            add(&mut response, SUBJECT, &subject.digest.to_string())?;
        }
        if let Which::Digest(_) = which {
            for tag in &self.tags {
                add(&mut response, TAG, tag.as_str())?;
            }
        }
        Ok(response)
    }
}

/// The manifests that this push is a claim on: the members of an index, and what gets a name.
fn claimed(document: &Document, is_named: bool) -> impl Iterator<Item = &Digest> {
    let members = document.as_index().map(|index| index.manifests.as_slice()).unwrap_or_default();
    members.iter().map(|member| &member.digest).chain(is_named.then(|| document.digest()))
}
