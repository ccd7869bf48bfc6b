//! Files of settings of other programs, said in the words of this one.
//!
//! A file is read as that program documents it; what has no word here is left out, and told with its place. The result
//! is a text for people, who may go on from there: it is the same for the same file, and holds no secrets.

mod draft;
mod regsync;
mod rules;
mod skopeo;

use std::path::Path;

use super::yaml::{self, At};
use super::{Config, fields};
use crate::sync::yaml::Wrong as _;
use crate::{Error, Result};

/// A program whose files are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `regsync` of regclient.
    Regsync,
    /// `skopeo sync --src yaml`.
    Skopeo,
}

/// A file in the words of this program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// The file: YAML, which [`Config::parse`] reads.
    pub text: String,
    /// What is not in it, by place, each as a fragment for people.
    pub left_out: Vec<(At, String)>,
}

/// Says a file in the words of this program. `to` is where everything goes, for formats that leave it to the command line.
///
/// ```
/// use transship_copy::sync::{Format, import};
///
/// let text = "version: 1\nsync:\n  - {source: 'busybox:1', target: 'registry.example/busybox:1', type: image}\n";
/// let imported = import(Format::Regsync, text, None)?;
/// assert!(imported.text.contains("docker://docker.io/library/busybox:1"));
/// assert!(imported.left_out.is_empty());
/// # Ok::<(), transship_copy::Error>(())
/// ```
///
/// # Errors
/// [`Error::Settings`] for a text that is no such file, [`Error::Limit`], and [`Error::Settings`] where nothing of it can
/// be said.
pub fn import(format: Format, text: &str, to: Option<&str>) -> Result<Imported> {
    let root = yaml::read(text)?;
    let draft = match format {
        Format::Regsync => regsync::read(&root)?,
        Format::Skopeo => {
            let to = to.ok_or_else(|| {
                root.at.wrong_but(
                    "skopeo sync is told on its command line where to copy to",
                    "add --to LOCATION",
                )
            })?;
            skopeo::read(&root, to)?
        }
    };
    if draft.is_empty() {
        let why = draft.left_out.first().map_or("nothing is copied", |(_, why)| why.as_str());
        return Err(root.at.wrong(format!("nothing of it can be said here: {why}")));
    }
    let (text, left_out) = draft.finish();
    // What we write we read.
    Config::parse(&text, Path::new(""))
        .map_err(|error| Error::Worker(format!("an import went wrong: {error}")))?;
    Ok(Imported { text, left_out })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{SecretPlace, Secrets};

    // Derived from the documented formats of regsync (regclient) and of skopeo-sync(1), not copied.
    const REGSYNC: &str = "
version: 1
creds:
  - registry: registry.internal:5000
    tls: disabled
  - registry: docker.io
    user: '{{env \"HUB_USER\"}}'
    pass: '{{file \"/var/run/secrets/hub_token\"}}'
  - registry: quay.io
    user: me
    pass: clear
    reqPerSec: 5
defaults:
  parallel: 2
  interval: 60m
  referrers: true
x-sched: &sched '15 01 * * *'
sync:
  - source: busybox:latest
    target: registry.internal:5000/library/busybox:latest
    type: image
    schedule: *sched
  - source: alpine
    target: registry.internal:5000/library/alpine
    type: repository
    tags:
      allow: ['3', '3\\.\\d+', edge]
      deny: ['3\\.0']
    platforms: [linux/amd64, linux/arm64]
  - source: quay.io/team/app
    target: ocidir://mirror
    type: repository
    tags: {semverRange: ['>=1.2 <2 || 3.x']}
    referrers: false
    digestTags: true
    referrerFilters: [{artifactType: application/vnd.example.sbom}]
  - source: quay.io
    target: registry.internal:5000
    type: registry
";

    const SKOPEO: &str = "
registry.example.com:
    images:
        busybox: []
        team/redis:
            - '1.0'
            - 'sha256:0000000000000000000000000000000011111111111111111111111111111111'
    images-by-tag-regex:
        nginx: ^1\\.13\\.[12]-alpine-perl$
        plain: alpine
    images-by-semver:
        semver: '>= 3.12.0'
    credentials:
        username: john
        password: this is a secret
    tls-verify: true
    cert-dir: /home/john/certs
quay.io:
    tls-verify: false
    images:
        coreos/etcd:
            - latest
";

    fn told(imported: &Imported) -> Vec<String> {
        imported.left_out.iter().map(|(at, what)| format!("{at}: {what}")).collect()
    }

    #[test]
    fn derived_regsync_files_keep_their_meaning_and_what_they_lose_is_told() {
        let imported = import(Format::Regsync, REGSYNC, None).unwrap();
        let config = Config::parse(&imported.text, Path::new("")).unwrap();
        assert_eq!(config.concurrency, Some(2));
        assert_eq!(config.registries["registry.internal:5000"].plain_http, Some(true));
        let hub = config.registries["docker.io"].credentials.as_ref().unwrap();
        assert_eq!(
            config.credentials[hub],
            Secrets::Password {
                user: SecretPlace::Variable("HUB_USER".to_owned()),
                password: SecretPlace::File("/var/run/secrets/hub_token".into()),
            }
        );
        let [image, repository, layout] = config.copies.as_slice() else { panic!("{}", imported.text) };
        assert_eq!(image.from[0].to_string(), "docker://docker.io/library/busybox:latest");
        assert_eq!(image.to[0].to_string(), "docker://registry.internal:5000/library/busybox:latest");
        assert!(!image.all && repository.all && layout.all);
        assert_eq!(image.how.referrers, crate::Referrers::All);
        assert!(!image.how.digest_tags && layout.how.digest_tags);
        let takes = |copy: &crate::sync::Copy, tag: &str| {
            copy.selection.tags.iter().any(|rule| rule.fits(tag))
                && !copy.selection.exclude.iter().any(|rule| rule.fits(tag))
        };
        for (tag, wanted) in [("3", true), ("3.20", true), ("3.0", false), ("edge", true), ("edge2", false)] {
            assert_eq!(takes(repository, tag), wanted, "{tag}");
        }
        assert!(matches!(&repository.how.subset, Some(crate::Subset::Sparse(two)) if two.len() == 2));
        for (tag, wanted) in [("1.2", true), ("2.0", false), ("3.4.5", true), ("latest", false)] {
            assert_eq!(takes(layout, tag), wanted, "{tag}");
        }
        assert_eq!(layout.to[0].to_string(), "oci:mirror");
        assert!(!imported.text.contains("clear"), "{}", imported.text);
        let told = told(&imported);
        for words in [
            "line 11, column 11: a password in clear",
            "line 12, column 16: reqPerSec",
            "line 15, column 13: interval",
            "line 22, column 15: schedule",
            "line 39, column 11: type: registry",
        ] {
            assert!(told.iter().any(|told| told.starts_with(words)), "{words}: {told:#?}");
        }
        assert_eq!(told.len(), 5, "{told:#?}");
    }

    #[test]
    fn derived_skopeo_files_keep_their_meaning_and_what_they_lose_is_told() {
        let imported = import(Format::Skopeo, SKOPEO, Some("docker://mirror.example/repo")).unwrap();
        let config = Config::parse(&imported.text, Path::new("")).unwrap();
        let pairs: Vec<(String, String)> =
            config.copies.iter().map(|copy| (copy.from[0].to_string(), copy.to[0].to_string())).collect();
        let digest = "sha256:0000000000000000000000000000000011111111111111111111111111111111";
        let wanted = [
            ("registry.example.com/busybox".to_owned(), "busybox".to_owned()),
            ("registry.example.com/team/redis:1.0".to_owned(), "redis:1.0".to_owned()),
            (format!("registry.example.com/team/redis@{digest}"), format!("redis@{digest}")),
            ("registry.example.com/nginx".to_owned(), "nginx".to_owned()),
            ("registry.example.com/plain".to_owned(), "plain".to_owned()),
            ("registry.example.com/semver".to_owned(), "semver".to_owned()),
            ("quay.io/coreos/etcd:latest".to_owned(), "etcd:latest".to_owned()),
        ];
        let wanted: Vec<(String, String)> = wanted
            .map(|(from, to)| (format!("docker://{from}"), format!("docker://mirror.example/repo/{to}")))
            .to_vec();
        assert_eq!(pairs, wanted);
        let fits = |at: usize, tag: &str| config.copies[at].selection.tags.iter().any(|rule| rule.fits(tag));
        assert!(fits(3, "1.13.1-alpine-perl") && !fits(3, "1.13.1-alpine-perl2"));
        assert!(fits(4, "3-alpine-perl") && !fits(4, "slim"));
        assert!(fits(5, "3.12") && !fits(5, "3.11"));
        assert!(config.registries["quay.io"].insecure);
        assert!(!imported.text.contains("this is a secret"), "{}", imported.text);
        let told = told(&imported);
        for words in [
            "line 15, column 19: a password in clear",
            "line 17, column 15: cert-dir",
            "line 19, column 17: tls-verify",
        ] {
            assert!(told.iter().any(|told| told.starts_with(words)), "{words}: {told:#?}");
        }
        assert_eq!(told.len(), 3, "{told:#?}");
        let local = import(Format::Skopeo, "r.example: {images: {a/b: ['1']}}", Some("oci:mirror")).unwrap();
        assert!(local.text.contains("to: 'oci:mirror'"), "{}", local.text);
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for (format, text, words) in [
            (Format::Regsync, "version: 1\n", "the key sync is missing"),
            (
                Format::Regsync,
                "sync: [{source: a, type: registry, target: b}]\n",
                "nothing of it can be said",
            ),
            (Format::Regsync, "[]\n", "a mapping"),
            (Format::Skopeo, "a.example: [1]\n", "a mapping"),
            (Format::Skopeo, "'a b': {images: {}}\n", "is not the name of a registry"),
        ] {
            let error = import(format, text, Some("oci:x")).unwrap_err();
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
        assert!(
            import(Format::Skopeo, "a.example: {}", None).unwrap_err().remedy().unwrap().contains("--to")
        );
        // What is odd in a part of it costs that part.
        let text = "sync:\n  - {source: 'A B', target: b, type: image}\n  - {source: 'r.example/c:1', target: 'oci:no:w', type: image}\n  - {source: 'r.example/c:1', target: 'r.example/d:1', type: image, what: 1}\n";
        let imported = import(Format::Regsync, text, None).unwrap();
        assert_eq!(imported.left_out.len(), 3, "{:?}", imported.left_out);
    }

    /// Texts as somebody could have in mind who means no good, or pieces of good ones with something in between.
    fn texts() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let odd = "[-:?*&!|>'\"%@{}\\[\\],# \n\ta-c0-9~<.]{0,60}";
        let cut = (0..REGSYNC.len(), 0..SKOPEO.len(), odd, any::<bool>());
        cut.prop_map(|(one, other, odd, which)| {
            let (text, at) = if which { (REGSYNC, one) } else { (SKOPEO, other) };
            format!("{}{odd}{}", &text[..at], &text[at..])
        })
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_reading_or_importing_panic_and_what_is_imported_is_read(text in texts()) {
            let _ = Config::parse(&text, Path::new(""));
            for format in [Format::Regsync, Format::Skopeo] {
                if let Ok(imported) = import(format, &text, Some("r.example/to")) {
                    proptest::prop_assert!(Config::parse(&imported.text, Path::new("")).is_ok());
                }
                let error = import(format, &text, Some("r.example/to")).err();
                let is_ours = error.is_some_and(|error| matches!(error, Error::Worker(_)));
                proptest::prop_assert!(!is_ours, "{text}");
            }
        }
    }
}
