//! A disk that is full: in a mount namespace of its own, so that nothing of it is left. It needs root or user namespaces.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request};
use http_body_util::StreamBody;
use hyper::body::Frame;
use transship_layout::Layout;
use transship_serve::Service;

use crate::support::{Registry, content, write_image};

/// Says to the test that it runs on the small file system, and where that is.
const HERE: &str = "TRANSSHIP_TEST_SMALL_DISK";

/// Runs this test again on a file system of eight megabytes.
fn on_a_small_disk(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let script = r#"mount -t tmpfs -o size=8m tmpfs "$1" && exec "$2" --exact "$3" --nocapture"#;
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["sh", "-c", script, "sh"]).arg(folder.path()).arg(program).arg(test);
    let output = command.env(HERE, folder.path()).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    assert!(said(&output.stdout).contains("1 passed"), "{}", said(&output.stdout));
}

fn in_pieces(
    all: &[u8],
) -> StreamBody<impl futures_util::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + use<>> {
    let pieces: Vec<_> =
        all.chunks(64 << 10).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    StreamBody::new(stream::iter(pieces))
}

#[tokio::test]
async fn row_66_an_upload_to_a_full_disk_goes_on_when_there_is_room_again() {
    match std::env::var_os(HERE) {
        None => on_a_small_disk("disk::row_66_an_upload_to_a_full_disk_goes_on_when_there_is_room_again"),
        Some(here) => fill_and_go_on(&PathBuf::from(here)).await,
    }
}

async fn fill_and_go_on(disk: &Path) {
    let layout = Layout::options().create(disk.join("layout")).unwrap();
    let image = write_image(&layout, "image", &["v1"]);
    let service = Service::builder().mount("app", layout.clone()).writable(true).build().unwrap();
    let registry = Registry { service, layout, folder: tempfile::tempdir().unwrap() };
    let filler = disk.join("filler");
    std::fs::write(&filler, content(6 << 20)).unwrap();

    let all = content(4 << 20);
    let location = registry.upload().await;
    let request = Request::patch(&location).body(in_pieces(&all)).unwrap();
    assert_eq!(registry.service.handle(request).await.status(), 507);
    assert_eq!(&registry.get("/v2/app/manifests/v1").await.is(200).body, image.bytes());
    let range = registry.get(&location).await.is(204).header("range").to_owned();
    let received = range.strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    assert!((1 << 20..2 << 20).contains(&received), "{range}");

    std::fs::remove_file(&filler).unwrap();
    let digest = transship_spec::Digest::sha256(&all);
    let put = format!("{location}?digest={digest}");
    let rest = format!("{received}-{}", all.len() - 1);
    registry.send(Method::PUT, &put, &[("content-range", &rest)], all[received..].to_vec()).await.is(201);
    assert_eq!(registry.get(&format!("/v2/app/blobs/{digest}")).await.is(200).body, all);
}
