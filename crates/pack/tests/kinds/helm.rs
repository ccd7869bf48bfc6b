//! Charts of Helm. Where the data comes from is told in `testdata/kinds/helm/SOURCES.md`.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use transship_layout::Name;
use transship_pack::Error;
use transship_pack::kinds::Request;
use transship_spec::{Descriptor, Manifest, MediaType};

use crate::support::{Place, data, fact};

const MADE: i64 = 1_700_000_000;

fn request(path: &Path) -> Request {
    Request { source_date_epoch: Some(MADE), ..Request::of([path]).unwrap() }
}

/// A chart, and how it is called.
const CHARTS: [(&str, &str, &str, &str); 3] = [
    ("plain-0.1.0.tgz", "plain", "plain", "0.1.0"),
    ("whole-1.2.3-rc.1+build.5.tgz", "whole", "whole", "1.2.3-rc.1_build.5"),
    ("old-v2.0.tgz", "old", "old", "v2.0"),
];

#[test]
fn a_chart_is_the_manifest_and_the_config_that_helm_pushes_byte_for_byte() {
    for (file, golden, name, tag) in CHARTS {
        let place = Place::new();
        let packed = place.pack("helm", &request(&data("helm").join(file))).unwrap();
        let text = |file: String| std::fs::read_to_string(data("helm").join(file)).unwrap();
        let manifest = place.blob(&packed.descriptor);
        assert_eq!(String::from_utf8(manifest.clone()).unwrap(), text(format!("{golden}.manifest.json")));
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let config: Descriptor = serde_json::from_value(manifest["config"].clone()).unwrap();
        assert_eq!(String::from_utf8(place.blob(&config)).unwrap(), text(format!("{golden}.config.json")));
        assert_eq!(packed.called, Some((name.to_owned(), tag.to_owned())));
        assert_eq!(packed.warnings.len(), usize::from(golden == "old"), "{:?}", packed.warnings);
    }
}

/// `testPull` in `pkg/registry/registry_test.go` of helm/helm at 026981e.
#[test]
fn the_manifest_in_helms_own_tests_is_made_of_the_same_parts() {
    const CONFIG: &str = r#"{"name":"signtest","version":"0.1.0","description":"A Helm chart for Kubernetes","apiVersion":"v1"}"#;
    const MANIFEST: &str = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"sha256:8d17cb6bf6ccd8c29aace9a658495cbd5e2e87fc267876e86117c7db681c9580","size":99},"layers":[{"mediaType":"application/vnd.cncf.helm.chart.provenance.v1.prov","digest":"sha256:b0a02b7412f78ae93324d48df8fcc316d8482e5ad7827b5b238657a29a22f256","size":695},{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"sha256:e5ef611620fb97704d8751c16bab17fedb68883bfb0edc76f78a70e9173f9b55","size":973}],"annotations":{"org.opencontainers.image.created":"1977-09-02T22:04:05Z","org.opencontainers.image.description":"A Helm chart for Kubernetes","org.opencontainers.image.title":"signtest","org.opencontainers.image.version":"0.1.0"}}"#;
    let place = Place::new();
    let chart = "apiVersion: v1\ndescription: A Helm chart for Kubernetes\nname: signtest\nversion: 0.1.0\n";
    place.write("signtest/Chart.yaml", chart);
    let request = Request {
        created: Some("1977-09-02T22:04:05Z".to_owned()),
        ..Request::of([place.folder.path().join("signtest")]).unwrap()
    };
    let packed = place.pack("helm", &request).unwrap();
    let ours: serde_json::Value = serde_json::from_slice(&place.blob(&packed.descriptor)).unwrap();
    let theirs: serde_json::Value = serde_json::from_str(MANIFEST).unwrap();
    // The archive itself is not to be had; everything else is.
    assert_eq!(ours["config"], theirs["config"]);
    assert_eq!(ours["annotations"], theirs["annotations"]);
    let config = Descriptor::of(
        MediaType::parse("application/vnd.cncf.helm.config.v1+json").unwrap(),
        CONFIG.as_bytes(),
    );
    assert_eq!(String::from_utf8(place.blob(&config)).unwrap(), CONFIG);
    let layers: Vec<Descriptor> = serde_json::from_value(theirs["layers"].clone()).unwrap();
    let manifest = Manifest {
        annotations: serde_json::from_value(ours["annotations"].clone()).unwrap(),
        ..Manifest::new(config, layers)
    };
    assert_eq!(manifest.to_untyped_document().unwrap().bytes(), MANIFEST.as_bytes());
}

