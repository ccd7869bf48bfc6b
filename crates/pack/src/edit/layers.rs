//! The layers of an image: dropped, replaced, added, merged, given other times, compressed anew.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use transship_codec::{Compression, Decoder, Limits};
use transship_spec::splice::Object;
use transship_spec::{Descriptor, Digest, Verifier};

use super::Work;
use super::image::{Draft, Layer, Step};
use crate::epoch::{UNKNOWN_TIME, created};
use crate::flatten::{self, Plain};
use crate::layer::{Encoded, compress, pump};
use crate::pipeline::{BUFFER, Pieces};
use crate::{Error, LayerOptions, Warning, pack_layer};

/// What the history of an image says of each of its layers that was made here.
const CREATED_BY: &str = "transship edit";

/// Which layer of an image is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerRef {
    /// The N-th, from zero, base first.
    Position(usize),
    /// Each with this digest or diff ID.
    Digest(Digest),
}

impl FromStr for LayerRef {
    type Err = Error;

    /// Reads a number or a digest; anything else is [`Error::Option`].
    fn from_str(text: &str) -> Result<Self, Error> {
        let number = || text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        match (number(), Digest::parse(text)) {
            (Some(position), _) => Ok(Self::Position(position)),
            (None, Ok(digest)) => Ok(Self::Digest(digest)),
            (None, Err(_)) => {
                Err(Error::option("a layer", text, "it takes its position, the first is 0, or its digest"))
            }
        }
    }
}

/// What is to be changed in the layers of an image.
#[derive(Debug, Clone, Default)]
pub struct LayerEdit {
    /// Layers to take away, with their history.
    pub drop: Vec<LayerRef>,
    /// Layers that become another folder or tar.
    pub replace: Vec<(LayerRef, PathBuf)>,
    /// Folders and tars that become layers on top, in their order.
    pub append: Vec<PathBuf>,
    /// Merge all layers from this position on into one; a position of the image as it is by then.
    pub squash: Option<usize>,
    /// The time that all files in all layers get, in seconds since 1970.
    pub mtime: Option<i64>,
    /// How all layers are to be compressed. Their diff IDs stay. Those that are compressed so already are left as they are.
    pub recompress: Option<Compression>,
    /// How layers that are made here are made.
    pub options: LayerOptions,
}

impl LayerEdit {
    /// Whether layers are added, exchanged or taken away.
    fn moves(&self) -> bool {
        !(self.drop.is_empty() && self.replace.is_empty() && self.append.is_empty())
    }

    /// How layers that are written here are compressed.
    fn made(&self) -> LayerOptions {
        let compression = self.recompress.unwrap_or(self.options.compression);
        LayerOptions { compression, ..self.options.clone() }
    }
}

impl<'a> Work<'a> {
    pub(super) fn layers(&mut self, draft: &mut Draft<'a>) -> Result<(), Error> {
        let wanted = &self.edit.layers;
        if wanted.moves() {
            self.complete_history(draft);
            self.drop_and_replace(draft)?;
            for input in &wanted.append {
                let layer = self.pack(input)?;
                self.edited.changes.push(format!("layer {} added", layer.descriptor));
                draft.layers.push(layer);
                draft.history.push(self.step("")?);
            }
        }
        if let Some(from) = wanted.squash {
            self.squash(draft, from)?;
        }
        if let Some(mtime) = wanted.mtime {
            self.set_times(draft, mtime)?;
        }
        match wanted.recompress {
            Some(compression) => self.recompress(draft, compression),
            None => Ok(()),
        }
    }

    /// Sees to it that each layer has an entry of history, if there is a way to know whose is whose.
    pub(super) fn complete_history(&mut self, draft: &mut Draft<'a>) {
        let told = draft.history.iter().filter(|step| !step.is_empty).count();
        if told > draft.layers.len() && !self.edited.warnings.contains(&Warning::HistoryUnclear) {
            self.edited.warnings.push(Warning::HistoryUnclear);
        }
        for _ in told..draft.layers.len() {
            let text = r#"{"comment":"of the image before"}"#.to_owned();
            draft.history.push(Step { text, is_empty: false });
        }
    }

