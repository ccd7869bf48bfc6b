//! Lists of names, in pages: tags of a repository, repositories of the registry (DIST-80…82, DIST-90).

use http::header::LINK;
use http::{Method, Response, StatusCode};

use crate::body::{self, Body};
use crate::pull::add;
use crate::query::{Query, encode};
use crate::refusal::Refusal;
use crate::service::{Call, blocking};

/// The most names in one answer; whoever asks for more gets a link.
const MOST: usize = 100_000;

/// `GET /v2/NAME/tags/list`
pub(crate) async fn tags(call: Call, repository: String) -> Result<Response<Body>, Refusal> {
    blocking(move || {
        let wanted = Wanted::read(&call.query)?;
        let found = call.shared.find(&repository)?;
        let view = &found.opened.view;
        let known = view.repository(&repository).ok_or_else(|| Refusal::unknown_name(&repository))?;
        let (tags, more) = wanted.page(known.tags_after(wanted.last).map(ToString::to_string));
        let list = serde_json::json!({ "name": repository, "tags": tags });
        wanted.answer(&list, &format!("/v2/{repository}/tags/list"), more.then(|| tags.last()).flatten())
    })
    .await
}

/// `GET /v2/_catalog`
pub(crate) async fn catalog(call: Call) -> Result<Response<Body>, Refusal> {
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return Err(Refusal::not_allowed("GET, HEAD", "the path has no such method"));
    }
    blocking(move || {
        let wanted = Wanted::read(&call.query)?;
        let after = |name: &String| wanted.last.is_none_or(|last| name.as_str() > last);
        let (names, more) = wanted.page(call.shared.repositories().into_iter().filter(after));
        let list = serde_json::json!({ "repositories": names });
        wanted.answer(&list, "/v2/_catalog", more.then(|| names.last()).flatten())
    })
    .await
}

/// Which page is wanted.
struct Wanted<'a> {
    most: usize,
    last: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn read(query: &'a Query) -> Result<Self, Refusal> {
        let most = match query.get("n") {
            None => MOST,
            Some(n) if !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()) => {
                n.parse().unwrap_or(MOST).min(MOST)
            }
            Some(_) => {
                let message = "n is the number of names that are wanted";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", message));
            }
        };
        Ok(Self { most, last: query.get("last").filter(|last| !last.is_empty()) })
    }

    /// The names of the page, and whether more follow. Of no names none follow.
    fn page(&self, mut names: impl Iterator<Item = String>) -> (Vec<String>, bool) {
        let page: Vec<String> = names.by_ref().take(self.most).collect();
        let more = !page.is_empty() && names.next().is_some();
        (page, more)
    }

    fn answer(
        &self,
        list: &serde_json::Value,
        path: &str,
        next: Option<&String>,
    ) -> Result<Response<Body>, Refusal> {
        let mut response = body::json(StatusCode::OK, list.to_string());
        if let Some(last) = next {
            let link = format!("<{path}?n={}&last={}>; rel=\"next\"", self.most, encode(last));
            add(&mut response, LINK, &link)?;
        }
        Ok(response)
    }
}