#[test]
fn a_chart_was_made_when_its_archive_was_written_unless_told_otherwise() {
    let place = Place::new();
    let path = place.write("c.tgz", std::fs::read(data("helm").join("plain-0.1.0.tgz")).unwrap());
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::new(1_600_000_000, 999_999_999)).unwrap();
    let created = |request: Request| {
        let packed = place.pack("helm", &request).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&place.blob(&packed.descriptor)).unwrap();
        manifest["annotations"]["org.opencontainers.image.created"].as_str().map(str::to_owned)
    };
    let plain = || Request::of([&path]).unwrap();
    let epoch = Request { source_date_epoch: Some(0), ..plain() };
    let told = Request { created: Some("2024-01-01T01:00:00+01:00".to_owned()), ..epoch.clone() };
    assert_eq!(created(plain()).as_deref(), Some("2020-09-13T12:26:40Z"));
    assert_eq!(created(epoch).as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(created(told).as_deref(), Some("2024-01-01T00:00:00Z"));
}

#[test]
fn a_folder_becomes_the_same_archive_every_time_and_helmignore_counts() {
    let digest = |mode: u32, extra: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let place = Place::new();
        place.write("some/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0+x\n");
        place.write("some/.helmignore", "# not these\n*.bak\n/docs/\nvalues-*.yaml\n");
        place.write("some/templates/a.yaml", "a: 1");
        place.write("some/templates/sub/docs/kept", "x");
        for path in ["templates/.hidden", "templates/sub/b.bak", "docs/index.md", "values-test.yaml"] {
            place.write(&format!("some/{path}"), extra);
        }
        std::os::unix::fs::symlink("templates/a.yaml", place.folder.path().join("some/linked.yaml")).unwrap();
        let chart = place.folder.path().join("some/Chart.yaml");
        std::fs::set_permissions(chart, std::fs::Permissions::from_mode(mode)).unwrap();
        let packed = place.pack("helm", &Request::of([place.folder.path().join("some")]).unwrap()).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&place.blob(&packed.descriptor)).unwrap();
        assert_eq!(manifest["annotations"]["org.opencontainers.image.created"], serde_json::Value::Null);
        assert_eq!(packed.called, Some(("c".to_owned(), "1.0.0_x".to_owned())));
        let mut names = Vec::new();
        let plain = transship_codec::Decoder::sniff(
            std::io::Cursor::new(place.blob(&packed.layers[0])),
            transship_codec::Limits::default(),
        );
        let mut tar = tar::Archive::new(plain.unwrap());
        for entry in tar.entries().unwrap() {
            let entry = entry.unwrap();
            names.push((String::from_utf8(entry.path_bytes().into_owned()).unwrap(), entry.size()));
        }
        let names: Vec<(&str, u64)> = names.iter().map(|(name, size)| (name.as_str(), *size)).collect();
        let (folders, files): (Vec<_>, Vec<_>) = names.into_iter().partition(|(name, _)| name.ends_with('/'));
        assert_eq!(
            files,
            [
                ("c/.helmignore", 39),
                ("c/Chart.yaml", 40),
                ("c/linked.yaml", 4),
                ("c/templates/a.yaml", 4),
                ("c/templates/sub/docs/kept", 1)
            ]
        );
        assert!(folders.contains(&("c/templates/", 0)), "{folders:?}");
        packed.descriptor.digest
    };
    assert_eq!(digest(0o644, "x"), digest(0o600, "y"));
}

#[test]
fn a_chart_is_told_and_extracted_by_the_names_that_helm_gives() {
    let place = Place::new();
    let packed = place.pack("helm", &request(&data("helm").join("whole-1.2.3-rc.1+build.5.tgz"))).unwrap();
    let (kind, facts) = place.described(&packed.descriptor);
    assert_eq!((kind.as_str(), facts.title.as_deref()), ("helm", Some("whole")));
    assert_eq!(facts.version.as_deref(), Some("1.2.3-rc.1+build.5"));
    assert_eq!(fact(&facts, "app version"), ["1.1"]);
    assert_eq!(fact(&facts, "api version"), ["v2"]);
    assert_eq!(fact(&facts, "type"), ["application"]);
    assert_eq!(fact(&facts, "kubernetes version"), [">=1.21.0-0 <2"]);
    assert_eq!(fact(&facts, "dependencies"), ["sub 2.x.x https://example.com/charts"]);
    assert_eq!(fact(&facts, "maintainers")[0], "Jane Doe jane@example.com https://example.com/jane");
    assert_eq!(fact(&facts, "provenance"), ["yes"]);
    let roles: Vec<&str> = facts.parts.iter().map(|part| part.role.as_str()).collect();
    assert_eq!(roles, ["config", "provenance", "chart"]);

    let out = place.folder.path().join("out");
    let name = "whole-1.2.3-rc.1+build.5.tgz";
    assert_eq!(place.extracted(&packed.descriptor, &out).unwrap(), [name, &format!("{name}.prov")]);
    for name in [name, &format!("{name}.prov")] {
        assert_eq!(std::fs::read(out.join(name)).unwrap(), std::fs::read(data("helm").join(name)).unwrap());
    }
}

/// Lists a manifest that another tool wrote.
fn listed(place: &Place, manifest: &Manifest) -> Descriptor {
    let session = place.layout.begin().unwrap();
    let descriptor = session.put_document(&manifest.to_untyped_document().unwrap()).unwrap();
    session.commit(|index| index.set(&Name::short("v2")?, &descriptor).map(drop)).unwrap();
    descriptor
}

