//! Memory does not grow with blobs. In a process of its own, since it looks at the whole of it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use bytes::Bytes;
use futures_util::stream;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use transship_layout::{Durability, Layout};
use transship_serve::Service;
use transship_spec::Hasher;

/// How many pieces of 64 KiB: 512 MiB.
const PIECES: usize = 8192;
/// The most that memory may grow by, in KiB.
const MOST: u64 = 32 << 10;

/// The most memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn law_6_a_blob_of_512_mib_goes_in_and_out_in_32_mib() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::options().durability(Durability::None).create(folder.path().join("layout")).unwrap();
    let service = Service::builder().mount("app", layout).writable(true).build().unwrap();
    let piece = Bytes::from(vec![7; 64 << 10]);
    let mut hasher = Hasher::sha256();
    (0..PIECES).for_each(|_| hasher.update(&piece));
    let digest = hasher.finish();
    let before = peak();

    let pieces = (0..PIECES).map(move |_| Ok::<_, std::io::Error>(Frame::data(Bytes::from(piece.to_vec()))));
    let post = format!("/v2/app/blobs/uploads/?digest={digest}");
    let request = Request::post(post).body(StreamBody::new(stream::iter(pieces))).unwrap();
    assert_eq!(service.handle(request).await.status(), StatusCode::CREATED);

    let request = Request::get(format!("/v2/app/blobs/{digest}")).body(Empty::<Bytes>::new()).unwrap();
    let mut body = service.handle(request).await.into_body();
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        received += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(received, PIECES * (64 << 10));
    let grown = peak() - before;
    assert!(grown < MOST, "memory grew by {grown} KiB");
}
