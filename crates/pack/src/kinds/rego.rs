//! As much of Rego as packing policies needs: in which package a policy is.

/// The package of a policy, part by part; nothing where its first statement is none that names one, which OPA refuses.
pub(super) fn package(policy: &str) -> Option<Vec<String>> {
    let mut rest = policy.trim_start_matches('\u{feff}').trim_start();
    while let Some(comment) = rest.strip_prefix('#') {
        rest = comment.split_once('\n').map_or("", |(_, next)| next).trim_start();
    }
    let named = rest.strip_prefix("package")?;
    let mut rest = named.trim_start();
    if rest.len() == named.len() {
        return None;
    }
    let mut parts = Vec::new();
    loop {
        let part = match rest.strip_prefix("[\"").filter(|_| !parts.is_empty()) {
            Some(quoted) => {
                let (part, after) = quoted.split_once("\"]")?;
                rest = after;
                part
            }
            None => {
                let end = rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len());
                let (part, after) = rest.split_at(end);
                rest = after;
                part
            }
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part.to_owned());
        match rest.strip_prefix('.') {
            Some(next) => rest = next,
            None if rest.starts_with("[\"") => {}
            None => return Some(parts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_stands_after_comments_and_may_have_quoted_parts() {
        for (policy, wanted) in [
            ("package main", Some("main")),
            (
                "# METADATA\n# title: x\n\n  package kubernetes.admission # why\nimport rego.v1",
                Some("kubernetes/admission"),
            ),
            ("package a[\"b-c.d\"].e\n", Some("a/b-c.d/e")),
            ("package\n\tmain\n", Some("main")),
            ("\u{feff}package main", Some("main")),
            ("", None),
            ("# only a comment", None),
            ("packages main", None),
            ("deny[msg] { true }", None),
            ("package ", None),
            ("package a.", None),
            ("package a[\"b", None),
        ] {
            assert_eq!(package(policy).map(|parts| parts.join("/")).as_deref(), wanted, "{policy:?}");
        }
    }
}
