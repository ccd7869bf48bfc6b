use super::*;

fn config(chart: &str, requirements: Option<&str>) -> Result<String, String> {
    Metadata::read(chart.as_bytes(), requirements.map(str::as_bytes))?.to_config()
}

const BASE: &str = "name: c\nversion: 1.0.0\napiVersion: v2\n";

/// Each config as Helm 4.2.3 makes it.
#[test]
fn configs_are_those_that_helm_makes() {
    for (more, fields) in [
        ("", r#""apiVersion":"v2""#),
        ("deprecated: yes\n", r#""apiVersion":"v2","deprecated":true"#),
        ("keywords: [1, true, ~, 1.10, a]\n", r#""keywords":["1","true","","1.1","a"],"apiVersion":"v2""#),
        ("keywords: []\nunknown: {x: 1}\n", r#""apiVersion":"v2""#),
        (
            "annotations: {a: 1, b: true, c: ~, d: 1.50, 5: x, true: z}\n",
            r#""apiVersion":"v2","annotations":{"5":"x","a":"1","b":"true","c":"","d":"1.5","true":"z"}"#,
        ),
        (
            "maintainers: [{name: 1, email: ~, foo: bar}, {}]\n",
            r#""maintainers":[{"name":"1"},{}],"apiVersion":"v2""#,
        ),
        (
            "dependencies: [{name: a, version: 1, repository: x, import-values: [data, {child: a, parent: b}, 5, 1.50, 1e+30, 12345678901234567890], tags: [1,b], enabled: true, alias: q, condition: 'a.b,c', depends-on: [z]}]\n",
            r#""apiVersion":"v2","dependencies":[{"name":"a","version":"1","repository":"x","condition":"a.b,c","tags":["1","b"],"enabled":true,"import-values":["data",{"child":"a","parent":"b"},5,1.5,1e+30,12345678901234567000],"alias":"q"}]"#,
        ),
        (
            "x: &a {name: m, email: e}\nmaintainers: [*a]\n",
            r#""maintainers":[{"name":"m","email":"e"}],"apiVersion":"v2""#,
        ),
        ("sources: ['']\nicon: ' '\n", r#""icon":" ","apiVersion":"v2""#),
        ("tags: a,b\ncondition: c\n", r#""apiVersion":"v2","condition":"c","tags":"a,b""#),
        (
            "description: \"a\\tb\\u00a0c\\u200bd\\nz <é> \\U0001F600\"\n",
            r#""description":"a b cd z \u003cé\u003e 😀","apiVersion":"v2""#,
        ),
    ] {
        let wanted = match more.starts_with("sources") {
            true => {
                r#"{"name":"c","sources":[""],"version":"1.0.0","icon":" ","apiVersion":"v2"}"#.to_owned()
            }
            false => format!(r#"{{"name":"c","version":"1.0.0",{fields}}}"#),
        };
        assert_eq!(config(&format!("\u{feff}{BASE}{more}"), None).unwrap(), wanted, "{more}");
    }
    let old =
        config("name: c\nversion: 1\n", Some("dependencies:\n- name: a\n  version: 1\n  repository: r\n"));
    assert_eq!(
        old.unwrap(),
        r#"{"name":"c","version":"1","apiVersion":"v1","dependencies":[{"name":"a","version":"1","repository":"r"}]}"#
    );
}

/// As Go reads into a struct that is not empty (Helm 4.2.3).
#[test]
fn requirements_are_read_over_what_the_chart_says() {
    let chart = format!(
        "{BASE}dependencies: [{{name: b, version: 2, alias: q, tags: [x]}},{{name: z}}]\nhome: hh\nannotations: {{a: b}}\n"
    );
    let more = "dependencies:\n- name: a\n  repository: r\nhome: ~\nannotations: {c: d}";
    assert_eq!(
        config(&chart, Some(more)).unwrap(),
        r#"{"name":"c","home":"hh","version":"1.0.0","apiVersion":"v2","annotations":{"a":"b","c":"d"},"dependencies":[{"name":"a","version":"2","repository":"r","tags":["x"],"alias":"q"}]}"#
    );
}

/// Helm refuses all of them but the last three, which it takes by halves.
#[test]
fn what_is_no_chart_is_refused_with_its_place_or_the_rule() {
    for (text, words) in [
        ("", "empty"),
        ("[]", "a mapping belongs here, and this is a list"),
        ("foo", "a mapping belongs here"),
        ("version: 1.0.0\n", "name"),
        ("name: c\n", "version"),
        ("name: a/b\nversion: 1.0.0\n", "leads to another folder"),
        ("name: ..\nversion: 1.0.0\n", "leads to another folder"),
        ("name: c/\nversion: 1.0.0\n", "leads to another folder"),
        ("name: c\nversion: 1.2.3-01\n", "semantic version"),
        ("name: c\nversion: latest\n", "semantic version"),
        ("name: c\nversion: 1.0.0\ntype: foo\n", "application and library"),
        ("name: c\nversion: 1.0.0\ndeprecated: 'true'\n", "line 3, column 13"),
        ("name: c\nversion: 1.0.0\ndeprecated: 1\n", "true or false"),
        ("name: c\nversion: 1.0.0\nkeywords: foo\n", "a list of texts"),
        ("name: c\nversion: 1.0.0\nannotations: {a: [1]}\n", "a text belongs here"),
        ("name: c\nversion: 1.0.0\nmaintainers: [~]\n", "a mapping belongs here"),
        ("name: c\nversion: 1.0.0\ndependencies: [~]\n", "a mapping belongs here"),
        ("name: c\nversion: 1.0.0\ndescription: {a: b}\n", "a text belongs here"),
        ("name: c\nversion: 1.0.0\ndependencies: [{name: a}, {name: a}]\n", "two of its dependencies"),
        ("name: c\nversion: 1.0.0\ndependencies: [{name: a, alias: 'a b'}]\n", "no alias"),
        ("name: c\nversion: 1.0.0\nname: d\n", "second time"),
        ("name: c\nversion: 1.0.0\n---\nname: d\n", "second document"),
        ("name: !!str 1\nversion: 1.0.0\n", "tag"),
    ] {
        let reason = config(text, None).unwrap_err();
        assert!(reason.contains(words), "{text:?}: {reason}");
    }
    assert!(Metadata::read(b"name: \xff", None).unwrap_err().contains("UTF-8"));
}
