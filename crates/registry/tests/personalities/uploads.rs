//! Large blobs on their way to each registry, in every way.

use bytes::Bytes;
use futures_util::TryStreamExt;
use transship_registry::{Chunking, Error, Placed, Repository, Upload};
use transship_spec::{Descriptor, MediaType};
use transship_testkit::{Fault, Personality, TestRegistry, fixtures};

use super::*;

/// Larger than what any of the registries takes at once, and not a multiple of it.
const SIZE: usize = 300_000;

/// What GitHub's registry takes in one chunk.
const MOST: u64 = (4 << 20) / SCALE;

fn chunked(chunk: u64) -> Upload {
    Upload { chunking: Chunking::Always, chunk, ..Upload::default() }
}

fn streamed() -> Upload {
    Upload { stream: 1, chunk: MOST - 16, ..Upload::default() }
}

async fn put(repository: &Repository, seed: u64) -> Result<Placed, Error> {
    let content = Bytes::from(fixtures::bytes(seed, SIZE));
    let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    let placed = repository.blob_put(&blob, &content, None).await?;
    let back: Vec<Bytes> = repository.blob_get(&blob).try_collect().await.unwrap();
    assert_eq!(back.concat(), content);
    Ok(placed)
}

/// Bytes and statuses of the chunks so far.
fn chunks(registry: &TestRegistry) -> Vec<(u64, u16)> {
    let patches = registry.requests().into_iter().filter(|seen| seen.is("PATCH", ""));
    patches
        .filter(|seen| seen.status() != Some(401))
        .map(|seen| (seen.received(), seen.status().unwrap()))
        .collect()
}

#[tokio::test]
async fn dist_182_every_registry_gets_a_blob_by_every_way() {
    for personality in Personality::all() {
        for upload in [Upload::default(), chunked(MOST - 16), chunked(SIZE as u64), streamed()] {
            let registry = play(personality.clone()).await;
            let repository = uploading(&registry, upload.clone());
            let placed = put(&repository, 1).await;
            assert!(placed.is_ok(), "{} {upload:?}: {placed:?} {:#?}", personality.name, registry.lines());
            // What was found out is not found out again.
            registry.forget();
            put(&repository, 2).await.unwrap();
            let refused = registry.requests().into_iter().find(|seen| {
                !seen.is("HEAD", "") && seen.status().is_none_or(|status| status >= 400 && status != 401)
            });
            assert!(refused.is_none(), "{} {upload:?}: {refused:?}", personality.name);
        }
    }
}

#[tokio::test]
async fn dist_171_chunks_are_made_smaller_where_they_are_too_large_by_416() {
    let registry = play(Personality::ghcr()).await;
    let repository = uploading(&registry, chunked(4 * MOST));
    put(&repository, 1).await.unwrap();
    let first = chunks(&registry);
    assert!(first.iter().any(|(_, status)| *status == 416), "{first:?}");
    let taken: u64 = first.iter().filter(|(_, status)| *status == 202).map(|(bytes, _)| bytes).sum();
    assert_eq!(taken, SIZE as u64, "no byte is sent again that was taken");
    registry.forget();
    put(&repository, 2).await.unwrap();
    assert!(chunks(&registry).iter().all(|(bytes, status)| *bytes <= MOST && *status == 202));
}

#[tokio::test]
async fn dist_171_a_stream_may_be_larger_and_its_rest_after_a_cut_goes_in_chunks() {
    let registry = play(Personality::ghcr()).await;
    let repository = uploading(&registry, streamed());
    put(&repository, 1).await.unwrap();
    assert_eq!(chunks(&registry), [(SIZE as u64, 202)]);
    registry.forget().fault(Fault::on("PATCH", "").times(1).cut_request_after(100_000));
    let content = Bytes::from(fixtures::bytes(2, SIZE));
    let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    repository.blob_put(&blob, &content, None).await.unwrap();
    let received: u64 = registry
        .requests()
        .iter()
        .filter(|seen| seen.is("PATCH", "") && seen.status() == Some(202))
        .map(transship_testkit::Seen::received)
        .sum();
    assert_eq!(received, SIZE as u64 - 100_000, "only the rest is sent: {:#?}", registry.lines());
}

#[tokio::test]
async fn dist_172_a_range_that_stands_still_is_not_believed() {
    let registry = play(Personality::ecr()).await;
    let chunk = 5 * (1 << 20) / SCALE;
    put(&uploading(&registry, chunked(chunk)), 1).await.unwrap();
    let sent = chunks(&registry);
    assert!(sent.iter().all(|(_, status)| *status == 201), "{sent:?}");
    let rest = SIZE as u64 % chunk;
    let expected: Vec<u64> = std::iter::repeat_n(chunk, SIZE / chunk as usize).chain([rest]).collect();
    assert_eq!(sent.iter().map(|(bytes, _)| *bytes).collect::<Vec<_>>(), expected);
    assert_eq!(registry.counts().upload_other, 0, "nobody is asked where the session stands");
}

#[tokio::test]
async fn dist_172_dist_173_dist_179_where_chunks_do_not_work_blobs_go_whole_from_then_on() {
    for personality in [Personality::ecr(), Personality::gar(), Personality::artifactory()] {
        let name = personality.name;
        let registry = play(personality).await;
        let repository = uploading(&registry, chunked(MOST - 16));
        put(&repository, 1).await.unwrap();
        assert!(!chunks(&registry).is_empty());
        registry.forget();
        put(&repository, 2).await.unwrap();
        assert_eq!(chunks(&registry), [], "{name}");
        let counts = registry.counts();
        assert_eq!((counts.upload_post, counts.upload_put), (1, 1), "{name}: no session is wasted");
    }
}

#[tokio::test]
async fn dist_182_a_registry_that_takes_neither_whole_blobs_nor_chunks_is_not_asked_for_ever() {
    let mut personality = Personality::gar();
    personality.uploads.body_most = Some((50_000 * SCALE, 413));
    let registry = play(personality).await;
    let error = put(&uploading(&registry, Upload::default()), 1).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert!(registry.counts().upload_post <= 3, "{:#?}", registry.lines());
}

#[tokio::test]
async fn dist_175_an_upload_elsewhere_gets_no_credentials() {
    for upload in [Upload::default(), streamed(), chunked(MOST - 16)] {
        let registry = play(Personality::acr()).await;
        put(&uploading(&registry, upload), 1).await.unwrap();
        let side = registry.side_address();
        let aside: Vec<_> =
            registry.requests().into_iter().filter(|seen| seen.header("host") == Some(&side)).collect();
        assert!(aside.iter().any(|seen| seen.is("PUT", "_state=")));
        assert!(aside.iter().all(|seen| seen.header("authorization").is_none()));
    }
}

#[tokio::test]
async fn dist_181_a_session_that_may_not_be_given_up_is_left_and_the_first_error_told() {
    let registry = play(Personality::distribution()).await;
    let repository = uploading(&registry, Upload::default());
    let content = Bytes::from(fixtures::bytes(1, SIZE));
    let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, b"something else");
    let blob = Descriptor { size: SIZE as u64, ..blob };
    let error = repository.blob_put(&blob, &content, None).await.unwrap_err();
    assert!(error.to_string().contains("DIGEST_INVALID"), "{error}");
    let cancel: Vec<_> = registry.requests().into_iter().filter(|seen| seen.is("DELETE", "")).collect();
    assert!(!cancel.is_empty() && cancel.len() <= 2, "{cancel:?}");
    assert!(cancel.iter().all(|seen| seen.header("authorization").is_some()));
}
