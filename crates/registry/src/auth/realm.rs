//! Which token server may be asked, and which may see credentials (DIST-113; reliability, section 1.7).

use url::Url;

use crate::{host, known};

/// Whether the token server at `realm` may see the credentials of the registry at `registry`: it is on the same host
/// or of the same domain, Docker Hub's own, or allowed by the settings.
pub(crate) fn may_see_credentials(registry: &Url, realm: &Url, allowed: &[String]) -> bool {
    let (Some(from), Some(to)) = (registry.host_str(), realm.host_str()) else { return false };
    from == to
        || known::is_realm(from, to)
        || allowed.iter().any(|name| name.eq_ignore_ascii_case(to) || *name == host::authority(realm))
        || domain(registry).is_some_and(|shared| domain(realm) == Some(shared))
}

/// The registrable domain of a URL's host, as far as it can be told without a list of all public suffixes: the last two
/// labels, or the last three where the last two look like `co.uk`. Addresses have none.
fn domain(url: &Url) -> Option<&str> {
    let Some(url::Host::Domain(name)) = url.host() else { return None };
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    let (last, second) = (dots.next()?, dots.next());
    let tail = |cut: Option<usize>| cut.map_or(name, |at| &name[at + 1..]);
    let before_last = &name[second.map_or(0, |at| at + 1)..last];
    let is_country = name.len() - last - 1 == 2;
    if is_country && before_last.len() <= 3 {
        second?;
        return Some(tail(dots.next()));
    }
    Some(tail(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(registry: &str, realm: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<String> = allowed.iter().map(|&name| name.to_owned()).collect();
        may_see_credentials(&Url::parse(registry).unwrap(), &Url::parse(realm).unwrap(), &allowed)
    }

    #[test]
    fn dist_113_credentials_go_to_the_same_host_and_the_same_domain_only() {
        for (registry, realm, expected) in [
            ("https://ghcr.io/", "https://ghcr.io/token", true),
            ("https://registry.gitlab.com/", "https://gitlab.com/jwt/auth", true),
            ("https://registry-1.docker.io/", "https://auth.docker.io/token", true),
            ("https://r.example.com/", "https://evil.com/token", false),
            ("https://r.example.com/", "https://example.com.evil.com/token", false),
            ("https://a.co.uk/", "https://b.co.uk/token", false),
            ("https://r.a.co.uk/", "https://auth.a.co.uk/token", true),
            ("https://ghcr.io/", "https://evil.io/token", false),
            ("https://10.0.0.1/", "https://10.0.0.2/token", false),
            ("https://10.0.0.1:5000/", "https://10.0.0.1:5001/token", true),
            ("http://localhost:5000/", "http://localhost:5001/token", true),
            ("http://localhost:5000/", "http://127.0.0.1:5001/token", false),
            ("https://registry/", "https://auth/token", false),
        ] {
            assert_eq!(may(registry, realm, &[]), expected, "{registry} {realm}");
        }
    }

    #[test]
    fn dist_113_a_realm_can_be_allowed() {
        assert!(may("https://nvcr.io/", "https://authn.nvidia.com/token", &["authn.nvidia.com"]));
        assert!(may("http://127.0.0.1:1/", "http://localhost:2/token", &["localhost:2"]));
        assert!(!may("http://127.0.0.1:1/", "http://localhost:2/token", &["localhost:3"]));
    }
}
