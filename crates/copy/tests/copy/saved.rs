//! Plans that are saved and applied, in whole and in shards.

use std::path::Path;
use std::sync::Arc;

use transship_copy::{
    Destination, Endpoint, Ends, Error, Options, Plan, Report, SavedPlan, Selection, Shard, Source, Status,
    Subset, apply, endpoint, plan, requests,
};
use transship_layout::{Layout, Name};
use transship_spec::{Descriptor, Kind, Platform, referrers};
use transship_testkit::DockerRegistry;

use crate::support::{self, *};

/// A layout with an image `v1`, a referrer, one that refers to that, and a digest tag; and an image `v2`.
fn signed(path: &Path) -> (Layout, Descriptor) {
    let from = layout(path);
    let session = from.begin().unwrap();
    let root = put(&session, &image(&session, 1, &[]));
    let other = put(&session, &image(&session, 5, &[]));
    let signature = put(&session, &image(&session, 2, &[]));
    let attached = referrer(&session, &root, 3);
    let nested = referrer(&session, &attached, 4);
    let tag = format!("{}.sig", referrers::fallback_tag(&root.digest));
    session
        .commit(|index| {
            index.set(&Name::short("v1")?, &root)?;
            index.set(&Name::short("v2")?, &other)?;
            index.set(&Name::short(&tag)?, &signature)?;
            index.add(&attached)?;
            index.add(&nested)
        })
        .unwrap();
    (from, root)
}

/// Gives a name to another image.
fn tag(layout: &Layout, name: &str, seed: u8) -> Descriptor {
    let session = layout.begin().unwrap();
    let image = put(&session, &image(&session, seed, &[]));
    session.commit(|index| index.set(&Name::short(name)?, &image).map(drop)).unwrap();
    image
}

async fn planned(sources: &[Source], to: &Destination, options: &Options) -> Plan {
    plan(requests(sources, to, &Selection::default()).await.unwrap(), options).await
}

/// The plan as it comes out of its file.
fn read_again(plan: &Plan) -> SavedPlan {
    let saved = plan.saved().unwrap();
    let text = saved.to_json().unwrap();
    assert_eq!(text, plan.saved().unwrap().to_json().unwrap());
    let again = SavedPlan::parse(&text).unwrap();
    assert_eq!(again, saved);
    again
}

fn ends(from: Arc<dyn Endpoint>, to: Arc<dyn Endpoint>) -> Ends {
    Ends { sources: vec![from], destinations: vec![to] }
}

async fn carried_out(saved: &SavedPlan, ends: &Ends) -> Report {
    apply(saved, ends, &Options::default(), false).await.unwrap().run().await
}

async fn refused(saved: &SavedPlan, ends: &Ends) -> Error {
    let error = apply(saved, ends, &Options::default(), false).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    error
}

#[tokio::test]
async fn a_saved_plan_carries_what_it_names_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, requests) = client();
    let (from, root) = signed(&folder.path().join("from"));
    let there = support::destination(&registry, &client, "team/app");
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &there).await);
    let source = || support::endpoint(&registry, &client, "team/app");

    let to = layout(&folder.path().join("to"));
    let plan = planned(&[one(source(), "v1")], &into_layout(&to, ""), &Options::default()).await;
    let saved = read_again(&plan);
    assert_eq!(saved.roots.len(), 4);
    assert_eq!(saved.destinations[0].missing, plan.summary().missing);
    assert_eq!(saved.destinations[0].missing.manifests.count, 4);
    assert!(to.entries().unwrap().is_empty());

    // What comes after the plan was made is not in it.
    let session = from.begin().unwrap();
    let late = referrer(&session, &root, 9);
    session.commit(|index| index.add(&late)).unwrap();
    tag(&from, "v3", 8);
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &there).await);
    requests.take();
    let to_end = || endpoint::layout(to.clone());
    let report = carried_out(&saved, &ends(source(), to_end())).await;
    assert_done(&report);
    assert_eq!((report.roots.len(), report.referrers), (4, 3));
    let found = transship_layout::graph::referrers_of(&to).unwrap();
    assert_eq!(found.of(&root.digest).len(), 1);
    assert_eq!(to.entries().unwrap().len(), 4);
    // Of the names each is asked for once, what is missing is read once, and nobody lists anything.
    assert_eq!(requests.take(), [4 + 7, 2, 0, 0]);

    // The same plan again finds everything there.
    let report = carried_out(&saved, &ends(source(), to_end())).await;
    assert!(report.roots.iter().all(|root| root.status == Status::Present), "{:?}", report.roots);
    assert_eq!(requests.take(), [0, 2, 0, 0]);
}