    fn drop_and_replace(&mut self, draft: &mut Draft<'a>) -> Result<(), Error> {
        let mut gone = BTreeSet::new();
        for which in &self.edit.layers.drop {
            gone.extend(draft.find(which)?);
        }
        let mut replaced = BTreeMap::new();
        for (which, input) in &self.edit.layers.replace {
            for position in draft.find(which)? {
                if gone.contains(&position) || replaced.insert(position, input).is_some() {
                    let text = position.to_string();
                    return Err(Error::option(
                        "a layer",
                        &text,
                        "it can be dropped or replaced once, and not both",
                    ));
                }
            }
        }
        for (position, input) in replaced {
            let layer = self.pack(input)?;
            let text =
                format!("layer {} replaced by {}", draft.layers[position].descriptor, layer.descriptor);
            self.edited.changes.push(text);
            let step = self.step("")?;
            if let Some(at) = draft.step_of(position) {
                draft.history[at] = step;
            }
            draft.layers[position] = layer;
        }
        for position in gone.into_iter().rev() {
            if let Some(at) = draft.step_of(position) {
                draft.history.remove(at);
            }
            let layer = draft.layers.remove(position);
            self.edited.changes.push(format!("layer {} dropped", layer.descriptor));
        }
        Ok(())
    }

    fn pack(&self, input: &Path) -> Result<Layer<'a>, Error> {
        let made = pack_layer(self.session, input, &self.edit.layers.made())?;
        Ok(Layer {
            text: None,
            descriptor: made.descriptor,
            diff_id: made.diff_id,
            origin: None,
            there: false,
        })
    }

    /// An entry of history for a layer that was made here.
    pub(super) fn step(&self, comment: &str) -> Result<Step, Error> {
        let config = &self.edit.config;
        let time = created(config.created.as_deref(), self.edit.source_date_epoch)?;
        let mut text = Object::new("{}")?;
        text.set("created", time.as_deref().unwrap_or(UNKNOWN_TIME))?;
        text.set("created_by", CREATED_BY)?;
        if let Some(author) = &config.author {
            text.set("author", author)?;
        }
        if !comment.is_empty() {
            text.set("comment", comment)?;
        }
        Ok(Step { text: text.text().to_owned(), is_empty: false })
    }

    /// Merges the layers from a position on.
    fn squash(&mut self, draft: &mut Draft<'a>, from: usize) -> Result<(), Error> {
        let count = draft.layers.len().saturating_sub(from);
        if count == 0 {
            return Err(draft.no_layer(&from.to_string()));
        }
        if count == 1 {
            return Ok(());
        }
        self.complete_history(draft);
        let merged = &draft.layers[from..];
        let plains: Vec<Plain<'_>> = merged.iter().map(|layer| self.reopened(layer)).collect();
        let options = self.as_before(&merged[0]);
        let (descriptor, diff_id) =
            self.encode(&options, |pieces| flatten::merge(&plains, from > 0, pieces))?;
        drop(plains);
        let steps: Vec<usize> = (from..draft.layers.len()).filter_map(|at| draft.step_of(at)).collect();
        for at in steps {
            let step = &mut draft.history[at];
            let mut text = Object::new(step.text.clone())?;
            text.set("empty_layer", &true)?;
            *step = Step { text: text.text().to_owned(), is_empty: true };
        }
        draft.history.push(self.step(&format!("{count} layers merged"))?);
        self.edited.changes.push(format!("{count} layers merged into {}", descriptor.digest));
        draft.layers.truncate(from);
        draft.layers.push(Layer { text: None, descriptor, diff_id, origin: None, there: false });
        Ok(())
    }

    /// Gives all files of all layers a time.
    fn set_times(&mut self, draft: &mut Draft<'a>, mtime: i64) -> Result<(), Error> {
        for layer in &mut draft.layers {
            let plain = self.reopened(layer);
            let (new, diff_id) =
                self.encode(&self.as_before(layer), |pieces| flatten::with_times(&plain, mtime, pieces))?;
            drop(plain);
            if diff_id == layer.diff_id {
                continue;
            }
            self.edited.changes.push(format!("layer {} with other times: {}", layer.descriptor, new.digest));
            layer.become_written(new);
            layer.diff_id = diff_id;
        }
        Ok(())
    }

    /// How a layer is written that takes the place of this one.
    fn as_before(&self, layer: &Layer<'_>) -> LayerOptions {
        let wanted = self.edit.layers.recompress;
        let own = wanted.or_else(|| Compression::from_media_type(&layer.descriptor.media_type));
        let options = &self.edit.layers.options;
        LayerOptions { compression: own.unwrap_or(options.compression), ..options.clone() }
    }

    /// A layer that is read several times, and each time found to be what its config says.
    fn reopened<'b>(&'b self, layer: &'b Layer<'a>) -> Plain<'b>
    where
        'a: 'b,
    {
        let open = || {
            let verifier = Some(Verifier::new(&layer.diff_id, None));
            let checked =
                Checked { plain: self.plain(layer)?, verifier, layer: layer.descriptor.to_string() };
            Ok::<Box<dyn BufRead + Send>, Error>(Box::new(BufReader::with_capacity(BUFFER, checked)))
        };
        Plain { path: layer.path(), open: Box::new(open) }
    }

    fn recompress(&mut self, draft: &mut Draft<'a>, compression: Compression) -> Result<(), Error> {
        for layer in &mut draft.layers {
            let media_type = &layer.descriptor.media_type;
            // What may not be distributed is mostly not there, and not ours to change.
            if media_type.is_nondistributable()
                || Compression::from_media_type(media_type) == Some(compression)
            {
                continue;
            }
            let new = self.write(layer, compression)?;
            self.edited.changes.push(format!(
                "layer {} compressed with {}: {}",
                layer.descriptor,
                compression.name(),
                new.digest
            ));
            layer.become_written(new);
        }
        Ok(())
    }

    /// Writes a layer with another compression; what it holds must be what its diff ID says.
    fn write(&self, layer: &Layer<'a>, compression: Compression) -> Result<Descriptor, Error> {
        let options = LayerOptions { compression, ..self.edit.layers.options.clone() };
        let (descriptor, diff_id) = self.encode(&options, |pieces| {
            let path = layer.path();
            let plain = self.plain(layer)?;
            pump(plain, pieces, |_| Ok(())).map_err(|problem| problem.at(&path))
        })?;
        layer.check(&diff_id)?;
        Ok(descriptor)
    }

    /// Compresses and writes what `produce` makes; tells the digest of the plain bytes, too.
    pub(super) fn encode(
        &self,
        options: &LayerOptions,
        produce: impl FnOnce(&mut Pieces) -> Result<(), Error> + Send,
    ) -> Result<(Descriptor, Digest), Error> {
        let sink = self.session.writer(None)?;
        let Encoded { sink, diff_id, .. } =
            compress(options, sink, |pieces| produce(pieces).map(|()| Vec::new()))?;
        let written = sink.commit()?;
        let media_type = options.compression.layer_media_type();
        let descriptor = Descriptor::new(media_type, written.digest, written.size);
        let diff_id = diff_id.unwrap_or_else(|| descriptor.digest.clone());
        Ok((descriptor, diff_id))
    }

    /// The plain bytes of a layer; the stored ones are verified on the way.
    pub(super) fn plain(&self, layer: &Layer<'a>) -> Result<Decoder<Box<dyn Read + Send>>, Error> {
        if !layer.descriptor.media_type.is_layer() {
            let kind = &layer.descriptor.media_type;
            return Err(Error::Unsupported(format!("reading the layer {} of type {kind}", layer.descriptor)));
        }
        let source = match layer.origin {
            Some(origin) => origin.source().open(&layer.descriptor)?,
            None => {
                // What was written just now has no name yet.
                self.session.flush()?;
                Box::new(self.session.layout().open_blob(&layer.descriptor)?)
            }
        };
        Decoder::sniff(source, Limits::default())
            .map_err(|source| Error::Decode { path: layer.path(), source })
    }
}

