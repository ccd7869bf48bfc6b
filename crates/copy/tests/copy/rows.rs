//! The fault matrix: which rows are tests, and why the others are not. A row that is said to be tested has a test of that
//! name (`row_24_…`) in each crate that is named, and one that is not has none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

enum Row {
    /// In these crates.
    Tested(&'static [&'static str]),
    /// Nowhere yet, for this reason.
    Untested(&'static str),
}
use Row::{Tested, Untested};

const ROWS: [(&str, Row); 70] = [
    ("killed while a blob is written", Tested(&["cli", "copy", "layout"])),
    ("killed while the index is written", Tested(&["cli", "layout"])),
    ("killed between the rename of the index and the sync of its folder", Tested(&["cli", "layout"])),
    ("power lost with data that was not synced", Tested(&["cli"])),
    ("a sync that fails", Tested(&["layout"])),
    ("no space in the middle of a blob", Tested(&["cli", "layout", "pack"])),
    ("no space for the index", Tested(&["layout"])),
    ("no inodes", Tested(&["layout"])),
    (
        "no quota",
        Untested(
            "told by the system's own kind of error, as a full disk is; it needs a file system with quotas",
        ),
    ),
    ("a read-only file system that is to be written", Tested(&["cli", "layout"])),
    ("read-only media that are read", Tested(&["layout"])),
    ("no right to write", Tested(&["layout"])),
    ("a blob that may not be read", Tested(&["layout"])),
    ("a disk that fails below a source", Tested(&["copy", "pack"])),
    ("short and interrupted reads and writes", Tested(&["pack"])),
    ("blobs on another file system", Tested(&["layout"])),
    ("many writers, each with names of its own", Tested(&["cli", "layout"])),
    ("many writers of one name", Tested(&["layout"])),
    ("a writer beside a collection of garbage", Tested(&["cli", "layout"])),
    ("a reader beside writers", Tested(&["cli", "layout"])),
    ("the lock of a dead process", Tested(&["layout"])),
    ("a lock that is held for too long", Tested(&["layout"])),
    ("a foreign program that writes the index in between", Tested(&["layout"])),
    ("a body that is cut once", Tested(&["copy", "registry"])),
    ("a body that is always cut", Tested(&["copy", "registry"])),
    ("a server that ignores ranges", Tested(&["copy", "registry"])),
    ("another range than was asked for", Tested(&["copy", "registry"])),
    ("416 to a range", Tested(&["copy", "registry"])),
    ("a flipped byte", Tested(&["copy", "registry"])),
    ("a short body", Tested(&["copy", "layout", "registry"])),
    ("a long body", Tested(&["copy", "layout", "registry"])),
    ("a body without end", Tested(&["copy", "registry"])),
    ("a stall in the middle", Tested(&["copy", "registry"])),
    ("a trickle", Tested(&["registry"])),
    ("silence before the head", Tested(&["registry"])),
    ("an upload that is never answered", Tested(&["registry"])),
    ("an upload that the server has forgotten", Tested(&["registry"])),
    ("an upload of which the server has less", Tested(&["registry"])),
    ("413, and a smallest chunk", Tested(&["copy", "registry"])),
    ("429, and every form of Retry-After", Tested(&["registry"])),
    ("5xx, once and for ever", Tested(&["copy", "registry"])),
    ("401 in the middle", Tested(&["registry"])),
    ("401 for ever, and 403", Tested(&["registry"])),
    ("a realm elsewhere", Tested(&["registry"])),
    ("a redirect to another host", Tested(&["registry"])),
    ("a redirect in circles, and to what is no web", Tested(&["registry"])),
    ("pages elsewhere, without end, in circles", Tested(&["registry"])),
    ("Docker-Content-Digest that lies", Tested(&["registry"])),
    ("a tag that moves on the way", Tested(&["copy"])),
    ("a registry that has not what it said", Tested(&["copy"])),
    ("a wrong blob under the right name", Tested(&["copy", "layout"])),
    ("rot in a source", Tested(&["copy"])),
    ("a blob that is no file, or a link out of the layout", Tested(&["layout"])),
    ("a link that takes a blob's place meanwhile", Tested(&["layout"])),
    (
        "little memory",
        Untested("measured by `cargo xtask bench`, and by the server's own test of its memory"),
    ),
    ("few open files", Tested(&["cli", "layout"])),
    ("a clock that jumps", Tested(&["registry"])),
    ("SIGTERM and SIGINT", Tested(&["cli"])),
    ("standard output and error that are closed or full", Tested(&["cli"])),
    ("no network", Tested(&["registry"])),
    ("a proxy that refuses", Tested(&["registry"])),
    ("a certificate that is wrong", Tested(&["registry"])),
    (
        "a name of which one address is dead",
        Untested("the HTTP client tries them beside each other; it needs a name with two"),
    ),
    ("a client that is very slow", Tested(&["serve"])),
    ("a layout that is replaced while it is served", Tested(&["layout", "serve"])),
    ("an upload to a server that is killed, or whose disk is full", Tested(&["serve"])),
    ("an archive that is cut or changed anywhere", Tested(&["copy", "layout"])),
    ("a file that would be larger than may be", Tested(&["cli"])),
    ("a bundle that is older than the last one", Untested("there are no bundles with a counter yet")),
    ("a panic in a worker", Tested(&["copy"])),
];

