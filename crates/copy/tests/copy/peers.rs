//! What others write we carry, and what we carried others read.

use transship_copy::endpoint;
use transship_layout::graph;
use transship_registry::{Client, Credential, Environment, Settings};
use transship_spec::Kind;
use transship_testkit::{DockerRegistry, fixtures, peers};

use crate::support::{self, *};

#[tokio::test]
async fn skopeo_reads_what_we_copied_and_we_copy_what_skopeo_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, _) = client();
    let from = layout(&folder.path().join("from"));
    let image = fixtures::image(&from, "v1", 1);
    let multi = fixtures::multi_platform(&from, "multi", 2);
    let there = support::destination(&registry, &client, "ours");
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &there).await);

    let theirs = folder.path().join("theirs");
    let layouts = |path: &std::path::Path, tag: &str| format!("oci:{}:{tag}", path.display());
    for tag in ["v1", "multi"] {
        let source = format!("docker://{}", registry.reference(&format!("ours:{tag}")));
        peers::skopeo(&[
            "copy",
            "--all",
            "--preserve-digests",
            "--src-tls-verify=false",
            &source,
            &layouts(&theirs, tag),
        ]);
    }
    let theirs = layout(&theirs);
    assert_eq!(blobs(&theirs), blobs(&from));

    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[all(endpoint::layout(theirs))], &into_layout(&to, "")).await);
    assert_eq!(to.resolve(Some("v1")).unwrap().descriptor.digest, *image.digest());
    assert_eq!(to.resolve(Some("multi")).unwrap().descriptor.digest, *multi.digest());
    let raw = peers::skopeo(&["inspect", "--raw", &layouts(to.path(), "v1")]);
    assert_eq!(raw.as_bytes(), image.bytes());
}

#[tokio::test]
async fn fixtures_of_every_sort_go_there_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, _) = client();
    let from = layout(&folder.path().join("from"));
    let image = fixtures::image(&from, "image", 1);
    fixtures::nested(&from, "nested", 2);
    fixtures::artifact(&from, "artifact", 3);
    let signature = fixtures::signature(&from, &image, 4);
    fixtures::signature(&from, &signature, 5);
    let there = support::destination(&registry, &client, "sorts");
    let report = copy(&[all(endpoint::layout(from.clone()))], &there).await;
    assert_done(&report);
    assert_eq!(report.referrers, 2);
    let to = layout(&folder.path().join("to"));
    let report = copy(&[all(support::endpoint(&registry, &client, "sorts"))], &into_layout(&to, "")).await;
    assert_done(&report);
    assert_eq!(blobs(&to), blobs(&from));
    assert_eq!(graph::referrers_of(&to).unwrap().of(image.digest()).len(), 1);
    assert_eq!(graph::referrers_of(&to).unwrap().of(signature.digest()).len(), 1);
}

#[tokio::test]
async fn a_registry_that_wants_a_login_is_denied_without_and_served_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start_with_login("me", "hunter2").await;
    let from = images(&folder.path().join("from"), &["v1"]);
    let source = [all(endpoint::layout(from.clone()))];
    let anonymous = Client::new(quick()).unwrap();
    let report = copy(&source, &support::destination(&registry, &anonymous, "app")).await;
    assert_eq!(report.kind(), Some(Kind::Denied));
    let remedy = report.roots[0].failure.as_ref().unwrap().remedy.clone();
    assert!(remedy.is_some_and(|remedy| remedy.contains("transship login")));

    let given = [(registry.address().to_owned(), Credential::password("me", "hunter2"))].into();
    let environment = Environment { given, ..Environment::default() };
    let client = Client::new(Settings { environment, ..quick() }).unwrap();
    assert_done(&copy(&source, &support::destination(&registry, &client, "app")).await);
    let to = layout(&folder.path().join("to"));
    assert_done(
        &copy(&[one(support::endpoint(&registry, &client, "app"), "v1")], &into_layout(&to, "")).await,
    );
    assert_eq!(blobs(&to), blobs(&from));
}
