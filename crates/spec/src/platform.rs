//! Platforms: what an image runs on, and which member of an index to take (IMG-78…83).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Descriptor, Error, annotations};

/// The platform of an image, in the words of Go (`linux`, `arm64`, `v8`).
///
/// ```
/// use transship_spec::Platform;
///
/// let wanted: Platform = "linux/aarch64".parse()?;
/// assert_eq!(wanted.normalized().to_string(), "linux/arm64");
/// # Ok::<(), transship_spec::Error>(())
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Platform {
    /// The processor, such as `amd64`.
    pub architecture: String,
    /// The operating system, such as `linux`.
    pub os: String,
    /// The version of the operating system, which Windows needs.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have, such as `win32k`.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the processor, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Reserved by the specification; Docker wrote it once.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// Fields of an object that nobody here knows, as they were written (IMG-40).
pub type Extra = BTreeMap<String, Box<RawValue>>;

pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl PartialEq for Platform {
    fn eq(&self, other: &Self) -> bool {
        (&self.os, &self.architecture, &self.variant, &self.os_version, &self.os_features)
            == (&other.os, &other.architecture, &other.variant, &other.os_version, &other.os_features)
    }
}

impl Eq for Platform {}

impl Platform {
    /// A platform without variant.
    #[must_use]
    pub fn new(os: &str, architecture: &str) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), ..Self::default() }
    }

    /// Reads `OS/ARCH[/VARIANT]`, where the operating system may carry its version in brackets:
    /// `windows(10.0.14393)/amd64`.
    ///
    /// # Errors
    /// [`Error::Platform`] names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason| Error::Platform { text: text.to_owned(), reason };
        let mut parts = text.split('/');
        let os = parts.next().unwrap_or_default();
        let architecture = parts.next().ok_or(refuse("it takes OS/ARCH, such as linux/amd64"))?;
        let variant = parts.next();
        if parts.next().is_some() {
            return Err(refuse("it takes at most OS/ARCH/VARIANT"));
        }
        let (os, os_version) = match os.split_once('(') {
            Some((os, version)) => {
                let version = version.strip_suffix(')').ok_or(refuse("the bracket is not closed"))?;
                (os, Some(version.to_owned()))
            }
            None => (os, None),
        };
        let word =
            |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if ![os, architecture].into_iter().chain(variant).all(word) {
            return Err(refuse("its parts are letters, digits, _ . and -"));
        }
        Ok(Self { os_version, variant: variant.map(str::to_owned), ..Self::new(os, architecture) })
    }

    /// The same platform in the one spelling that is compared (IMG-82): lower case, `x86_64` as `amd64`, `aarch64` as
    /// `arm64`, and no variant where it is the default.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let os = match &*self.os.to_ascii_lowercase() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let variant = self.variant.clone().filter(|v| !v.is_empty()).map(|v| v.to_ascii_lowercase());
        let architecture = self.architecture.to_ascii_lowercase();
        let (architecture, variant) = match (&*architecture, variant.as_deref()) {
            ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
            ("x86_64" | "x86-64" | "amd64", Some(v)) => ("amd64", Some(v)),
            ("aarch64" | "arm64", None | Some("8" | "v8" | "v8.0")) => ("arm64", None),
            ("aarch64" | "arm64", Some("9" | "9.0" | "v9.0")) => ("arm64", Some("v9")),
            ("aarch64" | "arm64", Some(v)) => ("arm64", Some(v)),
            ("armhf", _) | ("arm", None | Some("7")) => ("arm", Some("v7")),
            ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("arm", Some("8")) => ("arm", Some("v8")),
            ("i386", v) => ("386", v),
            (other, v) => (other, v),
        };
        Self {
            os,
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            os_version: self.os_version.clone().filter(|v| !v.is_empty()),
            os_features: self.os_features.clone(),
            features: Vec::new(),
        }
    }

    /// Whether this is `unknown/unknown`, which stands for attestations and is never chosen (IMG-83).
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }

    /// How well content of this platform serves one who runs `wanted`: 0 is best, `None` is not at all.
    ///
    /// Older variants of a processor serve newer ones, `386` serves `amd64`, and `arm` serves `arm64`, in the order of
    /// containerd's `Only` matcher (IMG-82). On Windows the first three numbers of the version must agree.
    #[must_use]
    pub fn fitness(&self, wanted: &Self) -> Option<usize> {
        let (have, wanted) = (self.normalized(), wanted.normalized());
        if have.is_unknown() || have.os != wanted.os || !windows_build_fits(&have, &wanted) {
            return None;
        }
        let key = (have.architecture.clone(), have.variant.clone().unwrap_or_default());
        processors_that_serve(&wanted).into_iter().position(|processor| processor == key)
    }
}

