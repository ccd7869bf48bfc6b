//! `DELETE` of tags, manifests and blobs (DIST-95…98).
//!
//! What is deleted is gone from the API at once. A tag takes its entry with it; the manifest can still be had by its digest.
//! A manifest deleted by its digest loses its tags in this repository and its entries without a name; where another
//! repository of the same layout names it, it stays there, and can be had by its digest. The files themselves are left to
//! `transship gc`, which knows what else needs them: until then a restarted server answers for them again.

use http::{Response, StatusCode};
use transship_layout::Name;
use transship_spec::{Digest, Tag};

use crate::body::{self, Body};
use crate::pull;
use crate::refusal::Refusal;
use crate::route::Which;
use crate::service::{Call, Found, blocking};

/// Deletes a tag, or a manifest with all its tags.
pub(crate) async fn manifest(
    call: Call,
    repository: String,
    which: Which,
) -> Result<Response<Body>, Refusal> {
    let shared = std::sync::Arc::clone(&call.shared);
    let name = repository.clone();
    let found = blocking(move || shared.find(&name)).await?;
    let mount = std::sync::Arc::clone(&found.mount);
    let _one_writes = mount.writes.lock().await;
    blocking(move || {
        match &which {
            Which::Tag(tag) => {
                let mut names = name_of(&call, &found, &repository, tag);
                if names.is_none() {
                    return Err(Refusal::unknown_manifest(tag));
                }
                // Behind a name that is gone, another one may come forth that says the same tag.
                while let Some(name) = names {
                    remove(&found, &[name], None)?;
                    names = name_of(&call, &found, &repository, tag);
                }
            }
            Which::Digest(digest) => {
                pull::find_manifest(&found, &repository, &which)?;
                let names = found.mount.now().view.names_of(&repository, digest);
                remove(&found, &names, Some(digest))?;
                found.mount.withdrawn.note(digest);
            }
            Which::Neither(name) => return Err(Refusal::unknown_manifest(name)),
        }
        Ok(body::bare(StatusCode::ACCEPTED))
    })
    .await
}

/// The name by which the tag is known, if it is.
fn name_of(call: &Call, found: &Found, repository: &str, tag: &Tag) -> Option<Name> {
    let opened = found.mount.now();
    opened.view.tagged(repository, tag)?;
    opened.view.name(&found.mount.naming, repository, tag, &call.shared.host)
}

fn remove(found: &Found, names: &[Name], nameless: Option<&Digest>) -> Result<(), Refusal> {
    let done = found.opened.layout.edit(|index| {
        for name in names {
            index.remove(name)?;
        }
        nameless.map_or(Ok(0), |digest| index.unpin(digest))
    });
    found.mount.changed();
    Ok(done.map(drop)?)
}

/// Deletes a blob.
pub(crate) async fn blob(call: Call, repository: String, digest: Digest) -> Result<Response<Body>, Refusal> {
    blocking(move || {
        let found = call.shared.find(&repository)?;
        pull::size(&found, &digest)?.ok_or_else(|| Refusal::unknown_blob(&digest))?;
        found.mount.withdrawn.note(&digest);
        Ok(body::bare(StatusCode::ACCEPTED))
    })
    .await
}
