//! The sweep: index first, then manifests, then all else; each blob moved aside before it is removed.

use std::collections::HashMap;

use transship_spec::Digest;

use super::inventory::{Blob, Inventory, is_older, own_folder};
use super::mark::{Draft, Mark, document_at};
use super::{GcOptions, GcPlan, Step, Watch};
use crate::dir::{Dir, FileState};
use crate::edit::IndexEdit;
use crate::layout::{BLOBS, INDEX, Inner};
use crate::scratch::{FOLDER, Scratch};
use crate::{Error, Layout, Links, Result, lease, session};

/// Blobs that are aside at once.
const BATCH: usize = 1024;

/// Removes what a draft says, beneath the lock. `None` when another program has changed the index meanwhile: then what
/// was aside is back, and the rest is to be planned anew. What goes is added to `gone`; the plan that is given back tells
/// what stays.
pub(super) fn sweep(
    layout: &Layout,
    mut draft: Draft,
    gone: &mut GcPlan,
    watch: &mut Watch<'_>,
) -> Result<Option<GcPlan>> {
    let inner = &layout.0;
    let scratch = Scratch::new(inner);
    scratch.sweep("");
    remove_partials(inner, &draft.partials);
    gone.temporaries.count += draft.plan.temporaries.count;
    gone.temporaries.bytes += draft.plan.temporaries.bytes;
    gone.partials.count += draft.plan.partials.count;
    gone.partials.bytes += draft.plan.partials.bytes;
    if !draft.dropped.is_empty() {
        let mut edit = IndexEdit::new(inner.at(INDEX), &draft.index);
        edit.remove_positions(&draft.dropped);
        edit.settle()?;
        if !session::put(inner, &edit, draft.state)? {
            return Ok(None);
        }
        gone.entries.append(&mut draft.plan.entries);
        let saved = inner.root.state(INDEX).map_err(Error::storage("reading", inner.at(INDEX)))?;
        let Some(saved) = saved else { return Ok(None) };
        draft.state = saved;
    }
    watch(Step::IndexSaved).map_err(Error::storage("reading", &inner.path))?;
    let blobs: Vec<_> = std::mem::take(&mut draft.inventory.blobs)
        .into_iter()
        .zip(std::mem::take(&mut draft.marks))
        .filter_map(|(blob, mark)| (mark == Mark::Nothing).then_some(blob))
        .collect();
    // Nobody tidies it away while we hold the lock.
    let (tmp, ()) = scratch.with("tmp", "", |_| Ok(()))?;
    let mut sweeper = Sweeper {
        tmp,
        layout,
        state: draft.state,
        blobs: own_folder(inner, &inner.root, BLOBS, BLOBS)?,
        folders: HashMap::new(),
        kept: HashMap::new(),
        before: gone.blobs.len(),
        gone,
    };
    let settled = sweeper.all(blobs, watch);
    let (kept, before) = (std::mem::take(&mut sweeper.kept), sweeper.before);
    inner.stamps.forget(inner, &gone.blobs.iter().skip(before).map(|(digest, _)| digest).collect());
    if !settled? {
        return Ok(None);
    }
    let mut done = draft.plan;
    for size in kept.into_values() {
        done.leased.add(size);
    }
    Ok(Some(done))
}

struct Sweeper<'a> {
    layout: &'a Layout,
    /// The state of `index.json` on which all this relies.
    state: FileState,
    blobs: Dir,
    tmp: Dir,
    folders: HashMap<String, Dir>,
    /// Blobs that were leased meanwhile, and what these lead to, with their sizes.
    kept: HashMap<Digest, u64>,
    before: usize,
    gone: &'a mut GcPlan,
}

