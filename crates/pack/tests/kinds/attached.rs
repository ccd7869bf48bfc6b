//! Signatures, attestations, SBOMs and results of scans, as real tools wrote them (`testdata/kinds/attached`).

use std::path::PathBuf;

use tempfile::TempDir;
use transship_layout::{Layout, read_document};
use transship_pack::kinds::{Facts, Held, Kinds, Sight, recognise_file};
use transship_pack::{ExtractOptions, extract};
use transship_spec::{Annotations, Descriptor, Digest, Document, Manifest, MediaType};

const SIG: &str = "_cosign:sha256-00e1ee7c898a2c393ea2fe7680938f8dcbe55e51fbf08032cf37326a677f92ed.sig";
const ATT: &str = "_cosign:sha256-00e1ee7c898a2c393ea2fe7680938f8dcbe55e51fbf08032cf37326a677f92ed.att";
const SIGNED: &str = "sha256:00e1ee7c898a2c393ea2fe7680938f8dcbe55e51fbf08032cf37326a677f92ed";

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/kinds/attached")).join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(golden(name)).unwrap()
}

/// A layout with one artifact of one layer.
struct Sample {
    _folder: TempDir,
    layout: Layout,
    document: Document,
}

impl Sample {
    /// The form of ORAS: an artifact type and the empty config.
    fn of_type(artifact_type: &str, media_type: &str, content: &[u8]) -> Self {
        let mut manifest = Manifest::new(Descriptor::empty(), Vec::new());
        manifest.artifact_type = Some(MediaType::parse(artifact_type).unwrap());
        manifest.subject = Some(Descriptor::of(MediaType::OCI_MANIFEST, b"an image"));
        Self::of(manifest, media_type, content, &[])
    }

    /// The form of cosign's tags: the config of an image.
    fn beside_image(media_type: &str, content: &[u8], annotations: &[(&str, &str)]) -> Self {
        Self::of(
            Manifest::new(Descriptor::of(MediaType::OCI_CONFIG, b"{}"), Vec::new()),
            media_type,
            content,
            annotations,
        )
    }

    fn of(mut manifest: Manifest, media_type: &str, content: &[u8], annotations: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::options().create(folder.path().join("out")).unwrap();
        let session = layout.begin().unwrap();
        session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
        let mut layer = session.put_bytes(MediaType::parse(media_type).unwrap(), content).unwrap();
        let pairs = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        layer.annotations = pairs.collect::<Annotations>();
        manifest.layers = vec![layer];
        let document = manifest.to_document().unwrap();
        session.commit(|_| Ok(())).unwrap();
        Self { _folder: folder, layout, document }
    }

    fn told(&self) -> (String, Facts) {
        told(&Held::new(Sight::of(&self.document), &self.layout))
    }

    fn extracted(&self) -> Vec<String> {
        extracted(&Held::new(Sight::of(&self.document), &self.layout))
    }
}

fn told(held: &Held<'_>) -> (String, Facts) {
    let kinds = Kinds::built_in();
    let kind = kinds.of(held).unwrap();
    (kind.name().to_owned(), kind.describe(held).unwrap())
}

fn extracted(held: &Held<'_>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let kinds = Kinds::built_in();
    let kind = kinds.of(held).unwrap();
    extract(held, kind, &folder.path().join("out"), &ExtractOptions::default()).unwrap().paths
}

/// All values of a fact, joined.
fn fact(facts: &Facts, name: &str) -> String {
    let found = facts.facts.iter().find(|fact| fact.name == name);
    found.map(|fact| fact.values.join(" | ")).unwrap_or_default()
}

#[test]
fn a_signature_of_cosign_says_what_it_claims_and_that_nothing_was_verified() {
    let layout = Layout::options().open_read_only(golden("cosign")).unwrap();
    let entry = layout.resolve(Some(SIG)).unwrap();
    let document = read_document(&layout, &entry.descriptor).unwrap();
    let held = Held::new(Sight::of(&document).named(Some(SIG)), &layout);
    let (kind, facts) = told(&held);
    assert_eq!(kind, "cosign-signature");
    assert!(fact(&facts, "verified").starts_with("no:"), "{facts:?}");
    assert_eq!(fact(&facts, "signatures"), "1");
    assert_eq!(fact(&facts, "claims digest"), SIGNED);
    assert!(fact(&facts, "compared").ends_with("agrees with the tag"), "{facts:?}");
    assert_eq!(fact(&facts, "claims reference"), "127.0.0.1:44949/hello-world-docker-v2-manifest-list");
    assert_eq!(fact(&facts, "signed with"), "a key that is not told");
    assert_eq!(extracted(&held), ["payload.json", "signature.sig"]);

    // Under the tag of something else it says so.
    let other = SIG.replace("00e1ee7c", "11111111");
    let (_, facts) = told(&Held::new(Sight::of(&document).named(Some(&other)), &layout));
    assert!(fact(&facts, "compared").contains("does NOT agree with the tag"), "{facts:?}");
    let (_, facts) = told(&Held::new(Sight::of(&document), &layout));
    assert!(fact(&facts, "compared").contains("nothing here says"), "{facts:?}");
}

