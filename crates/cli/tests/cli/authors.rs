//! Kinds that authors add: described by files, and looked at by the lint.

use serde_json::Value;
use transship_pack::kinds::Rule;
use transship_testkit::TestRegistry;

use crate::support::{PROGRAM, Run, Sandbox};

const POEM: &str = r#"
name = "poem"
about = "poems, with pictures or without"
artifact-type = "application/vnd.example.poem.v1"
annotations = { "com.example.title" = "{stem}" }

[[input]]
match = "*.txt"
type = "text/plain"
role = "text"
least = 1
most = 1

[[input]]
folder = true
type = "application/vnd.example.poem.pictures.v1.tar+gzip"
role = "pictures"
title = ""
file = "pictures"
"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn with_poem() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("my-kinds/poem.toml", POEM);
    sandbox.write("ode.txt", "O wild West Wind");
    sandbox.write("drawings/leaf.svg", "<svg/>");
    sandbox
}

#[test]
fn a_described_kind_is_packed_told_and_extracted_like_one_that_is_built_in() {
    let registry = TestRegistry::builder().start_blocking();
    let sandbox = with_poem();
    let remote = format!("docker://{}", registry.reference("team/ode:v1"));
    for (number, location) in ["oci:out:ode", &remote].iter().enumerate() {
        let arguments = ["pack", "poem", "--kinds", "my-kinds", "ode.txt", "drawings", "--to", location];
        assert_eq!(sandbox.ok(&arguments), sandbox.ok(&arguments), "the same bytes every time");
        let told = json(&sandbox.ok(&["inspect", location, "--kinds=my-kinds", "--format", "json"]));
        assert_eq!(told["kind"], "poem");
        let tree = sandbox.ok(&["tree", location, "--kinds", "my-kinds"]);
        assert_ne!(tree, sandbox.ok(&["tree", location]), "the tree tells the kind");
        let roles: Vec<_> = told["parts"].as_array().unwrap().iter().map(|it| &it["role"]).collect();
        assert_eq!(roles, ["text", "pictures"]);
        assert_eq!(told["annotations"], serde_json::json!({ "com.example.title": "ode" }));
        let place = format!("got-{number}");
        sandbox.ok(&["extract", location, &place, "--kinds", "my-kinds"]);
        assert_eq!(sandbox.read(&format!("{place}/ode.txt")), "O wild West Wind");
        assert_eq!(sandbox.read(&format!("{place}/pictures/leaf.svg")), "<svg/>");
        // Who does not know the kind still gets everything.
        let told = json(&sandbox.ok(&["inspect", location, "--format", "json"]));
        assert_eq!(told["kind"], "files");
        sandbox.ok(&["extract", location, &format!("plain-{number}")]);
    }
    let listed = sandbox.ok(&["kinds", "--kinds", "my-kinds"]);
    assert!(listed.contains("poem") && listed.contains("*.txt | FOLDER"), "{listed}");
    assert_eq!(listed, sandbox.ok(&["kinds", "list", "--kinds", "my-kinds"]));
    assert!(!sandbox.ok(&["kinds"]).contains("poem"), "no folder is looked in unasked");
    assert!(sandbox.ok(&["pack", "poem", "--kinds", "my-kinds", "--help"]).contains("*.txt | FOLDER"));
}

#[test]
fn law_8_no_folder_of_descriptions_is_looked_in_that_was_not_named() {
    let sandbox = with_poem();
    for place in [".config/transship/kinds", ".transship/kinds", "kinds"] {
        std::fs::create_dir_all(sandbox.home(place)).unwrap();
        std::fs::write(sandbox.home(place).join("poem.toml"), POEM).unwrap();
        sandbox.write(&format!("{place}/poem.toml"), POEM);
    }
    assert!(!sandbox.ok(&["kinds"]).contains("poem"));
    sandbox.fails(2, &["pack", "poem", "ode.txt", "--to", "oci:out:ode"]);
}

