//! Packing by a description: each input by the first rule that fits it, in the order in which inputs are given.

use std::collections::{BTreeMap, HashSet};

use transship_codec::Compression;
use transship_spec::{Descriptor, Manifest, Tag, annotations, quote};

use super::Described;
use super::read::InputRule;
use super::template::Template;
use crate::kinds::input::{File, is_title};
use crate::kinds::{Kind as _, Made, Making, Packing, Request};
use crate::{Error, TarOptions};

impl Packing for Described {
    fn inputs(&self) -> &str {
        &self.usage
    }

    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
        let rules = self.rules_for(&request.inputs)?;
        let Some(first) = request.inputs.first() else {
            return Err(Error::Nothing("there is no input"));
        };
        let called = self.called(first)?;
        let mut layers = Vec::new();
        for (file, rule) in request.inputs.iter().zip(rules) {
            layers.push(layer(file, rule, making)?);
        }
        let config = match &self.said.config {
            None => making.empty()?,
            Some(config) => {
                let content = config.content.as_bytes();
                let stored = making.store_bytes(config.media_type.clone(), content)?;
                Descriptor { data: config.embed.then(|| content.into()), ..stored }
            }
        };
        let mut manifest = Manifest::new(config, layers);
        manifest.artifact_type.clone_from(&self.said.artifact_type);
        manifest.annotations = request.annotations.clone();
        let created = request.created()?.map(|time| (annotations::CREATED.to_owned(), time));
        for (key, value) in created.into_iter().chain(filled(&self.said.annotations, &first.title)) {
            manifest.annotations.entry(key).or_insert(value);
        }
        manifest.subject.clone_from(&request.subject);
        let document = match self.said.untyped {
            true => manifest.to_untyped_document()?,
            false => manifest.to_document()?,
        };
        Ok(Made { called, ..Made::of(document) })
    }
}

impl Described {
    /// The rule for each input, before anything is read of them.
    fn rules_for(&self, inputs: &[File]) -> Result<Vec<&InputRule>, Error> {
        let mut titles = HashSet::new();
        let mut counts = vec![0_usize; self.said.input.len()];
        let mut rules = Vec::new();
        for file in inputs {
            let is_folder =
                std::fs::metadata(&file.path).map_err(|error| Error::read(&file.path, error))?.is_dir();
            let fits = |rule: &InputRule| rule.fits(&file.title, is_folder);
            let found = self.said.input.iter().zip(&mut counts).find(|(rule, _)| fits(rule));
            let (rule, count) =
                found.ok_or_else(|| self.refused(file, format!("it takes {}", self.usage)))?;
            *count += 1;
            if *count > rule.most() {
                return Err(self.refused(file, format!("it takes {} of {}", rule.most(), rule.takes())));
            }
            if file.media_type.as_ref().is_some_and(|told| *told != rule.media_type) {
                return Err(self.refused(file, format!("its type is {}", rule.media_type)));
            }
            let title = rule.title.fill(&file.title);
            if !title.is_empty() && !titles.insert(title.clone()) {
                return Err(Error::Title(title));
            }
            rules.push(rule);
        }
        for (rule, count) in self.said.input.iter().zip(counts) {
            if count < rule.least {
                let what = match inputs.first() {
                    Some(first) => first.path.to_string_lossy().into_owned(),
                    None => return Err(Error::Nothing("there is no input")),
                };
                let reason = format!("of {} it takes {} at least, not {count}", rule.takes(), rule.least);
                return Err(Error::not_of_kind(what, self.name(), reason));
            }
        }
        Ok(rules)
    }

    fn refused(&self, file: &File, reason: String) -> Error {
        Error::not_of_kind(file.path.to_string_lossy(), self.name(), reason)
    }

    /// By what name it would be pushed.
    fn called(&self, first: &File) -> Result<Option<(String, String)>, Error> {
        let Some(called) = &self.said.called else { return Ok(None) };
        let (name, tag) = (called.name.fill(&first.title), called.tag.fill(&first.title));
        if Tag::parse(&tag).is_err() {
            return Err(self.refused(first, format!("the tag that it gives, {}, is none", quote(&tag))));
        }
        Ok(Some((name, tag)))
    }
}