/// The processors whose programs `wanted` can run, best first.
fn processors_that_serve(wanted: &Platform) -> Vec<(String, String)> {
    let variant = wanted.variant.clone().unwrap_or_default();
    let mut order = vec![(wanted.architecture.clone(), variant.clone())];
    let mut add = |architecture: &str, variant: String| order.push((architecture.to_owned(), variant));
    let number = |v: &str, default: u32| v.trim_start_matches('v').parse().unwrap_or(default);
    let arm_down_from = |level: u32| (5..=level).rev().map(|n| format!("v{n}"));
    match &*wanted.architecture {
        "amd64" => {
            let level = number(&variant, 1).min(16);
            (1..level).rev().for_each(|n| add("amd64", if n == 1 { String::new() } else { format!("v{n}") }));
            add("386", String::new());
        }
        "arm" => arm_down_from(number(&variant, 7).min(16).saturating_sub(1)).for_each(|v| add("arm", v)),
        "arm64" => {
            arm64_below(&variant).into_iter().for_each(|v| add("arm64", v));
            arm_down_from(8).for_each(|v| add("arm", v));
        }
        _ => {}
    }
    order
}

/// The variants of arm64 that a processor of `variant` also runs, best first: v9.x runs v8.(x+5) and below.
fn arm64_below(variant: &str) -> Vec<String> {
    let text = variant.trim_start_matches('v');
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let minor = minor.parse::<u32>().unwrap_or(0).min(32);
    let name = |major: u32, minor: u32| match (major, minor) {
        (8, 0) => String::new(),
        (major, 0) => format!("v{major}"),
        (major, minor) => format!("v{major}.{minor}"),
    };
    match major {
        "9" => {
            let nines = (0..minor).rev().map(|n| name(9, n));
            nines.chain((0..=minor + 5).rev().map(|n| name(8, n))).collect()
        }
        "" | "8" => (0..minor).rev().map(|n| name(8, n)).collect(),
        _ => vec![String::new()],
    }
}

fn windows_build_fits(have: &Platform, wanted: &Platform) -> bool {
    let build = |version: &str| version.split('.').take(3).map(str::to_owned).collect::<Vec<_>>();
    match (&have.os_version, &wanted.os_version) {
        (Some(have_version), Some(wanted_version)) if wanted.os == "windows" => {
            build(have_version) == build(wanted_version)
        }
        _ => true,
    }
}

/// The member of an index that best serves `wanted`; the first of equals (IMG-80).
///
/// Entries without a platform and attestations (IMG-83) are never chosen.
#[must_use]
pub fn select<'a>(members: &'a [Descriptor], wanted: &Platform) -> Option<&'a Descriptor> {
    members
        .iter()
        .filter(|member| !is_attestation(member))
        .filter_map(|member| Some((member.platform.as_ref()?.fitness(wanted)?, member)))
        .min_by_key(|(fitness, _)| *fitness)
        .map(|(_, member)| member)
}

