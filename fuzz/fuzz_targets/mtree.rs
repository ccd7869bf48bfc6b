//! Specifications of trees.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transship_pack::mtree::parse;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entries) = parse(bytes) {
        let mut text = Vec::new();
        entries.iter().for_each(|entry| entry.print(&mut text));
        let mut again = Vec::new();
        parse(&text).unwrap().iter().for_each(|entry| entry.print(&mut again));
        assert_eq!(text, again);
    }
});