#[test]
fn an_attestation_of_cosign_tells_its_statement() {
    let layout = Layout::options().open_read_only(golden("cosign")).unwrap();
    let document = read_document(&layout, &layout.resolve(Some(ATT)).unwrap().descriptor).unwrap();
    let held = Held::new(Sight::of(&document).named(Some(ATT)), &layout);
    let (kind, facts) = told(&held);
    assert_eq!(kind, "cosign-attestation");
    assert_eq!(fact(&facts, "predicate type"), "https://cosign.sigstore.dev/attestation/v1");
    assert_eq!(
        (fact(&facts, "signatures"), fact(&facts, "claims digest")),
        ("1".to_owned(), SIGNED.to_owned())
    );
    assert!(fact(&facts, "compared").ends_with("agrees with the tag"), "{facts:?}");
    assert_eq!(extracted(&held), ["attestation.dsse.json"]);
}

#[test]
fn cosign_s_form_of_oci_1_1_is_known_by_the_type_of_its_config_and_compared_with_its_subject() {
    let payload =
        read("cosign/blobs/sha256/0473adddc4b4a6b8456d5077fa12d08de36239e713c704fa0151abffb1bb0126");
    let kind = MediaType::parse("application/vnd.dev.cosign.artifact.sig.v1+json").unwrap();
    let mut manifest = Manifest::new(Descriptor::of(kind, b"{}"), Vec::new());
    let subject =
        Descriptor { digest: Digest::parse(SIGNED).unwrap(), ..Descriptor::of(MediaType::OCI_INDEX, b"") };
    manifest.subject = Some(subject);
    let annotations =
        [("dev.cosignproject.cosign/signature", "c2ln"), ("dev.sigstore.cosign/certificate", "none")];
    let media_type = "application/vnd.dev.cosign.simplesigning.v1+json";
    let sample = Sample::of(manifest, media_type, &payload, &annotations);
    let (kind, facts) = sample.told();
    assert_eq!(kind, "cosign-signature");
    assert!(fact(&facts, "compared").ends_with("agrees with the manifest's subject"), "{facts:?}");
    assert!(fact(&facts, "unreadable").contains("certificate: it is no PEM"), "{facts:?}");
    assert_eq!(sample.extracted(), ["payload.json", "signature.sig", "certificate.pem"]);
}

#[test]
fn bundles_of_sigstore_tell_who_claims_to_have_signed_what() {
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let sample = Sample::of_type(bundle, bundle, &read("othername.sigstore.json"));
    let (kind, facts) = sample.told();
    assert_eq!((kind.as_str(), fact(&facts, "content").as_str()), ("sigstore-bundle", "a signature"));
    assert_eq!(fact(&facts, "claims identity"), "foo!oidc.local");
    assert_eq!(fact(&facts, "claims identity vouched for by"), "http://oidc.local:8080");
    assert_eq!(fact(&facts, "claims entry in the log"), "3 at 2024-07-12T19:06:29Z");
    assert!(
        fact(&facts, "claims digest").starts_with("sha256:bc103b4a84971ef6459b294a2b98568a"),
        "{facts:?}"
    );
    assert!(fact(&facts, "compared").contains("does NOT agree with the manifest's subject"), "{facts:?}");
    assert_eq!(sample.extracted(), ["bundle.sigstore.json"]);

    let (_, facts) = Sample::of_type(bundle, bundle, &read("publish.sigstore.json")).told();
    assert_eq!(fact(&facts, "content"), "a signed statement");
    assert_eq!(fact(&facts, "claims subject"), "pkg:npm/sigstore@1.3.0");
    assert!(fact(&facts, "claims key").starts_with("SHA256:jl3b"), "{facts:?}");
    assert!(fact(&facts, "claims digest").starts_with("sha512:76176ffa"), "{facts:?}");
}

