//! Layouts that other tools have written, as they lie in `testdata/layouts` (IMG-14…19, IMG-180).

use std::path::PathBuf;

use transship_layout::{Layout, graph};

/// Of each: what names it can be asked by, and how many referrers the image under the first of them has.
const LAYOUTS: &[(&str, &[&str], usize)] = &[
    ("skopeo", &["v1", "registry.example/team/app:v2", "v2", "@0", "@1"], 0),
    ("umoci", &["v1", "v2"], 0),
    ("podman", &["@0"], 0),
    ("buildx", &["v1", "docker.io/library/x:v1", "x:v1"], 0),
    ("crane", &["v1", "x:v1", "index.docker.io/library/x:v1"], 0),
    ("oras", &["v1"], 1),
    ("regctl", &["v1"], 1),
];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/layouts").join(name)
}

#[test]
fn img_17_img_180_what_other_tools_write_is_found_whole_with_its_referrers() {
    for (name, references, referrers) in LAYOUTS {
        let layout = Layout::options().open_read_only(folder(name)).unwrap();
        for reference in *references {
            let entry = layout.resolve(Some(reference)).unwrap_or_else(|error| panic!("{name}: {error}"));
            for (part, _) in graph::closure(&layout, [&entry.descriptor]).unwrap() {
                let mut content = layout.open_blob(&part).unwrap();
                std::io::copy(&mut content, &mut std::io::sink())
                    .unwrap_or_else(|error| panic!("{name} {reference}: {error}"));
            }
        }
        let image = layout.resolve(Some(references[0])).unwrap().descriptor;
        let found = graph::referrers_of(&layout).unwrap();
        assert_eq!(found.of(&image.digest).len(), *referrers, "{name}");
    }
}

#[test]
fn img_18_the_one_image_is_meant_without_a_reference_whatever_stands_beside_it() {
    for (name, has_one) in [
        ("podman", true),
        ("buildx", true),
        ("crane", true),
        ("oras", true),
        ("regctl", true),
        ("umoci", false),
    ] {
        let layout = Layout::options().open_read_only(folder(name)).unwrap();
        assert_eq!(layout.resolve(None).is_ok(), has_one, "{name}");
    }
}