impl Sweeper<'_> {
    /// Manifests first, all at once, so that no writer finds one of which something has gone already.
    fn all(&mut self, blobs: Vec<Blob>, watch: &mut Watch<'_>) -> Result<bool> {
        let (documents, others): (Vec<_>, Vec<_>) =
            blobs.into_iter().partition(|blob| document_at(self.layout, &blob.digest, blob.size).is_some());
        let sizes: HashMap<Digest, u64> = match documents.is_empty() {
            true => HashMap::new(),
            false => documents.iter().chain(&others).map(|blob| (blob.digest.clone(), blob.size)).collect(),
        };
        if !documents.is_empty() && !self.batch(&documents, &sizes, Step::DocumentsAside, watch)? {
            return Ok(false);
        }
        drop(sizes);
        for batch in others.chunks(BATCH) {
            if !self.batch(batch, &HashMap::new(), Step::BlobsAside, watch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves some blobs aside, looks whether anybody needs them after all, and removes the others. `false` when the index
    /// was changed: then nothing of the batch was removed.
    fn batch(
        &mut self,
        batch: &[Blob],
        sizes: &HashMap<Digest, u64>,
        step: Step,
        watch: &mut Watch<'_>,
    ) -> Result<bool> {
        let inner = &self.layout.0;
        let mut aside: HashMap<&Digest, u64> = HashMap::new();
        let moved = batch.iter().try_for_each(|blob| {
            watch(Step::Moving).map_err(Error::storage("moving aside", &inner.path))?;
            if !self.kept.contains_key(&blob.digest) && self.aside(blob)? {
                aside.insert(&blob.digest, blob.size);
            }
            Ok(())
        });
        let moved = moved.and_then(|()| watch(step).map_err(Error::storage("reading", &inner.path)));
        let needed = moved.and_then(|()| self.is_settled()).and_then(|settled| match settled {
            true => lease::relied_on(inner).map(Some),
            false => Ok(None),
        });
        let needed = match needed {
            Ok(Some(needed)) => needed,
            other => {
                aside.keys().try_for_each(|digest| self.back(digest))?;
                return other.map(|_| false);
            }
        };
        let mut stack: Vec<_> = needed.into_iter().collect();
        while let Some(digest) = stack.pop() {
            let size = match aside.remove(&digest) {
                Some(size) => {
                    self.back(&digest)?;
                    size
                }
                None => match sizes.get(&digest) {
                    Some(size) if !self.kept.contains_key(&digest) => *size,
                    _ => continue,
                },
            };
            if let Some(document) = document_at(self.layout, &digest, size) {
                stack.extend(document.children().into_iter().map(|child| child.digest.clone()));
            }
            self.kept.insert(digest, size);
        }
        for (digest, size) in aside {
            watch(Step::Removing).map_err(Error::storage("removing", &inner.path))?;
            self.remove(digest)?;
            self.gone.blobs.push((digest.clone(), size));
        }
        Ok(true)
    }

    fn is_settled(&self) -> Result<bool> {
        let inner = &self.layout.0;
        let now = inner.root.state(INDEX).map_err(Error::storage("reading", inner.at(INDEX)))?;
        Ok(now == Some(self.state))
    }

    fn open_folder(&mut self, algorithm: &str) -> Result<()> {
        if !self.folders.contains_key(algorithm) {
            let shown = format!("{BLOBS}/{algorithm}");
            let folder = own_folder(&self.layout.0, &self.blobs, algorithm, &shown)?;
            self.folders.insert(algorithm.to_owned(), folder);
        }
        Ok(())
    }

    /// Moves a blob aside, unless it is another file now than the one that was looked at.
    fn aside(&mut self, blob: &Blob) -> Result<bool> {
        let path = self.layout.0.at(&crate::blobs::blob_path(&blob.digest));
        let encoded = blob.digest.encoded();
        self.open_folder(blob.digest.algorithm())?;
        let Some(folder) = self.folders.get(blob.digest.algorithm()) else { return Ok(false) };
        let state = folder.state(&encoded).map_err(Error::storage("reading", &path))?;
        if !state.is_some_and(|state| (state.is_file() || state.is_link()) && state.changed == blob.changed) {
            return Ok(false);
        }
        let moved = folder.rename(&encoded, &self.tmp, &aside_name(&blob.digest));
        moved.map(|()| true).map_err(|error| self.layout.0.full(error, &path, "moving aside"))
    }

    /// Puts a blob back; where another was written meanwhile, that stays.
    fn back(&self, digest: &Digest) -> Result<()> {
        let inner = &self.layout.0;
        let path = inner.at(&crate::blobs::blob_path(digest));
        let Some(folder) = self.folders.get(digest.algorithm()) else { return Ok(()) };
        let put = match folder.state(&digest.encoded()) {
            // The same bytes, or bytes that were verified later.
            Ok(Some(_)) => self.tmp.remove_file(&aside_name(digest)),
            _ => self.tmp.rename(&aside_name(digest), folder, &digest.encoded()),
        };
        put.map_err(Error::storage("putting back", path))
    }

    fn remove(&self, digest: &Digest) -> Result<()> {
        let inner = &self.layout.0;
        let name = aside_name(digest);
        self.tmp
            .remove_file(&name)
            .map_err(Error::storage("removing", inner.path.join(FOLDER).join("tmp").join(name)))
    }
}

/// What a blob is called while it is aside. No lease is called `gc`, and so sessions sweep what a crash leaves.
fn aside_name(digest: &Digest) -> String {
    format!("gc-{}-{}", digest.algorithm(), digest.encoded())
}

/// The partial downloads that nobody has in hand and that rest for too long, or whose blob is there. The others are
/// counted too.
pub(super) fn stale_partials(
    inner: &Inner,
    inventory: &Inventory,
    options: &GcOptions,
    now: i64,
    plan: &mut GcPlan,
) -> Vec<String> {
    let mut stale = Vec::new();
    let Some(folder) = Scratch::new(inner).existing("partial") else { return stale };
    let names = folder.names().into_iter().flatten().flatten().filter_map(|name| name.into_string().ok());
    for name in names {
        let Ok(opened) = folder.read(&name, Links::Refuse) else { continue };
        let digest = name
            .split_once('-')
            .and_then(|(algorithm, encoded)| Digest::parse(&format!("{algorithm}:{encoded}")).ok());
        let is_there = digest.is_some_and(|digest| inventory.find(&digest).is_some());
        let is_old = is_older(opened.state.changed, now, options.partials);
        let is_free = std::fs::File::from(opened.fd).try_lock().is_ok();
        if is_free && (is_there || is_old) {
            plan.partials.add(opened.state.size);
            stale.push(name);
        } else {
            plan.resumable.add(opened.state.size);
        }
    }
    stale
}

/// Best effort: a download that somebody has in hand by now stays.
fn remove_partials(inner: &Inner, names: &[String]) {
    let Some(folder) = Scratch::new(inner).existing("partial") else { return };
    for name in names {
        if let Ok(file) = folder.open_existing(name)
            && file.try_lock().is_ok()
        {
            // Removed while it is locked: whoever opens it looks whether its name still leads to it.
            let _ = folder.remove_file(name);
        }
    }
}
