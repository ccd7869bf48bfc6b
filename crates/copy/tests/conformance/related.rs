//! Promises about what belongs to a manifest: referrers, referrers of referrers, digest tags.

use std::collections::BTreeSet;

use transship_copy::endpoint::{Ask, Related};
use transship_spec::{Descriptor, Digest, referrers};

use crate::goods::{Goods, named, names};
use crate::kinds::{Kind, Made};
use crate::promise::promises;

promises![
    referrers_are_found_with_their_type_and_annotations,
    referrers_of_referrers_are_found,
    a_referrer_of_what_is_not_there_is_found,
    referrers_of_several_sessions_add_up,
    a_referrer_that_is_put_twice_is_listed_once,
    the_list_of_referrers_is_no_name,
    digest_tags_are_found_where_they_are_asked_for,
    what_is_not_asked_for_is_not_told,
    an_answer_that_was_asked_for_among_many_is_the_same,
];

const ALL_OF_IT: Ask = Ask { referrers: true, digest_tags: true, many: false };

async fn image(kind: &Kind, seed: u64) -> (Made, Goods, Descriptor) {
    let (made, mut goods) = (kind.make(), Goods::new());
    let image = goods.image(seed);
    goods.write(&made, &[named("v1", &image)]).await.unwrap();
    (made, goods, image)
}

async fn related(made: &Made, subject: &Descriptor, ask: Ask) -> Related {
    made.open().related(&subject.digest, ask).await.unwrap()
}

fn digests(found: &[Descriptor]) -> BTreeSet<Digest> {
    let set: BTreeSet<Digest> = found.iter().map(|one| one.digest.clone()).collect();
    assert_eq!(set.len(), found.len(), "one is listed twice: {found:?}");
    set
}

async fn referrers_are_found_with_their_type_and_annotations(kind: &Kind) {
    let (made, mut goods, image) = image(kind, 400).await;
    let one = goods.artifact(401, Some(&image));
    goods.attach(&made, std::slice::from_ref(&one)).await.unwrap();
    let found = related(&made, &image, ALL_OF_IT).await;
    assert_eq!(found.referrers.len(), 1);
    let found = &found.referrers[0];
    let expected = referrers::descriptor(goods.get(&one.digest));
    assert_eq!(found.digest, expected.digest);
    assert_eq!(found.artifact_type, expected.artifact_type);
    assert_eq!(found.annotations, expected.annotations);
    assert_eq!(made.open().listed_document(found).await.unwrap().bytes(), goods.get(&one.digest).bytes());
}

async fn referrers_of_referrers_are_found(kind: &Kind) {
    let (made, mut goods, image) = image(kind, 410).await;
    let one = goods.artifact(411, Some(&image));
    let two = goods.artifact(412, Some(&one));
    goods.attach(&made, &[one.clone(), two.clone()]).await.unwrap();
    assert_eq!(
        digests(&related(&made, &image, ALL_OF_IT).await.referrers),
        digests(std::slice::from_ref(&one))
    );
    assert_eq!(
        digests(&related(&made, &one, ALL_OF_IT).await.referrers),
        digests(std::slice::from_ref(&two))
    );
    assert!(related(&made, &two, ALL_OF_IT).await.referrers.is_empty());
}

async fn a_referrer_of_what_is_not_there_is_found(kind: &Kind) {
    let (made, mut goods, _) = image(kind, 420).await;
    let elsewhere = goods.image(421);
    let one = goods.artifact(422, Some(&elsewhere));
    goods.attach(&made, std::slice::from_ref(&one)).await.unwrap();
    assert_eq!(digests(&related(&made, &elsewhere, ALL_OF_IT).await.referrers), digests(&[one]));
}

async fn referrers_of_several_sessions_add_up(kind: &Kind) {
    let (made, mut goods, image) = image(kind, 430).await;
    let all: Vec<Descriptor> = (431..435).map(|seed| goods.artifact(seed, Some(&image))).collect();
    for one in &all {
        goods.attach(&made, std::slice::from_ref(one)).await.unwrap();
    }
    assert_eq!(digests(&related(&made, &image, ALL_OF_IT).await.referrers), digests(&all));
}

async fn a_referrer_that_is_put_twice_is_listed_once(kind: &Kind) {
    let (made, mut goods, image) = image(kind, 440).await;
    let one = goods.artifact(441, Some(&image));
    for _ in 0..2 {
        goods.attach(&made, std::slice::from_ref(&one)).await.unwrap();
    }
    assert_eq!(digests(&related(&made, &image, ALL_OF_IT).await.referrers), digests(&[one]));
}

async fn the_list_of_referrers_is_no_name(kind: &Kind) {
    let (made, mut goods, image) = image(kind, 450).await;
    let one = goods.artifact(451, Some(&image));
    goods.attach(&made, &[one]).await.unwrap();
    assert_eq!(names(made.open().as_ref()).await, [("v1".to_owned(), image.digest)]);
}

async fn digest_tags_are_found_where_they_are_asked_for(kind: &Kind) {
    let (made, mut goods, image) = image(kind, 460).await;
    let tag = |suffix: &str| format!("{}.{suffix}", referrers::fallback_tag(&image.digest));
    let (signature, attestation) = (goods.image(461), goods.image(462));
    let roles = [named(&tag("sig"), &signature), named(&tag("att"), &attestation)];
    goods.write(&made, &roles).await.unwrap();
    let endpoint = made.open();
    let found = endpoint.related(&image.digest, ALL_OF_IT).await.unwrap();
    let mut told = Vec::new();
    for (tag, listed) in &found.digest_tags {
        told.push((tag.as_str().to_owned(), endpoint.resolve(listed).await.unwrap().digest));
    }
    told.sort();
    assert_eq!(told, [(tag("att"), attestation.digest), (tag("sig"), signature.digest)]);
    assert!(found.referrers.is_empty());
    // They are names as well.
    assert_eq!(names(endpoint.as_ref()).await.len(), 3);
}

async fn what_is_not_asked_for_is_not_told(kind: &Kind) {
    let (made, mut goods, image) = image(kind, 470).await;
    let one = goods.artifact(471, Some(&image));
    let signature = goods.image(472);
    let tag = format!("{}.sig", referrers::fallback_tag(&image.digest));
    goods.write(&made, &[named(&tag, &signature)]).await.unwrap();
    goods.attach(&made, &[one]).await.unwrap();
    for (referrers, digest_tags) in [(false, false), (true, false), (false, true), (true, true)] {
        let found = related(&made, &image, Ask { referrers, digest_tags, many: false }).await;
        let told = (!found.referrers.is_empty(), !found.digest_tags.is_empty());
        assert_eq!(told, (referrers, digest_tags));
        assert!(found.doubts.is_empty(), "{:?}", found.doubts);
    }
}

async fn an_answer_that_was_asked_for_among_many_is_the_same(kind: &Kind) {
    let (made, mut goods, image) = image(kind, 480).await;
    let other = goods.image(481);
    let ones: Vec<Descriptor> = (482..485).map(|seed| goods.artifact(seed, Some(&image))).collect();
    goods.write(&made, &[named("v2", &other)]).await.unwrap();
    goods.attach(&made, &ones).await.unwrap();
    let endpoint = made.open();
    endpoint.named().await.unwrap();
    for (subject, expected) in [(&image, &ones[..]), (&other, &[]), (&image, &ones[..])] {
        let found = endpoint.related(&subject.digest, Ask { many: true, ..ALL_OF_IT }).await.unwrap();
        assert_eq!(digests(&found.referrers), digests(expected));
    }
}
