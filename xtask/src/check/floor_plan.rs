//! The floor plan: which crate may depend on which, and which libraries have a room of their own.
//!
//! It is checked over the manifests of the workspace (`cargo metadata`). Normal and build dependencies must follow the
//! arrows; a development dependency may point anywhere, and `testkit` may only be one. ARCHITECTURE.md draws this plan: who
//! changes it here changes it there.

use cargo_metadata::{DependencyKind, Metadata};

const SPEC: &str = "transship-spec";
const CODEC: &str = "transship-codec";
const LAYOUT: &str = "transship-layout";
const PACK: &str = "transship-pack";
const BUNDLE: &str = "transship-bundle";
const REGISTRY: &str = "transship-registry";
const COPY: &str = "transship-copy";
const SERVE: &str = "transship-serve";
const CLI: &str = "transship";
const TESTKIT: &str = "transship-testkit";
const FUZZ: &str = "transship-fuzz-bodies";
const XTASK: &str = "xtask";

/// Each room, and the rooms that it may look down into.
const PLAN: &[(&str, &[&str])] = &[
    (SPEC, &[]),
    (CODEC, &[SPEC]),
    (LAYOUT, &[SPEC, CODEC]),
    (PACK, &[LAYOUT, CODEC, SPEC]),
    (BUNDLE, &[LAYOUT, CODEC, SPEC]),
    (REGISTRY, &[SPEC]),
    (COPY, &[REGISTRY, LAYOUT, SPEC]),
    (SERVE, &[LAYOUT, SPEC]),
    (CLI, &[SPEC, CODEC, LAYOUT, PACK, BUNDLE, REGISTRY, COPY, SERVE]),
    (TESTKIT, &[SERVE, LAYOUT, SPEC]),
    (FUZZ, &[SERVE, REGISTRY, PACK, LAYOUT, CODEC, SPEC]),
    (XTASK, &[]),
];

/// The rooms that a build system links without a runtime: none of [`RUNTIME`], not even through others.
pub(super) const BLOCKING: &[&str] = &[SPEC, CODEC, LAYOUT, PACK, BUNDLE];

/// The libraries that the blocking rooms do without.
pub(super) const RUNTIME: &[&str] = &["tokio", "reqwest", "hyper", "clap", "indicatif"];

/// Each library that has its place, and the rooms where that is. `name-*` belongs to `name`.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("tokio", &[REGISTRY, COPY, SERVE, CLI, TESTKIT]),
    ("hyper", &[REGISTRY, SERVE, TESTKIT]),
    ("reqwest", &[REGISTRY]),
    ("clap", &[CLI, XTASK]),
    ("indicatif", &[CLI]),
];

/// A crate of the workspace and what its manifest asks for.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: String,
    wants: Vec<(String, DependencyKind)>,
}

/// The members of the workspace as rooms.
pub(super) fn rooms(metadata: &Metadata) -> Vec<Room> {
    let package = |package: &cargo_metadata::Package| Room {
        name: package.name.to_string(),
        wants: package.dependencies.iter().map(|want| (want.name.clone(), want.kind)).collect(),
    };
    metadata.workspace_packages().into_iter().map(package).collect()
}

