//! Where namespaces are read from, by `registries.conf` and by flags, the same as skopeo does.

use crate::real::{peer, registry};
use crate::support::Sandbox;

/// An image in a registry that stands for `r.example/team`, which is not there at all.
fn mirrored() -> (Sandbox, transship_testkit::DockerRegistry, String) {
    let (sandbox, registry) = (Sandbox::new(), registry());
    sandbox.write("rootfs/file", "hello");
    let place = format!("{}/mirrored/of", registry.address());
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--to", &format!("docker://{place}/app:v1")]);
    let conf = format!(
        "[[registry]]\nprefix = \"r.example/team\"\nlocation = \"r.example/team\"\n\
         [[registry.mirror]]\nlocation = \"{place}\"\ninsecure = true\n\
         [[registry]]\nlocation = \"blocked.example\"\nblocked = true\n"
    );
    let file = sandbox.home(".config/containers/registries.conf");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, conf).unwrap();
    (sandbox, registry, digest)
}

#[test]
fn a_mirror_of_registries_conf_is_read_by_us_as_by_skopeo() {
    let (sandbox, _registry, digest) = mirrored();
    let name = "docker://r.example/team/app:v1";
    assert_eq!(sandbox.ok(&["resolve", name]), digest);
    let seen = peer(&sandbox, "skopeo", &["inspect", "--no-tags", "--format", "{{.Digest}}", name]);
    assert_eq!(seen.trim(), digest);
    // The name is that of the registry that was asked for.
    assert_eq!(sandbox.ok(&["copy", name, "oci:out", "--referrers", "none", "--digest-tags=false"]), digest);
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), "r.example/team/app:v1");
}

#[test]
fn what_is_blocked_is_refused_and_the_file_is_named() {
    let (sandbox, _registry, _) = mirrored();
    for arguments in [
        &["resolve", "docker://blocked.example/app:v1"][..],
        &["tag", "docker://blocked.example/app:v1", "v2"],
    ] {
        let run = sandbox.run(arguments);
        assert_eq!(run.code, 8, "{run:?}");
        let words = "blocked.example/app is blocked by ";
        assert!(run.stderr.contains(words) && run.stderr.contains("registries.conf"), "{run:?}");
    }
}

#[test]
fn the_files_are_not_looked_at_where_all_is_local_and_a_broken_one_is_named() {
    let (sandbox, _registry, _) = mirrored();
    std::fs::write(sandbox.home(".config/containers/registries.conf"), "no = [").unwrap();
    sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    let run = sandbox.run(&["resolve", "docker://r.example/team/app:v1"]);
    assert!(run.code == 2 && run.stderr.contains("registries.conf: "), "{run:?}");
}

#[test]
fn a_mirror_can_be_given_as_a_flag_and_what_it_lacks_is_looked_for_at_the_origin() {
    let (sandbox, registry, digest) = mirrored();
    let host = registry.address();
    let mirror = format!("{host}/a=127.0.0.1:1/nowhere");
    let there = format!("docker://{host}/mirrored/of/app:v1");
    let first = format!("{host}/mirrored={host}/nothing/here");
    let run = sandbox.run(&["resolve", &there, "--mirror", &first, "--mirror", &mirror]);
    assert_eq!((run.code, run.stdout.trim()), (0, &*digest), "{run:?}");
    let elsewhere = format!("s.example={host}/mirrored");
    assert_eq!(sandbox.ok(&["resolve", "docker://s.example/of/app:v1", "--mirror", &elsewhere]), digest);
    sandbox.fails(2, &["resolve", &there, "--mirror", "no registry=x"]);
}

#[test]
fn dist_127_certificates_of_a_registry_and_of_its_mirror_are_looked_for_in_certs_d() {
    let (sandbox, registry, digest) = mirrored();
    let folder = sandbox.home(".config/containers/certs.d").join(registry.address());
    std::fs::create_dir_all(&folder).unwrap();
    let direct = format!("docker://{}/mirrored/of/app:v1", registry.address());
    for location in [&*direct, "docker://r.example/team/app:v1"] {
        std::fs::write(folder.join("client.cert"), "").unwrap();
        let run = sandbox.run(&["resolve", location]);
        assert!(run.code == 2 && run.stderr.contains("client.cert: there is no .key"), "{run:?}");
        std::fs::remove_file(folder.join("client.cert")).unwrap();
        std::fs::write(folder.join("ca.crt"), "no PEM").unwrap();
        let run = sandbox.run(&["resolve", location]);
        assert!(run.code == 2 && run.stderr.contains("ca.crt: "), "{run:?}");
        std::fs::remove_file(folder.join("ca.crt")).unwrap();
        assert_eq!(sandbox.ok(&["resolve", location]), digest);
    }
}
