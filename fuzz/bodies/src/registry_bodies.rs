//! Bodies of answers: errors, and tokens; and the files that remember uploads.

use std::time::Duration;

use transship_registry::fuzzing;
use url::Url;

const SECRET: &str = "hunter2hunter2";

/// The body. Where it holds the secret, that must not be shown.
pub fn run(bytes: &[u8]) {
    let Ok(url) = Url::parse("https://registry.example/v2/") else { return };
    let told = fuzzing::error_body(bytes, &url, SECRET);
    assert!(told.codes.len() <= 8 && told.codes.iter().all(|code| code.chars().count() <= 65));
    assert!(told.message.chars().count() <= 2049, "what is shown is bounded");
    assert!(!told.to_string().chars().any(|c| c.is_control() && c != '\n'), "{told}");
    assert!(!told.message.contains(SECRET), "{}", told.message);
    let text = String::from_utf8_lossy(bytes);
    let tidy = fuzzing::tidy(&text, 64);
    assert!(!tidy.chars().any(char::is_control));
    assert_eq!(fuzzing::tidy(&tidy, 65), tidy, "what is tidy stays as it is");
    if let Ok((token, lifetime)) = fuzzing::token(bytes) {
        assert!(
            !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()),
            "it stands in a header"
        );
        assert!((Duration::from_secs(50)..=Duration::from_secs(86_400)).contains(&lifetime));
    }
    if let Some(file) = fuzzing::remembered_upload(bytes) {
        assert_eq!(fuzzing::remembered_upload(file.as_bytes()), Some(file), "what is read is what was noted");
    }
}