/// Whether `name` is `library` itself or of its family.
pub(super) fn of_family(name: &str, library: &str) -> bool {
    name.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// Everything in the manifests that the floor plan does not allow.
pub(super) fn findings(rooms: &[Room]) -> Vec<String> {
    let mut findings = Vec::new();
    for room in rooms {
        let Some((_, below)) = PLAN.iter().find(|(name, _)| *name == room.name) else {
            findings.push(format!(
                "{}: has no room in the floor plan (xtask/src/check/floor_plan.rs)",
                room.name
            ));
            continue;
        };
        let binding = room.wants.iter().filter(|(_, kind)| *kind != DependencyKind::Development);
        for (want, _) in binding {
            findings.extend(fault(room, below, rooms, want));
        }
    }
    findings
}

/// Why a room may not depend on something.
fn fault(room: &Room, below: &[&str], rooms: &[Room], want: &str) -> Option<String> {
    let name = &room.name;
    if want == TESTKIT {
        return Some(format!("{name} → {want}: testkit may only be a development dependency"));
    }
    let ours =
        PLAN.iter().any(|(planned, _)| *planned == want) || rooms.iter().any(|other| other.name == want);
    if ours && !below.contains(&want) {
        let may = if below.is_empty() { "nothing of the workspace".to_owned() } else { below.join(", ") };
        return Some(format!("{name} → {want}: arrows point down; {name} may use {may}"));
    }
    let (library, homes) = LIBRARIES.iter().find(|(library, _)| of_family(want, library))?;
    let home = homes.contains(&name.as_str());
    (!home).then(|| format!("{name} → {want}: {library} belongs to {}", homes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Metadata as cargo writes it, cut to what matters: each package with `(name, kind)` of its dependencies.
    fn metadata(packages: &[(&str, &[(&str, &str)])]) -> Metadata {
        let id = |name: &str| format!("\"path+file:///w/{name}#0.1.0\"");
        let dependency = |&(name, kind): &(&str, &str)| {
            format!(
                r#"{{"name":"{name}","source":null,"req":"*","kind":{kind},"rename":null,"optional":false,
                "uses_default_features":true,"features":[],"target":null,"registry":null}}"#
            )
        };
        let package = |&(name, wants): &(&str, &[(&str, &str)])| {
            let wants = wants.iter().map(dependency).collect::<Vec<_>>().join(",");
            format!(
                r#"{{"name":"{name}","version":"0.1.0","id":{},"source":null,"dependencies":[{wants}],"targets":[],
                "features":{{}},"manifest_path":"/w/{name}/Cargo.toml","edition":"2024"}}"#,
                id(name)
            )
        };
        let members = packages.iter().map(|(name, _)| id(name)).collect::<Vec<_>>().join(",");
        let packages = packages.iter().map(package).collect::<Vec<_>>().join(",");
        let text = format!(
            r#"{{"packages":[{packages}],"workspace_members":[{members}],"resolve":null,"workspace_root":"/w",
            "target_directory":"/w/target","version":1,"metadata":null}}"#
        );
        cargo_metadata::MetadataCommand::parse(text).unwrap()
    }

    fn found(packages: &[(&str, &[(&str, &str)])]) -> Vec<String> {
        findings(&rooms(&metadata(packages)))
    }

    #[test]
    fn arrows_that_point_down_are_fine() {
        let packages: &[(&str, &[(&str, &str)])] = &[
            (SPEC, &[("serde", "null")]),
            (LAYOUT, &[(SPEC, "null"), (CODEC, "null")]),
            (REGISTRY, &[(SPEC, "null"), ("tokio", "null"), ("reqwest", "null")]),
            (CLI, &[(COPY, "null"), ("clap_complete", "null"), ("indicatif", "null")]),
        ];
        assert_eq!(found(packages), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_points_up_is_found() {
        let findings = found(&[(CODEC, &[(LAYOUT, "null")])]);
        let expected =
            "transship-codec → transship-layout: arrows point down; transship-codec may use transship-spec";
        assert_eq!(findings, [expected]);
    }

    #[test]
    fn an_arrow_between_neighbours_is_found() {
        assert_eq!(found(&[(SERVE, &[(REGISTRY, "null")])]).len(), 1);
        assert_eq!(found(&[(PACK, &[(COPY, "null")])]).len(), 1);
        assert_eq!(found(&[(SPEC, &[(CODEC, "\"build\"")])]).len(), 1, "a build dependency binds as well");
    }

    #[test]
    fn a_runtime_below_copy_is_found_with_all_its_family() {
        let findings = found(&[(PACK, &[("tokio", "null"), ("hyper-util", "null"), ("clap", "null")])]);
        assert_eq!(findings.len(), 3);
        assert!(
            findings[0].starts_with("transship-pack → tokio: tokio belongs to transship-registry"),
            "{findings:?}"
        );
        assert_eq!(found(&[(PACK, &[("tokio", "\"dev\"")])]).len(), 0, "a test may have a runtime");
    }

    #[test]
    fn copy_may_not_name_reqwest_and_only_cli_may_draw_bars() {
        assert_eq!(found(&[(COPY, &[("reqwest", "null")])]).len(), 1);
        assert_eq!(found(&[(COPY, &[("indicatif", "null")])]).len(), 1);
        assert_eq!(found(&[(SERVE, &[("clap", "null")])]).len(), 1);
    }

    #[test]
    fn testkit_is_for_tests_only() {
        assert_eq!(found(&[(CLI, &[(TESTKIT, "null")])]).len(), 1);
        assert_eq!(found(&[(LAYOUT, &[(TESTKIT, "\"dev\"")])]).len(), 0);
    }

    #[test]
    fn a_crate_without_a_room_is_found() {
        let findings = found(&[("transship-extra", &[]), (SPEC, &[("transship-extra", "null")])]);
        assert_eq!(findings.len(), 2);
        assert!(findings[0].contains("has no room"), "{findings:?}");
    }

    #[test]
    fn a_family_is_told_by_its_first_word() {
        assert!(of_family("tokio-rustls", "tokio"));
        assert!(of_family("clap_complete", "clap"));
        assert!(!of_family("hyperfine", "hyper"));
    }
}
