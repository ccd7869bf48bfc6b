//! Copies with the media types of another dialect.

use std::path::Path;

use transship_copy::endpoint::{self, ArchiveTarget};
use transship_copy::{Destination, Options, Report, Status, Subset, plan, requests};
use transship_layout::{Archive, Layout, Name, Session};
use transship_spec::annotations::{DOCKER_REFERENCE_DIGEST, DOCKER_REFERENCE_TYPE};
use transship_spec::{
    Annotations, Descriptor, Dialect, Digest, Document, Index, Kind, Manifest, MediaType, Platform,
};
use transship_testkit::DockerRegistry;

use crate::support::{self, *};

const DOCKER: Dialect = Dialect::Docker;
const OCI: Dialect = Dialect::Oci;

fn to(dialect: Dialect) -> Options {
    Options { convert: Some(dialect), ..Options::default() }
}

fn name(layout: &Layout, session: Session, name: &str, root: &Descriptor) {
    session.commit(|index| index.set(&Name::short(name)?, root)).unwrap();
    assert!(layout.resolve(Some(name)).is_ok());
}

/// A layout with one thing in it, `v1`.
fn holding(path: &Path, make: impl FnOnce(&Session) -> Descriptor) -> Layout {
    let layout = layout(path);
    let session = layout.begin().unwrap();
    let root = make(&session);
    name(&layout, session, "v1", &root);
    layout
}

fn document(layout: &Layout, name: &str) -> Document {
    layout.read_document(&layout.resolve(Some(name)).unwrap().descriptor).unwrap()
}

fn text(document: &Document) -> String {
    String::from_utf8(document.bytes().to_vec()).unwrap()
}

async fn convert(from: &Layout, into: &Layout, options: &Options) -> Report {
    copy_with(&[one(endpoint::layout(from.clone()), "v1")], &into_layout(into, ""), options).await
}

/// An image as a Docker of old days wrote it, spaced out, with members that nobody knows.
fn dockers(session: &Session, seed: u8) -> (Descriptor, String) {
    let config =
        session.put_bytes(MediaType::DOCKER_CONFIG, format!("{{\"seed\":{seed}}}").as_bytes()).unwrap();
    let gzip = session.put_bytes(MediaType::DOCKER_LAYER_GZIP, &content(500, seed)).unwrap();
    let plain = session.put_bytes(MediaType::DOCKER_LAYER_TAR, &content(400, seed)).unwrap();
    let zstd = session.put_bytes(MediaType::DOCKER_LAYER_ZSTD, &content(300, seed)).unwrap();
    let foreign = Descriptor::of(MediaType::DOCKER_FOREIGN_GZIP, &content(200, seed));
    let text = format!(
        r#"{{
   "schemaVersion": 2,
   "mediaType": "{}",
   "x-mood": 1.50,
   "config": {{ "size": {}, "mediaType": "{}", "digest": "{}" }},
   "layers": [
      {{ "mediaType": "{}", "size": {}, "digest": "{}", "x": [ ] }},
      {{ "mediaType": "{}", "size": {}, "digest": "{}" }},
      {{ "mediaType": "{}", "size": {}, "digest": "{}" }},
      {{ "mediaType": "{}", "size": {}, "digest": "{}", "urls": [ "https://example.invalid/l" ] }}
   ]
}}
"#,
        MediaType::DOCKER_MANIFEST,
        config.size,
        config.media_type,
        config.digest,
        gzip.media_type,
        gzip.size,
        gzip.digest,
        plain.media_type,
        plain.size,
        plain.digest,
        zstd.media_type,
        zstd.size,
        zstd.digest,
        foreign.media_type,
        foreign.size,
        foreign.digest,
    );
    let document = Document::parse(text.clone().into_bytes(), None).unwrap();
    (session.put_document(&document).unwrap(), text)
}

/// The text of a manifest of Docker's with the names of the OCI.
fn renamed(text: &str) -> String {
    [
        (MediaType::DOCKER_MANIFEST, MediaType::OCI_MANIFEST),
        (MediaType::DOCKER_LIST, MediaType::OCI_INDEX),
        (MediaType::DOCKER_CONFIG, MediaType::OCI_CONFIG),
        (MediaType::DOCKER_LAYER_ZSTD, MediaType::OCI_LAYER_ZSTD),
        (MediaType::DOCKER_FOREIGN_GZIP, MediaType::OCI_NONDISTRIBUTABLE_GZIP),
        (MediaType::DOCKER_LAYER_GZIP, MediaType::OCI_LAYER_GZIP),
    ]
    .iter()
    .fold(text.to_owned(), |text, (docker, oci)| text.replace(docker.as_str(), oci.as_str()))
    .replace(MediaType::DOCKER_LAYER_TAR.as_str(), MediaType::OCI_LAYER_TAR.as_str())
}

