//! From what a user types to an entry.

use transship_layout::{Error, Layout};
use transship_spec::{Descriptor, Index, Kind, MediaType, Platform, referrers};

use crate::support::{layout, manifest, put, short};

/// Writes entries as other tools do: digest, then annotations as JSON.
fn foreign(layout: &Layout, entries: &[(&Descriptor, &str)]) {
    let entry = |(descriptor, annotations): &(&Descriptor, &str)| {
        let bare = serde_json::to_string(descriptor).unwrap();
        format!("{},\"annotations\":{{{annotations}}}}}", bare.strip_suffix('}').unwrap())
    };
    let entries: Vec<_> = entries.iter().map(entry).collect();
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    std::fs::write(layout.path().join("index.json"), text).unwrap();
}

fn some(n: u8) -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, &[n])
}

const REF: &str = r#""org.opencontainers.image.ref.name":"#;
const FULL: &str = r#""io.containerd.image.name":"#;

#[test]
fn img_16_17_every_dialect_is_found_by_tag_full_name_position_and_digest() {
    let (_folder, layout) = layout();
    let entries = [
        (some(0), format!(r#"{REF}"v0""#)),
        (some(1), format!(r#"{REF}"index.docker.io/library/x:v1""#)),
        (some(2), format!(r#"{REF}"v2",{FULL}"r.example/team/app:v2""#)),
        (some(3), format!(r#"{REF}"any thing/at:all@here""#)),
        (some(4), format!(r#"{REF}"team/app:v4""#)),
        (some(5), format!(r#"{REF}"esc\u0061ped""#)),
        (some(6), format!(r#"{REF}"localhost:5000/app""#)),
    ];
    let entries: Vec<_> = entries.iter().map(|(descriptor, text)| (descriptor, text.as_str())).collect();
    foreign(&layout, &entries);
    for (reference, n) in [
        ("v0", 0),
        ("v1", 1),
        ("x:v1", 1),
        ("docker.io/library/x:v1", 1),
        ("index.docker.io/library/x:v1", 1),
        ("v2", 2),
        ("r.example/team/app:v2", 2),
        ("any thing/at:all@here", 3),
        ("v4", 4),
        ("team/app:v4", 4),
        ("escaped", 5),
        ("localhost:5000/app", 6),
        ("localhost:5000/app:latest", 6),
        ("@0", 0),
        ("@6", 6),
    ] {
        let entry = layout.resolve(Some(reference)).unwrap_or_else(|error| panic!("{reference}: {error}"));
        assert_eq!(
            (entry.position, entry.descriptor.digest),
            (n, some(u8::try_from(n).unwrap()).digest),
            "{reference}"
        );
    }
    for n in 0..7 {
        let digest = some(n).digest.to_string();
        assert_eq!(layout.resolve(Some(&digest)).unwrap().position, usize::from(n));
        let pinned = format!("v{n}@{digest}");
        assert_eq!(layout.resolve(Some(&pinned)).unwrap().position, usize::from(n));
    }
    for reference in [
        "v9",
        "@7",
        "@",
        "",
        "app",
        "other/app:v4",
        "docker.io/team/app:v4",
        "r.example/team/app",
        &some(9).digest.to_string(),
    ] {
        let error = layout.resolve(Some(reference)).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{reference}: {error}");
        assert!(error.to_string().contains("r.example/team/app:v2"), "candidates are listed: {error}");
    }
}

#[test]
fn a_digest_decides_even_where_its_name_has_moved_on() {
    let (_folder, layout) = layout();
    let (old, new) = (put(&layout, "old"), put(&layout, "v1"));
    for (reference, wanted) in [
        (format!("v1@{}", old.digest), &old),
        (format!("v1@{}", new.digest), &new),
        (format!("r.example/app:v1@{}", old.digest), &old),
    ] {
        assert_eq!(layout.resolve(Some(&reference)).unwrap().descriptor.digest, wanted.digest, "{reference}");
    }
}

#[test]
fn what_only_an_index_leads_to_is_found_by_digest_and_its_names_mean_nothing() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let mut member = manifest(&session, "member", None);
    member.annotations.insert("org.opencontainers.image.ref.name".into(), "inner".into());
    let inner = session.put_document(&Index::new(vec![member.clone()]).to_document().unwrap()).unwrap();
    let outer = session.put_document(&Index::new(vec![inner]).to_document().unwrap()).unwrap();
    session.commit(|index| index.set(&short("v1"), &outer)).unwrap();
    let entry = layout.resolve(Some(&member.digest.to_string())).unwrap();
    assert_eq!((entry.descriptor.digest.clone(), entry.name()), (member.digest.clone(), None));
    let pinned = format!("v1@{}", member.digest);
    assert_eq!(layout.resolve(Some(&pinned)).unwrap().descriptor.digest, member.digest);
    let layer = layout.read_document(&member).unwrap().as_manifest().unwrap().layers[0].digest.to_string();
    assert_eq!(layout.resolve(Some(&layer)).unwrap().descriptor.media_type.as_str(), "text/plain");
    assert_eq!(layout.resolve(Some("inner")).unwrap_err().kind(), Kind::NotFound, "IMG-13");
}

#[test]
fn img_18_without_a_reference_the_only_thing_that_stands_for_itself_is_meant() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    assert_eq!(layout.resolve(None).unwrap().name(), Some("v1"));
    let session = layout.begin().unwrap();
    let signature = manifest(&session, "signature", Some(image.clone()));
    let tag = referrers::fallback_tag(&image.digest);
    let list = session.put_document(&Index::new(vec![signature.clone()]).to_document().unwrap()).unwrap();
    session
        .commit(|index| {
            index.add(&signature)?;
            index.set(&short(tag.as_str()), &list)?;
            index.set(&short(&format!("{tag}.sig")), &some(1))?;
            let mut attestation = some(2);
            attestation.annotations.insert("vnd.docker.reference.type".into(), "attestation-manifest".into());
            index.add(&attestation)?;
            index.pin(&image)
        })
        .unwrap();
    assert_eq!(layout.resolve(None).unwrap().name(), Some("v1"));
    put(&layout, "v2");
    let error = layout.resolve(None).unwrap_err();
    assert!(matches!(&error, Error::NoDefault { candidates, .. } if *candidates == ["v1", "v2"]), "{error}");
    assert_eq!(error.kind(), Kind::Usage);
}

#[test]
fn case_l13_two_entries_of_one_name_are_told_apart_by_platform_or_not_at_all() {
    let (_folder, layout) = layout();
    let on = |n, platform: &str| Descriptor { platform: Platform::parse(platform).ok(), ..some(n) };
    let (amd, arm) = (on(1, "linux/amd64"), on(2, "linux/arm64"));
    let name = format!(r#"{REF}"v1""#);
    foreign(
        &layout,
        &[
            (&amd, &name),
            (&arm, &name),
            (&amd, &format!(r#"{REF}"same""#)),
            (&amd, &format!(r#"{REF}"same""#)),
        ],
    );
    let error = layout.resolve(Some("v1")).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(
        error.to_string().contains("@0 (linux/amd64) v1") && error.to_string().contains("@1 (linux/arm64)"),
        "{error}"
    );
    assert_eq!(layout.resolve_all(Some("v1")).unwrap().len(), 2);
    assert_eq!(layout.resolve(Some("same")).unwrap().position, 2);
}

#[test]
fn case_l14_hostile_names_are_shown_escaped() {
    let (_folder, layout) = layout();
    foreign(
        &layout,
        &[(&some(1), &format!(r#"{REF}"a\n\u001b[31m\u0000""#)), (&some(2), &format!(r#"{REF}"b""#))],
    );
    for error in [layout.resolve(None).unwrap_err(), layout.resolve(Some("c\u{1b}")).unwrap_err()] {
        assert!(error.to_string().chars().all(|c| !c.is_control()), "{error}");
    }
    assert_eq!(layout.resolve(Some("a\n\u{1b}[31m\0")).unwrap().position, 0);
}
