//! Some tags of many.

use std::path::Path;

use transship_copy::names::Choice;
use transship_copy::{Age, Endpoint, Newest, Options, Referrers, Selection, endpoint, plan, requests};
use transship_layout::{Layout, Name};
use transship_spec::annotations::CREATED;
use transship_spec::{Kind, Manifest, MediaType};
use transship_testkit::{DockerRegistry, Fault, TestRegistry};

use crate::support::{self, *};

/// A layout of images by name and time.
fn dated(path: &Path, images: &[(&str, &str)]) -> Layout {
    let layout = layout(path);
    let session = layout.begin().unwrap();
    let mut named = Vec::new();
    for (name, created) in images {
        let config = format!("{{\"name\":\"{name}\",\"created\":\"{created}\"}}");
        let config = session.put_bytes(MediaType::OCI_CONFIG, config.as_bytes()).unwrap();
        named.push((Name::short(name).unwrap(), put(&session, &Manifest::new(config, Vec::new()))));
    }
    session
        .commit(|index| named.iter().try_for_each(|(name, image)| index.set(name, image).map(drop)))
        .unwrap();
    layout
}

fn newest(count: usize, by: Age) -> Selection {
    Selection { newest: Some(Newest { count, by }), ..Selection::default() }
}

/// What is chosen, in its order.
async fn chosen(
    from: std::sync::Arc<dyn Endpoint>,
    selection: &Selection,
) -> transship_copy::Result<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let to = into_layout(&layout(folder.path()), "");
    let requests = requests(&[all(from)], &to, selection).await?;
    Ok(requests.iter().map(|request| request.listed.called.short.clone().unwrap()).collect())
}

#[tokio::test]
async fn versions_and_expressions_choose_among_tags() {
    let folder = tempfile::tempdir().unwrap();
    let from =
        images(&folder.path().join("from"), &["v1.1.9", "v1.2", "1.10.0", "2.0.0-rc1", "2.0.0", "latest"]);
    let from = || endpoint::layout(from.clone());
    let choose = |tags: &[&str], exclude: &[&str]| {
        let choices = |texts: &[&str]| texts.iter().map(|text| Choice::parse(text).unwrap()).collect();
        Selection { tags: choices(tags), exclude: choices(exclude), ..Selection::default() }
    };
    assert_eq!(chosen(from(), &choose(&["semver:>=1.2, <2"], &[])).await.unwrap(), ["v1.2", "1.10.0"]);
    assert_eq!(
        chosen(from(), &choose(&["regex:v.*", "latest"], &["semver:~1.1"])).await.unwrap(),
        ["v1.2", "latest"]
    );
    assert_eq!(chosen(from(), &choose(&["semver:^3"], &[])).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn the_newest_versions_are_chosen_without_asking_and_ties_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let from =
        images(&folder.path().join("from"), &["latest", "1.10.0", "v2.0.0", "1.9", "2.0.0-rc1", "2.0"]);
    let from = endpoint::layout(from);
    let names = chosen(from.clone(), &newest(4, Age::Version)).await.unwrap();
    assert_eq!(names, ["2.0", "v2.0.0", "2.0.0-rc1", "1.10.0"]);
    let selection = Selection { tags: vec![Choice::parse("semver:<2").unwrap()], ..newest(1, Age::Version) };
    assert_eq!(chosen(from.clone(), &selection).await.unwrap(), ["1.10.0"]);
    assert_eq!(chosen(from, &newest(9, Age::Version)).await.unwrap().len(), 5, "latest is no version");
    let none = images(&folder.path().join("none"), &["latest"]);
    let error = chosen(endpoint::layout(none), &newest(1, Age::Version)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn law_10_the_newest_images_cost_a_manifest_and_a_config_for_each_tag() {
    let folder = tempfile::tempdir().unwrap();
    let from = dated(
        &folder.path().join("from"),
        &[
            ("b", "2024-05-01T00:00:00Z"),
            ("a", "2024-05-01T02:00:00+02:00"),
            ("c", "2025-01-01T00:00:00.5Z"),
            ("d", "yesterday"),
        ],
    );
    let wanted = ["c", "a", "b", "d"];
    assert_eq!(chosen(endpoint::layout(from.clone()), &newest(9, Age::Created)).await.unwrap(), wanted);
    let registry = DockerRegistry::start().await;
    let (client, counted) = client();
    assert_done(&copy(&[all(endpoint::layout(from))], &destination(&registry, &client, "app")).await);
    counted.take();
    let source = || support::endpoint(&registry, &client, "app");
    assert_eq!(chosen(source(), &newest(9, Age::Created)).await.unwrap(), wanted);
    assert_eq!(counted.take(), [1 + 2 * 4, 0, 0, 0], "the tags, four manifests and configs");
    assert_eq!(chosen(source(), &newest(9, Age::Version)).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(counted.take(), [1, 0, 0, 0], "versions are told by the tags");

    let to = layout(&folder.path().join("to"));
    let (into, selection) = (into_layout(&to, ""), newest(2, Age::Created));
    let requests = requests(&[all(source())], &into, &selection).await.unwrap();
    let options = Options { referrers: Referrers::None, digest_tags: false, ..Options::default() };
    assert_done(&plan(requests, &options).await.run().await);
    assert_eq!(counted.take(), [1 + 2 * 4 + 2 * 2, 0, 0, 0], "no question again what the two are");
    assert_eq!(to.entries().unwrap().len(), 2);
}

#[tokio::test]
async fn indexes_and_artifacts_have_times_too_and_digest_tags_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let from = dated(
        &folder.path().join("from"),
        &[("old", "2020-01-01T00:00:00Z"), ("new", "2022-01-01T00:00:00Z")],
    );
    let entry = |name: &str| from.resolve(Some(name)).unwrap().descriptor;
    let session = from.begin().unwrap();
    let index = support::index(&session, &[entry("new")]);
    let empty = session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
    let mut artifact =
        Manifest { artifact_type: Some(MediaType::parse("x/y").unwrap()), ..Manifest::new(empty, vec![]) };
    artifact.annotations.insert(CREATED.to_owned(), "2021-01-01T00:00:00Z".to_owned());
    let artifact = put(&session, &artifact);
    let signature = format!("sha256-{}.sig", index.digest.encoded());
    let names = [("multi", &index), ("file", &artifact), (signature.as_str(), &artifact)];
    session
        .commit(|edit| {
            names.iter().try_for_each(|(name, what)| edit.set(&Name::short(name)?, what).map(drop))
        })
        .unwrap();
    let names = chosen(endpoint::layout(from.clone()), &newest(9, Age::Created)).await.unwrap();
    assert_eq!(names, ["multi", "new", "file", "old"]);
}

#[tokio::test]
async fn a_wrong_config_stops_the_choice_instead_of_spoiling_it() {
    let folder = tempfile::tempdir().unwrap();
    let from = dated(&folder.path().join("from"), &[("v1", "2020-01-01T00:00:00Z")]);
    let registry = TestRegistry::start().await;
    let (client, _) = client();
    let reference = transship_spec::Reference::parse(&registry.reference("app")).unwrap();
    let there = transship_copy::Destination::Registry { client: client.clone(), reference };
    assert_done(&copy(&[all(endpoint::layout(from))], &there).await);
    registry.fault(Fault::on("GET", "/blobs/").flip_byte(3));
    let source = endpoint::registry(client.repository(&registry.address(), "app").unwrap());
    let error = chosen(source, &newest(1, Age::Created)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
}
