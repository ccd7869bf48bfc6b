//! What a registry is called, and where it answers (DIST-05, DIST-06, DIST-170).

use std::net::IpAddr;

use url::Url;

use crate::error::Error;
use crate::known;

/// Refuses names that hold more than a host and a port: `[A-Za-z0-9.:[]-]` (reliability, section 1.7).
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '[' | ']' | '-' | '_');
    if name.is_empty() || name.len() > 255 || !name.chars().all(valid) {
        return Err(Error::Settings(format!(
            "{} is not the name of a registry",
            transship_spec::quote(name)
        )));
    }
    Ok(())
}

/// Refuses names of repositories that could lead elsewhere in a URL; a subset of DIST-01 is enough for that.
pub(crate) fn check_repository(name: &str) -> Result<(), Error> {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_component = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(|b| is_word(*b))
            && bytes.last().is_some_and(|b| is_word(*b))
            && bytes.iter().all(|b| is_word(*b) || matches!(b, b'.' | b'_' | b'-'))
            && !part.contains("..")
    };
    if name.len() > 1024 || !name.split('/').all(is_component) {
        return Err(Error::Settings(format!(
            "{} is not the name of a repository",
            transship_spec::quote(name)
        )));
    }
    Ok(())
}

/// The address under which the registry `name` answers: `https://host[:port]/`, or `http` where `plain_http` says so.
/// Unless told, only `localhost` and loopback addresses speak plain HTTP.
pub(crate) fn base_url(name: &str, plain_http: Option<bool>) -> Result<Url, Error> {
    check_name(name)?;
    let host = known::api_host(name);
    let wrong = |_| Error::Settings(format!("{} is not the name of a registry", transship_spec::quote(name)));
    let url = Url::parse(&format!("https://{host}/")).map_err(wrong)?;
    if plain_http.unwrap_or_else(|| is_loopback(&url)) {
        return Url::parse(&format!("http://{host}/")).map_err(wrong);
    }
    Ok(url)
}

/// Whether a URL names this machine by its literal address or as `localhost`.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// Whether two URLs have the same scheme, host and port: the only case in which `Authorization` goes along (DIST-24).
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Host and port of a URL, as shown to people; the usual port is left out.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> String {
        base_url(name, None).unwrap().to_string()
    }

    #[test]
    fn dist_06_only_this_machine_speaks_plain_http_unless_told() {
        assert_eq!(base("r.example"), "https://r.example/");
        assert_eq!(base("r.example:5000"), "https://r.example:5000/");
        assert_eq!(base("localhost:5000"), "http://localhost:5000/");
        assert_eq!(base("127.0.0.9:5000"), "http://127.0.0.9:5000/");
        assert_eq!(base("[::1]:5000"), "http://[::1]:5000/");
        assert_eq!(base("localhost.example"), "https://localhost.example/");
        assert_eq!(base("10.0.0.1"), "https://10.0.0.1/");
        assert_eq!(base_url("10.0.0.1", Some(true)).unwrap().as_str(), "http://10.0.0.1/");
        assert_eq!(base_url("localhost", Some(false)).unwrap().as_str(), "https://localhost/");
    }

    #[test]
    fn dist_170_docker_hub_answers_elsewhere() {
        assert_eq!(base("docker.io"), "https://registry-1.docker.io/");
        assert_eq!(base("index.docker.io"), "https://registry-1.docker.io/");
    }

    #[test]
    fn r08_r09_a_host_is_a_host_and_nothing_more() {
        for name in ["", "user:pw@h", "a b", "h\n", "h/x", "hö", "h?x", "h#x", "host:99999", "h:x", "%41"] {
            assert!(base_url(name, None).is_err(), "{name:?}");
        }
    }

    #[test]
    fn dist_01_a_repository_cannot_lead_elsewhere() {
        for name in ["a", "a/b.c/d-e", "a__b/c--d", "library/alpine"] {
            assert!(check_repository(name).is_ok(), "{name}");
        }
        for name in [
            "", "A", "a//b", "/a", "a/", "../a", "a/../b", "a..b", "a?x", "a#x", "a%2e", "a b", "-a", "a_",
            "é",
        ] {
            assert!(check_repository(name).is_err(), "{name}");
        }
    }

    #[test]
    fn dist_24_the_port_counts() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(same_origin(&url("https://h/a"), &url("https://h:443/b")));
        assert!(!same_origin(&url("https://h/a"), &url("https://h:444/a")));
        assert!(!same_origin(&url("https://h/a"), &url("http://h/a")));
    }
}
