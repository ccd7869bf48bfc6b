//! What cannot be read is a finding, and ends nothing but itself.
//!
//! A disk that fails cannot be had here, and root may read everything: so links lead to the memory of this process, which
//! is a regular file that gives an I/O error, and to names that are too long.

use std::os::unix::fs::symlink;

use transship_layout::check::{self, Code, Finding, Options, Report};
use transship_layout::{Layout, Links};

use crate::bench::{Bench, Recipe, codes};
use crate::faults::instead;

fn check(bench: &Bench, options: &Options) -> (Vec<Finding>, Report) {
    let mut found = Vec::new();
    let open = Layout::options().links(Links::Follow);
    let report =
        check::directory(bench.folder.path(), &open, options, &mut |finding| found.push(finding.clone()));
    (found, report.unwrap())
}

fn fails(bench: &Bench, name: &str) {
    instead(&bench.path(name), |path| symlink("/proc/self/mem", path).unwrap());
}

#[test]
fn an_index_that_cannot_be_read_leaves_the_blobs_to_be_checked() {
    let bench = Bench::new(&Recipe::default());
    std::fs::write(bench.layer(), "corrupt").unwrap();
    fails(&bench, "index.json");
    let (found, report) = check(&bench, &Options::default());
    assert_eq!(codes(&found), ["blob-corrupt", "file-unreadable"]);
    assert_eq!((report.orphans, report.closure), (None, None));
}

#[test]
fn a_marker_that_cannot_be_read_leaves_the_rest_to_be_checked() {
    let bench = Bench::new(&Recipe::default());
    fails(&bench, "oci-layout");
    let (found, report) = check(&bench, &Options::default());
    assert_eq!(codes(&found), ["file-unreadable"]);
    assert!(report.closure.is_some());
}

#[test]
fn a_folder_of_blobs_that_cannot_be_read_may_hold_orphans() {
    let bench = Bench::new(&Recipe::default());
    symlink("x".repeat(300), bench.path("blobs/sha384")).unwrap();
    let (found, report) = check(&bench, &Options::default());
    assert_eq!(codes(&found), ["file-unreadable"]);
    assert_eq!(found[0].place.path.as_deref(), Some("blobs/sha384"));
    assert_eq!((report.orphans, report.blobs), (None, 3));

    let bench = Bench::new(&Recipe::default());
    symlink("/etc", bench.path("blobs/sha384")).unwrap();
    let (found, report) = bench.check(&Options::default());
    assert_eq!((codes(&found), report.orphans), (vec!["file-unsafe"], None));
}

#[test]
fn a_blob_that_cannot_be_read_is_one_finding_with_stamps_and_without() {
    for trust_stamps in [false, true] {
        let bench = Bench::new(&Recipe::default());
        instead(&bench.layer(), |path| symlink("/proc/self/mem", path).unwrap());
        let mut options = Options::default();
        options.trust_stamps = trust_stamps;
        let (found, report) = check(&bench, &options);
        assert!(found.iter().any(|finding| finding.code == Code::BlobUnreadable), "{found:?}");
        assert_eq!(report.closure, None);
        assert!(report.corrupt.is_empty(), "nobody knows what is in it");
    }
}
