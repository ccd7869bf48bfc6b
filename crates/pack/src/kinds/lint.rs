//! What is doubtful of an artifact, for its author: types, titles, annotations and the forms that registries want.
//!
//! A finding is advice. What an [error](Severity::Error) tells breaks a rule of the OCI, or is refused by whoever pulls; a
//! [warning](Severity::Warning) will be regretted; a [note](Severity::Note) is a choice that should have been made on purpose.
//! Only the manifest is looked at, no blob is read, and nothing is changed. That everything is there, and is what its digest
//! says, is told by [`transship_layout::check`].

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};
use transship_spec::annotations::{CREATED, TITLE, is_undefined_reserved};
use transship_spec::{Annotations, Descriptor, MediaType, Reference, Tag, quote};

use super::Sight;
use super::described::Described;
use super::input::is_title;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It breaks a rule, or is refused by whoever pulls.
    Error,
    /// It works, and will be regretted.
    Warning,
    /// It should have been chosen on purpose.
    Note,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident, $remedy:literal;)*) => {
        /// A rule for authors.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Rule] = &[$(Rule::$name,)*];

            /// The name by which programs know it, which stays.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// How much it weighs when it is broken.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What to do.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

rules! {
    /// A type that the OCI or Docker has taken says what the artifact is.
    TypeReserved = "type-reserved", Error, "take a type of your own: application/vnd.ORG.NAME.v1";
    /// The config is the empty one, and no artifact type is told (IMG-60).
    TypeMissing = "type-missing", Error, "tell an artifactType";
    /// A type has capitals.
    TypeCase = "type-case", Warning, "write it in lower case: some compare types letter by letter";
    /// A type of a vendor has no version.
    TypeVersion = "type-version", Warning, "add one, so that a later form can be told apart: application/vnd.ORG.NAME.v1+FORMAT";
    /// A type of a vendor does not name both who and what.
    TypeForm = "type-form", Warning, "name both: application/vnd.ORG.NAME.v1+FORMAT";
    /// A type is in no vendor's tree.
    TypeTree = "type-tree", Note, "fine if IANA lists it; else take application/vnd.ORG.NAME.v1+FORMAT";
    /// The config says that it is the empty one, and is not (IMG-65).
    ConfigForm = "config-form", Error, "the empty config is {}, of 2 bytes; give any other content a type of its own";
    /// A config of a type of its own says nothing.
    ConfigIdle = "config-idle", Note, "leave the config out, and say the type as artifactType";
    /// There are no layers at all (IMG-67).
    LayersNone = "layers-none", Warning, "list the empty descriptor as the one layer: some registries refuse none";
    /// A title leads out of the folder in which files are made.
    TitleUnsafe = "title-unsafe", Error, "take a relative path with slashes, without . or .. in it";
    /// Two layers have one title.
    TitleTwice = "title-twice", Error, "give each its own title: the second cannot be extracted";
    /// A layer has no title.
    TitleMissing = "title-missing", Note, "without a title (or a kind that gives a name) a file is called by its digest";
    /// An annotation in the OCI's namespace that the OCI does not define (IMG-166).
    AnnotationReserved = "annotation-reserved", Warning, "use a domain of your own: com.example.KEY";
    /// The time is none that RFC 3339 can say.
    CreatedForm = "created-form", Error, "write it as 2026-01-31T12:00:00Z";
    /// Nobody tells when it was made.
    CreatedMissing = "created-missing", Note, "--created tells it; without it the same content has the same digest every day";
    /// The manifest does not say its own media type.
    ManifestUntyped = "manifest-untyped", Warning, "write mediaType: some registries guess it wrongly";
    /// A manifest of the release candidates, or of early ORAS.
    ManifestOld = "manifest-old", Error, "write an image manifest with an artifactType: registries of today refuse this one";
    /// The name is no tag of a registry.
    TagForm = "tag-form", Warning, "take 1 to 128 letters, digits, _, . and -, the first no . or -";
    /// It is an image, to which rules for artifacts do not apply.
    Image = "image", Note, "transship check tells what can be wrong with an image";
    /// A rule of a description that no input ever comes to.
    RuleIdle = "rule-idle", Warning, "put it before the rule that takes all";
    /// The description itself breaks a rule.
    Description = "description", Error, "docs/kinds.md tells what a description may say";
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Something that is doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule that it breaks.
    #[serde(rename = "code")]
    pub rule: Rule,
    /// Where, in the words of a manifest or of a description: `artifactType`, `layers[0]`. Without a place it is the whole.
    pub place: String,
    /// What was found. Texts from outside are quoted and shortened.
    pub message: String,
}

impl Finding {
    /// Something about a place.
    #[must_use]
    pub fn new(rule: Rule, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { rule, place: place.into(), message: message.into() }
    }
}

/// What is doubtful of an artifact, in the order of its manifest.
///
/// ```
/// use transship_pack::kinds::{Rule, Sight, lint};
/// use transship_spec::{Descriptor, Manifest, MediaType};
///
/// let layer = Descriptor::of(MediaType::parse("text/plain")?, b"O wild West Wind");
/// let manifest = Manifest::new(Descriptor::empty(), vec![layer]);
/// let document = manifest.to_document()?;
/// let findings = lint(&Sight::of(&document));
/// assert!(findings.iter().any(|finding| finding.rule == Rule::TypeMissing));
/// # Ok::<(), transship_spec::Error>(())
/// ```
#[must_use]
pub fn lint(sight: &Sight<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let add = |found: &mut Vec<Finding>, rule, place: &str, message: String| {
        found.push(Finding::new(rule, place, message));
    };
    if is_image(sight) {
        add(&mut found, Rule::Image, "", "it is an image, and no artifact".to_owned());
        tag(sight, &mut found);
        return found;
    }
    let document = sight.document();
    if document.media_type().is_artifact_manifest() {
        let what = format!("it is a {}", document.media_type());
        add(&mut found, Rule::ManifestOld, "mediaType", what);
    } else if !says_its_type(document.bytes()) {
        add(&mut found, Rule::ManifestUntyped, "mediaType", "it is not told".to_owned());
    }
    if let Some(own) = sight.artifact_type() {
        own_type("artifactType", own, &mut found);
    }
    if let Some(config) = sight.config() {
        config_of(sight, config, &mut found);
    }
    let layers = sight.layers();
    if layers.is_empty() && document.as_index().is_none() {
        add(&mut found, Rule::LayersNone, "layers", "there are none".to_owned());
    }
    let mut titles = BTreeSet::new();
    for (number, layer) in layers.into_iter().enumerate() {
        layer_of(&format!("layers[{number}]"), layer, &mut titles, &mut found);
    }
    keys("annotations", sight.annotations(), &mut found);
    created(sight.annotations().get(CREATED), &mut found);
    tag(sight, &mut found);
    found
}

/// What is doubtful of a description of a kind.
#[must_use]
pub fn lint_described(kind: &Described) -> Vec<Finding> {
    super::described::lint(kind)
}

/// Who has taken a type, so that it says nothing of an artifact.
pub(super) fn reserved(media_type: &MediaType) -> Option<&'static str> {
    const DOCKER: [&str; 4] = ["distribution.", "container.", "image.", "plugin."];
    let text = media_type.as_str();
    let of_docker = text.strip_prefix("application/vnd.docker.");
    match () {
        () if text.starts_with("application/vnd.oci.") => Some("types of vnd.oci are the OCI's"),
        () if of_docker.is_some_and(|rest| DOCKER.iter().any(|word| rest.starts_with(word))) => {
            Some("it is Docker's, for images")
        }
        () if media_type.is_document() => Some("it is a type of manifests"),
        () => None,
    }
}