#[test]
fn signatures_of_notation_tell_the_artifact_that_they_name_in_both_envelopes() {
    let kind = "application/vnd.cncf.notary.signature";
    let sample = Sample::of_type(kind, "application/jose+json", &read("notation.jws.json"));
    let (name, facts) = sample.told();
    assert_eq!((name.as_str(), fact(&facts, "envelope").as_str()), ("notation", "JWS"));
    assert_eq!(
        fact(&facts, "claims digest"),
        "sha256:60043cf45eaebc4c0867fea485a039b598f52fd09fd5b07b0b2d2f88fad9d74e"
    );
    assert_eq!(
        (fact(&facts, "algorithm"), fact(&facts, "scheme")),
        ("PS384".to_owned(), "notary.x509".to_owned())
    );
    assert!(fact(&facts, "certificate subject").contains("CN=Notation Test Root"), "{facts:?}");
    assert!(fact(&facts, "compared").contains("does NOT agree"), "{facts:?}");
    assert_eq!(sample.extracted(), ["signature.jws.sig"]);

    let sample = Sample::of_type(kind, "application/cose", &read("conformance.cose"));
    let (_, facts) = sample.told();
    assert_eq!(
        (fact(&facts, "envelope"), fact(&facts, "scheme")),
        ("COSE".to_owned(), "notary.x509".to_owned())
    );
    assert_eq!(fact(&facts, "claims time"), "2022-08-24T06:18:44Z");
    assert!(fact(&facts, "unreadable").contains("it names no artifact"), "{facts:?}");
    assert_eq!(sample.extracted(), ["signature.cose.sig"]);
}

#[test]
fn sboms_tell_their_form_their_name_and_how_many_packages_they_list() {
    let cyclonedx = Sample::of_type(
        "application/vnd.cyclonedx+json",
        "application/vnd.cyclonedx+json",
        &read("rpds-py.cyclonedx.json"),
    );
    let (kind, facts) = cyclonedx.told();
    assert_eq!((kind.as_str(), facts.title.as_deref()), ("cyclonedx", Some("rpds-py")));
    assert_eq!(
        (fact(&facts, "format"), fact(&facts, "describes version")),
        ("CycloneDX 1.5".into(), "2026.9.1".into())
    );
    let listed: serde_json::Value = serde_json::from_slice(&read("rpds-py.cyclonedx.json")).unwrap();
    assert_eq!(fact(&facts, "packages"), listed["components"].as_array().unwrap().len().to_string());
    assert_eq!(cyclonedx.extracted(), ["sbom.cdx.json"]);

    let (kind, facts) = Sample::of_type("text/spdx", "text/spdx", &read("bom-go-mod.spdx")).told();
    assert_eq!((kind.as_str(), facts.title.as_deref()), ("spdx", Some("github.com/sigstore/cosign")));
    assert_eq!((fact(&facts, "format"), fact(&facts, "packages")), ("SPDX-2.2".into(), "2".into()));
    assert_eq!(fact(&facts, "creator"), "Tool: spdx-sbom-generator-0.0.1");

    let json = br#"{"spdxVersion":"SPDX-2.3","name":"n","packages":[{},1],"files":[]}"#;
    let (_, facts) = Sample::of_type("application/spdx+json", "application/spdx+json", json).told();
    assert_eq!((fact(&facts, "packages"), fact(&facts, "files")), ("2".into(), "0".into()));
    let graph = br#"{"@context":"https://spdx.org/rdf/3.0.1/x","@graph":[{"type":"CreationInfo","specVersion":"3.0.1"},{"type":"SpdxDocument","name":"d"},{"type":"software_Package"}]}"#;
    let (_, facts) = Sample::of_type("application/spdx+json", "application/spdx+json", graph).told();
    assert_eq!((fact(&facts, "format"), fact(&facts, "packages")), ("SPDX-3.0.1".into(), "1".into()));

    let xml = br#"<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><metadata><component/></metadata><components><component><components><component/></components></component><component/></components></bom>"#;
    let sample = Sample::beside_image("application/vnd.cyclonedx+xml", xml, &[]);
    let (kind, facts) = sample.told();
    assert_eq!((kind.as_str(), fact(&facts, "packages").as_str()), ("cosign-sbom", "2"));
    assert_eq!(sample.extracted(), ["sbom.cdx.xml"]);
}

#[test]
fn results_of_a_scan_tell_the_tool_and_how_many_there_are() {
    let sarif = "application/sarif+json";
    let sample = Sample::of_type(sarif, sarif, &read("simple-example.sarif"));
    let (kind, facts) = sample.told();
    assert_eq!((kind.as_str(), fact(&facts, "tool").as_str()), ("sarif", "ESLint"));
    assert_eq!((fact(&facts, "results"), fact(&facts, "by level")), ("1".to_owned(), "error: 1".to_owned()));
    assert_eq!(sample.extracted(), ["results.sarif"]);
}

