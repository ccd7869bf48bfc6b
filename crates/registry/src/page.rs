//! Small answers as a whole, and listings page by page (DIST-82, DIST-87).

use std::collections::HashSet;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use url::Url;

use crate::client::Host;
use crate::error::Error;
use crate::limit::Backoff;
use crate::link;
use crate::redact;
use crate::request::{self, Call};
use crate::target::Target;
use crate::wire::Answer;

/// What is known of an answer beside its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
}

impl Host {
    /// The whole body of an answer, at most `limit` bytes. A body that breaks is asked for again.
    pub(crate) async fn fetch(&self, call: &Call<'_>, limit: usize) -> Result<(Head, Bytes), Error> {
        let mut backoff = Backoff::new(&self.shared.settings.retry);
        loop {
            match self.fetch_once(call, limit).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => self.again(&mut backoff, error).await?,
            }
        }
    }

    async fn fetch_once(&self, call: &Call<'_>, limit: usize) -> Result<(Head, Bytes), Error> {
        let answer = self.attempt(call).await?;
        let head = Head::of(&answer);
        let announced = answer.header("content-length").and_then(|text| text.parse::<u64>().ok());
        if announced.is_some_and(|announced| announced > limit as u64) {
            return Err(too_large(&head.url, limit));
        }
        let body = answer.body.collect(limit).await;
        let body = body
            .map_err(|broken| request::failure(broken, &request::exchange(&call.method, &head.url), &[]))?;
        Ok((head, body))
    }
}

fn too_large(url: &Url, limit: usize) -> Error {
    Error::Limit { what: "the size in bytes", url: redact::url(url), limit: limit as u64 }
}

impl Head {
    fn of(answer: &Answer) -> Self {
        Self { url: answer.url.clone(), headers: answer.headers.clone() }
    }

    /// The text of a header, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn protocol(&self, reason: &str) -> Error {
        let exchange = Box::new(request::exchange(&Method::GET, &self.url));
        Error::Protocol { exchange, reason: reason.to_owned() }
    }

    pub(crate) fn content(&self, source: transship_spec::Error) -> Error {
        Error::Content { url: redact::url(&self.url), source }
    }
}

/// The way through a listing: never off the registry, never in circles, never without end (row 47).
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) next: Option<Url>,
    seen: HashSet<Url>,
}

impl Pages {
    pub(crate) fn new(first: Url) -> Self {
        Self { seen: HashSet::from([first.clone()]), next: Some(first) }
    }

    /// Takes the address of the next page from the head of this one, if there is one.
    pub(crate) async fn turn(&mut self, host: &Host, head: &Head) -> Result<(), Error> {
        let links = head.headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
        let Some(text) = link::next(links) else { return Ok(()) };
        let target = Target { what: "next page", text: &text, from: &head.url };
        let url = host.target(&target).await?;
        if !crate::host::same_origin(&url, &host.base) {
            return Err(host.refuse(&target, "it is on another host"));
        }
        if !self.seen.insert(url.clone()) {
            return Err(Error::Limit { what: "the number of visits", url: redact::url(&url), limit: 1 });
        }
        let limit = host.shared.settings.limits.pages;
        if self.seen.len() > limit {
            return Err(Error::Limit {
                what: "the number of pages",
                url: redact::url(&url),
                limit: limit as u64,
            });
        }
        self.next = Some(url);
        Ok(())
    }
}