impl Draft<'_> {
    /// Where a layer is that is meant.
    fn find(&self, which: &LayerRef) -> Result<Vec<usize>, Error> {
        let fits = |position: usize, layer: &Layer<'_>| match which {
            LayerRef::Position(wanted) => position == *wanted,
            LayerRef::Digest(digest) => layer.descriptor.digest == *digest || layer.diff_id == *digest,
        };
        let found = self.layers.iter().enumerate().filter(|(at, layer)| fits(*at, layer));
        let found: Vec<usize> = found.map(|(at, _)| at).collect();
        if found.is_empty() {
            return Err(self.no_layer(&match which {
                LayerRef::Position(position) => position.to_string(),
                LayerRef::Digest(digest) => digest.to_string(),
            }));
        }
        Ok(found)
    }

    pub(super) fn no_layer(&self, which: &str) -> Error {
        let have = match self.layers.len() {
            0 => format!("{} has none", self.digest),
            1 => format!("{} has one, which is 0", self.digest),
            count => format!("{} has {count}, from 0 to {}", self.digest, count - 1),
        };
        Error::Missing { what: format!("layer {which}"), have }
    }

    /// The entry of history of a layer; nothing where nobody knows whose is whose (IMG-98).
    pub(super) fn step_of(&self, position: usize) -> Option<usize> {
        let mut told = self.history.iter().enumerate().filter(|(_, step)| !step.is_empty);
        let fit = self.history.iter().filter(|step| !step.is_empty).count() == self.layers.len();
        told.nth(position).filter(|_| fit).map(|(at, _)| at)
    }
}