#[tokio::test]
async fn img_157_of_dockers_documents_only_the_names_of_types_change_and_digests_above_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = String::new();
    let mut members = Vec::new();
    let from = holding(&folder.path().join("from"), |session| {
        for (seed, architecture) in [(1, "amd64"), (2, "arm64")] {
            let (image, text) = dockers(session, seed);
            members.push((image, renamed(&text), architecture));
        }
        let entries = members.iter().map(|(image, _, architecture)| {
            format!(
                r#"{{ "digest": "{}", "x": 1e0, "mediaType": "{}", "platform": {{ "architecture": "{architecture}", "os": "linux", "features": [ "sse4" ] }}, "size": {} }}"#,
                image.digest, image.media_type, image.size
            )
        });
        let entries: Vec<String> = entries.collect();
        before = format!(
            "{{ \"mediaType\": \"{}\",\n  \"schemaVersion\": 2, \"manifests\": [\n  {}\n ] }}",
            MediaType::DOCKER_LIST,
            entries.join(",\n  ")
        );
        session.put_document(&Document::parse(before.clone().into_bytes(), None).unwrap()).unwrap()
    });
    let into = layout(&folder.path().join("into"));
    let report = convert(&from, &into, &to(OCI)).await;
    assert_done(&report);
    let mut after = renamed(&before);
    for (image, text, _) in &members {
        let new = Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes());
        after = after
            .replace(&image.digest.to_string(), &new.digest.to_string())
            .replace(&format!("\"size\": {} ", image.size), &format!("\"size\": {} ", new.size));
        assert_eq!(self::text(&into.read_document(&new).unwrap()), *text);
    }
    let root = document(&into, "v1");
    assert_eq!(text(&root), after);
    // The same bytes on every machine.
    let golden = "sha256:1b75261082e24a27c4e8c868a6dc4a213b69bb6a795445b62494de768dad18b4";
    assert_eq!(root.digest().to_string(), golden);
    let converted = &report.roots[0].converted;
    assert_eq!(converted.len(), 3);
    let last = converted.last().unwrap();
    assert_eq!((&last.from, &last.to), (&Digest::sha256(before.as_bytes()), root.digest()));
    assert_eq!(converted[0].from, members[0].0.digest);
    assert_eq!((report.left_out.signatures, report.left_out.annotations, report.warnings.len()), (0, 0, 0));
    // Nothing is left to be done for it.
    let again = convert(&from, &into, &to(OCI)).await;
    assert_eq!((again.roots[0].status, again.content.manifests.count), (Status::Present, 0), "{again:?}");
}

/// An index of two images, with what attests to one of them and what signs the other and the index.
fn multi(session: &Session, annotated: bool) -> Descriptor {
    let annotations = |text: &str| match annotated {
        true => Annotations::from([("mood".to_owned(), text.to_owned()), ("b".to_owned(), text.to_owned())]),
        false => Annotations::new(),
    };
    let member = |seed: u8, platform: &str| {
        let mut image = image(session, seed, &[]);
        image.annotations = annotations("image");
        image.layers[0].annotations = annotations("layer");
        let image = put(session, &image);
        Descriptor {
            platform: Some(Platform::parse(platform).unwrap()),
            annotations: annotations("member"),
            ..image
        }
    };
    let members = vec![member(1, "linux/amd64"), member(2, "linux/arm64/v8")];
    let index = Index { annotations: annotations("index"), ..Index::new(members) };
    session.put_document(&index.to_document().unwrap()).unwrap()
}

