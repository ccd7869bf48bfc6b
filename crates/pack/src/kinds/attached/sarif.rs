//! Results of static analysis and scans, in SARIF.

use std::collections::BTreeMap;

use serde::Deserialize;
use transship_spec::{Descriptor, MediaType};

use super::names::named;
use super::said::Said;
use super::told::{List, Told, object};
use super::types;
use crate::Error;
use crate::kinds::{Extract, Facts, Held, Kind, Sight, Sign};

/// SARIF as a referrer.
#[derive(Debug)]
pub(super) struct Sarif;

impl Kind for Sarif {
    fn name(&self) -> &'static str {
        "sarif"
    }

    fn about(&self) -> &'static str {
        "results of a scan, in SARIF"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        super::by_type(sight, &[types::SARIF])
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        facts.call(types::SARIF, "results");
        let mut said = Said::default();
        let layers = held.sight().layers().into_iter();
        let layers = layers.filter(|layer| layer.media_type != MediaType::OCI_EMPTY);
        said.look(held, layers, |said, _, bytes| say(bytes, said))?;
        said.tell(&mut facts);
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        let name =
            |layer: &Descriptor| (layer.media_type.as_str() == types::SARIF).then_some("results.sarif");
        named(held.sight(), name)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Log {
    version: Told<String>,
    runs: List<Run>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Run {
    tool: Told<Tool>,
    results: List<Finding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tool {
    driver: Told<Driver>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Driver {
    name: Told<String>,
    version: Told<String>,
    semantic_version: Told<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Finding {
    level: Told<String>,
}

fn say(bytes: &[u8], said: &mut Said) {
    let log: Log = match object(bytes) {
        Ok(log) => log,
        Err(reason) => return said.unreadable("SARIF log", &reason),
    };
    said.say("format", format!("SARIF {}", log.version.text().unwrap_or("of unknown version")));
    let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
    let mut results = 0;
    for run in log.runs.each() {
        let driver = run.tool.0.as_ref().and_then(|tool| tool.driver.0.as_ref());
        let version = driver.and_then(|it| it.version.text().or(it.semantic_version.text()));
        let tool = driver.and_then(|driver| driver.name.text()).unwrap_or("unknown");
        said.say("tool", [Some(tool), version].into_iter().flatten().collect::<Vec<_>>().join(" "));
        results += run.results.count().unwrap_or_default();
        for finding in run.results.each() {
            // A result without a level is a warning, unless its rule says otherwise.
            *levels.entry(finding.level.text().unwrap_or("no level")).or_default() += 1;
        }
    }
    said.count("results", Some(results));
    for (level, count) in levels {
        said.say("by level", format!("{level}: {count}"));
    }
}