/// A type that says what an artifact is.
pub(super) fn own_type(place: &str, media_type: &MediaType, found: &mut Vec<Finding>) {
    match reserved(media_type) {
        Some(owner) => {
            let message = format!("{} is taken: {owner}", quote(media_type.as_str()));
            found.push(Finding::new(Rule::TypeReserved, place, message));
        }
        None => any_type(place, media_type, true, found),
    }
}

/// Letters, tree, names and version of a type.
pub(super) fn any_type(place: &str, media_type: &MediaType, is_own: bool, found: &mut Vec<Finding>) {
    let text = media_type.as_str();
    let mut add = |rule, message: &str| {
        found.push(Finding::new(rule, place, format!("{} {message}", quote(text))));
    };
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        add(Rule::TypeCase, "has capitals");
    }
    let subtype = text.split_once('/').map_or(text, |(_, subtype)| subtype);
    let plain = subtype.split('+').next().unwrap_or_default();
    let Some(named) = plain.strip_prefix("vnd.") else {
        if is_own {
            add(Rule::TypeTree, "is in no vendor's tree");
        }
        return;
    };
    let is_version = |word: &str| {
        word.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    let names = named.split('.').take_while(|word| !is_version(word)).filter(|word| !word.is_empty());
    if names.count() < 2 {
        add(Rule::TypeForm, "does not name both who and what");
    }
    if !named.split('.').any(is_version) {
        add(Rule::TypeVersion, "has no version");
    }
}

