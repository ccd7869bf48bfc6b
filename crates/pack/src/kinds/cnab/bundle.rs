//! `bundle.json`, and the documents that are made of it.

use serde::Serialize;
use transship_spec::{Annotations, Descriptor, Digest, Document, MediaType, annotations, go_json};

use super::json::Json;
use super::{COMPONENT, MEMBER};
use crate::Error;

pub(super) const TYPE: &str = "org.opencontainers.artifactType";
pub(super) const TYPE_VALUE: &str = "application/vnd.cnab.manifest.v1";

/// A bundle with one invocation image.
#[derive(Debug)]
pub(super) struct Bundle(Json);

/// An image that a bundle names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The name of a component; nothing for the invocation image.
    pub(super) component: Option<String>,
    pub(super) image: String,
    pub(super) digest: Option<Digest>,
}

#[derive(Serialize)]
struct Maintainer<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    email: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: &'a str,
}

impl Bundle {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let json = Json::parse(text).map_err(|reason| format!("it is no JSON: {reason}"))?;
        for field in ["schemaVersion", "name", "version"] {
            if json.text(field).is_empty() {
                return Err(format!("it does not say its {field}"));
            }
        }
        match json.get("invocationImages") {
            Some(Json::List(images)) if images.len() == 1 => {}
            Some(Json::List(images)) => {
                return Err(format!("it has {} invocation images, and an index takes one", images.len()));
            }
            _ => return Err("it has no invocation image".to_owned()),
        }
        let bundle = Self(json);
        for Wanted { component, image, .. } in bundle.wanted() {
            if image.is_empty() {
                let which = component
                    .map_or_else(|| "its invocation image".to_owned(), |it| transship_spec::quote(&it));
                return Err(format!("{which} does not say what image it is"));
            }
        }
        Ok(bundle)
    }

    /// A field that is a text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.text(name)
    }

    /// Its images: that of the invocation, then the components, sorted.
    pub(super) fn wanted(&self) -> Vec<Wanted> {
        let wanted = |component: Option<&String>, image: &Json| Wanted {
            component: component.cloned(),
            image: image.text("image").to_owned(),
            digest: Digest::parse(image.text("contentDigest")).ok(),
        };
        let invocation = match self.0.get("invocationImages") {
            Some(Json::List(images)) => images.first(),
            _ => None,
        };
        let components = self.0.members("images").map(|(name, image)| wanted(Some(name), image));
        invocation.map(|image| wanted(None, image)).into_iter().chain(components).collect()
    }

    /// Says of each image, in the order of [`wanted`](Self::wanted), what was found.
    pub(super) fn fix(&mut self, found: &[Descriptor]) {
        let Json::Object(bundle) = &mut self.0 else { return };
        bundle.entry("description".to_owned()).or_insert_with(|| Json::Text(String::new()));
        let mut found = found.iter();
        if let Some(Json::List(images)) = bundle.get_mut("invocationImages") {
            images.iter_mut().zip(&mut found).for_each(|(image, found)| fix(image, found));
        }
        if let Some(Json::Object(images)) = bundle.get_mut("images") {
            for (image, found) in images.values_mut().zip(&mut found) {
                fix(image, found);
                if let Json::Object(image) = image {
                    image.entry("description".to_owned()).or_insert_with(|| Json::Text(String::new()));
                }
            }
        }
        // What cnab-go leaves out where it is empty.
        const MAY_LACK: [&str; 11] = [
            "keywords",
            "maintainers",
            "images",
            "actions",
            "parameters",
            "credentials",
            "outputs",
            "definitions",
            "license",
            "requiredExtensions",
            "custom",
        ];
        let is_empty = |value: &Json| match value {
            Json::Nothing => true,
            Json::Text(text) => text.is_empty(),
            Json::List(items) => items.is_empty(),
            Json::Object(members) => members.is_empty(),
            _ => false,
        };
        bundle.retain(|name, value| !(MAY_LACK.contains(&name.as_str()) && is_empty(value)));
    }

    pub(super) fn to_canonical(&self) -> String {
        self.0.to_canonical()
    }

    /// What the index says of the bundle.
    pub(super) fn annotations(&self) -> Result<Annotations, String> {
        let mut said = Annotations::new();
        let mut say = |key: &str, value: String| drop(said.insert(key.to_owned(), value));
        say("io.cnab.runtime_version", self.text("schemaVersion").to_owned());
        say(TYPE, TYPE_VALUE.to_owned());
        say(annotations::TITLE, self.text("name").to_owned());
        say(annotations::VERSION, self.text("version").to_owned());
        say("org.opencontainers.image.description", self.text("description").to_owned());
        let told = |error: serde_json::Error| error.to_string();
        if let Some(Json::List(people)) = self.0.get("maintainers") {
            let person = |it| Maintainer {
                name: Json::text(it, "name"),
                email: it.text("email"),
                url: it.text("url"),
            };
            let people: Vec<Maintainer<'_>> = people.iter().map(person).collect();
            say("org.opencontainers.image.authors", go_json(&people).map_err(told)?);
        }
        if let Some(Json::List(words)) = self.0.get("keywords") {
            let word = |it: &Json| match it {
                Json::Text(text) => text.clone(),
                _ => String::new(),
            };
            let words: Vec<String> = words.iter().map(word).collect();
            say("io.cnab.keywords", go_json(&words).map_err(told)?);
        }
        Ok(said)
    }

    /// The index: the manifest that holds the bundle, then its images, in the order of [`wanted`](Self::wanted).
    pub(super) fn index(
        &self,
        config: &Descriptor,
        images: &[Descriptor],
        said: Annotations,
    ) -> Result<Document, Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Index {
            schema_version: u8,
            manifests: Vec<Descriptor>,
            annotations: Annotations,
        }
        let member = |descriptor: &Descriptor, role: &str, component: Option<String>| {
            let mut member = descriptor.bare();
            member.annotations.insert(MEMBER.to_owned(), role.to_owned());
            member.annotations.extend(component.map(|name| (COMPONENT.to_owned(), name)));
            member
        };
        let mut manifests = vec![member(config, "config", None)];
        for (Wanted { component, .. }, image) in self.wanted().into_iter().zip(images) {
            let role = if component.is_some() { "component" } else { "invocation" };
            manifests.push(member(image, role, component));
        }
        let index = Index { schema_version: 2, manifests, annotations: said };
        document(&index, &MediaType::OCI_INDEX)
    }
}

