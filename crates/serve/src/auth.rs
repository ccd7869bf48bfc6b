//! Passwords in the form of Apache's `htpasswd`, with bcrypt (DIST-114).
//!
//! Whoever has one may do what the server lets its clients do. A right password is remembered, as a hash under a key of
//! this process, so that not every request costs what bcrypt is made to cost.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;
use transship_spec::Digest;

use crate::Error;
use crate::refusal::Refusal;
use crate::service::blocking;

/// How many right passwords are remembered.
const REMEMBERED: usize = 1024;
/// How many passwords are checked at the same time; others wait, without a thread that others need.
const CHECKS: usize = 4;
/// Costs more than this one would keep a processor busy for seconds, at every wrong guess.
const DEAREST: u32 = 16;

/// Who may use a registry.
///
/// ```
/// use transship_serve::Passwords;
/// let line = "me:$2y$05$WHoEvuFnuTRBGvWTAtc/CuKaZZcsSTHCtBcEHv5nRkK5y7vw1pEuC\n";
/// assert!(Passwords::parse(line).is_ok());
/// assert!(Passwords::parse("me:plain").is_err());
/// ```
#[derive(Debug, Clone)]
pub struct Passwords {
    users: Arc<HashMap<String, String>>,
    right: Arc<Mutex<HashSet<Digest>>>,
    key: Arc<[u64; 4]>,
    checks: Arc<Semaphore>,
    /// What a name that nobody has is checked against, so that it takes as long.
    nobody: Arc<str>,
}

impl Passwords {
    /// Reads lines of `user:hash`; empty ones and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// [`Error::Passwords`] for a line that is neither, and for hashes that are not bcrypt: make them by `htpasswd -B`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut users = HashMap::new();
        for (at, line) in text.lines().map(str::trim).enumerate() {
            let refuse = |reason| Err(Error::Passwords { line: at + 1, reason });
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((user, hash)) = line.split_once(':') else { return refuse("it is not user:hash") };
            match hash.parse::<bcrypt::HashParts>() {
                Ok(parts) if parts.get_cost() <= DEAREST => {}
                Ok(_) => return refuse("its cost is above 16"),
                Err(_) => return refuse("its hash is not bcrypt; make it by htpasswd -B"),
            }
            if users.insert(user.to_owned(), hash.to_owned()).is_some() {
                return refuse("its user was there before");
            }
        }
        let Some(nobody) = users.values().next().cloned() else {
            return Err(Error::Passwords { line: 1, reason: "there are none" });
        };
        let key = [(); 4].map(|()| RandomState::new().hash_one(0));
        Ok(Self {
            users: Arc::new(users),
            right: Arc::default(),
            key: Arc::new(key),
            checks: Arc::new(Semaphore::new(CHECKS)),
            nobody: nobody.into(),
        })
    }

    /// Whether the request may be carried out.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((user, password)) = header.and_then(credentials) else { return Err(challenge()) };
        let seen = self.seal(&user, &password);
        let right = || self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right().contains(&seen) {
            return Ok(());
        }
        let known = self.users.get(&user).map(String::as_str);
        let (hash, is_known) = (known.unwrap_or(&self.nobody).to_owned(), known.is_some());
        let turn = Arc::clone(&self.checks).acquire_owned().await.map_err(Refusal::internal)?;
        // Many connections of one client come at once: the first has paid for all.
        if right().contains(&seen) {
            return Ok(());
        }
        let is_right = blocking(move || {
            // The check goes on when the client has gone, and so does its turn.
            let _turn = turn;
            Ok(bcrypt::verify(password, &hash).unwrap_or(false))
        })
        .await?;
        if !(is_known && is_right) {
            return Err(challenge());
        }
        let mut right = right();
        if right.len() >= REMEMBERED {
            right.clear();
        }
        right.insert(seen);
        Ok(())
    }

    fn seal(&self, user: &str, password: &str) -> Digest {
        let mut text: Vec<u8> = self.key.iter().flat_map(|word| word.to_be_bytes()).collect();
        text.extend_from_slice(&(user.len() as u64).to_be_bytes());
        text.extend_from_slice(user.as_bytes());
        text.extend_from_slice(password.as_bytes());
        Digest::sha256(&text)
    }
}

/// User and password of a `Basic` header.
pub(crate) fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn challenge() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "this registry asks for a user and a password")
        .with(WWW_AUTHENTICATE, "Basic realm=\"transship\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(user: &str, password: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        [(AUTHORIZATION, value.parse().unwrap())].into_iter().collect()
    }

    #[tokio::test]
    async fn dist_114_who_has_a_password_is_let_in_and_nobody_else() {
        let hash = bcrypt::hash("hunter2", 4).unwrap();
        let passwords = Passwords::parse(&format!("# users\n\nme:{hash}\n")).unwrap();
        for _ in 0..2 {
            assert!(passwords.admit(&headers("me", "hunter2")).await.is_ok());
        }
        for (user, password) in [("me", "wrong"), ("you", "hunter2"), ("", ""), ("me", "")] {
            let response = passwords.admit(&headers(user, password)).await.unwrap_err().into_response();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(response.headers()[WWW_AUTHENTICATE], "Basic realm=\"transship\"");
        }
        assert!(passwords.admit(&HeaderMap::new()).await.is_err());
    }

    #[test]
    fn wrong_guesses_leave_room_for_others_to_be_served() {
        // Each check keeps a thread busy: as many as there may be at once, and one that is free.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().max_blocking_threads(CHECKS + 1).build().unwrap();
        let passwords = Passwords::parse(&format!("me:{}", bcrypt::hash("hunter2", 7).unwrap())).unwrap();
        runtime.block_on(async {
            let done = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let mut guesses = tokio::task::JoinSet::new();
            for n in 0..60 {
                let (passwords, done) = (passwords.clone(), Arc::clone(&done));
                guesses.spawn(async move {
                    assert!(passwords.admit(&headers("me", &n.to_string())).await.is_err());
                    done.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
                });
            }
            guesses.join_next().await;
            let seen = blocking(move || Ok(done.load(std::sync::atomic::Ordering::SeqCst))).await.unwrap();
            assert!(seen < 40, "{seen} guesses were checked first");
            guesses.join_all().await;
        });
    }

    #[test]
    fn lines_that_are_no_password_are_refused_by_number() {
        for bad in ["me", "me:{SHA}abc", "me:plain", "", "# none"] {
            assert!(matches!(Passwords::parse(bad), Err(Error::Passwords { line: 1, .. })), "{bad}");
        }
    }

    #[test]
    fn what_is_no_basic_header_has_no_credentials() {
        for bad in ["", "Basic", "Basic !!", "Bearer abc", "Basic YQ==", "Basic /w=="] {
            assert_eq!(credentials(bad), None, "{bad}");
        }
    }
}
