//! Fixtures are the same bytes each time, whole, and readable by others.

use std::collections::BTreeSet;

use transship_layout::Layout;
use transship_spec::{Digest, Document};
use transship_testkit::hostile::Defect;
use transship_testkit::{fixtures, peers};

fn layout() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::options().create(folder.path().join("layout")).unwrap();
    (folder, layout)
}

fn all(layout: &Layout) -> Vec<Document> {
    let image = fixtures::image(layout, "v1", 1);
    vec![
        fixtures::multi_platform(layout, "list", 2),
        fixtures::nested(layout, "nested", 3),
        fixtures::artifact(layout, "registry.example/team/thing:v1", 4),
        fixtures::signature(layout, &image, 5),
        fixtures::fallback_referrer(layout, "", &image, 6),
        fixtures::fallback_referrer(layout, "", &image, 7),
        fixtures::digest_tag(layout, "", &image, 8),
        image,
    ]
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let ((_a, one), (_b, two)) = (layout(), layout());
    let digests =
        |documents: &[Document]| documents.iter().map(|made| made.digest().clone()).collect::<Vec<Digest>>();
    let first = digests(&all(&one));
    assert_eq!(first, digests(&all(&two)));
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len());
    let index = |layout: &Layout| std::fs::read_to_string(layout.path().join("index.json")).unwrap();
    assert_eq!(index(&one), index(&two));
    let golden = "sha256:3b50a0e374d735c1169a4f885cf3877f583153bc2151d9bcedafe9f2cd714a29";
    assert_eq!(first.last().unwrap().to_string(), golden, "what tests elsewhere may rely on has changed");
    assert_eq!(Digest::sha256(&fixtures::bytes(1, 100)), Digest::sha256(&fixtures::bytes(1, 200)[..100]));
}

#[test]
fn everything_that_a_fixture_needs_is_there() {
    let (_folder, layout) = layout();
    for document in all(&layout) {
        assert!(fixtures::closure(&layout, &document).len() >= 3);
    }
    let names: Vec<String> = layout.entries().unwrap().iter().map(transship_layout::Entry::label).collect();
    assert_eq!(names.len(), 7, "{names:?}");
    fixtures::tag(
        &layout,
        "again",
        &layout.read_document(&layout.resolve(Some("v1")).unwrap().descriptor).unwrap(),
    );
    assert!(layout.resolve(Some("again")).is_ok());
}

#[test]
fn peers_read_the_image() {
    let (folder, layout) = layout();
    let image = fixtures::image(&layout, "v1", 1);
    let path = layout.path().display();
    let seen = peers::skopeo(&["inspect", "--raw", &format!("oci:{path}:v1")]);
    assert_eq!(seen.as_bytes(), image.bytes());
    let bundle = folder.path().join("bundle");
    let bundle = bundle.to_str().unwrap();
    peers::umoci(&["unpack", "--rootless", "--image", &format!("{path}:v1"), bundle]);
    let content = std::fs::read(format!("{bundle}/rootfs/file-101")).unwrap();
    assert_eq!(content, fixtures::bytes(101, 2000));
    let complaint = peers::attempt("skopeo", &["inspect", &format!("oci:{path}:none")]).unwrap_err();
    assert!(complaint.starts_with("skopeo inspect oci:"), "{complaint}");
}

#[test]
fn every_defect_is_one() {
    let folder = tempfile::tempdir().unwrap();
    for (number, defect) in Defect::ALL.into_iter().enumerate() {
        let path = folder.path().join(format!("layout-{number}"));
        defect.make(&path);
        let whole = || -> transship_layout::Result<()> {
            let layout = Layout::options().open_read_only(&path)?;
            let entry = layout.resolve(Some("v1"))?;
            transship_layout::graph::walk(&layout, [&entry.descriptor], &mut |node| {
                std::io::copy(&mut layout.open_blob(node.descriptor)?, &mut std::io::sink())
                    .map(drop)
                    .map_err(|error| transship_layout::Error::from_io(error, "reading", &path))
            })
        };
        assert!(whole().is_err(), "{defect:?}");
    }
}