#[test]
fn what_does_not_fit_a_description_is_refused_by_name() {
    let sandbox = with_poem();
    sandbox.write("ballad.txt", "x");
    sandbox.write("ode.md", "x");
    let pack = |inputs: &[&str]| {
        let common = ["pack", "poem", "--kinds", "my-kinds", "--to", "oci:out:ode"];
        sandbox.fails(4, &[&common[..], inputs].concat())
    };
    assert!(pack(&["ode.md"]).contains(r#""ode.md" is no poem: it takes *.txt | FOLDER"#));
    assert!(pack(&["drawings"]).contains("1 at least"));
    assert!(pack(&["ode.txt", "ballad.txt"]).contains("ballad.txt"));
    assert!(pack(&["ode.txt:text/markdown"]).contains("text/plain"));
}

#[test]
fn a_folder_of_descriptions_that_breaks_a_rule_is_refused_with_file_line_and_column() {
    let sandbox = with_poem();
    let list = ["kinds", "--kinds", "my-kinds"];
    sandbox.write("my-kinds/two.toml", POEM);
    let error = sandbox.fails(2, &list);
    assert!(
        error.contains(r#""my-kinds/two.toml", line 2, column 8"#) && error.contains("another kind"),
        "{error}"
    );
    sandbox.write("my-kinds/two.toml", POEM.replace("\"poem\"", "\"sif\""));
    assert!(sandbox.fails(2, &list).contains("two.toml"));
    sandbox.write("my-kinds/two.toml", "name = \"a\"\ncolour = 1\n");
    let error = sandbox.fails(2, &list);
    assert!(error.contains("line 2, column 1") && error.contains("colour"), "{error}");
    sandbox.fails_saying(3, &["kinds", "--kinds", "nowhere"], "nowhere");
    sandbox.fails_saying(3, &["kinds", "--kinds", "drawings"], ".toml");
    sandbox.fails_saying(2, &["ls", "--kinds", "my-kinds", "oci:out"], "--kinds");
}

#[test]
fn the_lint_tells_what_is_doubtful_of_an_artifact_and_of_a_description() {
    let sandbox = with_poem();
    sandbox.ok(&[
        "pack",
        "poem",
        "--kinds",
        "my-kinds",
        "ode.txt",
        "--to",
        "oci:out:ode",
        "--created",
        "2026-01-31T12:00:00Z",
    ]);
    assert_eq!(sandbox.ok(&["kinds", "lint", "oci:out:ode", "--strict"]), "0 errors, 0 warnings, 0 notes");
    assert_eq!(
        sandbox.ok(&["kinds", "lint", "my-kinds/poem.toml", "--strict"]),
        "0 errors, 0 warnings, 0 notes"
    );

    sandbox.ok(&[
        "pack",
        "files",
        "ode.txt:text/Plain",
        "--artifact-type",
        "application/vnd.example.poem",
        "--to",
        "oci:out:x",
    ]);
    let found = sandbox.ok(&["kinds", "lint", "oci:out:x"]);
    for word in [
        "type-version",
        "type-case",
        "layers[0].mediaType",
        "created-missing",
        "0 errors, 2 warnings, 1 note",
    ] {
        assert!(found.contains(word), "{word}: {found}");
    }
    let run = sandbox.run(&["kinds", "lint", "oci:out:x", "--strict", "--format", "json"]);
    assert_eq!(run.code, 4, "{run:?}");
    let told = json(&run.stdout);
    assert_eq!(told["schema"], "transship.kinds.lint/v1");
    assert_eq!(
        (&told["findings"][0]["code"], &told["findings"][0]["severity"]),
        (&"type-version".into(), &"warning".into())
    );
    assert!(told["findings"][0]["remedy"].as_str().unwrap().contains("vnd.ORG.NAME"));

    sandbox.ok(&[
        "pack",
        "files",
        "ode.txt",
        "--artifact-type",
        "application/vnd.oci.image.config.v1+json",
        "--to",
        "oci:out:y",
    ]);
    let run = sandbox.run(&["kinds", "lint", "oci:out:y"]);
    assert!(run.code == 4 && run.stdout.contains("type-reserved"), "{run:?}");

    sandbox.write("bad.toml", "name = \"a\"\ncolour = 1\n");
    let run = sandbox.run(&["kinds", "lint", "bad.toml"]);
    assert!(run.code == 4 && run.stdout.contains("line 2, column 1: unknown field `colour`"), "{run:?}");
    assert_eq!(run.stdout.lines().last(), Some("1 error, 0 warnings, 0 notes"));
}

const PAGE: &str = include_str!("../../../../docs/kinds.md");
const EXAMPLES: [(&str, &str); 2] = [
    ("push_poem", include_str!("../../examples/push_poem.rs")),
    ("transship_poem", include_str!("../../examples/transship_poem.rs")),
];

/// The blocks of a page that are of this language.
fn blocks(language: &str) -> impl Iterator<Item = &str> {
    let fenced = PAGE.split("```").skip(1).step_by(2);
    fenced.filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
}

/// An example, which cargo builds with the tests.
fn example(name: &str) -> String {
    let path = std::path::Path::new(PROGRAM).parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is not built: cargo build -p transship --examples", path.display());
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_command_of_the_page_for_authors_works_and_says_what_the_page_says() {
    let registry = TestRegistry::builder().start_blocking();
    let sandbox = with_poem();
    sandbox.write("my-kinds/poem.toml", blocks("toml").next().unwrap());
    let commands: Vec<&str> = blocks("console").flat_map(|block| block.split("$ ").skip(1)).collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        let (line, said) = command.split_once('\n').unwrap();
        let line = line.replace("localhost:5000", &registry.address());
        let line = match line.strip_prefix("cargo run --example ") {
            Some(rest) => {
                let (name, arguments) = rest.split_once(" -- ").unwrap();
                format!("{} {arguments}", example(name))
            }
            None => line.replacen("transship", PROGRAM, 1),
        };
        let run = Run::of(sandbox.command("sh").args(["-c", &line]).output().unwrap());
        assert_eq!(run.code, 0, "{line}: {run:?}");
        assert!(said.is_empty() || run.stdout == said, "{line} says {}", run.stdout);
    }
    // What the library pushed is what the program packs.
    let packed = sandbox.ok(&["pack", "poem", "--kinds", "my-kinds", "ode.txt", "--to", "oci:out:same"]);
    let pushed = format!("docker://{}", registry.reference("team/ode:v3"));
    assert_eq!(sandbox.ok(&["resolve", &pushed]), packed);
    assert_eq!(sandbox.ok(&["kinds", "lint", &pushed]).lines().last(), Some("0 errors, 0 warnings, 1 note"));
}

#[test]
fn the_page_for_authors_lists_every_rule_of_the_lint() {
    let row =
        |line: &str| Some(line.strip_prefix("| `")?.split("` | ").map(str::to_owned).collect::<Vec<_>>());
    let rows: Vec<_> = PAGE.split("## What the lint says").nth(1).unwrap().lines().filter_map(row).collect();
    let told: Vec<(&str, &str)> =
        rows.iter().map(|row| (&*row[0], row[1].split(' ').next().unwrap())).collect();
    let rules: Vec<(&str, String)> =
        Rule::ALL.iter().map(|rule| (rule.code(), rule.severity().to_string())).collect();
    assert_eq!(told, rules.iter().map(|(code, severity)| (*code, &**severity)).collect::<Vec<_>>());
}

#[test]
fn a_program_that_packs_and_pushes_its_own_kind_has_less_than_40_lines() {
    let lines = |at: usize| EXAMPLES[at].1.lines().count();
    assert!(lines(0) < 40, "{}", lines(0));
    let is_code = |line: &&str| !line.trim().is_empty() && !line.starts_with("//");
    let code = EXAMPLES[1].1.lines().filter(is_code).count();
    assert!(code < 50, "{code}");
}

#[test]
fn a_kind_that_is_written_in_rust_is_packed_and_refuses_like_one_that_is_built_in() {
    let sandbox = with_poem();
    sandbox.write("empty.txt", "");
    let program = example("transship_poem");
    let run = |arguments: &[&str]| Run::of(sandbox.command(&program).args(arguments).output().unwrap());
    assert!(run(&["pack", "--help"]).stdout.contains("poems, of which none is empty"));
    assert_eq!(run(&["pack", "poem", "ode.txt", "--to", "oci:out:ode"]).code, 0);
    assert!(run(&["inspect", "oci:out:ode"]).stdout.contains("poem"));
    let refused = run(&["pack", "poem", "empty.txt", "--to", "oci:out:ode"]);
    assert!(
        refused.code == 4 && refused.stderr.contains("\"empty.txt\" is no poem: it is empty"),
        "{refused:?}"
    );
    let doubled = run(&["kinds", "--kinds", "my-kinds"]);
    assert!(doubled.code == 2 && doubled.stderr.contains("another kind"), "{doubled:?}");
}
