//! Addresses that a server names: redirects, upload locations, token servers, next pages (DIST-24, DIST-32, DIST-113).
//!
//! They are followed only to HTTP, never from https to http, and never to an address more private than that of the
//! registry which the user named. User information in them is dropped.

use http::Method;
use url::Url;

use crate::address::Reach;
use crate::client::Host;
use crate::error::Error;
use crate::host;
use crate::redact;
use crate::request::exchange;
use crate::wire::Answer;

/// An address that a server names.
pub(crate) struct Target<'a> {
    /// What for: `redirect`, `upload location`, `token realm`, `next page`.
    pub(crate) what: &'static str,
    /// As the server wrote it.
    pub(crate) text: &'a str,
    /// What it is relative to.
    pub(crate) from: &'a Url,
}

impl Host {
    /// The address that a redirect leads to.
    pub(crate) async fn redirect(&self, answer: &Answer, from: &Url, hops: usize) -> Result<Url, Error> {
        let target = Target { what: "redirect", text: answer.header("location").unwrap_or_default(), from };
        if hops > self.shared.settings.limits.redirects {
            let mut exchange = exchange(&Method::GET, from);
            exchange.status = Some(answer.status);
            let reason = format!("more than {} redirects", self.shared.settings.limits.redirects);
            return Err(Error::Transport { exchange: Box::new(exchange), reason, connected: true });
        }
        self.target(&target).await
    }

    /// An address that a server names, if it may be followed: HTTP, not less safe than where we are, and no more
    /// private than the registry itself (reliability, section 1.7).
    pub(crate) async fn target(&self, target: &Target<'_>) -> Result<Url, Error> {
        let mut url = target.from.join(target.text).map_err(|_| self.refuse(target, "it is not a URL"))?;
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        match url.scheme() {
            _ if host::same_origin(&url, &self.base) => return Ok(url),
            "https" => {}
            "http" if self.base.scheme() == "http" => {}
            "http" => return Err(self.refuse(target, "it leads from https to plain http")),
            _ => return Err(self.refuse(target, "it is neither http nor https")),
        }
        let there = self.reach(&url).await?;
        let here = self.reach(&self.base).await?;
        let neighbour = url.host_str() == self.base.host_str();
        if !neighbour && (there > here || there == Reach::Link) {
            return Err(self.refuse(target, "its address is more private than that of the registry"));
        }
        Ok(url)
    }

    /// How private a URL is. Behind a proxy names are not resolved here, and count as public.
    async fn reach(&self, url: &Url) -> Result<Reach, Error> {
        if self.shared.settings.proxy.is_some() && url.domain().is_some_and(|name| name != "localhost") {
            return Ok(Reach::Public);
        }
        self.shared.resolver.reach(url).await.map_err(|error| {
            let reason = format!("cannot resolve {}: {error}", host::authority(url));
            Error::Transport { exchange: Box::new(exchange(&Method::GET, url)), reason, connected: false }
        })
    }

    pub(crate) fn refuse(&self, target: &Target<'_>, reason: &str) -> Error {
        let shown = target.from.join(target.text).map(|url| redact::url(&url));
        Error::Target {
            host: self.name.to_string(),
            what: target.what,
            target: shown.unwrap_or_else(|_| redact::tidy(target.text, 128)),
            reason: reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, Settings};

    async fn refused(registry: &str, text: &str) -> bool {
        let host = Client::new(Settings::default()).unwrap().host(registry).unwrap();
        let result = host.target(&Target { what: "redirect", text, from: &host.base }).await;
        assert!(!matches!(result, Err(Error::Transport { .. })), "{result:?}");
        result.is_err()
    }

    #[tokio::test]
    async fn row_44_nothing_more_private_than_the_registry_is_followed() {
        for (registry, target, expected) in [
            ("93.184.216.34", "https://93.184.216.35/x", false),
            ("93.184.216.34", "https://10.0.0.1/x", true),
            ("93.184.216.34", "https://127.0.0.1/x", true),
            ("93.184.216.34", "https://[::ffff:127.0.0.1]/x", true),
            ("93.184.216.34", "https://2130706433/x", true),
            ("93.184.216.34", "https://0x7f.1/x", true),
            ("93.184.216.34", "https://169.254.169.254/x", true),
            ("10.0.0.1", "https://10.0.0.2/x", false),
            ("10.0.0.1", "https://93.184.216.34/x", false),
            ("10.0.0.1", "https://127.0.0.1/x", true),
            ("10.0.0.1:5000", "https://10.0.0.1:5001/x", false),
            ("127.0.0.1:1", "http://127.0.0.1:2/x", false),
            ("127.0.0.1:1", "http://169.254.169.254/x", true),
        ] {
            assert_eq!(refused(registry, target).await, expected, "{registry} {target}");
        }
    }

    #[tokio::test]
    async fn row_45_row_46_only_http_is_followed_and_never_from_https_to_http() {
        assert!(refused("93.184.216.34", "http://93.184.216.35/x").await);
        assert!(refused("93.184.216.34", "http://93.184.216.34/x").await);
        for target in ["file:///etc/passwd", "ftp://93.184.216.34/", "javascript:1", "https://", "http://[x"]
        {
            assert!(refused("93.184.216.34", target).await, "{target}");
        }
    }

    #[tokio::test]
    async fn dist_31_relative_locations_and_user_information() {
        let host = Client::new(Settings::default()).unwrap().host("93.184.216.34:5000").unwrap();
        let from = host.base.join("v2/a/blobs/uploads/").unwrap();
        for (text, expected) in [
            ("../x?_state=abc%3D", "https://93.184.216.34:5000/v2/a/blobs/x?_state=abc%3D"),
            ("/v2/u/1", "https://93.184.216.34:5000/v2/u/1"),
            ("//93.184.216.35/p", "https://93.184.216.35/p"),
            ("https://u:pw@93.184.216.35/p#f", "https://93.184.216.35/p"),
        ] {
            let url = host.target(&Target { what: "upload location", text, from: &from }).await.unwrap();
            assert_eq!(url.as_str(), expected);
        }
    }
}
