//! The way in: passwords, challenges, and a token server whose tokens nobody can read (DIST-105…111).

use http::header::WWW_AUTHENTICATE;
use http::{Method, Response, StatusCode};
use serde_json::json;
use transship_serve::Body;

use super::ask::{Ask, Thing, parameter, parameters};
use super::play::Play;
use super::{Access, TokenServer};
use crate::answer::{json_answer, refusal};

/// The user for whom a refresh token is a password.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// A resource and an action on it.
pub(super) type Grant = (String, String);

impl Play {
    /// The refresh token that is as good as the password.
    pub(crate) fn refresh_token(&self) -> String {
        format!("refresh-{}", self.login.as_ref().map_or("", |(_, password)| password))
    }

    pub(super) fn tokens(&self) -> Option<&TokenServer> {
        match &self.personality.access {
            Access::Token(server) => Some(server),
            _ => None,
        }
    }

    /// Refuses who has not shown that he may.
    pub(super) fn let_in(&self, ask: &Ask) -> Option<Response<Body>> {
        match &self.personality.access {
            Access::Ours => None,
            Access::Basic(realm) => {
                let is_in = self.login.is_none() || self.knows_password(ask.header("authorization"));
                (!is_in).then(|| unauthorized(Some(format!("Basic realm=\"{realm}\""))))
            }
            Access::Token(server) => self.check_token(server, ask),
        }
    }

    fn check_token(&self, server: &TokenServer, ask: &Ask) -> Option<Response<Body>> {
        let wanted = self.wanted(server, ask);
        let token = ask.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
        let granted = token.and_then(|token| self.memory().tokens.get(token).cloned());
        let is_known = granted.is_some();
        if granted.is_some_and(|granted| wanted.iter().all(|grant| granted.contains(grant))) {
            return None;
        }
        if server.is_only_at_the_door && ask.thing != Thing::Door {
            return Some(unauthorized(None));
        }
        let mut challenge = format!("Bearer realm=\"{}\",service=\"{}\"", self.realm(server), server.service);
        if !wanted.is_empty() {
            challenge.push_str(&format!(",scope=\"{}\"", scopes(&wanted)));
        }
        if is_known {
            challenge.push_str(",error=\"insufficient_scope\"");
        }
        Some(unauthorized(Some(challenge)))
    }

    fn realm(&self, server: &TokenServer) -> String {
        let host = if server.is_elsewhere { self.side() } else { self.front() };
        format!("http://{host}{}", server.path)
    }

    /// What a request needs.
    fn wanted(&self, server: &TokenServer, ask: &Ask) -> Vec<Grant> {
        if ask.repository.is_empty() {
            return Vec::new();
        }
        let cancels = ask.method == Method::DELETE && matches!(ask.thing, Thing::Upload(_));
        let deletes = if server.no_delete { "push" } else { "delete" };
        let actions: &[&str] = match ask.method {
            Method::GET | Method::HEAD => &["pull"],
            Method::DELETE if cancels && !self.personality.uploads.cancel_deletes => &["pull", "push"],
            Method::DELETE => &[deletes],
            _ => &["pull", "push"],
        };
        let resource = format!("repository:{}", ask.repository);
        let mut wanted: Vec<Grant> =
            actions.iter().map(|action| (resource.clone(), (*action).to_owned())).collect();
        if let Some(from) = ask.query("from").filter(|_| ask.thing == Thing::Uploads) {
            wanted.push((format!("repository:{from}"), "pull".to_owned()));
        }
        wanted
    }

    /// Answers as the token server, where the request is for it.
    pub(super) fn give_token(&self, ask: &Ask, form: &str) -> Option<Response<Body>> {
        let server = self.tokens().filter(|server| ask.uri.path() == server.path)?;
        if ask.method == Method::POST {
            if let Some(status) = server.post {
                return Some(refusal(status, "UNSUPPORTED", "no such method"));
            }
            let refresh = parameter(form, "refresh_token");
            if refresh.is_none_or(|refresh| refresh != self.refresh_token()) {
                return Some(refusal(401, "UNAUTHORIZED", "the refresh token is none"));
            }
            let scopes = parameter(form, "scope").unwrap_or_default();
            return Some(self.grant(server, scopes.split(' '), true));
        }
        let authorization = ask.header("authorization");
        let knows = self.login.is_none() || self.knows_password(authorization);
        if authorization.is_some() && !knows {
            return Some(refusal(401, "UNAUTHORIZED", "the password is wrong"));
        }
        let scopes: Vec<String> = parameters(ask.uri.query().unwrap_or_default(), "scope").collect();
        if server.no_delete && scopes.iter().any(|scope| scope.contains("delete")) {
            return Some(refusal(400, "UNSUPPORTED", "unable to decode the scope"));
        }
        Some(self.grant(server, scopes.iter().map(String::as_str), knows))
    }

    /// Gives a token for what was asked of what may be granted: nobody in particular may read.
    fn grant<'a>(
        &self,
        server: &TokenServer,
        scopes: impl Iterator<Item = &'a str>,
        may_write: bool,
    ) -> Response<Body> {
        let mut granted = Vec::new();
        for (resource, actions) in scopes.filter_map(|scope| scope.rsplit_once(':')) {
            let allowed = actions.split(',').filter(|action| may_write || *action == "pull");
            granted.extend(allowed.map(|action| (resource.to_owned(), action.to_owned())));
        }
        let mut memory = self.memory();
        let token = format!("opaque~{}", memory.tokens.len());
        memory.tokens.insert(token.clone(), granted);
        json_answer(StatusCode::OK, &json!({ server.member: token, "expires_in": 300 }))
    }

    fn knows_password(&self, authorization: Option<&str>) -> bool {
        let Some((user, password)) = &self.login else { return false };
        let given = authorization.and_then(|text| text.strip_prefix("Basic "));
        let is = |user: &str, password: &str| {
            given.is_some_and(|given| given == base64(format!("{user}:{password}").as_bytes()))
        };
        let refreshes = self.tokens().is_some_and(|server| server.post.is_none());
        is(user, password) || (refreshes && is(NOBODY, &self.refresh_token()))
    }
}

fn scopes(wanted: &[Grant]) -> String {
    let mut scopes: Vec<(String, Vec<&str>)> = Vec::new();
    for (resource, action) in wanted {
        match scopes.iter_mut().find(|(have, _)| have == resource) {
            Some((_, actions)) => actions.push(action),
            None => scopes.push((resource.clone(), vec![action])),
        }
    }
    let texts = scopes.iter().map(|(resource, actions)| format!("{resource}:{}", actions.join(",")));
    texts.collect::<Vec<_>>().join(" ")
}

fn unauthorized(challenge: Option<String>) -> Response<Body> {
    let mut response = refusal(401, "UNAUTHORIZED", "authentication required");
    if let Some(challenge) = challenge {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
    }
    response
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word =
            three.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place > three.len() { '=' } else { char::from(digit) });
        }
    }
    text
}
