//! Entries without marks, marked in the way of a tool.

use std::collections::{BTreeSet, HashMap, HashSet};

use transship_spec::annotations::{CONTAINERD_NAME, REF_NAME};
use transship_spec::{Descriptor, Digest, Document, Reference};

use super::Dialect;
use super::sheet::{Item, Role, Sheet};
use crate::marks::{COSIGN, HAULER, KIND, tag};
use crate::names::{Name, Names};
use crate::{Error, Result, read_document};

impl Sheet<'_> {
    /// Referrers go into a list for each subject, under its fallback tag.
    pub(super) fn list(&mut self) -> Result<()> {
        let repositories = self.repositories();
        let mut subjects: Vec<Digest> = self.found.iter().map(|(subject, _)| subject.clone()).collect();
        subjects.sort();
        for subject in subjects {
            let referrers = self.found.of(&subject).to_vec();
            let Some(fallback) = tag(&subject, "") else {
                self.cannot_list(&referrers, "the digest of its subject cannot be told from a fallback tag");
                continue;
            };
            let is_list = |item: &Item| !item.gone && item.role == Role::List { subject: subject.clone() };
            let mut lists: Vec<usize> =
                (0..self.items.len()).filter(|at| self.items.get(*at).is_some_and(is_list)).collect();
            if lists.is_empty() {
                lists = self.new_lists(&subject, &fallback, repositories.get(&subject))?;
            }
            if lists
                .into_iter()
                .try_fold(true, |all, at| Ok::<_, Error>(self.fill(at, &referrers)? && all))?
            {
                for item in &mut self.items {
                    let is_listed = item.role == Role::Referrer { subject: subject.clone() };
                    item.gone |= is_listed;
                }
            }
        }
        // A new list that nothing was put into says nothing.
        let none = Document::parse(EMPTY_LIST.to_vec(), None).map_err(list_error)?;
        self.items.iter_mut().for_each(|item| item.gone |= item.entry.digest == *none.digest());
        Ok(())
    }

    fn cannot_list(&mut self, referrers: &[Descriptor], why: &'static str) {
        referrers.iter().for_each(|referrer| self.cannot(&referrer.digest, why));
    }

    /// An empty list in each repository that the subject is in.
    fn new_lists(
        &mut self,
        subject: &Digest,
        fallback: &str,
        repositories: Option<&BTreeSet<String>>,
    ) -> Result<Vec<usize>> {
        let empty = Document::parse(EMPTY_LIST.to_vec(), None).map_err(list_error)?;
        let names: Vec<Name> = match repositories.filter(|all| !all.is_empty()) {
            Some(all) => {
                all.iter().map(|one| Name::parse(&format!("{one}:{fallback}"))).collect::<Result<_>>()?
            }
            None => vec![Name::short(fallback)?],
        };
        let first = self.items.len();
        for name in names {
            let mut entry = empty.descriptor();
            name.annotate(&mut entry.annotations);
            self.items.push(Item::new(entry, Role::List { subject: subject.clone() })?);
        }
        Ok((first..self.items.len()).collect())
    }

    /// Adds to a list what is missing there; tells whether all of it is in it now.
    fn fill(&mut self, at: usize, referrers: &[Descriptor]) -> Result<bool> {
        let before = match self.items[at].entry.size {
            size if size == EMPTY_LIST.len() as u64 => Document::parse(EMPTY_LIST.to_vec(), None).ok(),
            _ => read_document(self.layout, &self.items[at].entry).ok(),
        };
        let Some(mut list) = before.as_ref().and_then(Document::as_index).cloned() else {
            self.cannot_list(referrers, "the list of referrers cannot be read");
            return Ok(false);
        };
        let known: HashSet<Digest> = list.manifests.iter().map(|listed| listed.digest.clone()).collect();
        let missing = referrers.iter().filter(|referrer| !known.contains(&referrer.digest));
        list.manifests.extend(missing.cloned());
        if list.manifests.len() == known.len() {
            return Ok(true);
        }
        let Ok(document) = list.to_document() else {
            self.cannot_list(referrers, "a list of all referrers would be too large");
            return Ok(false);
        };
        self.items[at].repoint(&document.descriptor())?;
        self.documents.push(document);
        Ok(true)
    }

    /// The repositories that digests are in, by the full names that lead to them.
    fn repositories(&self) -> HashMap<Digest, BTreeSet<String>> {
        let mut all: HashMap<Digest, BTreeSet<String>> = HashMap::new();
        for root in self.items.iter().filter(|item| item.role == Role::Root) {
            let full = Names::of(&root.entry).full().and_then(|full| Reference::parse(&full).ok());
            let Some(repository) = full.map(|full| full.without_version().to_string()) else { continue };
            let mut next = vec![root.entry.clone()];
            while let Some(descriptor) = next.pop() {
                let is_new = || all.entry(descriptor.digest.clone()).or_default().insert(repository.clone());
                if !descriptor.media_type.is_document() || !{ is_new }() {
                    continue;
                }
                if let Ok(document) = read_document(self.layout, &descriptor) {
                    next.extend(document.children().into_iter().cloned());
                }
                next.extend(self.found.of(&descriptor.digest).iter().cloned());
            }
        }
        all
    }

    /// The one image, its signatures and its attestations say that they are that.
    pub(super) fn mark_for_cosign(&mut self) -> Result<()> {
        let roots = self.items.iter().filter(|item| item.role == Role::Root);
        let images: BTreeSet<Digest> = roots.map(|root| root.entry.digest.clone()).collect();
        let image = match images.len() {
            0 => None,
            1 => images.into_iter().next(),
            several => {
                return Err(self
                    .refused(Dialect::Cosign, &format!("it holds {several} images, and cosign reads one")));
            }
        };
        self.dissolve_lists()?;
        let mut taken: HashMap<&'static str, Digest> = HashMap::new();
        for at in 0..self.items.len() {
            let item = &self.items[at];
            let (digest, role) = (item.entry.digest.clone(), item.role.clone());
            match role {
                Role::Root => {
                    let kind = format!("{COSIGN}{}", image_kind(&item.entry));
                    self.items[at].annotate(&[(KIND, Some(&kind))])?;
                }
                Role::Tag { subject, end } => {
                    let kind =
                        kind_of(&end).filter(|kind| *kind != "sboms" && Some(&subject) == image.as_ref());
                    let Some(kind) = kind else {
                        self.cannot(
                            &digest,
                            "cosign has marks for signatures and attestations of the image alone",
                        );
                        continue;
                    };
                    match taken.get(kind) {
                        Some(first) if *first == digest => self.items[at].gone = true,
                        Some(_) => self.cannot(&digest, "cosign keeps one entry of each kind"),
                        None => {
                            let mark = format!("{COSIGN}{kind}");
                            let changes =
                                [(REF_NAME, None), (CONTAINERD_NAME, None), (KIND, Some(mark.as_str()))];
                            self.items[at].annotate(&changes)?;
                            taken.insert(kind, digest);
                        }
                    }
                }
                Role::List { .. } | Role::Referrer { .. } => {}
            }
        }
        Ok(())
    }

    /// What has a name, and what belongs to it, say what they are.
    pub(super) fn mark_for_hauler(&mut self) -> Result<()> {
        self.dissolve_lists()?;
        let named = |item: &&Item| item.role == Role::Root && !Names::of(&item.entry).is_empty();
        let images: Vec<Descriptor> =
            self.items.iter().filter(named).map(|item| item.entry.clone()).collect();
        let mut taken: HashMap<(Option<String>, Option<String>, String), Digest> = HashMap::new();
        for at in 0..self.items.len() {
            let item = &self.items[at];
            let (subject, kind) = match &item.role {
                Role::Root if Names::of(&item.entry).is_empty() => continue,
                Role::Root => {
                    let kind = format!("{HAULER}{}", image_kind(&item.entry));
                    self.items[at].annotate(&[(KIND, Some(&kind))])?;
                    continue;
                }
                _ if item.gone => continue,
                Role::List { .. } => continue,
                Role::Tag { subject, end } => (subject, kind_of(end).map(str::to_owned)),
                Role::Referrer { subject } => {
                    (subject, Some(format!("referrers/{}", item.entry.digest.encoded())))
                }
            };
            let digest = item.entry.digest.clone();
            let Some(kind) = kind else {
                self.cannot(&digest, "hauler has no mark for digest tags of this kind");
                continue;
            };
            let Some(image) = of(&images, subject, &item.entry) else {
                self.cannot(&digest, "hauler has marks for what belongs to something with a name alone");
                continue;
            };
            let name = |key: &str| image.annotations.get(key).cloned();
            let (written, full, mark) = (name(REF_NAME), name(CONTAINERD_NAME), format!("{HAULER}{kind}"));
            match taken.get(&(written.clone(), full.clone(), mark.clone())) {
                Some(first) if *first == digest => self.items[at].gone = true,
                Some(_) => self.cannot(&digest, "hauler keeps one entry of each kind"),
                None => {
                    let changes = [
                        (REF_NAME, written.as_deref()),
                        (CONTAINERD_NAME, full.as_deref()),
                        (KIND, Some(mark.as_str())),
                    ];
                    self.items[at].annotate(&changes)?;
                    taken.insert((written, full, mark), digest);
                }
            }
        }
        Ok(())
    }

    fn refused(&self, dialect: Dialect, reason: &str) -> Error {
        Error::Dialect { path: self.layout.path().to_owned(), dialect, reason: reason.to_owned() }
    }
}

const EMPTY_LIST: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

fn list_error(source: transship_spec::Error) -> Error {
    Error::Malformed { path: "a list of referrers".into(), source }
}

/// The entry of an image to which something belongs: first one of the same repository.
fn of<'i>(images: &'i [Descriptor], subject: &Digest, belonging: &Descriptor) -> Option<&'i Descriptor> {
    let repository = |entry: &Descriptor| {
        let full = Names::of(entry).full()?;
        Some(Reference::parse(&full).ok()?.without_version().to_string())
    };
    let all = || images.iter().filter(|image| image.digest == *subject);
    let wanted = repository(belonging);
    all().find(|image| wanted.is_some() && repository(image) == wanted).or_else(|| all().next())
}

fn image_kind(image: &Descriptor) -> &'static str {
    if image.media_type.is_index() { "imageIndex" } else { "image" }
}

/// How cosign and hauler call what is under a digest tag with this end.
fn kind_of(end: &str) -> Option<&'static str> {
    match end {
        "sig" => Some("sigs"),
        "att" => Some("atts"),
        "sbom" => Some("sboms"),
        _ => None,
    }
}
