//! What a token allows: `type:name:actions` (DIST-108).

use std::collections::{BTreeMap, BTreeSet};

/// A set of scopes: to each resource (`repository:team/app`) its actions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    /// The actions, as a comma list, on one repository.
    pub(crate) fn repository(name: &str, actions: &str) -> Self {
        let mut scopes = Self::default();
        scopes.insert(&format!("repository:{name}:{actions}"));
        scopes
    }

    /// This set and `pull` on another repository, as mounting needs it (DIST-52).
    pub(crate) fn and_pull(mut self, name: &str) -> Self {
        self.insert(&format!("repository:{name}:pull"));
        self
    }

    /// Adds a scope as it is written. The name may hold colons, so the last one parts the actions off.
    fn insert(&mut self, scope: &str) {
        let (resource, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
        let actions = actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned);
        self.0.entry(resource.to_owned()).or_default().extend(actions);
    }

    /// The scopes in the order in which to ask for them: those that the registry just demanded come first, because some
    /// token servers read only the first; ours are merged in or follow.
    pub(crate) fn ask_for(&self, demanded: &[String]) -> Vec<String> {
        let mut all = self.clone();
        let mut first: Vec<&str> = Vec::new();
        for scope in demanded.iter().filter(|scope| !scope.is_empty()) {
            all.insert(scope);
            let resource = scope.rsplit_once(':').map_or(scope.as_str(), |(resource, _)| resource);
            if !first.contains(&resource) {
                first.push(resource);
            }
        }
        let rest = all.0.keys().map(String::as_str).filter(|resource| !first.contains(resource));
        first.iter().copied().chain(rest).filter_map(|resource| all.text(resource)).collect()
    }

    fn text(&self, resource: &str) -> Option<String> {
        let actions: Vec<&str> = self.0.get(resource)?.iter().map(String::as_str).collect();
        Some(format!("{resource}:{}", actions.join(",")))
    }

    /// The key under which a token is kept (DIST-110).
    pub(crate) fn key(&self) -> String {
        self.ask_for(&[]).join(" ")
    }
}

/// Takes the action `delete` out of scopes as they are written; whether it was in one of them.
pub(crate) fn drop_delete(scopes: &mut [String]) -> bool {
    let mut dropped = false;
    for scope in scopes {
        let Some((resource, actions)) = scope.rsplit_once(':') else { continue };
        let kept: Vec<&str> = actions.split(',').filter(|action| *action != "delete").collect();
        let kept = format!("{resource}:{}", kept.join(","));
        dropped |= kept != *scope;
        *scope = kept;
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_108_a_name_with_a_port_keeps_its_colon() {
        let mut scopes = Scopes::default();
        scopes.insert("repository:host:5000/a:pull,push");
        assert_eq!(scopes.key(), "repository:host:5000/a:pull,push");
    }

    #[test]
    fn dist_108_what_the_registry_demands_comes_first_and_is_merged() {
        let scopes = Scopes::repository("dst", "pull,push").and_pull("src");
        assert_eq!(scopes.ask_for(&[]), ["repository:dst:pull,push", "repository:src:pull"]);
        assert_eq!(
            scopes.ask_for(&["repository:src:pull,delete".to_owned()]),
            ["repository:src:delete,pull", "repository:dst:pull,push"]
        );
        assert_eq!(Scopes::default().ask_for(&["registry:catalog:*".to_owned()]), ["registry:catalog:*"]);
    }

    #[test]
    fn dist_177_delete_can_be_left_out_of_what_is_asked_for() {
        let mut scopes = ["repository:h:5/a:delete,pull,push".to_owned(), "repository:b:pull".to_owned()];
        assert!(drop_delete(&mut scopes));
        assert_eq!(scopes, ["repository:h:5/a:pull,push", "repository:b:pull"]);
        assert!(!drop_delete(&mut scopes));
    }

    #[test]
    fn dist_110_the_key_does_not_depend_on_the_order() {
        let one = Scopes::repository("a", "push,pull").and_pull("b");
        let other = Scopes::repository("b", "pull").and_pull("a");
        assert_ne!(one.key(), other.key());
        assert_eq!(one.key(), Scopes::repository("a", "pull,push").and_pull("b").key());
    }
}