/// Keys of annotations.
pub(super) fn keys(place: &str, annotations: &Annotations, found: &mut Vec<Finding>) {
    for key in annotations.keys().filter(|key| is_undefined_reserved(key)) {
        let message = format!("{} is beneath the OCI's own prefix, and not defined there", quote(key));
        found.push(Finding::new(Rule::AnnotationReserved, place, message));
    }
}

/// Whether a manifest is one of a runnable image, and nothing else.
fn is_image(sight: &Sight<'_>) -> bool {
    let is_config = sight.config_type().is_some_and(MediaType::is_image_config);
    let members = sight.members();
    let is_index = !members.is_empty() && members.iter().any(|member| member.platform.is_some());
    let layers = || sight.layers().iter().all(|layer| layer.media_type.is_layer());
    sight.artifact_type().is_none() && (is_index || is_config && layers())
}

fn config_of(sight: &Sight<'_>, config: &Descriptor, found: &mut Vec<Finding>) {
    let empty = Descriptor::empty();
    if config.media_type != MediaType::OCI_EMPTY {
        own_type("config.mediaType", &config.media_type, found);
        if config.digest == empty.digest && sight.artifact_type().is_none() {
            let message = "its content is {}, so that its type says all";
            found.push(Finding::new(Rule::ConfigIdle, "config", message));
        }
        return;
    }
    let is_data = config.data.as_ref().is_none_or(|data| Some(data) == empty.data.as_ref());
    if config.digest != empty.digest || config.size != empty.size || !is_data {
        let message = format!("it is {} of {} bytes, and said to be empty", config.digest, config.size);
        found.push(Finding::new(Rule::ConfigForm, "config", message));
    }
    if sight.artifact_type().is_none() {
        let message = "the config is empty, and nothing tells what the artifact is (IMG-60)";
        found.push(Finding::new(Rule::TypeMissing, "artifactType", message));
    }
}

fn layer_of<'a>(
    place: &str,
    layer: &'a Descriptor,
    titles: &mut BTreeSet<&'a str>,
    found: &mut Vec<Finding>,
) {
    if layer.media_type == MediaType::OCI_EMPTY {
        return;
    }
    let at = format!("{place}.mediaType");
    if layer.media_type.is_document() || layer.media_type.is_image_config() {
        let message = format!("{} is no type of a file", layer.media_type);
        found.push(Finding::new(Rule::TypeReserved, at, message));
    } else if !layer.media_type.is_layer() {
        any_type(&at, &layer.media_type, false, found);
    }
    keys(&format!("{place}.annotations"), &layer.annotations, found);
    match layer.annotations.get(TITLE) {
        None => found.push(Finding::new(Rule::TitleMissing, place, "it has no title")),
        Some(title) if !is_title(title) => {
            let message = format!("its title {} leads out, or is no name", quote(title));
            found.push(Finding::new(Rule::TitleUnsafe, place, message));
        }
        Some(title) if !titles.insert(title) => {
            let message = format!("another layer has its title {}", quote(title));
            found.push(Finding::new(Rule::TitleTwice, place, message));
        }
        Some(_) => {}
    }
}

fn created(time: Option<&String>, found: &mut Vec<Finding>) {
    let place = "annotations";
    match time {
        None => found.push(Finding::new(Rule::CreatedMissing, place, "nobody tells when it was made")),
        Some(time) if time.parse::<jiff::Timestamp>().is_err() => {
            let message = format!("{} is no time", quote(time));
            found.push(Finding::new(Rule::CreatedForm, place, message));
        }
        Some(_) => {}
    }
}

/// A short name is to be a tag; a full one holds one.
fn tag(sight: &Sight<'_>, found: &mut Vec<Finding>) {
    let Some(name) = sight.name().filter(|name| !name.starts_with('@')) else { return };
    let is_right = match name.contains('/') {
        true => Reference::parse(name).is_ok(),
        false => Tag::parse(name).is_ok(),
    };
    if !is_right {
        found.push(Finding::new(Rule::TagForm, "name", format!("{} is no tag", quote(name))));
    }
}