/// Whether an entry of an index is an attestation of `BuildKit`, which belongs to another entry (IMG-83).
#[must_use]
pub fn is_attestation(member: &Descriptor) -> bool {
    member
        .annotations
        .get(annotations::DOCKER_REFERENCE_TYPE)
        .is_some_and(|kind| kind == "attestation-manifest")
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        if let Some(version) = &self.os_version {
            write!(f, "({version})")?;
        }
        write!(f, "/{}", self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, MediaType};

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    fn index(platforms: &[&str]) -> Vec<Descriptor> {
        let member = |text: &&str| {
            let mut member = Descriptor::new(MediaType::OCI_MANIFEST, Digest::sha256(text.as_bytes()), 1);
            member.platform = Some(platform(text));
            member
        };
        platforms.iter().map(member).collect()
    }

    fn chosen(platforms: &[&str], wanted: &str) -> Option<String> {
        let members = index(platforms);
        let choice = select(&members, &platform(wanted))?;
        choice.platform.as_ref().map(ToString::to_string)
    }

    #[test]
    fn img_82_platforms_are_normalised_as_containerd_does() {
        for (written, normal) in [
            ("Linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("macos/aarch64", "darwin/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("windows(10.0.1)/amd64", "windows(10.0.1)/amd64"),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            assert_eq!(platform(written).normalized().to_string(), normal);
        }
    }

    #[test]
    fn img_78_a_platform_needs_both_os_and_architecture() {
        assert!(Platform::parse("linux").is_err());
        assert!(Platform::parse("linux/").is_err());
        assert!(Platform::parse("/amd64").is_err());
        assert!(Platform::parse("linux/arm/v7/x").is_err());
        assert!(Platform::parse("windows(1/amd64").is_err());
        assert!(serde_json::from_str::<Platform>(r#"{"os":"linux"}"#).is_err());
    }

    #[test]
    fn img_79_the_dots_in_the_keys_are_literal() {
        let text =
            r#"{"architecture":"amd64","os":"windows","os.version":"10.0.1","os.features":["win32k"]}"#;
        let read: Platform = serde_json::from_str(text).unwrap();
        assert_eq!(read.os_version.as_deref(), Some("10.0.1"));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }

    #[test]
    fn img_80_the_first_of_equals_is_chosen() {
        let members = index(&["linux/amd64", "linux/x86_64"]);
        assert!(std::ptr::eq(select(&members, &platform("linux/amd64")).unwrap(), &members[0]));
    }

    #[test]
    fn img_82_older_variants_serve_newer_ones_but_never_the_reverse() {
        assert_eq!(chosen(&["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7").unwrap(), "linux/arm/v7");
        assert_eq!(chosen(&["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7").unwrap(), "linux/arm/v6");
        assert_eq!(chosen(&["linux/arm/v7"], "linux/arm/v6"), None);
        assert_eq!(chosen(&["linux/arm64/v8"], "linux/arm64").unwrap(), "linux/arm64/v8");
        assert_eq!(chosen(&["linux/arm/v7"], "linux/arm64").unwrap(), "linux/arm/v7");
        assert_eq!(
            chosen(&["linux/arm64/v8.5", "linux/arm64"], "linux/arm64/v9").unwrap(),
            "linux/arm64/v8.5"
        );
        assert_eq!(chosen(&["linux/386"], "linux/amd64").unwrap(), "linux/386");
        assert_eq!(chosen(&["linux/amd64/v3", "linux/amd64"], "linux/amd64/v2").unwrap(), "linux/amd64");
        assert_eq!(chosen(&["darwin/amd64"], "linux/amd64"), None);
    }

    #[test]
    fn img_82_windows_compares_the_build() {
        let members = ["windows(10.0.17763.1)/amd64", "windows(10.0.20348.5)/amd64"];
        assert_eq!(chosen(&members, "windows(10.0.20348.9)/amd64").unwrap(), members[1]);
    }

    #[test]
    fn img_83_attestations_are_never_chosen() {
        assert_eq!(chosen(&["unknown/unknown"], "unknown/unknown"), None);
        let mut members = index(&["linux/amd64"]);
        members[0]
            .annotations
            .insert(annotations::DOCKER_REFERENCE_TYPE.into(), "attestation-manifest".into());
        assert!(select(&members, &platform("linux/amd64")).is_none());
    }

    #[test]
    fn an_absurd_variant_neither_hangs_nor_overflows() {
        for wanted in [
            "linux/amd64/v4294967295",
            "linux/arm64/v9.4000000000",
            "linux/arm/v4294967295",
            "linux/arm64/vx",
        ] {
            assert_eq!(chosen(&["linux/s390x"], wanted), None);
        }
    }
}
