//! How something is copied, as an entry of a file says it: what of it, under which names, and with what.
//!
//! What an entry does not say, the defaults of the file say, key by key.

use transship_layout::Link;
use transship_spec::{Dialect, MediaType, Platform};

use super::fields::Fields;
use super::yaml::At;
use crate::names::{Choice, Map, Naming};
use crate::sync::yaml::Wrong as _;
use crate::{Age, Newest, Referrers, Result, Selection, Subset};

/// The keys of all this.
pub(super) const OPTIONS: [&str; 15] = [
    "tags",
    "exclude",
    "newest",
    "newest-by",
    "platform",
    "subset",
    "convert",
    "referrers",
    "digest-tags",
    "nondistributable",
    "check-members",
    "map",
    "short-names",
    "force",
    "link",
];

/// What of a copy's [`Options`](crate::Options) a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct How {
    /// Which referrers come along.
    pub referrers: Referrers,
    /// Whether digest tags come along.
    pub digest_tags: bool,
    /// What of an index is copied.
    pub subset: Option<Subset>,
    /// Whose media types everything is to have.
    pub convert: Option<Dialect>,
    /// Whether layers come along that may not be distributed.
    pub nondistributable: bool,
    /// Whether registries are asked for the members of indexes that they have.
    pub members: bool,
    /// What blobs of layouts have in common.
    pub link: Link,
}

impl Default for How {
    fn default() -> Self {
        let options = crate::Options::default();
        Self {
            referrers: options.referrers,
            digest_tags: options.digest_tags,
            subset: options.subset,
            convert: options.convert,
            nondistributable: options.nondistributable,
            members: options.members,
            link: options.link,
        }
    }
}

/// What an entry says, and what holds where it says nothing.
pub(super) fn read(own: &Fields<'_>, defaults: &Fields<'_>) -> Result<(Selection, How)> {
    Wanted { own, defaults }.read()
}

#[derive(Debug)]
struct Wanted<'a> {
    own: &'a Fields<'a>,
    defaults: &'a Fields<'a>,
}

impl<'a> Wanted<'a> {
    fn by(&self, key: &str) -> &'a Fields<'a> {
        if self.own.get(key).is_some() { self.own } else { self.defaults }
    }

    fn read(&self) -> Result<(Selection, How)> {
        let default = How::default();
        let flag = |key| self.by(key).flag(key);
        let links = [
            ("reflink", Link::Reflink),
            ("copy", Link::Copy),
            ("hard", Link::Hard),
            ("symlink", Link::Symbolic),
        ];
        let how = How {
            referrers: self.referrers()?.unwrap_or(default.referrers),
            digest_tags: flag("digest-tags")?.unwrap_or(default.digest_tags),
            subset: self.subset()?,
            convert: self.convert()?,
            nondistributable: flag("nondistributable")?.unwrap_or(default.nondistributable),
            members: flag("check-members")?.unwrap_or(default.members),
            link: self.by("link").word("link", &links)?.unwrap_or(default.link),
        };
        let naming = Naming { short_names: flag("short-names")?.unwrap_or_default(), maps: self.maps()? };
        let selection = Selection {
            naming,
            tags: self.choices("tags")?,
            exclude: self.choices("exclude")?,
            newest: self.newest()?,
            force: flag("force")?.unwrap_or_default(),
        };
        Ok((selection, how))
    }

    fn newest(&self) -> Result<Option<Newest>> {
        let by = [("version", Age::Version), ("created", Age::Created)];
        let by = self.by("newest-by").word("newest-by", &by)?.unwrap_or_default();
        Ok(self.by("newest").number("newest")?.map(|count| Newest { count, by }))
    }

    fn choices(&self, key: &str) -> Result<Vec<Choice>> {
        self.each(key, |text| Choice::parse(text).map_err(|error| error.to_string()))
    }

    fn maps(&self) -> Result<Vec<Map>> {
        self.each("map", |text| Map::parse(text).map_err(|error| error.to_string()))
    }

    /// Each text of a list as what it means.
    fn each<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>> {
        let texts = self.by(key).texts(key)?.unwrap_or_default();
        texts.into_iter().map(|(at, text)| read(text).map_err(|reason| at.wrong(reason))).collect()
    }

    fn referrers(&self) -> Result<Option<Referrers>> {
        let Some(texts) = self.by("referrers").texts("referrers")? else { return Ok(None) };
        match texts.as_slice() {
            [(_, "all")] => Ok(Some(Referrers::All)),
            [(_, "none")] => Ok(Some(Referrers::None)),
            types => {
                let parse = |(at, text): &(At, &str)| {
                    MediaType::parse(text).map_err(|error| {
                        at.wrong_but(
                            error.to_string(),
                            "referrers are all, none, or a list of artifact types",
                        )
                    })
                };
                Ok(Some(Referrers::Types(types.iter().map(parse).collect::<Result<_>>()?)))
            }
        }
    }

    fn convert(&self) -> Result<Option<Dialect>> {
        let by = self.by("convert");
        let dialect = by.word("convert", &[("oci", Dialect::Oci), ("docker", Dialect::Docker)])?;
        if dialect.is_some() && matches!(self.subset()?, Some(Subset::Sparse(_))) {
            let reason = "subset: sparse keeps an index with its digest, and convert makes another one";
            return Err(by
                .at_of("convert")
                .wrong_but(reason, "subset: rewrite makes an index of what is copied"));
        }
        Ok(dialect)
    }

    fn subset(&self) -> Result<Option<Subset>> {
        let platforms: Vec<Platform> =
            self.each("platform", |text| text.parse::<Platform>().map_err(|error| error.to_string()))?;
        let way = self.by("subset").word("subset", &[("sparse", true), ("rewrite", false)])?;
        match (way, platforms.as_slice()) {
            (Some(_), []) => {
                Err(self.by("subset").at_of("subset").wrong("a subset needs platforms (platform)"))
            }
            (None, []) => Ok(None),
            (None, [one]) => Ok(Some(Subset::One(one.clone()))),
            (Some(true), _) => Ok(Some(Subset::Sparse(platforms))),
            (Some(false), _) => Ok(Some(Subset::Rewrite(platforms))),
            (None, _) => {
                let remedy = "subset: sparse keeps it, with its digest and its signatures; subset: rewrite makes a new one";
                let reason = "several platforms are an index, and it must be told what becomes of it";
                Err(self.by("platform").at_of("platform").wrong_but(reason, remedy))
            }
        }
    }
}
