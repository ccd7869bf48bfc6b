//! Bundles of CNAB: an index of a manifest that holds `bundle.json`, the image that installs, and those that are installed.
//!
//! The form is the one that cnab-to-oci pushes. Its images lie in the same repository, so that they are in the layout: they
//! are found there by the digests and the names that `bundle.json` gives them. What is not known is kept: a member of
//! `bundle.json` that no version of CNAB has stays, where cnab-to-oci leaves it out.

mod bundle;
mod json;

use transship_layout::Layout;
use transship_spec::{Descriptor, Digest, MediaType, Reference, quote};

use super::{Extract, Facts, Held, Kind, Made, Making, Packing, Request, Setting, Sight, Sign, Taken};
use crate::Error;
use crate::origin::Origin;
use bundle::{Bundle, TYPE, TYPE_VALUE};
use json::Json;

const CONFIG: &str = "application/vnd.cnab.config.v1+json";
const MEMBER: &str = "io.cnab.manifest.type";
const COMPONENT: &str = "io.cnab.component.name";
const IMAGES: &str = "images";
/// Bytes of `bundle.json`.
const LARGEST: u64 = 4 << 20;

/// Bundles of CNAB.
#[derive(Debug)]
pub(super) struct Cnab;

impl Kind for Cnab {
    fn name(&self) -> &'static str {
        "cnab"
    }

    fn about(&self) -> &'static str {
        "a bundle of CNAB"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        let is_member = |member: &Descriptor| member.annotations.contains_key(MEMBER);
        match () {
            () if sight.is_config(CONFIG) => Some(Sign::ConfigType),
            () if sight.document().as_index().is_none() => None,
            () if sight.annotation(TYPE) == Some(TYPE_VALUE) => Some(Sign::Annotation),
            () if sight.members().iter().any(is_member) => Some(Sign::Annotation),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        for part in &mut facts.parts {
            if let Some(role) = part.descriptor.annotations.get(MEMBER) {
                role.clone_into(&mut part.role);
            }
            part.name = part.descriptor.annotations.get(COMPONENT).cloned().or(part.name.take());
        }
        let bundle = read(held)?;
        let said = |name: &str| Some(bundle.text(name)).filter(|text| !text.is_empty());
        facts.title = said("name").map(str::to_owned).or(facts.title);
        facts.version = said("version").map(str::to_owned).or(facts.version);
        facts.add("description", said("description"));
        facts.add("schema version", said("schemaVersion"));
        if let Some(Json::List(images)) = bundle.get("invocationImages") {
            facts.add("invocation image", images.iter().map(|image| image.text("image")));
        }
        let component = |(name, image): (&String, &Json)| format!("{name} {}", image.text("image"));
        facts.add("components", bundle.members("images").map(component));
        for list in ["actions", "parameters", "credentials", "outputs"] {
            facts.add(list, bundle.members(list).map(|(name, _)| name.as_str()));
        }
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        let config = config(held)?;
        let mut files = vec![Extract::blob("bundle.json", &config)];
        if !held.sight().members().is_empty() {
            let map = relocation(held, &read(held)?)?;
            files.push(Extract {
                path: "relocation-mapping.json".to_owned(),
                taken: Taken::Bytes(map.into_bytes()),
            });
        }
        Ok(files)
    }

    fn packing(&self) -> Option<&dyn Packing> {
        Some(self)
    }
}

fn refuse(held: &Held<'_>, reason: impl Into<String>) -> Error {
    Error::not_of_kind(held.sight().document().digest().to_string(), "bundle of CNAB", reason)
}

/// The members that are this to the bundle.
fn members<'a>(held: &Held<'a>, role: &str) -> Vec<&'a Descriptor> {
    let is_it = |member: &&Descriptor| member.annotations.get(MEMBER).is_some_and(|it| it == role);
    held.sight().members().iter().filter(is_it).collect()
}

/// The blob that is `bundle.json`.
fn config(held: &Held<'_>) -> Result<Descriptor, Error> {
    if let Some(config) = held.sight().config() {
        return Ok(config.clone());
    }
    let [member] = members(held, "config")[..] else {
        return Err(refuse(held, "it does not have one manifest that holds bundle.json"));
    };
    let document = held.document(member)?;
    let manifest =
        document.as_manifest().ok_or_else(|| refuse(held, "its bundle.json lies in no manifest"))?;
    Ok(manifest.config.clone())
}

fn read(held: &Held<'_>) -> Result<Json, Error> {
    let bytes = held.small(&config(held)?)?;
    let text = String::from_utf8(bytes).map_err(|_| refuse(held, "its bundle.json is not UTF-8"))?;
    match Json::parse(&text) {
        Ok(bundle @ Json::Object(_)) => Ok(bundle),
        Ok(_) => Err(refuse(held, "its bundle.json is no object")),
        Err(reason) => Err(refuse(held, format!("its bundle.json is no JSON: {reason}"))),
    }
}