/// The crates with a test for each row, by their names.
fn tests() -> BTreeMap<usize, BTreeSet<String>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for folder in crates.read_dir().unwrap().map(Result::unwrap) {
        let name = folder.file_name().into_string().unwrap();
        for part in ["src", "tests"] {
            read(&folder.path().join(part), &mut |text| {
                for row in rows(text) {
                    found.entry(row).or_default().insert(name.clone());
                }
            });
        }
    }
    found
}

fn read(path: &Path, take: &mut impl FnMut(&str)) {
    if path.is_dir() {
        for entry in path.read_dir().unwrap() {
            read(&entry.unwrap().path(), take);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        take(&std::fs::read_to_string(path).unwrap());
    }
}

/// The rows of which the functions of a source speak: all numbers that follow `row_` or `rows_`, less those that are
/// no rows, as in `row_28_416_means_from_the_start`.
fn rows(source: &str) -> BTreeSet<usize> {
    let names = source.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
    let mut found = BTreeSet::new();
    for name in names {
        let mut is_row = false;
        for word in name.split('_') {
            match word.parse() {
                Ok(number) if is_row && number <= ROWS.len() => drop(found.insert(number)),
                _ => is_row = matches!(word, "row" | "rows"),
            }
        }
    }
    found
}

#[test]
fn every_row_of_the_fault_matrix_is_a_test_or_has_a_reason() {
    let tests = tests();
    let mut wrong = Vec::new();
    for (number, (fault, row)) in (1..).zip(&ROWS) {
        let there = tests.get(&number).cloned().unwrap_or_default();
        match row {
            Tested(crates) => {
                let missing = crates.iter().filter(|name| !there.contains(**name));
                wrong.extend(missing.map(|name| format!("row {number} ({fault}) has no test in {name}")));
            }
            Untested(why) if there.is_empty() => assert!(!why.is_empty()),
            Untested(_) => wrong.push(format!("row {number} ({fault}) has a test by now: {there:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_numbers_are_read_from_the_names_of_tests() {
    let found = |source| rows(source).into_iter().collect::<Vec<_>>();
    assert_eq!(found("async fn row_6_19_a_full_disk() {} fn dist_22_row_24_a_cut() {}"), [6, 19, 24]);
    assert_eq!(found("fn rows_27_28_an_odd_answer() {} fn row_28_416_means() {}"), [27, 28]);
    assert_eq!(found("fn narrow_5() {} // row_6_ fn\nfn three_rows() {}"), [0; 0]);
}