#[tokio::test]
async fn img_157_to_dockers_and_back_is_the_same_index_and_all_blobs_stay_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let from = holding(&folder.path().join("from"), |session| multi(session, false));
    let [docker, oci] = ["docker", "oci"].map(|name| layout(&folder.path().join(name)));
    assert_done(&convert(&from, &docker, &to(DOCKER)).await);
    let list = document(&docker, "v1");
    assert_eq!(list.media_type(), &MediaType::DOCKER_LIST);
    let golden = "sha256:79b4a5581d0588b807853ac59421334e6d188bce5761002a2e389fad0473dc4b";
    assert_eq!(list.digest().to_string(), golden);
    for member in &list.as_index().unwrap().manifests {
        let image = docker.read_document(member).unwrap();
        let image = image.as_manifest().unwrap();
        assert_eq!(image.media_type, MediaType::DOCKER_MANIFEST);
        assert_eq!(image.config.media_type, MediaType::DOCKER_CONFIG);
        assert_eq!(image.layers[0].media_type, MediaType::DOCKER_LAYER_TAR);
    }
    assert_done(&convert(&docker, &oci, &to(OCI)).await);
    assert_eq!(blobs(&from), blobs(&oci));
    assert_eq!(names(&from), names(&oci));
    let shared = blobs(&from).intersection(&blobs(&docker)).count();
    assert_eq!((shared, blobs(&docker).len()), (4, 7), "two configs and two layers are the same");
}

#[tokio::test]
async fn what_is_of_the_dialect_already_comes_as_it_is_with_its_referrers() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let root = multi(&session, true);
    let signature = referrer(&session, &root, 9);
    session
        .commit(|index| {
            index.set(&Name::short("v1")?, &root)?;
            index.add(&signature).map(drop)
        })
        .unwrap();
    let into = layout(&folder.path().join("into"));
    let report = convert(&from, &into, &to(OCI)).await;
    assert_done(&report);
    assert_eq!((report.referrers, report.left_out.signatures), (1, 0));
    assert!(report.roots[0].converted.is_empty() && report.warnings.is_empty());
    assert_eq!(names(&from), names(&into));
    assert_eq!(blobs(&from), blobs(&into));
    // In Docker's words the signature fits nothing any more.
    let docker = layout(&folder.path().join("docker"));
    let report = convert(&from, &docker, &to(DOCKER)).await;
    assert_done(&report);
    assert_eq!((report.referrers, report.left_out.signatures), (0, 1));
    // Of the index, of two members, of two images, of a layer of each: two.
    assert_eq!(report.left_out.annotations, 2 + 4 + 4 + 4);
    assert_eq!(report.warnings.len(), 2, "{:?}", report.warnings);
    assert!(!text(&document(&docker, "v1")).contains("annotations"));
    let none = Options { referrers: transship_copy::Referrers::None, ..to(DOCKER) };
    assert_eq!(convert(&from, &docker, &none).await.left_out.signatures, 0, "none were asked for");
}

#[tokio::test]
async fn img_83_attestations_of_converted_images_stay_behind_and_what_is_no_image_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut artifact = None;
    let from = holding(&folder.path().join("from"), |session| {
        let platform = |text: &str| Some(Platform::parse(text).unwrap());
        let amd64 = Descriptor { platform: platform("linux/amd64"), ..put(session, &image(session, 1, &[])) };
        let attestation = Descriptor {
            platform: platform("unknown/unknown"),
            annotations: Annotations::from([
                (DOCKER_REFERENCE_TYPE.to_owned(), "attestation-manifest".to_owned()),
                (DOCKER_REFERENCE_DIGEST.to_owned(), amd64.digest.to_string()),
            ]),
            ..put(session, &image(session, 2, &[]))
        };
        let other = Descriptor {
            annotations: Annotations::from([("kept".to_owned(), "yes".to_owned())]),
            ..referrer(session, &amd64, 3)
        };
        artifact = Some(other.clone());
        index(session, &[amd64, attestation, other])
    });
    let into = layout(&folder.path().join("into"));
    let report = convert(&from, &into, &to(DOCKER)).await;
    assert_done(&report);
    let list = document(&into, "v1");
    let members = &list.as_index().unwrap().manifests;
    assert_eq!((members.len(), members[0].media_type.clone()), (2, MediaType::DOCKER_MANIFEST));
    assert_eq!(Some(&members[1]), artifact.as_ref());
    // The attestation, and the artifact that refers to the image as it was.
    assert_eq!((report.left_out.signatures, report.left_out.annotations), (2, 0));
    assert!(report.warnings.iter().any(|text| text.starts_with("1 manifests keep their media types")));
}

