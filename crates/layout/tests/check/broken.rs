//! Every fault is found, and under its own name.

use std::collections::BTreeSet;

use transship_layout::check::{Code, Options};

use crate::bench::{Bench, Recipe, codes};
use crate::faults::cases;

fn found(recipe: &Recipe) -> Vec<&'static str> {
    let mut options = Options::default();
    (recipe.options)(&mut options);
    codes(&Bench::new(recipe).check(&options).0)
}

#[test]
fn each_fault_gives_its_codes_and_no_others() {
    let mut wrong = Vec::new();
    for (name, recipe, expected) in cases() {
        let found = found(&recipe);
        if found != expected {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_a_case_for_every_code() {
    let cases = cases();
    assert!(cases.len() >= 60, "{}", cases.len());
    let covered: BTreeSet<_> = cases.iter().flat_map(|(_, _, codes)| codes.iter().copied()).collect();
    // A disk that fails cannot be had here, nor one that others write to: `unreadable.rs` and `beside.rs` have these.
    let missing: Vec<_> =
        Code::ALL.iter().map(|code| code.name()).filter(|name| !covered.contains(name)).collect();
    assert_eq!(missing, ["file-unreadable", "blob-unreadable", "blob-gone"]);
}