fn fix(image: &mut Json, found: &Descriptor) {
    let Json::Object(image) = image else { return };
    #[expect(clippy::cast_precision_loss, reason = "documents are no larger than 4 MiB")]
    let size = found.size as f64;
    image.insert("contentDigest".to_owned(), Json::Text(found.digest.to_string()));
    image.insert("mediaType".to_owned(), Json::Text(found.media_type.to_string()));
    image.insert("size".to_owned(), Json::Number(size));
}

/// The manifest that holds `bundle.json`; cnab-to-oci says `null` where it has no layers.
pub(super) fn config_manifest(config: &Descriptor) -> Result<Document, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Manifest<'a> {
        schema_version: u8,
        config: &'a Descriptor,
        layers: Option<()>,
    }
    document(&Manifest { schema_version: 2, config, layers: None }, &MediaType::OCI_MANIFEST)
}

fn document(value: &impl Serialize, media_type: &MediaType) -> Result<Document, Error> {
    let text = go_json(value).map_err(|error| {
        let reason = error.to_string();
        Error::Spec(transship_spec::Error::Document { what: "document", reason })
    })?;
    Ok(Document::parse(text, Some(media_type))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = include_str!("../../../../../testdata/kinds/cnab/bundle.json");

    fn images() -> Vec<Descriptor> {
        let digest = |last: char| {
            let text =
                format!("sha256:d59a1aa7866258751a261bae525a1842c7ff0662d4f34a355d5f36826abc034{last}");
            Digest::parse(&text).unwrap()
        };
        let docker = MediaType::parse("application/vnd.docker.distribution.manifest.v2+json").unwrap();
        vec![
            Descriptor::new(docker, digest('3'), 506),
            Descriptor::new(MediaType::OCI_MANIFEST, digest('2'), 507),
            Descriptor::new(MediaType::OCI_MANIFEST, digest('1'), 507),
        ]
    }

    /// `remotes/push_test.go` of cnabio/cnab-to-oci at 00983e3: the digests of bundle and manifest, and the index.
    #[test]
    fn a_bundle_is_the_config_the_manifest_and_the_index_that_cnab_to_oci_pushes() {
        let mut bundle = Bundle::read(GIVEN).unwrap();
        bundle.fix(&images());
        let media_type = MediaType::parse(super::super::CONFIG).unwrap();
        let config = Descriptor::of(media_type, bundle.to_canonical().as_bytes());
        let digest = "sha256:e978bf2a3c57b25fc3bb7f1adccb6fa0f0284d38163d5faffce7bf5fca3f39b3";
        assert_eq!((config.digest.to_string().as_str(), config.size), (digest, 1484));
        let manifest = config_manifest(&config).unwrap().descriptor();
        let digest = "sha256:91ada58e30bc0aea920e69a9356085534ce31c50700e650c96b432fc3a5d1661";
        assert_eq!((manifest.digest.to_string().as_str(), manifest.size), (digest, 189));
        let index = bundle.index(&manifest, &images(), bundle.annotations().unwrap()).unwrap();
        let golden = include_str!("../../../../../testdata/kinds/cnab/index.json");
        assert_eq!(std::str::from_utf8(index.bytes()).unwrap(), golden.trim_end());
        let digest = "sha256:4cfae04045c6f0fd14330ab86dea9694fb19ce9602ba2da0af8c826fc0053631";
        assert_eq!((index.digest().to_string().as_str(), index.bytes().len()), (digest, 1360));
    }

    #[test]
    fn what_is_no_bundle_of_one_invocation_image_is_refused() {
        for (from, to, words) in [
            (r#""invocationImages":["#, r#""invocationImages":[{"image":"x:1"},"#, "2 invocation images"),
            (r#""invocationImages""#, r#""others""#, "no invocation image"),
            (r#""name":"my-app""#, r#""name":"""#, "its name"),
            (r#""schemaVersion""#, r#""schema""#, "its schemaVersion"),
            (r#""image":"my.registry/namespace/image-1""#, r#""image":5"#, "\"image-1\" does not say"),
            ("{", "", "no JSON"),
        ] {
            let text = GIVEN.replacen(from, to, 1);
            assert_ne!(text, GIVEN, "{from}");
            let reason = Bundle::read(&text).unwrap_err();
            assert!(reason.contains(words), "{words}: {reason}");
        }
    }
}