#[tokio::test]
async fn img_157_what_docker_cannot_say_is_refused_with_the_remedy_before_anything_moves() {
    let folder = tempfile::tempdir().unwrap();
    let layer = |session: &Session, media_type: MediaType| {
        let layer = session.put_bytes(media_type, &content(9, 9)).unwrap();
        let image = image(session, 1, &[layer]);
        put(session, &image)
    };
    type Make<'a> = Box<dyn Fn(&Session) -> Descriptor + 'a>;
    let cases: [(&str, Make<'_>, &str, &str); 6] = [
        (
            "zstd",
            Box::new(|session| layer(session, MediaType::OCI_LAYER_ZSTD)),
            "tar+zstd, for which",
            "--recompress gzip",
        ),
        (
            "unknown",
            Box::new(|session| layer(session, MediaType::parse("x/y").unwrap())),
            "is x/y, for which",
            "",
        ),
        (
            "deep",
            Box::new(|session| {
                let image = layer(session, MediaType::OCI_LAYER_ZSTD);
                let inner = index(session, &[image]);
                index(session, &[inner])
            }),
            "tar+zstd, for which",
            "--recompress gzip",
        ),
        (
            "artifact",
            Box::new(|session| {
                let subject = put(session, &image(session, 1, &[]));
                referrer(session, &subject, 2)
            }),
            "it is an artifact and no image",
            "without --convert",
        ),
        (
            "typed",
            Box::new(|session| {
                let artifact_type = Some(MediaType::parse("x/y").unwrap());
                put(session, &Manifest { artifact_type, ..image(session, 1, &[]) })
            }),
            "it is an artifact and no image",
            "without --convert",
        ),
        (
            "first",
            Box::new(|session| {
                let old = Descriptor::of(MediaType::DOCKER_SCHEMA1_SIGNED, b"{}");
                let index = Index { media_type: MediaType::DOCKER_LIST, ..Index::new(vec![old]) };
                session.put_document(&index.to_document().unwrap()).unwrap()
            }),
            "Docker's first manifest format",
            "push the image again",
        ),
    ];
    for (case, make, message, remedy) in cases {
        let from = holding(&folder.path().join(case), |session| make(session));
        let into = layout(&folder.path().join(format!("{case}-into")));
        let dialect = if case == "first" { OCI } else { DOCKER };
        let report = convert(&from, &into, &to(dialect)).await;
        let failure = report.roots[0].failure.as_ref().unwrap();
        assert_eq!((report.roots.len(), failure.kind), (1, Kind::Unsupported), "{case}");
        assert!(failure.message.contains(message), "{case}: {}", failure.message);
        assert!(failure.remedy.clone().unwrap_or_default().contains(remedy), "{case}: {:?}", failure.remedy);
        assert!(blobs(&into).is_empty() && into.entries().unwrap().is_empty(), "{case}");
    }
}

#[tokio::test]
async fn one_platform_or_some_are_chosen_and_converted_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let from = holding(&folder.path().join("from"), |session| multi(session, false));
    let root = from.resolve(Some("v1")).unwrap().descriptor;
    let amd64 = Platform::parse("linux/amd64").unwrap();
    let into = layout(&folder.path().join("into"));
    let options = Options { subset: Some(Subset::Rewrite(vec![amd64.clone()])), ..to(DOCKER) };
    let report = convert(&from, &into, &options).await;
    assert_done(&report);
    let list = document(&into, "v1");
    assert_eq!((list.media_type(), list.children().len()), (&MediaType::DOCKER_LIST, 1));
    let result = &report.roots[0];
    assert_eq!(result.part.as_ref().unwrap().original.as_ref(), Some(&root.digest));
    let last = result.converted.last().unwrap();
    assert_eq!((result.converted.len(), &last.from, &last.to), (2, &root.digest, list.digest()));
    assert_eq!(blobs(&into).len(), 4, "nothing of what was made on the way");
    let single = layout(&folder.path().join("single"));
    let options = Options { subset: Some(Subset::One(amd64.clone())), ..to(DOCKER) };
    assert_done(&convert(&from, &single, &options).await);
    assert_eq!(document(&single, "v1").digest(), &list.as_index().unwrap().manifests[0].digest);
    // A part that is declared to be one cannot be made a whole in other words.
    let sparse = layout(&folder.path().join("sparse"));
    let options = Options { subset: Some(Subset::Sparse(vec![amd64.clone()])), ..Options::default() };
    assert_done(&convert(&from, &sparse, &options).await);
    let report = convert(&sparse, &layout(&folder.path().join("refused")), &to(DOCKER)).await;
    let failure = report.roots[0].failure.as_ref().unwrap();
    assert_eq!(failure.kind, Kind::Unsupported);
    assert!(failure.remedy.as_ref().unwrap().contains("--subset rewrite"));
    let options = Options { subset: Some(Subset::Rewrite(vec![amd64])), ..to(DOCKER) };
    let rest = layout(&folder.path().join("rest"));
    assert_done(&convert(&sparse, &rest, &options).await);
    assert_eq!(names(&rest), names(&into));
}

