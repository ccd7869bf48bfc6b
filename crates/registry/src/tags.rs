//! The tags of a repository (DIST-80…83).

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use http::Method;
use serde::Deserialize;
use transship_spec::Tag;
use url::Url;

use crate::error::Error;
use crate::page::Pages;
use crate::redact;
use crate::repository::Repository;
use crate::request::Call;

/// Tags asked for at once; more than this some registries refuse (DIST-82).
const PAGE: usize = 1000;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    tags: Option<Vec<Option<String>>>,
}

impl Repository {
    /// All tags, in the registry's order. What is no tag (digests, nulls) is passed over (DIST-83).
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such repository, [`Error::Limit`] beyond the settings' pages and entries.
    pub async fn tags(&self) -> Result<Vec<Tag>, Error> {
        let limit = self.host.shared.settings.limits.entries;
        let url = redact::url(&self.url("tags/list")?);
        let add = |mut all: Vec<Tag>, page: Vec<Tag>| {
            all.extend(page);
            let result = match all.len() > limit {
                true => {
                    Err(Error::Limit { what: "the number of tags", url: url.clone(), limit: limit as u64 })
                }
                false => Ok(all),
            };
            std::future::ready(result)
        };
        self.tag_pages().try_fold(Vec::new(), add).await
    }

    /// The tags page by page, so that the first can be shown before the last is known.
    ///
    /// # Errors
    /// As [`Repository::tags`], from the stream.
    #[must_use]
    pub fn tag_pages(&self) -> BoxStream<'static, Result<Vec<Tag>, Error>> {
        let repository = self.location().clone();
        let first = repository.url(&format!("tags/list?n={PAGE}"));
        let pages = stream::once(std::future::ready(first)).map_ok(move |first| {
            let state = (repository.clone(), Pages::new(first));
            stream::try_unfold(state, |(repository, mut pages)| async move {
                let Some(url) = pages.next.take() else { return Ok(None) };
                let page = repository.tag_page(url, &mut pages).await?;
                Ok(Some((page, (repository, pages))))
            })
        });
        pages.try_flatten().boxed()
    }

    async fn tag_page(&self, url: Url, pages: &mut Pages) -> Result<Vec<Tag>, Error> {
        let purpose = self.pull();
        let limit = self.host.shared.settings.limits.tag_page;
        let (head, body) = self.host.fetch(&Call::new(Method::GET, url, &purpose), limit).await?;
        let Ok(page) = serde_json::from_slice::<Page>(&body) else {
            return Err(head.protocol("the answer is not the JSON of a list of tags"));
        };
        let tags = page.tags.unwrap_or_default();
        // Beyond the last tag some registries give empty pages that lead to more of them.
        if !tags.is_empty() {
            pages.turn(&self.host, &head).await?;
        }
        let tags = tags.into_iter().flatten();
        Ok(tags.filter_map(|tag| Tag::parse(&tag).ok()).collect())
    }
}