fn stored(place: &Place, media_type: &str, bytes: &[u8]) -> Descriptor {
    let session = place.layout.begin().unwrap();
    let descriptor = session.put_bytes(MediaType::parse(media_type).unwrap(), bytes).unwrap();
    session.commit(|index| index.pin(&descriptor).map(drop)).unwrap();
    descriptor
}

#[test]
fn charts_of_helms_first_days_are_charts_and_plugins_are_plugins() {
    let place = Place::new();
    let config = "application/vnd.cncf.helm.config.v1+json";
    let config = |text: &str| stored(&place, config, text.as_bytes());
    let old = stored(&place, "application/tar+gzip", b"chart");
    let manifest = Manifest::new(config(r#"{"name":"c","version":"1.0.0","keywords":null}"#), vec![old]);
    let descriptor = listed(&place, &manifest);
    let (kind, facts) = place.described(&descriptor);
    assert_eq!((kind.as_str(), facts.parts[1].role.as_str()), ("helm", "chart"));
    let out = place.folder.path().join("old");
    assert_eq!(place.extracted(&descriptor, &out).unwrap(), ["c-1.0.0.tgz"]);

    for (text, words) in [
        (r#"{"name":"../c","version":"1.0.0"}"#, "is no name of a chart's archive"),
        (r#"{"name":"c"}"#, "is no name of a chart's archive"),
        ("[", "config of a chart"),
    ] {
        let descriptor = listed(&place, &Manifest::new(config(text), manifest.layers.clone()));
        let error = place.extracted(&descriptor, &place.folder.path().join("none")).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
    }

    let mut layer = stored(&place, "application/vnd.oci.image.layer.v1.tar+gzip", b"plugin");
    layer.annotations.insert("org.opencontainers.image.title".to_owned(), "p-1.0.0.tgz".to_owned());
    let empty = Descriptor { data: None, ..Descriptor::empty() };
    let mut plugin = Manifest::new(empty, vec![layer]);
    plugin.artifact_type = Some(MediaType::parse("application/vnd.helm.plugin.v1+json").unwrap());
    let descriptor = listed(&place, &plugin);
    let (kind, facts) = place.described(&descriptor);
    assert_eq!((kind.as_str(), facts.parts[0].role.as_str()), ("helm-plugin", "plugin"));
    assert_eq!(place.extracted(&descriptor, &place.folder.path().join("p")).unwrap(), ["p-1.0.0.tgz"]);
}

#[test]
fn what_is_no_chart_and_a_provenance_that_does_not_fit_are_refused_by_name() {
    let place = Place::new();
    let whole = data("helm").join("whole-1.2.3-rc.1+build.5.tgz");
    let plain = data("helm").join("plain-0.1.0.tgz");
    let signed = std::fs::read(data("helm").join("whole-1.2.3-rc.1+build.5.tgz.prov")).unwrap();
    let told = |request: &Request| {
        let error = place.pack("helm", request).unwrap_err();
        assert!(matches!(error, Error::NotOfKind { .. } | Error::Option { .. }), "{error:?}");
        error.to_string()
    };
    let with = |chart: &Path, file: &Path| {
        let mut request = request(chart);
        request.settings.insert("provenance".to_owned(), vec![file.to_string_lossy().into_owned()]);
        told(&request)
    };
    let other = place.write("other.prov", &signed);
    let error = with(&plain, &other);
    assert!(error.contains("other.prov") && error.contains("it speaks of \"whole\""), "{error}");
    let changed = String::from_utf8(signed.clone()).unwrap().replace("sha256:f509", "sha256:0000");
    let error = with(&whole, &place.write("changed.prov", changed));
    assert!(error.contains("changed.prov") && error.contains("its digest is sha256:f509"), "{error}");
    // One that lies beside its chart is looked at, too.
    let beside = place.write("beside.tgz", std::fs::read(&plain).unwrap());
    place.write("beside.tgz.prov", "no signature");
    let error = told(&request(&beside));
    assert!(error.contains("beside.tgz.prov") && error.contains("PGP"), "{error}");

    let no_gzip = place.write("x.tgz", "name: c");
    assert!(told(&request(&no_gzip)).contains("x.tgz"));
    let error = told(&Request::of([&whole, &plain]).unwrap());
    assert!(error.contains("one at a time"), "{error}");
    place.write("empty/values.yaml", "");
    let error = told(&request(&place.folder.path().join("empty")));
    assert!(error.contains("no Chart.yaml"), "{error}");
    place.write("odd/Chart.yaml", "name: c\nversion: 1.0.0\n");
    place.write("odd/.helmignore", "!kept\n");
    let error = told(&request(&place.folder.path().join("odd")));
    assert!(error.contains("!kept"), "{error}");
    assert!(place.layout.entries().unwrap().is_empty(), "nothing is listed after a failure");
}