fn says_its_type(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Said {
        #[serde(rename = "mediaType")]
        media_type: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Said>(bytes).is_ok_and(|said| said.media_type.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use transship_spec::{Document, Manifest};

    fn media_type(text: &str) -> MediaType {
        MediaType::parse(text).unwrap()
    }

    fn layer(title: &str) -> Descriptor {
        let mut layer = Descriptor::of(media_type("text/plain"), title.as_bytes());
        layer.annotations.insert(TITLE.to_owned(), title.to_owned());
        layer
    }

    /// An artifact of which nothing is doubtful.
    fn fine() -> Manifest {
        let mut manifest = Manifest::new(Descriptor::empty(), vec![layer("a"), layer("b/c")]);
        manifest.artifact_type = Some(media_type("application/vnd.example.poem.v1"));
        manifest.annotations.insert(CREATED.to_owned(), "2026-01-31T12:00:00Z".to_owned());
        manifest
    }

    fn codes(document: &Document) -> Vec<&'static str> {
        lint(&Sight::of(document).named(Some("v1"))).iter().map(|it| it.rule.code()).collect()
    }

    fn changed(change: impl FnOnce(&mut Manifest)) -> Vec<&'static str> {
        let mut manifest = fine();
        change(&mut manifest);
        codes(&manifest.to_document().unwrap())
    }

    #[test]
    fn every_rule_is_found_by_what_breaks_it_and_by_nothing_else() {
        assert_eq!(changed(|_| {}), [""; 0]);
        let own = |text: &str| changed(|it| it.artifact_type = Some(media_type(text)));
        assert_eq!(own("application/vnd.oci.image.config.v1+json"), ["type-reserved"]);
        assert_eq!(own("application/vnd.docker.plugin.v1+json"), ["type-reserved"]);
        assert_eq!(own("application/vnd.docker.compose.project.v1"), [""; 0]);
        assert_eq!(own("application/vnd.example.Poem.v1"), ["type-case"]);
        assert_eq!(own("application/vnd.example.poem"), ["type-version"]);
        assert_eq!(own("application/vnd.example.v1"), ["type-form"]);
        assert_eq!(own("application/vnd.dev.sigstore.bundle.v0.3+json"), [""; 0]);
        assert_eq!(own("application/spdx+json"), ["type-tree"]);
        assert_eq!(changed(|it| it.artifact_type = None), ["type-missing"]);
        assert_eq!(changed(|it| it.config.size = 3), ["config-form"]);
        let idle = |it: &mut Manifest| {
            it.artifact_type = None;
            it.config.media_type = media_type("application/vnd.example.poem.config.v1+json");
        };
        assert_eq!(changed(idle), ["config-idle"]);
        assert_eq!(changed(|it| it.layers.clear()), ["layers-none"]);
        assert_eq!(changed(|it| it.layers.push(layer("../x"))), ["title-unsafe"]);
        assert_eq!(changed(|it| it.layers.push(layer("a"))), ["title-twice"]);
        assert_eq!(changed(|it| it.layers[0].annotations.clear()), ["title-missing"]);
        let key =
            |it: &mut Manifest| drop(it.annotations.insert("org.opencontainers.mood".into(), "x".into()));
        assert_eq!(changed(key), ["annotation-reserved"]);
        assert_eq!(changed(|it| drop(it.annotations.remove(CREATED))), ["created-missing"]);
        assert_eq!(changed(|it| drop(it.annotations.insert(CREATED.into(), "now".into()))), ["created-form"]);
        assert_eq!(changed(|it| it.layers[1].media_type = MediaType::OCI_CONFIG), ["type-reserved"]);
        assert_eq!(codes(&fine().to_untyped_document().unwrap()), ["manifest-untyped"]);
        let mut codes: Vec<_> = Rule::ALL.iter().map(|rule| rule.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Rule::ALL.len());
    }

    #[test]
    fn an_image_is_no_artifact_unless_it_says_so_and_a_name_has_to_be_a_tag() {
        let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
        let layers = vec![Descriptor::of(MediaType::OCI_LAYER_GZIP, b"x")];
        let mut manifest = Manifest::new(config, layers);
        assert_eq!(codes(&manifest.to_document().unwrap()), ["image"]);
        manifest.artifact_type = Some(media_type("application/vnd.example.poem.v1"));
        assert!(codes(&manifest.to_document().unwrap()).contains(&"type-reserved"));
        let document = fine().to_document().unwrap();
        for (name, count) in
            [("v1", 0), ("registry.example/team/app:v1", 0), ("a+b", 1), ("@sha256:abc", 0), ("R/App:v", 1)]
        {
            assert_eq!(lint(&Sight::of(&document).named(Some(name))).len(), count, "{name}");
        }
    }
}