#[tokio::test]
async fn a_source_that_has_moved_is_refused_before_anything_moves() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, requests) = client();
    let (from, root) = signed(&folder.path().join("from"));
    let there = support::destination(&registry, &client, "team/app");
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &there).await);
    let to = layout(&folder.path().join("to"));
    let source = || support::endpoint(&registry, &client, "team/app");
    let all_tags = planned(&[all(source())], &into_layout(&to, ""), &Options::default()).await;
    let by_digest = one(source(), &root.digest.to_string());
    let by_digest = planned(&[by_digest], &into_layout(&to, "mine"), &Options::default()).await;
    let (all_tags, by_digest) = (read_again(&all_tags), read_again(&by_digest));

    let new = tag(&from, "v1", 20);
    assert_done(&copy(&[one(endpoint::layout(from.clone()), "v1")], &there).await);
    requests.take();
    let error = refused(&all_tags, &ends(source(), endpoint::layout(to.clone()))).await;
    let text = error.to_string();
    assert!(text.contains(&format!("team/app:v1 was {} and is {}", root.digest, new.digest)), "{text}");
    assert!(error.remedy().unwrap().contains(&format!("team/app@{}", root.digest)), "{:?}", error.remedy());
    let [get, _, post, put] = requests.take();
    assert_eq!((get, post, put), (0, 0, 0));
    assert_eq!(to.blobs().unwrap().count(), 0);
    // What was asked for by its digest is what it was, whatever the tag stands for.
    assert_done(&carried_out(&by_digest, &ends(source(), endpoint::layout(to.clone()))).await);
    assert_eq!(to.resolve(Some("mine")).unwrap().descriptor.digest, root.digest);
}

#[tokio::test]
async fn a_source_that_is_gone_has_moved() {
    let folder = tempfile::tempdir().unwrap();
    let (from, root) = signed(&folder.path().join("from"));
    let to = layout(&folder.path().join("to"));
    let from_end = || endpoint::layout(layout(from.path()));
    let saved =
        read_again(&planned(&[one(from_end(), "v1")], &into_layout(&to, ""), &Options::default()).await);
    let referrer = saved.roots.iter().find(|root| root.why == "referrer").unwrap();
    let path = blob_path(&from, &referrer.digest.to_string());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = refused(&saved, &ends(from_end(), endpoint::layout(to.clone()))).await;
    assert!(error.to_string().ends_with(&format!("@{0} was {0} and is gone", referrer.digest)), "{error}");
    std::fs::write(&path, bytes).unwrap();

    let session = from.begin().unwrap();
    session.commit(|index| index.remove(&Name::short("v1")?).map(drop)).unwrap();
    let error = refused(&saved, &ends(from_end(), endpoint::layout(to.clone()))).await;
    assert!(error.to_string().ends_with(&format!(":v1 was {} and is gone", root.digest)), "{error}");
    assert_eq!(to.blobs().unwrap().count(), 0);
}

#[tokio::test]
async fn what_somebody_else_put_at_the_destination_since_is_not_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2"]);
    let to = layout(&folder.path().join("to"));
    let old = tag(&to, "v1", 40);
    let from_end = || endpoint::layout(from.clone());
    let plan = planned(&[all(from_end())], &into_layout(&to, ""), &Options::default()).await;
    let root = plan.summary().roots.into_iter().next().unwrap();
    assert_eq!(root.replaces, Some(old.digest.clone()));
    let saved = read_again(&plan);

    let other = tag(&to, "v2", 41);
    let to_end = || endpoint::layout(layout(to.path()));
    let error = refused(&saved, &ends(from_end(), to_end())).await;
    assert!(error.to_string().contains(&format!(":v2 was not there and is {}", other.digest)), "{error}");
    assert_eq!(to.resolve(Some("v1")).unwrap().descriptor.digest, old.digest);
    let forced = apply(&saved, &ends(from_end(), to_end()), &Options::default(), true).await.unwrap();
    assert_done(&forced.run().await);
    for name in ["v1", "v2"] {
        let wanted = from.resolve(Some(name)).unwrap().descriptor.digest;
        assert_eq!(layout(to.path()).resolve(Some(name)).unwrap().descriptor.digest, wanted);
    }
    // What is to be there may be.
    assert_done(&carried_out(&saved, &ends(from_end(), to_end())).await);
}

