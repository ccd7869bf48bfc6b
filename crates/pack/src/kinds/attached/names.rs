//! How files are called that have no title.

use std::collections::HashMap;

use transship_spec::{Descriptor, MediaType, annotations};

use crate::Error;
use crate::kinds::extract::check;
use crate::kinds::{Extract, Sight};

/// The layers by their titles; those without one by the rule of their kind, and where that has none by their digests.
pub(super) fn named(
    sight: &Sight<'_>,
    rule: impl Fn(&Descriptor) -> Option<&'static str>,
) -> Result<Vec<Extract>, Error> {
    let mut names = Names::default();
    let layers = sight.layers().into_iter().filter(|layer| layer.media_type != MediaType::OCI_EMPTY);
    let file = |layer: &Descriptor| match (layer.annotations.get(annotations::TITLE), rule(layer)) {
        (None, Some(name)) => Extract::blob(names.next(name), layer),
        _ => Extract::of_layer(layer),
    };
    let files: Vec<Extract> = layers.map(file).collect();
    check(sight, &files)?;
    Ok(files)
}

/// Names, the second of which is `name-2.ending`.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<&'static str, usize>);

impl Names {
    pub(super) fn next(&mut self, name: &'static str) -> String {
        let count = self.0.entry(name).or_default();
        *count += 1;
        match (*count, name.split_once('.')) {
            (1, _) => name.to_owned(),
            (count, Some((stem, ending))) => format!("{stem}-{count}.{ending}"),
            (count, None) => format!("{name}-{count}"),
        }
    }
}
