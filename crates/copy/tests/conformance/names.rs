//! Promises about names: how they are listed, found, moved and kept apart.

use transship_copy::endpoint::Role;
use transship_copy::names::Name;
use transship_spec::{Descriptor, Digest, Reference};

use crate::goods::{Goods, named, names};
use crate::kinds::{Kind, Made};
use crate::promise::promises;

promises![
    every_name_is_listed_once,
    one_thing_has_several_names,
    a_tag_a_digest_and_both_name_the_same,
    what_only_an_index_leads_to_is_found_by_its_digest,
    without_a_reference_latest_is_meant_where_it_is_all_there_is,
    names_are_found_together_and_in_order,
    a_name_moves,
    names_of_earlier_sessions_stay,
    what_has_only_its_digest_is_kept_and_not_listed,
    a_tag_may_be_long_and_odd,
    names_of_several_repositories_are_told_apart,
];

/// Images under these names.
async fn images(kind: &Kind, seed: u64, tags: &[&str]) -> (Made, Goods, Vec<Descriptor>) {
    let (made, mut goods) = (kind.make(), Goods::new());
    let images: Vec<Descriptor> = (seed..).take(tags.len()).map(|seed| goods.image(seed)).collect();
    let roles: Vec<Role> = tags.iter().zip(&images).map(|(tag, image)| named(tag, image)).collect();
    goods.write(&made, &roles).await.unwrap();
    (made, goods, images)
}

fn pair(tag: &str, descriptor: &Descriptor) -> (String, Digest) {
    (tag.to_owned(), descriptor.digest.clone())
}

async fn resolve(made: &Made, reference: Option<&str>) -> transship_copy::Result<Descriptor> {
    let endpoint = made.open();
    let listed = endpoint.call(reference).await?;
    endpoint.resolve(&listed).await
}

async fn every_name_is_listed_once(kind: &Kind) {
    let (made, _, images) = images(kind, 200, &["v1", "v2", "latest"]).await;
    let expected = [pair("latest", &images[2]), pair("v1", &images[0]), pair("v2", &images[1])];
    assert_eq!(names(made.open().as_ref()).await, expected);
}

async fn one_thing_has_several_names(kind: &Kind) {
    let (made, goods, images) = images(kind, 210, &["v1"]).await;
    let image = &images[0];
    goods.write(&made, &[named("v1.0", image), named("v1.0.0", image)]).await.unwrap();
    let expected = [pair("v1", image), pair("v1.0", image), pair("v1.0.0", image)];
    assert_eq!(names(made.open().as_ref()).await, expected);
}

async fn a_tag_a_digest_and_both_name_the_same(kind: &Kind) {
    let (made, _, images) = images(kind, 220, &["v1", "v2"]).await;
    let digest = images[0].digest.to_string();
    for reference in ["v1".to_owned(), digest.clone(), format!("v1@{digest}"), format!("v2@{digest}")] {
        let found = resolve(&made, Some(&reference)).await.unwrap();
        assert!(found.is_same_content(&images[0]), "{reference}: {found:?}");
        assert_eq!(found.media_type, images[0].media_type);
    }
}

async fn what_only_an_index_leads_to_is_found_by_its_digest(kind: &Kind) {
    let (made, mut goods) = (kind.make(), Goods::new());
    let platforms = goods.platforms(230);
    goods.write(&made, &[named("v1", &platforms)]).await.unwrap();
    let member = goods.get(&platforms.digest).children()[1].clone();
    let found = resolve(&made, Some(&member.digest.to_string())).await.unwrap();
    assert!(found.is_same_content(&member), "{found:?}");
}

async fn without_a_reference_latest_is_meant_where_it_is_all_there_is(kind: &Kind) {
    let (made, _, images) = images(kind, 240, &["latest"]).await;
    assert!(resolve(&made, None).await.unwrap().is_same_content(&images[0]));
}