#[tokio::test]
async fn a_conversion_between_registries_reads_each_document_once_and_moves_nothing_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let from = holding(&folder.path().join("from"), |session| multi(session, false));
    let registry = DockerRegistry::start().await;
    let (client, requests) = client();
    let source = endpoint::layout(from.clone());
    assert_done(&copy(&[one(source, "v1")], &destination(&registry, &client, "from:v1")).await);
    let none =
        |options| Options { referrers: transship_copy::Referrers::None, digest_tags: false, ..options };
    let go = || async {
        requests.take();
        let source = support::endpoint(&registry, &client, "from");
        copy_with(&[one(source, "v1")], &destination(&registry, &client, "to:v1"), &none(to(DOCKER))).await
    };
    let report = go().await;
    assert_done(&report);
    let [get, head, post, put] = requests.take();
    assert_eq!((get, post, put), (3, 4, 3), "an index and two images; four mounts; three manifests");
    assert_eq!(head, 4, "the tag, the index and the two images");
    assert_eq!((report.content.mounted.count, report.content.copied.count), (4, 0));
    let report = go().await;
    assert_eq!(report.roots[0].status, Status::Present, "{report:?}");
    assert_eq!(requests.take(), [3, 1, 0, 0], "what is converted is read to know what it becomes");
    // It comes back as what it was.
    let back = layout(&folder.path().join("back"));
    let source = support::endpoint(&registry, &client, "to");
    assert_done(&copy_with(&[one(source, "v1")], &into_layout(&back, ""), &to(OCI)).await);
    assert_eq!(blobs(&back), blobs(&from));
}

#[tokio::test]
async fn all_tags_are_converted_and_digest_tags_stay_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["a", "b"]);
    let session = from.begin().unwrap();
    let subject = from.resolve(Some("a")).unwrap().descriptor.digest;
    let signature = put(&session, &image(&session, 40, &[]));
    let tag = format!("{}-{}.sig", subject.algorithm(), subject.encoded());
    name(&from, session, &tag, &signature);
    let into = layout(&folder.path().join("into"));
    let report =
        copy_with(&[all(endpoint::layout(from.clone()))], &into_layout(&into, ""), &to(DOCKER)).await;
    assert_done(&report);
    for image in ["a", "b"] {
        assert_eq!(document(&into, image).media_type(), &MediaType::DOCKER_MANIFEST);
    }
    assert_eq!(document(&into, &tag).digest(), &signature.digest);
}

#[tokio::test]
async fn a_plan_tells_what_things_become_and_an_archive_for_docker_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1"]);
    let target = ArchiveTarget::open(folder.path().join("image.tar"), Archive::options()).unwrap().docker();
    let into = Destination::Archive { target, name: Some("example.org/app:v1".to_owned()) };
    let source = one(endpoint::layout(from.clone()), "v1");
    let requests = requests(&[source], &into, &Default::default()).await.unwrap();
    let plan = plan(requests, &to(DOCKER)).await;
    let planned = plan.summary().roots[0].converted.clone();
    assert_eq!((planned.len(), plan.summary().missing.manifests.count), (1, 1));
    assert_eq!(planned[0].media_type, MediaType::DOCKER_MANIFEST);
    let report = plan.run().await;
    assert_done(&report);
    assert_eq!(report.roots[0].digest.as_ref(), Some(&planned[0].to));
    let archive = Archive::options().open(folder.path().join("image.tar")).unwrap();
    let entry = archive.resolve(None).unwrap();
    assert_eq!(entry.descriptor.media_type, MediaType::DOCKER_MANIFEST);
    assert!(archive.read_document(&entry.descriptor).is_ok() && archive.lists_images());
}
