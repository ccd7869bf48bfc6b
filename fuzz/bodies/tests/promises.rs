//! Every body over the kept corpus, and over what becomes of it by chance: the promises of the fuzz targets, kept on every
//! run of the tests.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::path::Path;
use std::{fmt, fs};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use transship_fuzz_bodies::TARGETS;

/// The inputs that are kept for a target.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// An input that a failure shows as text.
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// What chance does to an input.
#[derive(Debug, Clone)]
enum Change {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index, prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        let span = |a: &prop::sample::Index, b: &prop::sample::Index| {
            let (a, b) = (a.index(length), b.index(length));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Insert(at, more) => {
                let at = at.index(length);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Cut(from, to) => drop(bytes.drain(span(from, to))),
            Self::Repeat(from, to) => {
                let again = bytes[span(from, to)].to_vec();
                bytes.extend(again);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, more)| Change::Insert(at, more)),
        (at(), at()).prop_map(|(from, to)| Change::Cut(from, to)),
        (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

/// Inputs that nobody thought of: plain chance, and what chance makes of kept ones.
fn input(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Input> {
    let changed = (prop::sample::select(corpus), prop::collection::vec(change(), 1..4));
    let changed = changed.prop_map(|(mut bytes, changes)| {
        changes.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    });
    let plain = prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![1 => plain, 4 => changed].prop_map(Input)
}

fn body(name: &str) -> fn(&[u8]) {
    TARGETS.iter().find(|(target, _)| *target == name).unwrap().1
}

/// Bodies that write files; the others are so fast that they can be tried more often.
const ON_DISK: &[&str] = &["archive", "check", "index", "layer_input", "layout_dir", "scratch"];

fn holds(name: &str) {
    let (body, corpus) = (body(name), corpus(name));
    assert!(!corpus.is_empty(), "inputs are kept for every target");
    corpus.iter().for_each(|bytes| body(bytes));
    let cases = if ON_DISK.contains(&name) { 24 } else { 200 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let tested = TestRunner::new(config).run(&input(corpus), |bytes| {
        body(&bytes.0);
        Ok(())
    });
    if let Err(error) = tested {
        panic!("{name}: {error}");
    }
}

macro_rules! promises {
    ($($test:ident: $name:ident;)*) => {
        $(#[test] fn $test() { holds(stringify!($name)); })*

        #[test]
        fn every_target_has_a_test() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(tested.to_vec(), TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
    };
}

promises! {
    an_archive_of_any_bytes_is_read_within_bounds: archive;
    a_check_of_any_tree_finds_the_same_twice_and_can_be_repaired: check;
    what_is_decoded_does_not_depend_on_how_it_came: decode;
    a_credential_that_is_saved_is_found_and_others_stay: docker_config;
    a_document_is_its_bytes: document;
    what_is_compressed_comes_out_again_and_does_not_depend_on_threads: encode;
    a_change_of_an_index_leaves_all_else_as_it_was: index;
    json_is_taken_apart_where_others_take_it: json;
    a_check_of_a_layer_does_not_depend_on_how_it_came: layer;
    a_tar_that_is_packed_is_a_layer_as_it_is: layer_input;
    a_layout_of_any_files_is_swept_without_loss: layout_dir;
    a_media_type_is_read_as_it_is_written: media_type;
    a_specification_of_a_tree_is_printed_and_read_again: mtree;
    a_name_is_printed_and_read_again_as_the_same: names;
    a_platform_fits_itself: platform;
    the_body_of_an_answer_is_told_within_bounds: registry_bodies;
    a_header_is_written_and_read_again_as_the_same: registry_headers;
    what_others_left_in_the_scratch_folder_does_no_harm: scratch;
    a_request_leads_nowhere_but_where_it_says: serve_request;
}
