//! Rules for tags as other programs write them.

use transship_spec::quote;

use crate::names::Choice;

/// A regular expression that must fit a whole tag.
pub(super) fn whole(expression: &str) -> Result<String, String> {
    checked(format!("regex:{}", bare(expression).unwrap_or(expression)))
}

/// A regular expression that fits anywhere in a tag.
pub(super) fn anywhere(expression: &str) -> Result<String, String> {
    checked(match bare(expression) {
        Some(whole) => format!("regex:{whole}"),
        None => format!("regex:.*(?:{expression}).*"),
    })
}

/// What stands between the ends of a tag, where that is all that anchors say.
fn bare(expression: &str) -> Option<&str> {
    let bare = expression.strip_prefix('^')?.strip_suffix('$')?;
    (!bare.contains('|') && !bare.ends_with('\\')).then_some(bare)
}

/// Ranges of versions in the form that Go programs share: spaces mean *and*, `||` means *or*, and a version alone is
/// that version.
pub(super) fn versions(range: &str) -> Result<Vec<String>, String> {
    range.split("||").map(|part| checked(format!("semver:{}", comparators(part)?))).collect()
}

fn comparators(part: &str) -> Result<String, String> {
    const OPERATORS: [char; 5] = ['<', '>', '=', '~', '^'];
    let mut found: Vec<String> = Vec::new();
    let mut operator = String::new();
    for word in part.split([' ', ',']).filter(|word| !word.is_empty()) {
        if word.chars().all(|c| OPERATORS.contains(&c)) {
            operator = word.to_owned();
            continue;
        }
        if word == "-" || word.starts_with('!') {
            return Err(format!("{} has no like here", quote(part.trim())));
        }
        let (own, version) = word.split_at(word.find(|c| !OPERATORS.contains(&c)).unwrap_or(word.len()));
        let operator = format!("{}{own}", std::mem::take(&mut operator));
        let version = version.strip_prefix('v').unwrap_or(version);
        let is_open = version.contains(['*', 'x', 'X']);
        let operator = if operator.is_empty() && !is_open { "=".to_owned() } else { operator };
        found.push(format!("{operator}{}", version.replace(['x', 'X'], "*")));
    }
    Ok(found.join(", "))
}

/// A rule that this program understands.
fn checked(rule: String) -> Result<String, String> {
    Choice::parse(&rule).map(|_| rule).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_others_fit_the_same_tags() {
        for (range, rules) in [
            (">= 3.12.0", &["semver:>=3.12.0"][..]),
            (">=1.2 <2", &["semver:>=1.2, <2"]),
            (">=1.2, <2 || v3.x", &["semver:>=1.2, <2", "semver:3.*"]),
            ("1.2.3", &["semver:=1.2.3"]),
            ("~1.2", &["semver:~1.2"]),
        ] {
            assert_eq!(versions(range).unwrap(), rules, "{range}");
        }
        for range in ["1.2 - 1.4", "!=1.2", ">=a.b", ""] {
            assert!(versions(range).is_err(), "{range}: {:?}", versions(range));
        }
        for (expression, rule) in [("^v1$", "regex:v1"), ("v1", "regex:v1"), ("^a|b$", "regex:^a|b$")] {
            assert_eq!(whole(expression).unwrap(), rule);
        }
        let fits = |rule: &str, tag: &str| Choice::parse(rule).unwrap().fits(tag);
        for (tag, wanted) in [("abc", true), ("ccb", true), ("cac", false)] {
            assert_eq!(fits(&anywhere("^a|b$").unwrap(), tag), wanted, "{tag}");
        }
        assert_eq!(anywhere("^v1$").unwrap(), "regex:v1");
        assert!(whole("(").is_err());
    }
}
