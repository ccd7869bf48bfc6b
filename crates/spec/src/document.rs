//! Documents: manifests and indexes as raw bytes with a view of what they say (IMG-50…61, IMG-75…84).
//!
//! The bytes are the truth: they are kept, copied and served exactly as they came, and the digest is theirs. The view is
//! read once and never written back. Documents that we make ourselves begin as a [`Manifest`] or an [`Index`] and become
//! bytes by `to_document`, in the order in which the OCI's own types are written, so that they are the same each time.

use bytes::Bytes;

use crate::fields::Fields;
use crate::manifest::ArtifactManifest;
use crate::{Annotations, Descriptor, Digest, Error, Index, Manifest, MediaType, Verifier};

/// A manifest, an index, or an artifact manifest of the release candidates.
///
/// ```
/// use transship_spec::{Document, MediaType};
///
/// let bytes = r#"{"schemaVersion": 2, "manifests": [], "mood": "kept as it is"}"#;
/// let document = Document::parse(bytes, None)?;
/// assert_eq!(document.media_type(), &MediaType::OCI_INDEX);
/// assert_eq!(document.bytes(), bytes);
/// # Ok::<(), transship_spec::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Document {
    bytes: Bytes,
    digest: Digest,
    media_type: MediaType,
    view: View,
}

#[derive(Debug, Clone)]
enum View {
    Manifest(Box<Manifest>),
    Index(Box<Index>),
    Artifact(Box<ArtifactManifest>),
}

impl Document {
    /// The largest document that is read, in bytes (IMG-109): what registries must take at least.
    pub const MAX_SIZE: usize = 4 << 20;

    /// Reads a document whose type may be known from elsewhere: from a descriptor or a `Content-Type`.
    ///
    /// Without a type, and where the document does not tell its own, its members decide: `manifests` makes an index,
    /// `layers` a manifest. Its digest is taken as SHA-256.
    ///
    /// # Errors
    /// [`Error::Limit`] past [`Document::MAX_SIZE`], [`Error::Json`], [`Error::Document`] for what breaks a MUST of the
    /// specification, [`Error::Unsupported`] for Docker's first manifests and for types that are no document.
    pub fn parse(bytes: impl Into<Bytes>, media_type: Option<&MediaType>) -> Result<Self, Error> {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        Self::read(bytes, digest, media_type)
    }

    /// Reads the document that a descriptor points at, after its size and digest were found right (IMG-24).
    ///
    /// # Errors
    /// [`Error::SizeMismatch`], [`Error::DigestMismatch`], [`Error::Unsupported`] when the digest cannot be verified, and
    /// the errors of [`Document::parse`].
    pub fn verify(bytes: impl Into<Bytes>, descriptor: &Descriptor) -> Result<Self, Error> {
        let bytes = bytes.into();
        if !descriptor.digest.is_verifiable() {
            let algorithm = descriptor.digest.algorithm();
            return Err(Error::Unsupported(format!(
                "a document named by a digest of {algorithm}, which cannot be verified"
            )));
        }
        let mut verifier = Verifier::new(&descriptor.digest, Some(descriptor.size));
        verifier.update(&bytes)?;
        verifier.finish()?;
        Self::read(bytes, descriptor.digest.clone(), Some(&descriptor.media_type))
    }

    /// Reads the document that a descriptor points at from bytes whose size and digest were found right already, so that
    /// they are not hashed again. Whoever is not sure uses [`Document::verify`].
    ///
    /// # Errors
    /// The errors of [`Document::parse`].
    pub fn of_verified(bytes: impl Into<Bytes>, descriptor: &Descriptor) -> Result<Self, Error> {
        Self::read(bytes.into(), descriptor.digest.clone(), Some(&descriptor.media_type))
    }

