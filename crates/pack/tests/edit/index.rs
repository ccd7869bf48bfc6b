//! Indexes are made, added to, and taken from.

use transship_layout::graph::{self, Presence};
use transship_pack::{
    Error, IndexOptions, Indexed, Member, Removal, Take, Warning, add_to_index, create_index,
    remove_from_index,
};
use transship_spec::{Annotations, Kind, MediaType, Platform};
use transship_testkit::fixtures::{self, Shape};

use crate::support::{Place, name, platforms};

/// An index of two small images, with an annotation. It is frozen.
const GOLDEN: &str = "sha256:ab08c0383c38a231dc4fcf1238a6be61ecea3ad13ddbd4828c1f0217d81f0f9d";

fn image(place: &Place, tag: &str, platform: &str) {
    let seed = platform.bytes().map(u64::from).sum();
    fixtures::image_like(
        &place.layout,
        tag,
        &Shape { seed, platform: platform.to_owned(), ..Shape::default() },
    );
}

/// A layout with images for three platforms, called by their processors.
fn images() -> Place {
    let place = Place::new();
    for platform in ["linux/amd64", "linux/arm64", "linux/arm"] {
        image(&place, &platform[6..], platform);
    }
    place
}

fn create(to: &Place, members: &[Member<'_>], options: &IndexOptions) -> Result<Indexed, Error> {
    create_index(&to.layout, Some(&name("out")), members, options)
}

fn add(place: &Place, members: &[Member<'_>], options: &IndexOptions) -> Result<Indexed, Error> {
    let index = place.member("out", Take::Itself);
    add_to_index(&place.layout, Some(&name("out")), &index, members, options)
}

fn remove(place: &Place, removal: &Removal) -> Result<Indexed, Error> {
    let index = place.member("out", Take::Itself);
    remove_from_index(&place.layout, Some(&name("out")), &index, removal)
}

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

fn annotations(key: &str, value: &str) -> Annotations {
    Annotations::from([(key.to_owned(), value.to_owned())])
}

#[test]
fn law_8_an_index_is_the_same_to_the_last_byte_wherever_its_images_come_from() {
    let (from, to) = (images(), Place::new());
    let options =
        IndexOptions { annotations: annotations("com.example.of", "two"), ..IndexOptions::default() };
    let members = ["amd64", "arm64"].map(|tag| from.member(tag, Take::Itself));
    let made = create(&to, &members, &options).unwrap();
    assert_eq!(made.descriptor.digest.to_string(), GOLDEN);
    assert_eq!(create(&from, &members, &options).unwrap().descriptor, made.descriptor);
    assert_eq!(to.closure(&made.descriptor), from.closure(&made.descriptor));
    assert_eq!(platforms(&made.members), ["linux/amd64", "linux/arm64"]);
    assert_eq!(to.layout.entries().unwrap().len(), 1, "members are not listed beside it");
    assert_eq!(made.warnings, []);
    let source: &dyn transship_layout::Source = &from.layout;
    let other = Place::new();
    let foreign = members.map(|member| Member { origin: transship_pack::Origin::Source(source), ..member });
    assert_eq!(create(&other, &foreign, &options).unwrap().descriptor, made.descriptor);
    other.closure(&made.descriptor);
}

#[test]
fn img_39_what_an_image_runs_on_is_read_from_its_config() {
    let place = Place::new();
    image(&place, "win", "windows(10.0.14393.1066)/amd64");
    image(&place, "arm", "linux/arm/v6");
    fixtures::artifact(&place.layout, "thing", 1);
    let members = ["win", "arm", "thing"].map(|tag| place.member(tag, Take::Itself));
    let made = create(&place, &members, &IndexOptions::default()).unwrap();
    let windows = made.members[0].platform.as_ref().unwrap();
    assert_eq!(windows.os_version.as_deref(), Some("10.0.14393.1066"));
    assert_eq!(made.members[1].platform, Some(platform("linux/arm/v6")));
    assert_eq!(made.members[2].platform, None);
    assert_eq!(made.members[2].artifact_type.as_ref().unwrap().as_str(), fixtures::ARTIFACT);
    let told = IndexOptions {
        member_platform: Some(platform("wasip1/wasm")),
        member_annotations: annotations("a", "b"),
        ..IndexOptions::default()
    };
    let made = create(&place, &[place.member("thing", Take::Itself)], &told).unwrap();
    assert_eq!(made.members[0].platform, told.member_platform);
    assert_eq!(made.members[0].annotations, told.member_annotations);
}

#[test]
fn img_84_an_index_may_be_an_artifact_with_a_subject() {
    let place = images();
    let subject = place.resolve("arm");
    let options = IndexOptions {
        artifact_type: Some(MediaType::parse("application/vnd.example.set").unwrap()),
        subject: Some(subject.bare()),
        ..IndexOptions::default()
    };
    let made = create(&place, &[place.member("amd64", Take::Itself)], &options).unwrap();
    let document = place.document("out");
    assert_eq!(document.subject().unwrap().digest, subject.digest);
    assert_eq!(document.artifact_type(), options.artifact_type.as_ref());
    assert_eq!(made.descriptor.artifact_type, options.artifact_type);
}

#[test]
fn img_77_an_index_stays_an_index_in_an_index_unless_its_members_are_taken() {
    let place = Place::new();
    fixtures::nested(&place.layout, "nested", 1);
    let made = create(&place, &[place.member("nested", Take::Itself)], &IndexOptions::default()).unwrap();
    assert_eq!((made.members.len(), made.members[0].media_type.is_index()), (1, true));
    assert_eq!(made.members[0].digest, place.resolve("nested").digest);
    let flat = create(&place, &[place.member("nested", Take::Members)], &IndexOptions::default()).unwrap();
    assert_eq!(platforms(&flat.members), ["linux/amd64", "linux/arm64/v8", "linux/amd64", "linux/arm64/v8"]);
    assert_eq!(place.closure(&flat.descriptor).len() + 3, place.closure(&made.descriptor).len());
}

#[test]
fn img_83_attestations_go_with_the_image_that_they_speak_of() {
    let (from, to) = (Place::new(), Place::new());
    fixtures::multi_platform(&from.layout, "plain", 1);
    from.attest("plain", "attested");
    let arm = Take::Platforms(vec![platform("linux/arm64")]);
    let made = create(&to, &[from.member("attested", arm)], &IndexOptions::default()).unwrap();
    assert_eq!(platforms(&made.members), ["linux/arm64/v8", "unknown/unknown"]);
    to.closure(&made.descriptor);
    let amd = Take::Platforms(vec![platform("linux/amd64")]);
    let more = add(&to, &[from.member("attested", amd)], &IndexOptions::default()).unwrap();
    assert_eq!(more.added.len(), 2);
    assert_eq!(
        platforms(&more.members),
        ["linux/arm64/v8", "unknown/unknown", "linux/amd64", "unknown/unknown"]
    );
    let less =
        remove(&to, &Removal { platforms: vec![platform("linux/arm64")], ..Removal::default() }).unwrap();
    assert_eq!(platforms(&less.removed), ["linux/arm64/v8", "unknown/unknown"]);
    assert_eq!(platforms(&less.members), ["linux/amd64", "unknown/unknown"]);
    let replace = IndexOptions { replace: true, ..IndexOptions::default() };
    image(&from, "other", "linux/amd64");
    let other = add(&to, &[from.member("other", Take::Itself)], &replace).unwrap();
    assert_eq!(platforms(&other.members), ["linux/amd64"], "of the old one nothing is said any more");
    assert_eq!(other.removed.len(), 2);
}

#[test]
fn law_1_what_is_not_changed_in_an_index_keeps_its_bytes() {
    let place = images();
    let (amd, arm) = (place.resolve("amd64"), place.resolve("arm64"));
    let entry = |digest: &str, size: u64, more: &str| {
        format!(
            "    {{ \"mood\": 1.0e0, \"digest\": \"{digest}\",\n      \"size\": {size}, \"mediaType\": \"{}\"{more} }}",
            MediaType::OCI_MANIFEST
        )
    };
    let told = ", \"platform\": { \"os\": \"linux\", \"architecture\": \"amd64\", \"x\": [ ] }";
    let (first, second) =
        (entry(&amd.digest.to_string(), amd.size, told), entry(&arm.digest.to_string(), arm.size, ""));
    let text = |members: &str| {
        format!(
            "{{\n  \"x\": {{ \"y\": null }},\n  \"manifests\": [\n{members}\n  ],\n  \"schemaVersion\": 2\n}}\n"
        )
    };
    place.put("out", &text(&format!("{first},\n{second}")));
    remove(&place, &Removal { digests: vec![arm.digest.clone()], ..Removal::default() }).unwrap();
    assert_eq!(place.document("out").bytes(), &text(&first));
    add(&place, &[place.member("arm", Take::Itself)], &IndexOptions::default()).unwrap();
    let bytes = place.document("out").bytes().clone();
    let now = std::str::from_utf8(&bytes).unwrap();
    assert!(now.starts_with(text(&first).split("\n  ]").next().unwrap()), "{now}");
    assert!(now.contains(",\n    {\"mediaType\":"), "{now}");
}

#[test]
fn what_is_listed_already_is_left_as_it_is() {
    let place = images();
    let made = create(&place, &[place.member("amd64", Take::Itself)], &IndexOptions::default()).unwrap();
    let again = add(&place, &[place.member("amd64", Take::Itself)], &IndexOptions::default()).unwrap();
    assert_eq!(again.descriptor.digest, made.descriptor.digest);
    assert_eq!((again.added.len(), again.warnings), (0, vec![Warning::ListedAlready(1)]));
}

#[test]
fn img_80_one_platform_twice_is_refused_or_replaced_in_its_place() {
    let place = images();
    image(&place, "v8", "linux/arm64/v8");
    let members = ["arm64", "amd64"].map(|tag| place.member(tag, Take::Itself));
    create(&place, &members, &IndexOptions::default()).unwrap();
    let before = place.resolve("out");
    let error = add(&place, &[place.member("v8", Take::Itself)], &IndexOptions::default()).unwrap_err();
    assert!(matches!(&error, Error::Listed { platform, .. } if platform == "linux/arm64"), "{error}");
    assert_eq!((error.kind(), place.resolve("out")), (Kind::Usage, before));
    let replace = IndexOptions { replace: true, ..IndexOptions::default() };
    let made = add(&place, &[place.member("v8", Take::Itself)], &replace).unwrap();
    assert_eq!(platforms(&made.members), ["linux/arm64/v8", "linux/amd64"]);
    assert_eq!(made.members[0].digest, place.resolve("v8").digest);
    let variants = ["v6", "v7"].map(|variant| {
        image(&place, variant, &format!("linux/arm/{variant}"));
        place.member(variant, Take::Itself)
    });
    assert_eq!(add(&place, &variants, &IndexOptions::default()).unwrap().members.len(), 4);
}

#[test]
fn what_is_to_be_removed_must_be_there() {
    let place = images();
    let members = ["arm64", "amd64"].map(|tag| place.member(tag, Take::Itself));
    let made = create(&place, &members, &IndexOptions::default()).unwrap();
    for (removal, kind) in [
        (Removal::default(), Kind::Usage),
        (Removal { platforms: vec![platform("linux/s390x")], ..Removal::default() }, Kind::NotFound),
        (Removal { digests: vec![place.resolve("arm").digest], ..Removal::default() }, Kind::NotFound),
    ] {
        let error = remove(&place, &removal).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(place.resolve("out").digest, made.descriptor.digest);
    let all =
        Removal { platforms: vec![platform("linux/amd64")], digests: vec![place.resolve("arm64").digest] };
    let empty = remove(&place, &all).unwrap();
    assert_eq!((empty.members.len(), empty.removed.len()), (0, 2), "img_76: an index may be empty");
}

#[test]
fn what_is_no_index_or_serves_no_platform_is_refused() {
    let place = images();
    fixtures::artifact(&place.layout, "thing", 1);
    for tag in ["amd64", "thing"] {
        let index = place.member(tag, Take::Itself);
        let error = add_to_index(&place.layout, None, &index, &[], &IndexOptions::default()).unwrap_err();
        assert!(error.kind() == Kind::Invalid && error.to_string().ends_with("and no index"), "{error}");
    }
    let windows = Take::Platforms(vec![platform("windows/amd64")]);
    let error = create(&place, &[place.member("amd64", windows)], &IndexOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    let reserved = IndexOptions {
        annotations: annotations("org.opencontainers.image.created", "yesterday"),
        ..IndexOptions::default()
    };
    assert_eq!(create(&place, &[], &reserved).unwrap_err().kind(), Kind::Usage);
}

#[test]
fn a_blob_that_is_not_there_is_an_error_unless_it_may_be() {
    let (from, to) = (images(), Place::new());
    let layer = from.document("amd64").as_manifest().unwrap().layers[0].digest.clone();
    std::fs::remove_file(from.layout.path().join("blobs").join(layer.to_string().replace(':', "/"))).unwrap();
    let members = [from.member("amd64", Take::Itself)];
    let error = create(&to, &members, &IndexOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(to.layout.entries().unwrap().is_empty());
    let sparse = IndexOptions { sparse: true, ..IndexOptions::default() };
    let made = create(&to, &members, &sparse).unwrap();
    assert_eq!(made.warnings, [Warning::BlobsAbsent(1)]);
    let nodes = graph::closure(&to.layout, [&made.descriptor]).unwrap();
    assert_eq!(nodes.iter().filter(|(_, presence)| *presence == Presence::Absent).count(), 1);
    let here = create(&from, &members, &IndexOptions::default()).unwrap();
    assert_eq!(here.warnings, [Warning::BlobsAbsent(1)], "where it was absent before, nothing is lost");
}

#[test]
fn an_index_is_brought_from_elsewhere_with_all_that_it_leads_to() {
    let (from, to) = (Place::new(), images());
    fixtures::multi_platform(&from.layout, "theirs", 3);
    let index = from.member("theirs", Take::Itself);
    let member = to.member("arm", Take::Itself);
    let made =
        add_to_index(&to.layout, Some(&name("ours")), &index, &[member], &IndexOptions::default()).unwrap();
    assert_eq!(platforms(&made.members), ["linux/amd64", "linux/arm64/v8", "linux/arm"]);
    assert!(
        to.closure(&to.resolve("ours")).is_superset(
            &from
                .closure(&from.resolve("theirs"))
                .into_iter()
                .filter(|digest| *digest != from.resolve("theirs").digest)
                .collect()
        )
    );
}

#[test]
fn layouts_are_the_same_byte_for_byte() {
    let from = images();
    let texts = [(); 2].map(|()| {
        let to = Place::new();
        create(&to, &[from.member("amd64", Take::Itself)], &IndexOptions::default()).unwrap();
        std::fs::read_to_string(to.layout.path().join("index.json")).unwrap()
    });
    assert_eq!(texts[0], texts[1]);
}
