//! Things that are copied with the media types of another dialect (IMG-157).
//!
//! The documents of a root are read, each once, and made anew leaves first; blobs are neither read nor changed. What was
//! made has another digest, so that nothing at the source speaks of it: signatures and the like of what it was stay
//! behind, and are counted. What is the same in both dialects is copied as it is, with all that belongs to it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use transship_spec::{Descriptor, Dialect, Digest, Document, platform, referrers};

use super::subset::{Resolved, read_named};
use super::{Root, Survey, read_from};
use crate::convert::{self, Renamed};
use crate::endpoint::{Endpoint, QUESTIONS};
use crate::graph;
use crate::report::{Converted, Why};
use crate::{Error, Result};

/// Bytes of the documents of one root that are read to convert it.
const ROOM: usize = 32 << 20;

/// Documents of a source by what a descriptor says of them.
type Read = HashMap<(Digest, u64), Bytes>;

impl Survey {
    /// The dialect that a root is to have. A digest tag speaks of bytes, and stays as it is.
    pub(super) fn dialect_of(&self, root: &Root) -> Option<Dialect> {
        let tag = root.listed.called.short.as_deref();
        let is_image = root.why == Why::Asked && tag.is_none_or(|tag| referrers::digest_tag(tag).is_none());
        self.options.convert.filter(|_| is_image)
    }

    /// What a root is in a dialect.
    pub(super) async fn converted(
        &self,
        root: &Root,
        mut resolved: Resolved,
        dialect: Dialect,
    ) -> Result<Resolved> {
        let was = &mut resolved.descriptor;
        if was.media_type.is_schema1() {
            return Err(first_format(&was.digest));
        }
        if !was.media_type.is_document() {
            return Ok(resolved);
        }
        if resolved.part.as_ref().is_some_and(|part| part.original.is_none()) {
            return Err(Error::Unsayable {
                digest: was.digest.clone(),
                what: "the source has only a part of it".to_owned(),
                remedy: Some("--platform with --subset rewrite makes an index of what is there"),
            });
        }
        let source = self.source(root.from);
        let document = match resolved.document.take() {
            Some(document) => document,
            None => read_named(source, was).await?,
        };
        was.size = document.bytes().len() as u64;
        let was = &*was;
        if !convert::is_meant(&document, dialect) {
            return match dialect {
                Dialect::Docker => Err(convert::no_image(&was.digest)),
                _ => Ok(Resolved { document: Some(document), ..resolved }),
            };
        }
        let read = members(source, &document, dialect).await?;
        let mut conversion = Conversion {
            survey: self,
            read,
            dialect,
            new: HashMap::new(),
            converted: Vec::new(),
            lost: Lost::default(),
        };
        let new = conversion.convert(was, &document)?;
        let Conversion { mut converted, lost, .. } = conversion;
        if converted.is_empty() {
            return Ok(Resolved { document: Some(document), ..resolved });
        }
        let counted = resolved.part.as_ref().and_then(|part| part.original.clone());
        let asked: Vec<Digest> = converted.iter().map(|one| one.from.clone()).collect();
        if let (Some(last), Some(original)) = (converted.last_mut(), &counted) {
            last.from = original.clone();
        }
        // What refers to the index of which a new one was made is known already.
        let asked = &asked[..asked.len() - usize::from(counted.is_some())];
        resolved.behind.of_converted =
            lost.attestations + self.behind(root, asked, &mut resolved.doubts).await?;
        resolved.behind.annotations = lost.annotations;
        resolved.behind.alone = lost.alone;
        resolved.converted = converted;
        let artifact_type = was.artifact_type.clone().filter(|_| dialect != Dialect::Docker);
        resolved.descriptor = Descriptor {
            artifact_type,
            data: None,
            media_type: new.media_type,
            digest: new.digest,
            size: new.size,
            ..was.clone()
        };
        Ok(resolved)
    }

    /// How much belongs to these, and so to none that was made of them.
    async fn behind(&self, root: &Root, asked: &[Digest], doubts: &mut Vec<String>) -> Result<usize> {
        let others = self.roots.iter().filter(|other| other.from == root.from && other.why == Why::Asked);
        let ask = self.ask(others.take(2).count() > 1);
        let source = self.source(root.from);
        let question = |digest: Digest| async move { source.related(&digest, ask).await };
        let mut answers = stream::iter(asked.to_vec()).map(question).buffered(QUESTIONS);
        let mut count = 0;
        while let Some(related) = answers.next().await {
            let mut related = related?;
            count += related.referrers.len() + related.digest_tags.len();
            doubts.append(&mut related.doubts);
        }
        Ok(count)
    }
}