impl Layer<'_> {
    /// What errors call it.
    pub(super) fn path(&self) -> PathBuf {
        self.descriptor.digest.to_string().into()
    }

    /// # Errors
    /// [`Error::Image`] when its content is another than its config says.
    pub(super) fn check(&self, diff_id: &Digest) -> Result<(), Error> {
        if *diff_id == self.diff_id {
            return Ok(());
        }
        Err(Error::Image(format!(
            "the layer {} has the diff ID {diff_id}, and its config says {}",
            self.descriptor, self.diff_id
        )))
    }

    /// The same layer, as it is now written; what its descriptor says beside stays.
    fn become_written(&mut self, new: Descriptor) {
        let Descriptor { media_type, digest, size, .. } = new;
        let extra = std::mem::take(&mut self.descriptor.extra);
        let annotations = std::mem::take(&mut self.descriptor.annotations);
        self.descriptor = Descriptor { annotations, extra, ..Descriptor::new(media_type, digest, size) };
        self.text = None;
        self.origin = None;
        self.there = false;
    }
}

/// The plain bytes of a layer, which end in an error if they are not what its config says.
struct Checked<R> {
    plain: R,
    /// Taken at the end.
    verifier: Option<Verifier>,
    layer: String,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(room)?;
        let wrong = |layer: &str, source| {
            io::Error::other(Error::Image(format!("the layer {layer} is not what its config says: {source}")))
        };
        if count > 0 {
            if let Some(verifier) = &mut self.verifier {
                verifier.update(&room[..count]).map_err(|source| wrong(&self.layer, source))?;
            }
        } else if let Some(verifier) = self.verifier.take() {
            verifier.finish().map_err(|source| wrong(&self.layer, source))?;
        }
        Ok(count)
    }
}
