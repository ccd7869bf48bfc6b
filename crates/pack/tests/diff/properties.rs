//! Whatever layers hold: comparing images is comparing what unpacking makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use transship_layout::Layout;
use transship_pack::{Diff, DiffOptions, DiffSide, Error, Rootfs, Status, UnpackPlan, diff, unpack};
use transship_spec::Descriptor;

use crate::support::{Stored, Tar, image, listing, quick};

/// What an entry of a layer is.
#[derive(Debug, Clone)]
enum Op {
    File(String, u8, u32),
    Folder(String, u32),
    Symlink(String, String),
    HardLink(String, String),
    Whiteout(String, String),
    Opaque(String),
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..4).prop_map(|parts| parts.join("/"))
}

fn target() -> impl Strategy<Value = String> {
    let targets = vec!["a", "b", "/a", "/c/b", "../b", "a/../b", ".", "../../c", "missing", "missing/../a"];
    prop::sample::select(targets).prop_map(str::to_owned)
}

fn op() -> impl Strategy<Value = Op> {
    let mode = || prop::sample::select(vec![0o644, 0o755]);
    prop_oneof![
        4 => (path(), 0..3_u8, mode()).prop_map(|(path, content, mode)| Op::File(path, content, mode)),
        3 => (path(), mode()).prop_map(|(path, mode)| Op::Folder(path, mode)),
        2 => (path(), target()).prop_map(|(path, target)| Op::Symlink(path, target)),
        1 => (path(), path()).prop_map(|(path, target)| Op::HardLink(path, target)),
        2 => (prop_oneof![Just(String::new()), path()], name()).prop_map(|(path, name)| Op::Whiteout(path, name)),
        1 => path().prop_map(Op::Opaque),
    ]
}

fn layers(most: usize) -> impl Strategy<Value = Vec<Vec<Op>>> {
    prop::collection::vec(prop::collection::vec(op(), 0..8), 0..most)
}

fn tar(ops: &[Op]) -> Vec<u8> {
    let with_mode = |mode: u32| move |header: &mut tar::Header| header.set_mode(mode);
    let tar = ops.iter().fold(Tar::new(), |tar, op| match op {
        Op::File(path, content, mode) => {
            let content = [b"", &b"one"[..], b"two"][usize::from(*content)];
            tar.entry(path.as_bytes(), b'0', (b"", content), with_mode(*mode))
        }
        Op::Folder(path, mode) => tar.entry(path.as_bytes(), b'5', (b"", b""), with_mode(*mode)),
        Op::Symlink(path, target) => tar.symlink(path, target),
        Op::HardLink(path, target) => tar.hard_link(path, target),
        Op::Whiteout(path, name) if path.is_empty() => tar.file(&format!(".wh.{name}"), b""),
        Op::Whiteout(path, name) => tar.file(&format!("{path}/.wh.{name}"), b""),
        Op::Opaque(path) => tar.file(&format!("{path}/.wh..wh..opq"), b""),
    });
    tar.end()
}

/// An image in a layout, and what unpacking makes of it: of each path all but which names are one file.
struct Image {
    layout: Layout,
    descriptor: Descriptor,
    tree: Result<BTreeMap<PathBuf, Vec<String>>, Error>,
}

fn made(at: &Path, layers: &[Vec<Op>]) -> Image {
    let stored: Vec<Stored> = layers.iter().map(|ops| Stored::plain(&tar(ops))).collect();
    let (layout, descriptor) = image(&at.join("layout"), &stored);
    let rootfs = at.join("rootfs");
    let done = UnpackPlan::read(&layout, &descriptor, None)
        .and_then(|plan| unpack(&layout, &plan, Rootfs::begin(&rootfs)?, &quick()));
    let tree = done.map(|_| {
        let tree = listing(&rootfs).into_iter();
        let parts = |line: String| {
            let parts = line.splitn(6, ' ').enumerate().filter(|(number, _)| *number != 4);
            parts.map(|(_, part)| part.to_owned()).collect()
        };
        tree.map(|(path, line)| (path, parts(line))).collect()
    });
    Image { layout, descriptor, tree }
}

fn compared(left: &Image, right: &Image, options: &DiffOptions) -> Result<Diff, Error> {
    diff(
        DiffSide { source: &left.layout, image: &left.descriptor },
        DiffSide { source: &right.layout, image: &right.descriptor },
        options,
    )
}

/// Paths that differ, with what became of them.
fn found(diff: &Diff) -> BTreeSet<(PathBuf, Status)> {
    diff.files.iter().flatten().map(|change| (change.path.clone(), change.status())).collect()
}

fn mirrored(status: Status) -> Status {
    match status {
        Status::Added => Status::Removed,
        Status::Removed => Status::Added,
        Status::Changed => Status::Changed,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn img_125_img_138_a_comparison_finds_what_differs_once_both_are_unpacked(
        shared in layers(3),
        left in layers(3),
        right in layers(3),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let whole = |rest: &[Vec<Op>]| [&shared[..], rest].concat();
        let left = made(&folder.path().join("left"), &whole(&left));
        let right = made(&folder.path().join("right"), &whole(&right));
        let options = DiffOptions { mtime: true, ..DiffOptions::default() };
        let diff = compared(&left, &right, &options);
        let (Ok(a), Ok(b)) = (&left.tree, &right.tree) else {
            prop_assert!(diff.is_err() || diff.is_ok_and(|diff| diff.is_empty()));
            return Ok(());
        };
        let diff = diff.unwrap();
        let mut expected = BTreeSet::new();
        for path in a.keys().chain(b.keys()) {
            let status = match (a.get(path), b.get(path)) {
                (Some(a), Some(b)) if a == b => continue,
                (Some(_), Some(_)) => Status::Changed,
                (Some(_), None) => Status::Removed,
                _ => Status::Added,
            };
            expected.insert((path.clone(), status));
        }
        prop_assert_eq!(found(&diff), expected);
        let mirror = compared(&right, &left, &options).unwrap();
        let back: BTreeSet<_> = found(&mirror).into_iter().map(|(path, status)| (path, mirrored(status))).collect();
        prop_assert_eq!(found(&diff), back);
        for image in [&left, &right] {
            prop_assert!(compared(image, image, &options).unwrap().is_empty());
        }
    }
}