/// Where each image is that the bundle names: in the repository that the bundle is in, by digest.
fn relocation(held: &Held<'_>, bundle: &Json) -> Result<String, Error> {
    let repository = held.sight().name().and_then(|name| Reference::parse(name).ok());
    let place = |digest: &Digest| match &repository {
        Some(name) if held.sight().name().is_some_and(|name| name.contains('/')) => {
            name.without_version().with_digest(digest.clone()).to_string()
        }
        // The repository is not known here: whoever uses the map puts it before.
        _ => format!("@{digest}"),
    };
    let mut map = std::collections::BTreeMap::new();
    let invocation = match (members(held, "invocation").as_slice(), bundle.get("invocationImages")) {
        ([member], Some(Json::List(images))) if images.len() == 1 => {
            (images[0].text("image"), &member.digest)
        }
        _ => return Err(refuse(held, "it does not have one invocation image")),
    };
    map.insert(invocation.0.to_owned(), Json::Text(place(invocation.1)));
    for member in members(held, "component") {
        let name = member.annotations.get(COMPONENT).map_or("", String::as_str);
        let image = bundle.get("images").and_then(|images| images.get(name));
        let image =
            image.ok_or_else(|| refuse(held, format!("its bundle.json has no image {}", quote(name))))?;
        map.insert(image.text("image").to_owned(), Json::Text(place(&member.digest)));
    }
    Ok(Json::Object(map).to_canonical())
}

impl Packing for Cnab {
    fn inputs(&self) -> &'static str {
        "bundle.json"
    }

    fn remarks(&self) -> &'static str {
        "The images are found by the digests and names that bundle.json gives them: in the layout that is packed into, and in \
         those of --images. Their digests, sizes and types are written into bundle.json, as cnab-to-oci push does."
    }

    fn settings(&self) -> &[Setting] {
        const SETTINGS: &[Setting] = &[Setting {
            name: IMAGES,
            value: Some("DIR"),
            help: "Take images from the layout DIR, too; they are carried along",
            repeated: true,
        }];
        SETTINGS
    }

    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
        let path = &request.one_input()?.path;
        let what = path.to_string_lossy();
        let refuse = |reason: String| Error::not_of_kind(what.clone(), "bundle of CNAB", reason);
        let text = making.read(path, LARGEST)?;
        let text = String::from_utf8(text).map_err(|_| refuse("it is not UTF-8".to_owned()))?;
        let mut bundle = Bundle::read(&text).map_err(refuse)?;
        let others = request.all(IMAGES).iter().map(|path| Layout::options().open_read_only(path));
        let others = others.collect::<transship_layout::Result<Vec<_>>>()?;
        let mut images = Vec::new();
        for wanted in bundle.wanted() {
            let found = find(making, &others, &wanted)?;
            let found = found.ok_or_else(|| Error::Missing {
                what: format!("image {}", quote(&wanted.image)),
                have: "name layouts that hold the images of the bundle with --images DIR".to_owned(),
            })?;
            images.push(found);
        }
        bundle.fix(&images);
        let config = making.store_bytes(MediaType::parse(CONFIG)?, bundle.to_canonical().as_bytes())?;
        let manifest = making.session().put_document(&bundle::config_manifest(&config)?)?;
        let mut said = request.annotations.clone();
        for (key, value) in bundle.annotations().map_err(refuse)? {
            said.entry(key).or_insert(value);
        }
        if let Some(time) = request.created()? {
            said.entry(transship_spec::annotations::CREATED.to_owned()).or_insert(time);
        }
        let index = bundle.index(&manifest, &images, said)?;
        let (name, tag) = (bundle.text("name").to_owned(), bundle.text("version").replace('+', "_"));
        Ok(Made::of(index).called(name, tag))
    }
}

/// The image in the layout that is written, once it is there with all that it leads to.
fn find(
    making: &Making<'_>,
    others: &[Layout],
    wanted: &bundle::Wanted,
) -> Result<Option<Descriptor>, Error> {
    for layout in [making.layout()].into_iter().chain(others) {
        if let Some(found) = found(layout, wanted)? {
            Origin::Layout(layout).carry_all(making.session(), &found, false)?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// An image in a layout: by its digest, where one is told, else by its name.
fn found(layout: &Layout, wanted: &bundle::Wanted) -> Result<Option<Descriptor>, Error> {
    let by = |text: &str| match layout.resolve(Some(text)) {
        Ok(entry) => Ok(Some(entry.descriptor)),
        Err(error) if error.kind() == transship_spec::Kind::NotFound => Ok(None),
        Err(error) => Err(Error::from(error)),
    };
    let found = match &wanted.digest {
        Some(digest) => by(&digest.to_string())?,
        None => {
            let named = Reference::parse(&wanted.image).ok().map(|name| name.or_latest().to_string());
            by(&wanted.image)?
                .map_or_else(|| named.map_or(Ok(None), |name| by(&name)), |found| Ok(Some(found)))?
        }
    };
    Ok(found.map(|found| Descriptor::new(found.media_type, found.digest, found.size)))
}
