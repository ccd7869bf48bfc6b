//! Tags and repositories, in pages.

use transship_layout::Name;

use crate::support::{Registry, write_image};

fn names(reply: &crate::support::Reply, key: &str) -> Vec<String> {
    serde_json::from_value(reply.json()[key].clone()).unwrap()
}

fn next(reply: &crate::support::Reply) -> Option<String> {
    let link = reply.headers.get("link")?.to_str().unwrap();
    let link = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    Some(link.to_owned())
}

#[tokio::test]
async fn dist_80_tags_are_listed_in_order() {
    let registry = Registry::new();
    let reply = registry.get("/v2/app/tags/list").await.is(200);
    assert_eq!(reply.body, r#"{"name":"app","tags":[]}"#);
    for tag in ["v2", "latest", "v10", "V1"] {
        registry.put_image("app", tag, "image").await;
    }
    let reply = registry.get("/v2/app/tags/list").await.is(200);
    assert_eq!(names(&reply, "tags"), ["V1", "latest", "v10", "v2"]);
    assert_eq!(next(&reply), None);
    registry.get("/v2/none/tags/list").await.refused(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn dist_81_82_pages_hold_what_was_asked_for_and_link_to_the_next() {
    let registry = Registry::new();
    let image = write_image(&registry.layout, "image", &[]).descriptor();
    let add = |index: &mut transship_layout::IndexEdit<'_>| {
        for n in 0..7 {
            index.set(&Name::short(&format!("t{n}"))?, &image)?;
        }
        Ok(())
    };
    registry.layout.edit(add).unwrap();
    for size in 1..=8 {
        let mut target = Some(format!("/v2/app/tags/list?n={size}"));
        let (mut all, mut pages) = (Vec::new(), 0);
        while let Some(page) = target {
            let reply = registry.get(&page).await.is(200);
            let tags = names(&reply, "tags");
            assert!(tags.len() <= size);
            target = next(&reply);
            assert!(target.is_none() || tags.len() == size);
            all.extend(tags);
            pages += 1;
        }
        assert_eq!(all, ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
        assert_eq!(pages, 7_usize.div_ceil(size));
    }
    let none = registry.get("/v2/app/tags/list?n=0").await.is(200);
    assert_eq!((names(&none, "tags").len(), next(&none)), (0, None));
    for (query, expected) in [("last=t4", vec!["t5", "t6"]), ("last=t4x&n=1", vec!["t5"]), ("last=z", vec![])]
    {
        let reply = registry.get(&format!("/v2/app/tags/list?{query}")).await.is(200);
        assert_eq!(names(&reply, "tags"), expected, "{query}");
    }
}

#[tokio::test]
async fn case_r20_numbers_that_are_none_are_refused_and_huge_ones_are_all() {
    let registry = Registry::new();
    registry.put_image("app", "v1", "image").await;
    for bad in ["-1", "1e12", "", "x", "%2B1", "1.5"] {
        let reply = registry.get(&format!("/v2/app/tags/list?n={bad}")).await;
        reply.refused(400, "PAGINATION_NUMBER_INVALID");
    }
    for huge in ["1000000000000", &"9".repeat(100)] {
        let reply = registry.get(&format!("/v2/app/tags/list?n={huge}")).await.is(200);
        assert_eq!((names(&reply, "tags").len(), next(&reply)), (1, None));
    }
}

#[tokio::test]
async fn dist_90_the_catalog_lists_repositories() {
    let registry = Registry::of_references();
    for (repository, tag) in [("b/x", "1"), ("a", "1"), ("c", "1"), ("a", "2")] {
        registry.put_image(repository, tag, "image").await;
    }
    let reply = registry.get("/v2/_catalog").await.is(200);
    assert_eq!(names(&reply, "repositories"), ["a", "b/x", "c"]);
    let reply = registry.get("/v2/_catalog?n=2").await.is(200);
    assert_eq!(names(&reply, "repositories"), ["a", "b/x"]);
    let reply = registry.get(&next(&reply).unwrap()).await.is(200);
    assert_eq!((names(&reply, "repositories"), next(&reply)), (vec!["c".to_owned()], None));
}