fn layer(file: &File, rule: &InputRule, making: &mut Making<'_>) -> Result<Descriptor, Error> {
    let title = rule.title.fill(&file.title);
    if !title.is_empty() && !is_title(&title) {
        let reason = "it takes a relative path with slashes, without . or .. in it";
        return Err(Error::option("a title", &title, reason));
    }
    let mut layer = match rule.folder {
        true => folder(file, &title, making)?,
        false => making.store(&file.path)?,
    };
    layer.media_type = rule.media_type.clone();
    if !title.is_empty() {
        layer.annotations.insert(annotations::TITLE.to_owned(), title);
    }
    layer.annotations.extend(filled(&rule.annotations, &file.title));
    Ok(layer)
}

/// A folder as a tar in gzip: with a title, as ORAS writes it, else what lies in it alone.
fn folder(file: &File, title: &str, making: &mut Making<'_>) -> Result<Descriptor, Error> {
    let layer = making.store_folder(&file.path, |options| {
        options.compression = Compression::Gzip;
        let prefix = if title == "." { String::new() } else { title.to_owned() };
        options.tar = TarOptions { prefix, hard_links: false, ..options.tar.clone() };
    })?;
    let mut descriptor = layer.descriptor;
    if !title.is_empty() {
        let said = [
            (annotations::ORAS_CONTENT_DIGEST, layer.diff_id.to_string()),
            (annotations::ORAS_CONTENT_UNPACK, "true".to_owned()),
        ];
        descriptor.annotations.extend(said.map(|(key, value)| (key.to_owned(), value)));
    }
    Ok(descriptor)
}

fn filled<'a>(
    templates: &'a BTreeMap<String, Template>,
    title: &'a str,
) -> impl Iterator<Item = (String, String)> + 'a {
    templates.iter().map(move |(key, value)| (key.clone(), value.fill(title)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Held, Kinds, Sight, pack_kind};
    use transship_layout::{Layout, Name};

    const ALL: &str = r#"
        name = "poem"
        about = "poems"
        untyped = true
        annotations = { "com.example.stem" = "{stem}", "com.example.kept" = "no" }
        called = { name = "{stem}", tag = "v1" }
        [config]
        type = "application/vnd.sylabs.sif.config.v1+json"
        embed = true
        [[input]]
        type = "text/plain"
        title = ""
        file = "poem.txt"
        annotations = { "com.example.was" = "{title}" }
        most = 1
    "#;

    #[test]
    fn img_69_all_that_a_description_says_is_in_the_manifest_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ode.md");
        std::fs::write(&path, "hello").unwrap();
        let layout = Layout::options().create(folder.path().join("out")).unwrap();
        let kinds = Kinds::built_in().with(Described::parse("poem.toml", ALL).unwrap()).unwrap();
        let mut request = Request::of([&path]).unwrap();
        request.annotations.insert("com.example.kept".to_owned(), "yes".to_owned());
        request.source_date_epoch = Some(0);
        let name = Name::short("v1").unwrap();
        let packed = pack_kind(&layout, Some(&name), kinds.named("poem").unwrap(), &request).unwrap();
        assert_eq!(packed.called, Some(("ode".to_owned(), "v1".to_owned())));
        let document = transship_layout::read_document(&layout, &packed.descriptor).unwrap();
        let text = concat!(
            r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.sylabs.sif.config.v1+json","#,
            r#""digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="},"#,
            r#""layers":[{"mediaType":"text/plain","#,
            r#""digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5,"#,
            r#""annotations":{"com.example.was":"ode.md"}}],"annotations":{"com.example.kept":"yes","#,
            r#""com.example.stem":"ode","org.opencontainers.image.created":"1970-01-01T00:00:00Z"}}"#,
        );
        assert_eq!(String::from_utf8_lossy(document.bytes()), text);
        // A user's own kind comes before one that is built in and knows the same type.
        let held = Held::new(Sight::of(&document), &layout);
        let kind = kinds.of(&held).unwrap();
        assert_eq!(kind.name(), "poem");
        assert_eq!(kind.files(&held).unwrap()[0].path, "poem.txt");
    }
}
