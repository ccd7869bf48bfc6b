//! Files of credentials.

use transship_registry::{Credential, fuzzing};

const HOST: &str = "registry.example";
const OTHER: &str = "other.example";
const REPOSITORY: &str = "team/app";

/// The body: a file, in each of its forms.
pub fn run(bytes: &[u8]) {
    for form in 0..fuzzing::FORMS {
        for host in [HOST, OTHER, "docker.io", "localhost:5000"] {
            if let Err(reason) = fuzzing::credentials(bytes, form, host, REPOSITORY) {
                assert!(reason.len() < 1000 && !reason.chars().any(char::is_control), "{reason:?}");
            }
        }
        if fuzzing::credentials(bytes, form, HOST, REPOSITORY).is_ok() {
            change(bytes, form);
        }
    }
}

/// One entry changes, and nothing else.
fn change(bytes: &[u8], form: usize) {
    let mine = Credential::password("me", "hunter2");
    let other = fuzzing::credentials(bytes, form, OTHER, REPOSITORY);
    let Ok((Some(saved), had)) = fuzzing::set_credential(bytes, form, HOST, Some(&mine)) else { return };
    let saved = saved.as_bytes();
    let (_, found) = fuzzing::credentials(saved, form, HOST, "").unwrap();
    assert_eq!(found, Some(mine.clone()), "what is saved is found");
    assert_eq!(fuzzing::credentials(saved, form, OTHER, REPOSITORY), other, "others stay as they are");
    let again = fuzzing::set_credential(saved, form, HOST, Some(&mine)).unwrap();
    assert_eq!(again.0.as_deref().map(str::as_bytes), Some(saved), "saving twice is saving once");
    assert!(again.1, "it was there");

    let (erased, was_there) = fuzzing::set_credential(saved, form, HOST, None).unwrap();
    assert!(was_there);
    let erased = erased.unwrap();
    assert_eq!(fuzzing::credentials(erased.as_bytes(), form, OTHER, REPOSITORY), other);
    if !had {
        let (_, found) = fuzzing::credentials(erased.as_bytes(), form, HOST, "").unwrap();
        assert_eq!(found, None, "what is erased is gone");
    }
}
