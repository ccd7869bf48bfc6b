//! `GET /v2/NAME/referrers/DIGEST`: which manifests refer to this one (DIST-85…89).
//!
//! Referrers are found by reading every manifest that the index reaches: entries, members of indexes, and so the lists
//! kept under fallback tags, too (IMG-180). What a manifest says never changes, so each is read once in the life of the
//! server, however often the index changes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LINK};
use http::{Response, StatusCode};
use transship_layout::Layout;
use transship_spec::{Descriptor, Digest, Index, MediaType, referrers};

use crate::body::{self, Body};
use crate::mount::Opened;
use crate::query::{Query, encode};
use crate::refusal::Refusal;
use crate::service::{Call, blocking};
use crate::view::View;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// How deep indexes may nest.
const DEPTH: usize = 32;
/// How many manifests are looked at, of one layout.
const MANIFESTS: usize = 1_000_000;
/// How many bytes of descriptors one answer holds: with what is around them it stays below the 4 MiB of a manifest.
const PAGE: usize = 3 << 20;

/// Which manifest refers to which, of one layout.
#[derive(Debug, Default)]
pub(crate) struct Graph(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    facts: HashMap<Digest, Arc<Facts>>,
    /// The list of one state of the index.
    list: Option<(Weak<View>, Arc<List>)>,
}

/// Referrers by their subjects.
type List = HashMap<Digest, Vec<Descriptor>>;

/// What one manifest says of others.
#[derive(Debug, Default)]
struct Facts {
    members: Vec<Descriptor>,
    /// The subject, and the manifest itself as a referrer is listed.
    refers: Option<(Digest, Descriptor)>,
}

impl Graph {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The referrers of all manifests of the layout. Blocking.
    fn list(&self, opened: &Opened) -> Arc<List> {
        let mut known = self.known();
        if let Some((view, list)) = &known.list
            && view.as_ptr() == Arc::as_ptr(&opened.view)
        {
            return Arc::clone(list);
        }
        let mut walk =
            Walk { layout: &opened.layout, known: &mut known.facts, seen: HashSet::new(), list: List::new() };
        for item in opened.view.items() {
            walk.visit(&item.descriptor(), DEPTH);
        }
        let Walk { seen, list, .. } = walk;
        known.facts.retain(|digest, _| seen.contains(digest));
        let list = Arc::new(list);
        known.list = Some((Arc::downgrade(&opened.view), Arc::clone(&list)));
        list
    }
}

struct Walk<'a> {
    layout: &'a Layout,
    known: &'a mut HashMap<Digest, Arc<Facts>>,
    seen: HashSet<Digest>,
    list: List,
}

impl Walk<'_> {
    fn visit(&mut self, descriptor: &Descriptor, depth: usize) {
        let is_new = descriptor.media_type.is_document()
            && self.seen.len() < MANIFESTS
            && self.seen.insert(descriptor.digest.clone());
        if !is_new || depth == 0 {
            return;
        }
        let Some(facts) = self.facts(descriptor) else { return };
        if let Some((subject, referrer)) = &facts.refers {
            self.list.entry(subject.clone()).or_default().push(referrer.clone());
        }
        for member in &facts.members {
            self.visit(member, depth - 1);
        }
    }

    /// What the manifest says; nothing if it is not there, or not what it should be.
    fn facts(&mut self, descriptor: &Descriptor) -> Option<Arc<Facts>> {
        if let Some(facts) = self.known.get(&descriptor.digest) {
            return Some(Arc::clone(facts));
        }
        let document = match self.layout.read_document(descriptor) {
            Ok(document) => document,
            Err(error) => {
                tracing::debug!("passed over while looking for referrers: {error}");
                return None;
            }
        };
        let members = document.children().into_iter().filter(|child| child.media_type.is_document()).cloned();
        let refers =
            document.subject().map(|subject| (subject.digest.clone(), referrers::descriptor(&document)));
        let facts = Arc::new(Facts { members: members.collect(), refers });
        self.known.insert(descriptor.digest.clone(), Arc::clone(&facts));
        Some(facts)
    }
}

/// Answers. A subject that nobody knows has no referrers; this is never 404, which would say that there is no such API.
pub(crate) async fn get(call: Call, repository: String, subject: Digest) -> Result<Response<Body>, Refusal> {
    blocking(move || {
        let list = match call.shared.find(&repository) {
            Ok(found) => found.mount.graph.list(&found.opened),
            Err(_) => Arc::default(),
        };
        let all = list.get(&subject).map(Vec::as_slice).unwrap_or_default();
        let wanted = call.query.get("artifactType").filter(|wanted| !wanted.is_empty());
        // What is no media type is the type of nothing.
        let kept: Vec<&Descriptor> = match wanted.map(MediaType::parse) {
            None => all.iter().collect(),
            Some(Err(_)) => Vec::new(),
            Some(Ok(wanted)) => referrers::filter(all, &[wanted]).collect(),
        };
        let (page, next) = page(kept, &call.query);
        let index = Index::new(page).to_document().map_err(Refusal::internal)?;
        let mut response = Response::new(body::full(index.bytes().clone()));
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.oci.image.index.v1+json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(index.bytes().len()));
        if wanted.is_some() {
            headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
        }
        if let Some(next) = next {
            let filter =
                wanted.map_or_else(String::new, |wanted| format!("artifactType={}&", encode(wanted)));
            let link = format!("</v2/{repository}/referrers/{subject}?{filter}last={next}>; rel=\"next\"");
            headers.extend(HeaderValue::from_str(&link).ok().map(|link| (LINK, link)));
        }
        Ok(response)
    })
    .await
}

/// As many as fit into one answer, after the one that was the last of the answer before (DIST-87).
fn page(mut all: Vec<&Descriptor>, query: &Query) -> (Vec<Descriptor>, Option<Digest>) {
    all.sort_by(|a, b| a.digest.cmp(&b.digest));
    if let Some(last) = query.get("last").and_then(|last| Digest::parse(last).ok()) {
        all.retain(|referrer| referrer.digest > last);
    }
    let mut page: Vec<Descriptor> = Vec::new();
    let mut length = 0;
    for referrer in all {
        length += serde_json::to_string(referrer).map_or(0, |text| text.len() + 1);
        if length > PAGE && !page.is_empty() {
            let last = page.last().map(|last: &Descriptor| last.digest.clone());
            return (page, last);
        }
        page.push(referrer.clone());
    }
    (page, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_87_a_long_list_comes_in_pages_and_each_once() {
        let note = "x".repeat(200_000);
        let referrers: Vec<Descriptor> = (0..40)
            .map(|n: u32| Descriptor {
                annotations: [("note".to_owned(), note.clone())].into(),
                ..Descriptor::of(MediaType::OCI_MANIFEST, &n.to_be_bytes())
            })
            .collect();
        let mut query = Query::default();
        let mut seen = Vec::new();
        let mut pages = 0;
        loop {
            let (page, next) = page(referrers.iter().collect(), &query);
            assert!(Index::new(page.clone()).to_document().is_ok());
            seen.extend(page.into_iter().map(|referrer| referrer.digest));
            pages += 1;
            let Some(next) = next else { break };
            query = Query::parse(Some(&format!("last={next}")));
        }
        assert!(pages >= 3, "{pages}");
        let mut expected: Vec<_> = referrers.iter().map(|referrer| referrer.digest.clone()).collect();
        expected.sort();
        assert_eq!(seen, expected);
    }
}
