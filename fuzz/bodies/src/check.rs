//! A check of a folder, its repair, and the same check of an archive.

use std::io::Write;
use std::path::Path;

use transship_codec::Limits;
use transship_layout::check::{self, Options, RepairPlan, Report};
use transship_layout::{Archive, Durability, Layout};

use crate::tree::{self, File};

/// The body: a tree.
pub fn run(bytes: &[u8]) {
    let files = tree::parse(bytes);
    let folder = tempfile::tempdir().unwrap();
    tree::write(&files, folder.path());
    let (report, lines) = directory(folder.path(), 1);
    let (_, again) = directory(folder.path(), 2);
    assert_eq!(lines, again, "findings depend on the content only");
    if let (Some(here), Some(there)) = (&report.closure, archive(&files)) {
        assert_eq!(*here, there, "a closure is the same wherever it lies");
    }
    repair(folder.path(), &report);
}

fn options(threads: usize) -> Options {
    let mut options = Options::default();
    options.threads = threads;
    options.limits = Limits { max_output: 16 << 20, max_window_log: 20, ..Limits::default() };
    options
}

fn directory(path: &Path, threads: usize) -> (Report, Vec<String>) {
    let mut lines = Vec::new();
    let mut take = |finding: &check::Finding| {
        let line = finding.to_string();
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(serde_json::to_string(finding).is_ok());
        lines.push(line);
    };
    let report = check::directory(path, &Layout::options(), &options(threads), &mut take).unwrap();
    assert_eq!(report.errors + report.warnings + report.notes, lines.len() as u64);
    assert!(report.closure.is_none() || report.missing.is_empty(), "a closure is whole");
    (report, lines)
}

/// The closure of the same content in an archive.
fn archive(files: &[File]) -> Option<transship_spec::Digest> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&tree::tar(files)).unwrap();
    let archive = Archive::options().open(file.path()).ok()?;
    check::content(&archive, &options(1), &mut |_| {}).ok()?.closure
}

/// A repair leaves nothing corrupt, and no entry that points nowhere.
fn repair(path: &Path, report: &Report) {
    let Ok(layout) = Layout::options().durability(Durability::None).open(path) else { return };
    let plan = RepairPlan::new(&layout, report, None, true).unwrap();
    assert!(!plan.to_string().contains('\u{1b}'));
    let Ok(repaired) = plan.run(&layout, None) else { return };
    assert!(repaired.refilled.is_empty() && repaired.failed.is_empty());
    let (after, _) = directory(path, 1);
    for digest in &repaired.quarantined {
        assert!(after.corrupt.iter().all(|blob| blob.digest != *digest), "{digest} was moved away");
    }
    assert!(after.corrupt.len() <= report.corrupt.len());
}