#[test]
fn attestations_of_buildkit_are_known_and_named_by_their_predicates() {
    let statement = br#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"pkg:docker/x","digest":{"sha256":"ab"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://example.com/build"},"runDetails":{"builder":{"id":"https://example.com/me"}}}}"#;
    let annotation = [("in-toto.io/predicate-type", "https://slsa.dev/provenance/v1")];
    let sample = Sample::beside_image("application/vnd.in-toto+json", statement, &annotation);
    let mut listed = sample.document.descriptor();
    listed.annotations.insert("vnd.docker.reference.digest".to_owned(), "sha256:ab".to_owned());
    let held = Held::new(Sight::of(&sample.document).listed(&listed), &sample.layout);
    let (kind, facts) = told(&held);
    assert_eq!(
        (kind.as_str(), fact(&facts, "claims builder").as_str()),
        ("buildkit-attestation", "https://example.com/me")
    );
    assert_eq!(fact(&facts, "claims build type"), "https://example.com/build");
    assert!(fact(&facts, "compared").ends_with("agrees with the index's annotation"), "{facts:?}");
    assert_eq!(extracted(&held), ["provenance.json"]);
    let (kind, _) =
        Sample::of_type("application/vnd.in-toto+json", "application/vnd.in-toto+json", statement).told();
    assert_eq!(kind, "in-toto");
}

#[test]
fn what_is_cut_too_large_missing_or_something_else_is_said_and_ends_nothing() {
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let types = [
        ("application/spdx+json", "application/spdx+json"),
        ("text/spdx", "text/spdx"),
        ("application/vnd.cyclonedx+json", "application/vnd.cyclonedx+json"),
        ("application/vnd.cyclonedx+xml", "application/vnd.cyclonedx+xml"),
        ("application/sarif+json", "application/sarif+json"),
        ("application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json"),
        (bundle, bundle),
        ("application/vnd.cncf.notary.signature", "application/jose+json"),
        ("application/vnd.cncf.notary.signature", "application/cose"),
        (
            "application/vnd.dev.cosign.artifact.sig.v1+json",
            "application/vnd.dev.cosign.simplesigning.v1+json",
        ),
    ];
    let whole = read("othername.sigstore.json");
    for (artifact_type, media_type) in types {
        for content in [&b""[..], b"{}", b"[]", b"\xff\xfe", b"<", &whole[..whole.len() / 2], &whole] {
            Sample::of_type(artifact_type, media_type, content).told();
        }
        let mut missing = Sample::of_type(artifact_type, media_type, b"x");
        let mut manifest = missing.document.as_manifest().unwrap().clone();
        manifest.layers[0].digest = Digest::sha256(b"never stored");
        missing.document = manifest.to_document().unwrap();
        assert!(fact(&missing.told().1, "not looked into").contains("not there"), "{media_type}");
        manifest.layers[0].size = Held::SMALL + 1;
        missing.document = manifest.to_document().unwrap();
        assert!(fact(&missing.told().1, "not looked into").contains("more than"), "{media_type}");
    }
}

#[test]
fn files_are_recognised_that_these_tools_wrote() {
    for (name, kind, artifact_type) in [
        ("rpds-py.cyclonedx.json", "cyclonedx", "application/vnd.cyclonedx+json"),
        ("bom-go-mod.cyclonedx.xml", "cyclonedx", "application/vnd.cyclonedx+xml"),
        ("bom-go-mod.spdx", "spdx", "text/spdx"),
        ("simple-example.sarif", "sarif", "application/sarif+json"),
        ("othername.sigstore.json", "sigstore-bundle", "application/vnd.dev.sigstore.bundle.v0.3+json"),
        ("publish.sigstore.json", "sigstore-bundle", "application/vnd.dev.sigstore.bundle.v0.1+json"),
        (
            "cosign/blobs/sha256/bf4cb7b5c44789f31a104b99ae53cf38992f33e084dd97b132957c5101e643ec",
            "in-toto",
            "application/vnd.in-toto+json",
        ),
    ] {
        let found = recognise_file(&golden(name)).unwrap().unwrap();
        assert_eq!((found.kind, found.artifact_type.as_str()), (kind, artifact_type), "{name}");
    }
    let publish = recognise_file(&golden("publish.sigstore.json")).unwrap().unwrap();
    assert_eq!(publish.annotations["dev.sigstore.bundle.content"], "dsse-envelope");
    assert!(publish.annotations["dev.sigstore.bundle.predicateType"].contains("npm/attestation"));
    assert_eq!(recognise_file(&golden("notation.jws.json")).unwrap(), None);
}

#[test]
fn a_list_of_referrers_tells_the_kinds_of_known_types() {
    let kinds = Kinds::built_in();
    let kind =
        |text: &str| kinds.of_type(&MediaType::parse(text).unwrap()).map(|kind| kind.name().to_owned());
    for (artifact_type, name) in [
        ("application/spdx+json", "spdx"),
        ("application/vnd.cncf.notary.signature", "notation"),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", "sigstore-bundle"),
        ("application/vnd.dev.cosign.artifact.att.v1+json", "cosign-attestation"),
        ("application/vnd.docker.attestation.manifest.v1+json", "buildkit-attestation"),
    ] {
        assert_eq!(kind(artifact_type).as_deref(), Some(name));
    }
    assert_eq!(kind("application/vnd.example.unknown"), None);
}