#[tokio::test]
async fn parts_of_an_index_are_planned_and_carried_out() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let index = |seeds: [u8; 2]| {
        let session = from.begin().unwrap();
        let members = ["linux/amd64", "linux/arm64"].iter().zip(seeds).map(|(platform, seed)| {
            let image = put(&session, &image(&session, seed, &[]));
            Descriptor { platform: Some(platform.parse().unwrap()), ..image }
        });
        let members: Vec<_> = members.collect();
        let index = support::index(&session, &members);
        session.commit(|entries| entries.set(&Name::short("v1")?, &index).map(drop)).unwrap();
        (index, members)
    };
    let (whole, members) = index([1, 2]);
    let platform = || vec!["linux/arm64".parse::<Platform>().unwrap()];
    let mut plans = Vec::new();
    for (at, subset) in
        [Subset::One(platform()[0].clone()), Subset::Sparse(platform()), Subset::Rewrite(platform())]
            .into_iter()
            .enumerate()
    {
        let to = layout(&folder.path().join(format!("to{at}")));
        let options = Options { subset: Some(subset), ..Options::default() };
        let source = one(endpoint::layout(from.clone()), "v1");
        let saved = read_again(&planned(&[source], &into_layout(&to, ""), &options).await);
        let ends = ends(endpoint::layout(from.clone()), endpoint::layout(to.clone()));
        assert_done(&carried_out(&saved, &ends).await);
        let there = to.resolve(Some("v1")).unwrap().descriptor.digest;
        match at {
            0 => assert_eq!(there, members[1].digest),
            1 => assert_eq!(there, whole.digest),
            _ => assert_eq!(there, saved.roots[0].digest),
        }
        assert_eq!(to.blobs().unwrap().count(), if at == 0 { 3 } else { 4 });
        plans.push((saved, to));
    }
    // The image is the same; the index that it was taken from is not.
    let (new, _) = index([3, 2]);
    for (saved, to) in plans {
        let ends = ends(endpoint::layout(layout(from.path())), endpoint::layout(to));
        let error = refused(&saved, &ends).await;
        assert!(error.to_string().contains(&format!("{} and is {}", whole.digest, new.digest)), "{error}");
    }
}

#[tokio::test]
async fn shards_together_are_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, _) = client();
    let (from, _) = signed(&folder.path().join("from"));
    for seed in 10..20 {
        tag(&from, &format!("t{seed}"), seed);
    }
    let source = || all(endpoint::layout(from.clone()));
    let whole = layout(&folder.path().join("whole"));
    assert_done(&copy(&[source()], &into_layout(&whole, "")).await);

    // Each worker finds out for itself what its part is.
    let parts = layout(&folder.path().join("parts"));
    for index in 0..3 {
        let requests = requests(&[source()], &into_layout(&parts, ""), &Selection::default()).await.unwrap();
        let ours = Shard::new(index, 3).unwrap().of(requests);
        assert!((1..=10).contains(&ours.len()), "{}", ours.len());
        assert_done(&plan(ours, &Options::default()).await.run().await);
    }
    assert_eq!((names(&parts), blobs(&parts)), (names(&whole), blobs(&whole)));

    // One plan is carried out by three workers.
    let there = support::destination(&registry, &client, "team/app");
    let saved = read_again(&planned(&[source()], &there, &Options::default()).await);
    let mut seen = 0;
    for index in 0..3 {
        let ours = saved.shard(Shard::new(index, 3).unwrap());
        assert_eq!(SavedPlan::parse(&ours.to_json().unwrap()).unwrap(), ours);
        seen += ours.roots.len();
        let ends = ends(endpoint::layout(from.clone()), support::endpoint(&registry, &client, "team/app"));
        assert_done(&carried_out(&ours, &ends).await);
    }
    assert_eq!(seen, saved.roots.len());
    let back = layout(&folder.path().join("back"));
    let options = Options::default();
    let source = [all(support::endpoint(&registry, &client, "team/app"))];
    let selection = Selection {
        naming: transship_copy::names::Naming { short_names: true, ..Default::default() },
        ..Selection::default()
    };
    let back_again = requests(&source, &into_layout(&back, ""), &selection).await.unwrap();
    assert_done(&plan(back_again, &options).await.run().await);
    assert_eq!((names(&back), blobs(&back)), (names(&whole), blobs(&whole)));
}