    fn read(bytes: Bytes, digest: Digest, given: Option<&MediaType>) -> Result<Self, Error> {
        if bytes.len() > Self::MAX_SIZE {
            return Err(Error::Limit {
                what: "the size of a document in bytes",
                limit: Self::MAX_SIZE as u64,
            });
        }
        if let Some(given) = given.filter(|given| given.is_schema1()) {
            return Err(schema1(given.as_str()));
        }
        let mut fields = Fields::read("document", &bytes)?;
        let media_type = media_type(&mut fields, given)?;
        let view = match &media_type {
            kind if kind.is_index() => View::Index(Box::new(Index::read(&mut fields, kind)?)),
            kind if kind.is_manifest() => View::Manifest(Box::new(Manifest::read(&mut fields, kind)?)),
            _ => View::Artifact(Box::new(ArtifactManifest::read(&mut fields)?)),
        };
        Ok(Self { bytes, digest, media_type, view })
    }

    /// The bytes, exactly as they came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What the document is.
    #[must_use]
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// A descriptor that points at this document, with nothing but the three fields that each must have.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.bytes.len() as u64)
    }

    /// The manifest that this one refers to. It is a weak link: it need not be there, and is no child (IMG-59).
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        match &self.view {
            View::Manifest(manifest) => manifest.subject.as_ref(),
            View::Index(index) => index.subject.as_ref(),
            View::Artifact(artifact) => artifact.subject.as_ref(),
        }
    }

    /// What sort of artifact this is: its own type, else, for a manifest, the type of its config (IMG-69).
    #[must_use]
    pub fn artifact_type(&self) -> Option<&MediaType> {
        match &self.view {
            View::Manifest(manifest) => {
                Some(manifest.artifact_type.as_ref().unwrap_or(&manifest.config.media_type))
            }
            View::Index(index) => index.artifact_type.as_ref(),
            View::Artifact(artifact) => artifact.artifact_type.as_ref(),
        }
    }

    /// The annotations of the document itself.
    #[must_use]
    pub fn annotations(&self) -> &Annotations {
        match &self.view {
            View::Manifest(manifest) => &manifest.annotations,
            View::Index(index) => &index.annotations,
            View::Artifact(artifact) => &artifact.annotations,
        }
    }

    /// What must be there for this document to be complete, in the order written: config and layers, or members, or
    /// blobs. Never the subject.
    #[must_use]
    pub fn children(&self) -> Vec<&Descriptor> {
        match &self.view {
            View::Manifest(manifest) => std::iter::once(&manifest.config).chain(&manifest.layers).collect(),
            View::Index(index) => index.manifests.iter().collect(),
            View::Artifact(artifact) => artifact.blobs.iter().collect(),
        }
    }

    /// The view of a manifest, if it is one.
    #[must_use]
    pub fn as_manifest(&self) -> Option<&Manifest> {
        match &self.view {
            View::Manifest(manifest) => Some(manifest),
            _ => None,
        }
    }

    /// The view of an index, if it is one.
    #[must_use]
    pub fn as_index(&self) -> Option<&Index> {
        match &self.view {
            View::Index(index) => Some(index),
            _ => None,
        }
    }
}

pub(crate) fn schema1(what: &str) -> Error {
    Error::Unsupported(format!(
        "{what} is Docker's first manifest format; push the image again with a current tool"
    ))
}