async fn names_are_found_together_and_in_order(kind: &Kind) {
    let (made, _, images) = images(kind, 250, &["v1", "v2"]).await;
    let asked = ["v2", "v3", "v1", "v2"].map(|name| Name::Short(name.to_owned()));
    let asked: Vec<Name> = asked.into_iter().chain([Name::Digest]).collect();
    let found = made.open().find(&asked).await;
    let found: Vec<_> = found.into_iter().map(|found| found.unwrap().map(|found| found.digest)).collect();
    let [one, two] = [0, 1].map(|at: usize| Some(images[at].digest.clone()));
    assert_eq!(found, [two.clone(), None, one, two, None]);
}

async fn a_name_moves(kind: &Kind) {
    let (made, mut goods, _) = images(kind, 260, &["v1", "v2"]).await;
    let new = goods.image(269);
    goods.write(&made, &[named("v1", &new)]).await.unwrap();
    assert!(resolve(&made, Some("v1")).await.unwrap().is_same_content(&new));
    let listed = names(made.open().as_ref()).await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed.contains(&pair("v1", &new)));
}

async fn names_of_earlier_sessions_stay(kind: &Kind) {
    let (made, mut goods, images) = images(kind, 270, &["v1"]).await;
    let mut expected = vec![pair("v1", &images[0])];
    for (seed, name) in (275..).zip(["v2", "v3", "v4"]) {
        let image = goods.image(seed);
        goods.write(&made, &[named(name, &image)]).await.unwrap();
        expected.push(pair(name, &image));
    }
    assert_eq!(names(made.open().as_ref()).await, expected);
}

async fn what_has_only_its_digest_is_kept_and_not_listed(kind: &Kind) {
    let (made, mut goods, images) = images(kind, 280, &["v1"]).await;
    let image = goods.image(281);
    // What the engine calls a root without a name, in a layout and elsewhere.
    let role = match kind.is_local() {
        true => Role::Named(Name::Digest, image.clone()),
        false => Role::ByDigest(image.clone()),
    };
    goods.write(&made, &[role]).await.unwrap();
    assert!(resolve(&made, Some(&image.digest.to_string())).await.unwrap().is_same_content(&image));
    assert_eq!(names(made.open().as_ref()).await, [pair("v1", &images[0])]);
}

async fn a_tag_may_be_long_and_odd(kind: &Kind) {
    let long = format!("A{}", "b".repeat(127));
    let tags = ["_", "0", "a.b-c_d", "UPPER", "sha256-1234", &long];
    let (made, _, images) = images(kind, 290, &tags).await;
    assert_eq!(names(made.open().as_ref()).await.len(), tags.len());
    for (tag, image) in tags.iter().zip(&images) {
        assert!(resolve(&made, Some(tag)).await.unwrap().is_same_content(image), "{tag}");
    }
}

async fn names_of_several_repositories_are_told_apart(kind: &Kind) {
    let (made, mut goods) = (kind.make(), Goods::new());
    let texts = ["localhost/a/b/c:v1", "localhost:5000/b:v1", "r.example/b:v1"];
    let references = texts.map(|text| Reference::parse(text).unwrap());
    let images: Vec<Descriptor> = (300..303).map(|seed| goods.image(seed)).collect();
    let roles: Vec<Role> = references
        .iter()
        .zip(&images)
        .map(|(reference, image)| Role::Named(Name::Full(reference.clone()), image.clone()))
        .collect();
    goods.write(&made, &roles).await.unwrap();
    for (text, image) in texts.iter().zip(&images) {
        assert!(resolve(&made, Some(text)).await.unwrap().is_same_content(image), "{text}");
    }
    let listed = made.open().named().await.unwrap();
    let mut found: Vec<String> =
        listed.iter().filter_map(|it| Some(it.called.full.as_ref()?.to_string())).collect();
    found.sort();
    assert_eq!(found, texts);
}