#[tokio::test]
async fn a_plan_that_is_known_to_fail_is_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1"]);
    let to = layout(&folder.path().join("to"));
    let root = from.resolve(Some("v1")).unwrap().descriptor;
    std::fs::remove_file(blob_path(&from, &root.digest.to_string())).unwrap();
    let plan =
        planned(&[one(endpoint::layout(from), "v1")], &into_layout(&to, ""), &Options::default()).await;
    assert_eq!(plan.saved().unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_plan_that_does_not_hold_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (from, _) = signed(&folder.path().join("from"));
    let to = layout(&folder.path().join("to"));
    let source = one(endpoint::layout(from), "v1");
    let plan = planned(&[source], &into_layout(&to, ""), &Options::default()).await;
    let text = String::from_utf8(plan.saved().unwrap().to_json().unwrap()).unwrap();
    for (old, new, kind) in [
        ("transship.plan-file/v1", "transship.plan-file/v2", Kind::Unsupported),
        ("\"schema\"", "\"scheme\"", Kind::Invalid),
        ("\"choices\"", "\"extra\": 1,\n  \"choices\"", Kind::Invalid),
        ("\"why\": \"asked\"", "\"why\": \"told\"", Kind::Invalid),
        ("\"why\": \"asked\"", "\"why\": \"asked\", \"parent\": 0", Kind::Invalid),
        ("\"parent\": 0", "\"parent\": 7", Kind::Invalid),
        ("\"source\": 0", "\"source\": 1", Kind::Invalid),
        ("\"destination\": 0", "\"destination\": 1", Kind::Invalid),
        ("\"size\": ", "\"size\": -", Kind::Invalid),
        ("\"oci:", "\"oci:a:b", Kind::Invalid),
        ("\"name\": \"v1\"", "\"name\": \"v1\", \"name\": \"v2\"", Kind::Invalid),
        ("\"referrers\": \"all\"", "\"referrers\": \"\"", Kind::Invalid),
        ("\"platforms\": []", "\"platforms\": [\"linux/amd64\"]", Kind::Invalid),
    ] {
        assert!(text.contains(old), "{old} in {text}");
        let error = SavedPlan::parse(text.replacen(old, new, 1).as_bytes()).unwrap_err();
        assert_eq!(error.kind(), kind, "{new}: {error}");
    }
    let saved = SavedPlan::parse(text.as_bytes()).unwrap();
    let none = Ends { sources: Vec::new(), destinations: Vec::new() };
    refused(&saved, &none).await;
}

#[tokio::test]
async fn a_saved_plan_converts_what_it_converted_when_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, _) = client();
    let (from, root) = signed(&folder.path().join("from"));
    let there = support::destination(&registry, &client, "team/app");
    assert_done(&copy(&[all(endpoint::layout(from))], &there).await);
    let source = || support::endpoint(&registry, &client, "team/app");
    let to = layout(&folder.path().join("to"));
    let options = Options { convert: Some(transship_spec::Dialect::Docker), ..Options::default() };
    for reference in ["v1".to_owned(), root.digest.to_string()] {
        let plan = planned(&[one(source(), &reference)], &into_layout(&to, "new"), &options).await;
        let saved = read_again(&plan);
        assert_eq!((saved.choices.convert.as_deref(), saved.roots.len()), (Some("docker"), 1));
        assert_eq!(saved.roots[0].named.as_ref(), Some(&root.digest));
        let report = carried_out(&saved, &ends(source(), endpoint::layout(to.clone()))).await;
        assert_done(&report);
        assert_eq!(report.roots[0].converted[0].to, saved.roots[0].digest);
        assert_eq!(to.resolve(Some("new")).unwrap().descriptor.digest, saved.roots[0].digest);
    }
}