/// What a document is: given, told by itself, or seen from its members; all that is known must agree (IMG-51, IMG-52).
fn media_type(fields: &mut Fields, given: Option<&MediaType>) -> Result<MediaType, Error> {
    let own: Option<String> = fields.take("mediaType")?;
    let own = own.filter(|own| !own.is_empty()).map(|own| MediaType::parse(&own)).transpose()?;
    let (manifests, layers) = (fields.has("manifests"), fields.has("layers") || fields.has("config"));
    if fields.has("fsLayers") || own.as_ref().is_some_and(MediaType::is_schema1) {
        return Err(schema1("a document with fsLayers"));
    }
    if manifests && layers {
        return Err(fields.refuse("it has the members of an index and those of a manifest (CVE-2021-41190)"));
    }
    if let (Some(given), Some(own)) = (given, &own)
        && given != own
    {
        return Err(fields.refuse(&format!("it is to be {given}, and calls itself {own}")));
    }
    let seen = if manifests { MediaType::OCI_INDEX } else { MediaType::OCI_MANIFEST };
    let media_type = given.cloned().or(own).unwrap_or(seen);
    if !media_type.is_document() {
        return Err(Error::Unsupported(format!("{media_type} is not a manifest or an index")));
    }
    if media_type.is_index() && layers || !media_type.is_index() && manifests {
        return Err(fields.refuse(&format!("its members are not those of {media_type}")));
    }
    Ok(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    const CONFIG: &str = r#"{"mediaType":"a/b","digest":"foo:abc","size":3}"#;

    fn parse(text: &str) -> Result<Document, Error> {
        Document::parse(text.to_owned(), None)
    }

    fn manifest(more: &str) -> String {
        format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":[]{more}}}"#)
    }

    #[test]
    fn img_50_img_75_the_schema_version_is_the_number_two() {
        assert!(parse(&manifest("")).is_ok());
        for bad in ["\"2\"", "3", "2.5", "null", "[]"] {
            let manifest = format!(r#"{{"schemaVersion":{bad},"config":{CONFIG},"layers":[]}}"#);
            assert_eq!(parse(&manifest).unwrap_err().kind(), Kind::Invalid, "{bad}");
            assert!(parse(&format!(r#"{{"schemaVersion":{bad},"manifests":[]}}"#)).is_err(), "{bad}");
        }
        assert!(parse(r#"{"manifests":[]}"#).is_err());
    }

    #[test]
    fn img_50_case_m11_dockers_first_manifests_are_refused_by_name() {
        for text in [
            r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#,
            r#"{"schemaVersion":1,"config":{},"layers":[]}"#,
            r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v1+prettyjws"}"#,
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported, "{text}");
            assert!(error.to_string().contains("first manifest format"), "{error}");
        }
        let given = Document::parse("{}", Some(&MediaType::DOCKER_SCHEMA1));
        assert_eq!(given.unwrap_err().kind(), Kind::Unsupported);
    }

    #[test]
    fn img_51_a_document_without_media_type_has_that_of_its_descriptor() {
        let text = manifest("");
        assert_eq!(parse(&text).unwrap().media_type(), &MediaType::OCI_MANIFEST);
        let docker = Document::parse(text, Some(&MediaType::DOCKER_MANIFEST)).unwrap();
        assert_eq!(docker.media_type(), &MediaType::DOCKER_MANIFEST);
    }

    #[test]
    fn img_51_case_m2_a_document_that_is_not_what_it_should_be_is_refused() {
        let index_in_manifest = manifest(r#","mediaType":"application/vnd.oci.image.index.v1+json""#);
        assert!(parse(&index_in_manifest).is_err());
        assert!(Document::parse(manifest(""), Some(&MediaType::OCI_INDEX)).is_err());
        assert!(
            Document::parse(r#"{"schemaVersion":2,"manifests":[]}"#, Some(&MediaType::OCI_MANIFEST)).is_err()
        );
        let own = manifest(r#","mediaType":"application/vnd.oci.image.manifest.v1+json""#);
        assert!(Document::parse(own, Some(&MediaType::DOCKER_MANIFEST)).is_err());
    }

    #[test]
    fn img_52_case_m1_both_manifests_and_layers_are_refused() {
        assert!(parse(&manifest(r#","manifests":[]"#)).unwrap_err().to_string().contains("CVE-2021-41190"));
        assert!(parse(&format!(r#"{{"schemaVersion":2,"manifests":[],"config":{CONFIG}}}"#)).is_err());
    }

    #[test]
    fn img_53_case_m4_a_manifest_needs_a_config() {
        assert!(parse(r#"{"schemaVersion":2,"layers":[]}"#).is_err());
        assert!(parse(r#"{"schemaVersion":2,"config":null,"layers":[]}"#).is_err());
    }

    #[test]
    fn img_54_img_58_unknown_types_of_configs_and_layers_are_carried() {
        let text = format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":[{CONFIG}]}}"#);
        let document = parse(&text).unwrap();
        assert_eq!(document.children().len(), 2);
        assert_eq!(document.as_manifest().unwrap().layers[0].media_type.as_str(), "a/b");
    }

    #[test]
    fn img_56_no_layers_are_read_but_absent_layers_are_refused() {
        assert!(parse(&manifest("")).unwrap().as_manifest().unwrap().layers.is_empty());
        assert!(parse(&format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":null}}"#)).is_ok());
        assert!(parse(&format!(r#"{{"schemaVersion":2,"config":{CONFIG}}}"#)).is_err());
    }

    #[test]
    fn img_57_children_are_the_config_and_then_the_layers_in_their_order() {
        let layer = |name: &str| format!(r#"{{"mediaType":"a/b","digest":"foo:{name}","size":1}}"#);
        let text =
            format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":[{},{}]}}"#, layer("z"), layer("y"));
        let document = parse(&text).unwrap();
        let digests: Vec<_> = document.children().iter().map(|child| child.digest.to_string()).collect();
        assert_eq!(digests, ["foo:abc", "foo:z", "foo:y"]);
    }

    #[test]
    fn img_59_a_subject_is_told_and_is_no_child() {
        let document = parse(&manifest(&format!(r#","subject":{CONFIG}"#))).unwrap();
        assert_eq!(document.subject().unwrap().digest.to_string(), "foo:abc");
        assert_eq!(document.children().len(), 1);
    }

    #[test]
    fn img_60_img_69_the_type_of_an_artifact_is_its_own_or_its_configs() {
        let typed = parse(&manifest(r#","artifactType":"x/y""#)).unwrap();
        assert_eq!(typed.artifact_type().unwrap().as_str(), "x/y");
        assert_eq!(parse(&manifest("")).unwrap().artifact_type().unwrap().as_str(), "a/b");
        assert_eq!(
            parse(&manifest(r#","artifactType":"""#)).unwrap().artifact_type().unwrap().as_str(),
            "a/b"
        );
        assert!(parse(&manifest(r#","artifactType":"foo/.bar""#)).is_err());
    }

    #[test]
    fn img_61_img_165_annotations_are_texts() {
        let document = parse(&manifest(r#","annotations":{"a":"b","c":""}"#)).unwrap();
        assert_eq!(document.annotations().len(), 2);
        assert!(parse(&manifest(r#","annotations":{"a":1}"#)).is_err());
        assert!(parse(&manifest(r#","annotations":null"#)).is_ok());
    }

    #[test]
    fn img_76_an_index_may_be_empty_or_null_but_not_absent() {
        for good in ["[]", "null"] {
            let text = format!(
                r#"{{"schemaVersion":2,"manifests":{good},"mediaType":"application/vnd.oci.image.index.v1+json"}}"#
            );
            assert!(parse(&text).unwrap().children().is_empty(), "{good}");
        }
        assert!(Document::parse(r#"{"schemaVersion":2}"#, Some(&MediaType::OCI_INDEX)).is_err());
        assert!(parse(r#"{"schemaVersion":2,"manifests":{}}"#).is_err());
    }

    #[test]
    fn img_77_unknown_members_of_an_index_are_carried() {
        let text = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/customized.manifest+json","digest":"foo:abc","size":3}]}"#;
        assert_eq!(
            parse(text).unwrap().children()[0].media_type.as_str(),
            "application/customized.manifest+json"
        );
    }

    #[test]
    fn img_78_a_platform_without_architecture_is_refused() {
        let member = |platform: &str| {
            format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"a/b","digest":"foo:abc","size":3,"platform":{platform}}}]}}"#
            )
        };
        assert!(parse(&member(r#"{"os":"linux","architecture":"arm64"}"#)).is_ok());
        assert!(parse(&member(r#"{"os":"linux"}"#)).is_err());
    }

    #[test]
    fn img_84_an_index_may_be_an_artifact_with_a_subject() {
        let text = format!(
            r#"{{"schemaVersion":2,"artifactType":"x/y","manifests":[],"subject":{CONFIG},"annotations":{{"a":"b"}}}}"#
        );
        let document = parse(&text).unwrap();
        assert_eq!(document.artifact_type().unwrap().as_str(), "x/y");
        assert!(document.subject().is_some());
        assert_eq!(document.annotations()["a"], "b");
        let plain = parse(r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
        assert_eq!(plain.artifact_type(), None);
    }

    #[test]
    fn img_155_artifact_manifests_of_the_release_candidates_are_read() {
        let text = format!(
            r#"{{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"x/y","blobs":[{CONFIG}],"subject":{CONFIG}}}"#
        );
        let document = parse(&text).unwrap();
        assert_eq!(document.children().len(), 1);
        assert_eq!(document.artifact_type().unwrap().as_str(), "x/y");
    }

    #[test]
    fn img_102_img_107_the_bytes_are_kept_as_they_came() {
        let text =
            format!("{{ \"schemaVersion\" : 2,\n \"x\": 1.0e0, \"config\":{CONFIG}, \"layers\": [ ] }}\n");
        let document = parse(&text).unwrap();
        assert_eq!(document.bytes(), &text);
        assert_eq!(document.digest(), &Digest::sha256(text.as_bytes()));
    }

    #[test]
    fn img_24_img_33_size_and_digest_are_checked_before_anything_is_read() {
        let text = manifest("");
        let right = parse(&text).unwrap().descriptor();
        assert!(Document::verify(text.clone(), &right).is_ok());
        let short = Descriptor { size: right.size - 1, ..right.clone() };
        assert!(matches!(Document::verify(text.clone(), &short), Err(Error::SizeMismatch { .. })));
        assert!(matches!(Document::verify(format!("{text} "), &right), Err(Error::SizeMismatch { .. })));
        let other = Descriptor { digest: Digest::sha256(b"x"), ..right.clone() };
        assert!(matches!(Document::verify(text.clone(), &other), Err(Error::DigestMismatch { .. })));
        let long = Descriptor { digest: Digest::sha512(text.as_bytes()), ..right.clone() };
        assert_eq!(Document::verify(text.clone(), &long).unwrap().descriptor().digest, long.digest);
        let unknown = Descriptor { digest: Digest::parse("foo:abc").unwrap(), ..right };
        assert_eq!(Document::verify(text, &unknown).unwrap_err().kind(), Kind::Unsupported);
    }

    #[test]
    fn img_109_a_document_past_the_cap_is_refused() {
        let text = manifest(&format!(r#","x":"{}""#, "y".repeat(Document::MAX_SIZE)));
        assert_eq!(parse(&text).unwrap_err().kind(), Kind::Limit);
    }

    #[test]
    fn img_105_case_l10_a_name_twice_is_refused() {
        assert!(matches!(parse(&manifest(r#","layers":[]"#)), Err(Error::Json { .. })));
    }

    #[test]
    fn what_we_make_is_written_in_the_order_of_the_specifications_own_types() {
        let empty = Descriptor { data: None, ..Descriptor::empty() };
        let manifest = Manifest {
            artifact_type: Some(MediaType::parse("x/y").unwrap()),
            subject: Some(Descriptor::of(MediaType::OCI_MANIFEST, b"s")),
            annotations: Annotations::from([("b".into(), "2".into()), ("a".into(), "1".into())]),
            ..Manifest::new(empty.clone(), vec![empty])
        };
        let document = manifest.to_document().unwrap();
        let text = std::str::from_utf8(document.bytes()).unwrap();
        let empty = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;
        let subject = format!(
            r#"{{"mediaType":"{}","digest":"{}","size":1}}"#,
            MediaType::OCI_MANIFEST,
            Digest::sha256(b"s")
        );
        assert_eq!(
            text,
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"x/y","config":{empty},"layers":[{empty}],"subject":{subject},"annotations":{{"a":"1","b":"2"}}}}"#
            )
        );
        assert_eq!(document.as_manifest(), Some(&manifest));
        let index = Index::new(vec![]).to_document().unwrap();
        assert_eq!(
            index.bytes(),
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
        );
    }
}
