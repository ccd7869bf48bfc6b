//! Headers of a registry's answers.

use std::time::{Duration, SystemTime};

use transship_registry::fuzzing;

/// The body: one value a line; of challenges and links each line is a header.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let values: Vec<&str> = text.lines().collect();
    challenge(&values);
    if let Some(target) = fuzzing::next_link(&values) {
        assert!(values.iter().any(|value| value.contains(&target)), "a target is as it was written");
        let written = format!("<{target}>; rel=\"next\"");
        assert_eq!(fuzzing::next_link(&[&written]), Some(target));
    }
    for value in &values {
        ranges(value);
        pauses(value, values.last().unwrap_or(value));
        if let Some(text) = fuzzing::warning(value) {
            assert!(!text.chars().any(char::is_control));
        }
    }
}

fn challenge(values: &[&str]) {
    match fuzzing::challenge(values) {
        Ok(Some((realm, service, scopes))) => {
            assert!(!realm.is_empty());
            let mut written = format!("Bearer realm={}", quoted(&realm));
            if let Some(service) = &service {
                written += &format!(", service={}", quoted(service));
            }
            written += &format!(", scope={}", quoted(&scopes.join(" ")));
            assert_eq!(fuzzing::challenge(&[&written]), Ok(Some((realm, service, scopes))), "{written}");
        }
        Ok(None) => {}
        Err(schemes) => {
            assert!(schemes.len() <= 32, "what is told is bounded");
            assert!(schemes.iter().all(|scheme| scheme.len() < 256 && !scheme.contains(char::is_control)));
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn ranges(value: &str) {
    if let Some((start, total)) = fuzzing::content_range(value) {
        assert!(total.is_none_or(|total| start < total), "it begins within the whole");
    }
    if let Some(held) = fuzzing::held_bytes(value) {
        assert!(held > 0);
        if held < u64::MAX {
            assert_eq!(fuzzing::held_bytes(&format!("0-{}", held - 1)), Some(held));
        }
    }
}

fn pauses(value: &str, date: &str) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let pause = fuzzing::retry_after(value, date, now);
    if value.trim().bytes().any(|byte| byte == b'-') && value.len() < 8 {
        assert_eq!(pause, None, "nobody waits for a negative time");
    }
}