fn first_format(digest: &Digest) -> Error {
    Error::Unsayable {
        digest: digest.clone(),
        what: "it is in Docker's first manifest format".to_owned(),
        remedy: Some("push the image again with a current tool"),
    }
}

/// The documents below a root that a dialect may change, each read once.
async fn members(source: &Arc<dyn Endpoint>, root: &Document, dialect: Dialect) -> Result<Read> {
    let (mut read, mut bytes) = (Read::new(), 0);
    let mut level = wanted(root, &read)?;
    for _ in 0..graph::MAX_DEPTH {
        if level.is_empty() {
            return Ok(read);
        }
        let read_one = |member: Descriptor| async move { read_from(source, &member, false).await };
        let mut documents = stream::iter(level).map(read_one).buffered(QUESTIONS);
        let mut below = Vec::new();
        while let Some(document) = documents.next().await {
            let document = document?;
            bytes += document.bytes().len();
            if bytes > ROOM {
                let what = "the size in bytes of the manifests of one thing that is converted";
                return Err(Error::Limit { what, limit: ROOM as u64 });
            }
            let descriptor = document.descriptor();
            read.insert((descriptor.digest, descriptor.size), document.bytes().clone());
            if convert::is_meant(&document, dialect) {
                below.extend(wanted(&document, &read)?);
            }
        }
        below.retain(|member| !read.contains_key(&(member.digest.clone(), member.size)));
        level = below;
    }
    Err(graph::too_deep())
}

/// The members of an index that have to be read. An attestation is the same in every dialect.
fn wanted(document: &Document, read: &Read) -> Result<Vec<Descriptor>> {
    let members = document.as_index().map(|index| index.manifests.as_slice()).unwrap_or_default();
    if let Some(old) = members.iter().find(|member| member.media_type.is_schema1()) {
        return Err(first_format(&old.digest));
    }
    let mut seen = HashSet::new();
    let wanted = members.iter().filter(|member| {
        let key = (member.digest.clone(), member.size);
        let is_one = member.media_type.is_document() && !platform::is_attestation(member);
        is_one && !read.contains_key(&key) && seen.insert(key)
    });
    Ok(wanted.cloned().collect())
}

/// What gets lost on the way.
#[derive(Debug, Default)]
struct Lost {
    annotations: usize,
    attestations: usize,
    /// Members that Docker's media types cannot say, and that stay as they are.
    alone: usize,
}

/// A conversion under way.
struct Conversion<'a> {
    survey: &'a Survey,
    read: Read,
    dialect: Dialect,
    /// What each document became.
    new: HashMap<Digest, Descriptor>,
    converted: Vec<Converted>,
    lost: Lost,
}

impl Conversion<'_> {
    /// Converts a document and what is below it. No deeper than what was read.
    fn convert(&mut self, was: &Descriptor, document: &Document) -> Result<Descriptor> {
        if let Some(known) = self.new.get(&was.digest) {
            return Ok(known.clone());
        }
        let Renamed { document: new, annotations, attestations } =
            match (document.as_manifest(), document.as_index()) {
                (Some(manifest), _) => convert::image(document, manifest, self.dialect)?,
                (_, Some(index)) => {
                    self.members(&index.manifests)?;
                    convert::index(document, &index.manifests, &self.new, self.dialect)?
                }
                _ => return Ok(was.clone()),
            };
        let is = new.descriptor();
        if is.digest == was.digest {
            self.survey.documents.keep(document);
        } else {
            self.survey.documents.make(&new)?;
            let media_type = is.media_type.clone();
            self.converted.push(Converted { from: was.digest.clone(), to: is.digest.clone(), media_type });
        }
        self.lost.annotations += annotations;
        self.lost.attestations += attestations;
        self.new.insert(was.digest.clone(), is.clone());
        Ok(is)
    }

    fn members(&mut self, members: &[Descriptor]) -> Result<()> {
        for member in members.iter().filter(|member| !platform::is_attestation(member)) {
            let bytes = self.read.get(&(member.digest.clone(), member.size));
            let document = bytes.map(|bytes| Document::of_verified(bytes.clone(), member)).transpose()?;
            match document.filter(|document| convert::is_meant(document, self.dialect)) {
                Some(document) => drop(self.convert(member, &document)?),
                None => self.lost.alone += usize::from(self.dialect == Dialect::Docker),
            }
        }
        Ok(())
    }
}
