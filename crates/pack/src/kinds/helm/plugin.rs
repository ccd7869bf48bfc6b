//! Plugins of Helm 4: the archive of one, with its provenance, by their titles.

use crate::Error;
use crate::kinds::{Facts, Held, Kind, Sight, Sign};

const PLUGIN: &str = "application/vnd.helm.plugin.v1+json";

/// Plugins of Helm.
#[derive(Debug)]
pub(in crate::kinds) struct Plugin;

impl Kind for Plugin {
    fn name(&self) -> &'static str {
        "helm-plugin"
    }

    fn about(&self) -> &'static str {
        "a plugin of Helm"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        match () {
            () if sight.is_type(PLUGIN) => Some(Sign::ArtifactType),
            () if sight.is_config(PLUGIN) => Some(Sign::ConfigType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        for part in &mut facts.parts {
            match part.name.as_deref() {
                Some(name) if name.ends_with(".prov") => "provenance".clone_into(&mut part.role),
                Some(name) if name.ends_with(".tgz") => "plugin".clone_into(&mut part.role),
                _ => {}
            }
        }
        Ok(facts)
    }
}
