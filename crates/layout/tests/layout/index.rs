//! Changing `index.json`: exact bytes, and agreement with a simple model.

use std::path::Path;

use proptest::prelude::*;
use transship_layout::{Error, Layout, Name};
use transship_spec::{Descriptor, MediaType, Reference};

use crate::support::{index, layout, short};

const NAME: &str = "org.opencontainers.image.ref.name";

fn descriptor(n: u32) -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, &n.to_le_bytes())
}

/// A descriptor as it is written.
fn json(descriptor: &Descriptor) -> String {
    serde_json::to_string(descriptor).unwrap()
}

fn named(n: u32, name: &str) -> String {
    let bare = json(&descriptor(n));
    format!(r#"{},"annotations":{{"{NAME}":"{name}"}}}}"#, bare.strip_suffix('}').unwrap())
}

fn write(path: &Path, text: &str) {
    std::fs::write(path.join("index.json"), text).unwrap();
}

#[test]
fn law_1_only_the_entry_concerned_changes_its_bytes() {
    let (folder, layout) = layout();
    let (one, two) = (named(1, "one"), named(2, "two"));
    let odd = format!(r#"{{ "size":4, "z":1.00e0, {} }}"#, &one[1..one.len() - 1].replace(",\"size\":4", ""));
    let text = format!(
        "{{\n  \"x\": 1e2,\n  \"manifests\": [\n    {odd},\n    {two}\n  ],\n  \"schemaVersion\": 2\n}}\n"
    );
    write(folder.path(), &text);

    layout.edit(|index| index.set(&short("three"), &descriptor(3))).unwrap();
    let three = named(3, "three");
    assert_eq!(index(&layout), text.replace("\n  ],", &format!(",\n    {three}\n  ],")));

    layout.edit(|index| index.set(&short("two"), &descriptor(4))).unwrap();
    let moved = named(4, "two");
    assert_eq!(
        index(&layout),
        format!(
            "{{\n  \"x\": 1e2,\n  \"manifests\": [\n    {odd},\n    {moved},\n    {three}\n  ],\n  \"schemaVersion\": 2\n}}\n"
        )
    );

    assert!(layout.edit(|index| index.remove(&short("two"))).unwrap());
    assert!(layout.edit(|index| index.remove(&short("three"))).unwrap());
    assert_eq!(index(&layout), text.replace(&format!(",\n    {two}"), ""));
    assert!(layout.edit(|index| index.remove(&short("one"))).unwrap());
    assert_eq!(index(&layout), "{\n  \"x\": 1e2,\n  \"manifests\": [],\n  \"schemaVersion\": 2\n}\n");
    layout.edit(|index| index.set(&short("one"), &descriptor(1))).unwrap();
    assert_eq!(
        index(&layout),
        format!("{{\n  \"x\": 1e2,\n  \"manifests\": [{one}],\n  \"schemaVersion\": 2\n}}\n")
    );
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let (folder, layout) = layout();
    layout.edit(|index| index.set(&short("v1"), &descriptor(1))).unwrap();
    let before = std::fs::metadata(folder.path().join("index.json")).unwrap().modified().unwrap();
    layout.edit(|index| index.set(&short("v1"), &descriptor(1))).unwrap();
    assert!(!layout.edit(|index| index.remove(&short("v2"))).unwrap());
    assert!(!layout.edit(|index| index.add(&descriptor(1))).unwrap());
    assert_eq!(std::fs::metadata(folder.path().join("index.json")).unwrap().modified().unwrap(), before);
}

#[test]
fn an_error_of_the_change_leaves_the_index_alone() {
    let (folder, layout) = layout();
    let before = index(&layout);
    let error = layout
        .edit(|index| {
            index.set(&short("v1"), &descriptor(1))?;
            Err::<(), _>(Error::Ended)
        })
        .unwrap_err();
    assert!(matches!(error, Error::Ended));
    assert_eq!(index(&layout), before);
    assert!(!folder.path().join(".transship").exists());
}

#[test]
fn img_19_a_name_that_moves_leaves_exactly_one_entry_and_drops_the_old_one() {
    let (_folder, layout) = layout();
    for (n, name) in [(1, "a"), (2, "b"), (3, "c")] {
        layout.edit(|index| index.set(&short(name), &descriptor(n))).unwrap();
    }
    let before = layout.edit(|index| index.set(&short("b"), &descriptor(9))).unwrap().unwrap();
    assert_eq!(before.digest, descriptor(2).digest);
    let entries = layout.entries().unwrap();
    let shown: Vec<_> =
        entries.iter().map(|entry| (entry.name().unwrap(), entry.descriptor.digest.clone())).collect();
    let digest = |n| descriptor(n).digest;
    assert_eq!(shown, [("a", digest(1)), ("b", digest(9)), ("c", digest(3))]);
}

#[test]
fn img_19_content_that_was_put_by_digest_stays_when_a_name_moves() {
    let (_folder, layout) = layout();
    layout.edit(|index| index.set(&short("v1"), &descriptor(1))).unwrap();
    assert!(!layout.edit(|index| index.add(&descriptor(1))).unwrap(), "listed already");
    assert!(layout.edit(|index| index.pin(&descriptor(1))).unwrap());
    assert!(!layout.edit(|index| index.pin(&descriptor(1))).unwrap());
    layout.edit(|index| index.set(&short("v1"), &descriptor(2))).unwrap();
    assert!(layout.resolve(Some(&descriptor(1).digest.to_string())).is_ok());
    assert_eq!(layout.edit(|index| index.unpin(&descriptor(1).digest)).unwrap(), 1);
    assert_eq!(layout.edit(|index| Ok(index.remove_digest(&descriptor(2).digest))).unwrap(), 1);
    assert!(layout.entries().unwrap().is_empty());
}

#[test]
fn a_full_name_is_written_twice_and_found_in_every_spelling() {
    let (_folder, layout) = layout();
    let name = Name::full(&Reference::parse("index.docker.io/library/x:v1").unwrap());
    layout.edit(|index| index.set(&name, &descriptor(1))).unwrap();
    assert!(index(&layout).contains(
        r#""annotations":{"io.containerd.image.name":"docker.io/library/x:v1","org.opencontainers.image.ref.name":"docker.io/library/x:v1"}"#
    ));
    for wanted in ["docker.io/library/x:v1", "index.docker.io/library/x:v1", "library/x:v1", "x:v1", "v1"] {
        assert_eq!(layout.resolve(Some(wanted)).unwrap().descriptor.digest, descriptor(1).digest, "{wanted}");
    }
}

#[test]
fn img_17_a_full_name_takes_the_place_of_its_other_spellings() {
    let (folder, layout) = layout();
    let crane = named(1, "index.docker.io/library/x:v1");
    let buildx =
        named(2, "v1").replace("\":{\"", "\":{\"io.containerd.image.name\":\"docker.io/library/y:v1\",\"");
    write(folder.path(), &format!(r#"{{"schemaVersion":2,"manifests":[{crane},{buildx}]}}"#));
    for (n, name) in [(3, "x:v1"), (4, "y:v1")] {
        let name = Name::full(&Reference::parse(name).unwrap());
        layout.edit(|index| index.set(&name, &descriptor(n))).unwrap();
    }
    let entries = layout.entries().unwrap();
    let digests: Vec<_> = entries.iter().map(|entry| entry.descriptor.digest.clone()).collect();
    assert_eq!(digests, [descriptor(3).digest, descriptor(4).digest]);
}

#[test]
fn a_short_name_that_is_but_a_tag_is_moved_only_where_it_is_clear() {
    let (folder, layout) = layout();
    let buildx = |n, repo: &str| {
        let full = format!("\":{{\"io.containerd.image.name\":\"docker.io/library/{repo}:v1\",\"");
        named(n, "v1").replace("\":{\"", &full)
    };
    write(folder.path(), &format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, buildx(1, "x")));
    layout.edit(|index| index.set(&short("v1"), &descriptor(3))).unwrap();
    assert_eq!(layout.entries().unwrap().len(), 1);
    let two = format!(r#"{{"schemaVersion":2,"manifests":[{},{}]}}"#, buildx(1, "x"), buildx(2, "y"));
    write(folder.path(), &two);
    layout.edit(|index| index.set(&short("v1"), &descriptor(3))).unwrap();
    assert_eq!(layout.entries().unwrap().len(), 3, "nobody can tell which of the two was meant");
    assert_eq!(layout.resolve(Some("v1")).unwrap().descriptor.digest, descriptor(3).digest);
}

#[test]
fn a_name_is_cut_out_of_an_entry_that_has_another_one() {
    let (folder, layout) = layout();
    let text = |annotations: &str| {
        let bare = json(&descriptor(1));
        let entry = format!(
            r#"{}, "annotations": {{{annotations}}} , "z": [1.0]}}"#,
            bare.strip_suffix('}').unwrap()
        );
        format!(r#"{{"schemaVersion":2,"manifests":[ {entry} ]}}"#)
    };
    let full = r#""io.containerd.image.name": "r.example/x:v1""#;
    let short_name = format!(r#" "{NAME}": "stable""#);
    write(folder.path(), &text(&format!("{short_name} , \"a\": \"b\", {full}")));
    assert!(layout.edit(|index| index.remove(&short("stable"))).unwrap());
    assert_eq!(index(&layout), text(&format!(" \"a\": \"b\", {full}")));
    write(folder.path(), &text(&format!("{short_name} , \"a\": \"b\", {full}")));
    let full_name = Name::full(&Reference::parse("r.example/x:v1").unwrap());
    assert!(layout.edit(|index| index.remove(&full_name)).unwrap());
    assert_eq!(index(&layout), text(&format!("{short_name} , \"a\": \"b\"")));
}

#[test]
fn case_l9_null_is_an_empty_list() {
    let (folder, layout) = layout();
    write(folder.path(), r#"{"manifests":null,"schemaVersion":2}"#);
    assert!(layout.entries().unwrap().is_empty());
    layout.edit(|index| index.set(&short("v1"), &descriptor(1))).unwrap();
    assert_eq!(index(&layout), format!(r#"{{"manifests":[{}],"schemaVersion":2}}"#, named(1, "v1")));
}

#[test]
fn row_23_a_foreign_change_between_our_read_and_our_write_is_merged() {
    let (folder, layout) = layout();
    let mut calls = 0;
    layout
        .edit(|index| {
            calls += 1;
            if calls == 1 {
                write(
                    folder.path(),
                    &format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, named(7, "foreign")),
                );
            }
            index.set(&short("ours"), &descriptor(1))
        })
        .unwrap();
    assert_eq!(calls, 2);
    layout.resolve(Some("foreign")).unwrap();
    layout.resolve(Some("ours")).unwrap();
    let error = layout
        .edit(|index| {
            calls += 1;
            write(
                folder.path(),
                &format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, named(calls, "foreign")),
            );
            index.set(&short("more"), &descriptor(1))
        })
        .unwrap_err();
    assert!(matches!(error, Error::Unsettled { .. }), "{error}");
}

/// What the model test does to an index.
#[derive(Debug, Clone)]
enum Act {
    Set(u8, u8),
    Remove(u8),
    Add(u8),
    RemoveDigest(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..6u8, 0..6u8).prop_map(|(name, n)| Act::Set(name, n)),
        (0..6u8).prop_map(Act::Remove),
        (0..6u8).prop_map(Act::Add),
        (0..6u8).prop_map(Act::RemoveDigest),
    ];
    prop::collection::vec(act, 0..12)
}

type Model = Vec<(Option<String>, u8)>;

fn apply(model: &mut Model, act: &Act) {
    match act {
        Act::Set(name, n) => {
            let name = Some(format!("n{name}"));
            match model.iter_mut().find(|entry| entry.0 == name) {
                Some(entry) => entry.1 = *n,
                None => model.push((name, *n)),
            }
        }
        Act::Remove(name) => model.retain(|entry| entry.0 != Some(format!("n{name}"))),
        Act::Add(n) if model.iter().any(|entry| entry.1 == *n) => {}
        Act::Add(n) => model.push((None, *n)),
        Act::RemoveDigest(n) => model.retain(|entry| entry.1 != *n),
    }
}

fn perform(index: &mut transship_layout::IndexEdit<'_>, act: &Act) -> Result<(), Error> {
    match act {
        Act::Set(name, n) => index.set(&short(&format!("n{name}")), &descriptor(u32::from(*n))).map(drop),
        Act::Remove(name) => index.remove(&short(&format!("n{name}"))).map(drop),
        Act::Add(n) => index.add(&descriptor(u32::from(*n))).map(drop),
        Act::RemoveDigest(n) => {
            index.remove_digest(&descriptor(u32::from(*n)).digest);
            Ok(())
        }
    }
}

fn shown(layout: &Layout) -> Vec<(Option<String>, String)> {
    let entries = layout.entries().unwrap();
    let view = |entry: &transship_layout::Entry| {
        (entry.name().map(str::to_owned), entry.descriptor.digest.to_string())
    };
    entries.iter().map(view).collect()
}

fn expected(model: &Model) -> Vec<(Option<String>, String)> {
    let view =
        |(name, n): &(Option<String>, u8)| (name.clone(), descriptor(u32::from(*n)).digest.to_string());
    model.iter().map(view).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn edits_agree_with_a_simple_model(sessions in prop::collection::vec(acts(), 1..6), pretty: bool) {
        let folder = tempfile::tempdir().unwrap();
        let options = Layout::options().durability(transship_layout::Durability::None);
        let layout = options.create(folder.path()).unwrap();
        if pretty {
            write(folder.path(), "{\n \"schemaVersion\" : 2 ,\n \"manifests\" : [ \n ] \n}\n");
        }
        let mut model = Model::new();
        for acts in sessions {
            layout.edit(|index| acts.iter().try_for_each(|act| perform(index, act))).unwrap();
            acts.iter().for_each(|act| apply(&mut model, act));
            prop_assert_eq!(shown(&layout), expected(&model));
        }
    }

    #[test]
    fn writers_of_different_names_commute(names in prop::collection::hash_set(0..40u32, 1..7)) {
        let forth: Vec<_> = names.iter().copied().collect();
        let back: Vec<_> = forth.iter().rev().copied().collect();
        let entries = |order: &[u32]| {
            let folder = tempfile::tempdir().unwrap();
            let options = Layout::options().durability(transship_layout::Durability::None);
            let layout = options.create(folder.path()).unwrap();
            for n in order {
                layout.edit(|index| index.set(&short(&format!("n{n}")), &descriptor(*n))).unwrap();
            }
            let mut shown = shown(&layout);
            shown.sort();
            shown
        };
        prop_assert_eq!(entries(&forth), entries(&back));
    }
}
