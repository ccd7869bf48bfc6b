//! An image: layers, a config that says how to run them, and a manifest that names both.

use std::path::{Path, PathBuf};

use transship_layout::{Layout, Name, Session};
use transship_spec::{
    Annotations, Descriptor, History, ImageConfig, Manifest, MediaType, Platform, annotations,
};

use crate::base::{Base, Loaded};
use crate::config::{ConfigChanges, overlay, set_healthcheck};
use crate::epoch::{UNKNOWN_TIME, created};
use crate::{Error, Layer, LayerOptions, PackedLayer, Reuse, Warning, pack_layer};

/// What the history of an image says of each of its layers that was made here.
const CREATED_BY: &str = "transship pack image";

/// How to make an image. The default is one for Linux on this machine's processor, made in 1970.
#[derive(Debug, Clone, Default)]
pub struct ImageOptions {
    /// What it runs on: else what the file of config says, else what the base runs on, else [`host_platform`].
    pub platform: Option<Platform>,
    /// What it is built upon.
    pub base: Option<Base>,
    /// How inputs become layers.
    pub layer: LayerOptions,
    /// An image config, whole or in part, whose fields take the place of the base's: the content of a JSON file.
    pub config_file: Option<Vec<u8>>,
    /// Changes to how it is run, upon all that.
    pub changes: ConfigChanges,
    /// Annotations of the manifest. Those of the base speak of the base, and are not taken over.
    pub annotations: Annotations,
    /// When it was made: a date with time and offset (RFC 3339). Else it is `source_date_epoch`, else 1970.
    pub created: Option<String>,
    /// The value of `SOURCE_DATE_EPOCH`, which this library does not look for; see
    /// [`source_date_epoch`](crate::source_date_epoch).
    pub source_date_epoch: Option<i64>,
    /// Who made it.
    pub author: Option<String>,
    /// By what its layers were made, as the history says: else `transship pack image`.
    pub created_by: Option<String>,
    /// What else the history says of its layers.
    pub comment: Option<String>,
    /// The check of its health, as a JSON object such as `{"Test":["CMD","/bin/check"]}`.
    pub healthcheck: Option<String>,
    /// Features that its operating system must have; none leaves those that are said elsewhere.
    pub os_features: Vec<String>,
    /// Where layers of inputs may be found, so that they need not be packed again.
    pub reuse: Reuse,
    /// Whether layers that were packed before are decompressed, to see that their diff IDs are right.
    pub verify: bool,
    /// Whether the manifest tells the recipe of each layer, as the annotation [`annotations::RECIPE`].
    pub annotate_recipe: bool,
}

/// What becomes a layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A folder, a specification or a tar.
    Input(PathBuf),
    /// A layer that was packed before.
    Packed(Box<PackedLayer>),
}

/// An image in a layout.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Image {
    /// The manifest, with the image's platform.
    pub descriptor: Descriptor,
    /// The config.
    pub config: Descriptor,
    /// The layers made of the inputs or packed before, in their order; those of the base are not among them.
    pub layers: Vec<Layer>,
    /// What it runs on.
    pub platform: Platform,
    /// Whether nobody said what it runs on, so that this machine's platform was taken.
    pub platform_assumed: bool,
    /// What could not be kept, or is doubtful.
    pub warnings: Vec<Warning>,
}

/// Linux on the processor that this program was built for.
///
/// ```
/// assert_eq!(transship_pack::host_platform().os, "linux");
/// ```
#[must_use]
pub fn host_platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        "loongarch64" => "loong64",
        other => other,
    };
    Platform::new("linux", architecture).normalized()
}

/// Makes an image of folders and tars, each a layer, in their order, and lists it in the layout: under a name, or without
/// one.
///
/// Nothing is listed before all of it is in place. When this fails, the index is as it was, and nothing is left but,
/// perhaps, whole blobs of layers that nothing lists.
///
/// # Errors
/// Those of [`pack_layer`]; [`Error::Nothing`] without inputs and base; [`Error::Option`] and [`Error::Spec`] for options
/// that make no sense, before anything is read; [`Error::Base`] and [`Error::Platform`] for a base that does not serve.
///
/// The crate's front page has an example.
pub fn pack_image(
    layout: &Layout,
    name: Option<&Name>,
    inputs: &[impl AsRef<Path>],
    options: &ImageOptions,
) -> Result<Image, Error> {
    let parts: Vec<Part> = inputs.iter().map(|input| Part::Input(input.as_ref().to_owned())).collect();
    assemble_image(layout, name, &parts, options)
}

/// As [`pack_image`], of inputs and of layers that were packed before, in their order.
///
/// # Errors
/// Those of [`pack_image`], and [`Error::Packed`] for a file that is not the layer that it was said to be.
///
/// ```
/// use transship_layout::{Layout, Name};
/// use transship_pack::{ImageOptions, LayerOptions, PackedLayer, Part, assemble_image, write_layer};
/// # let folder = tempfile::tempdir()?;
/// # let (app, config, file) = (folder.path().join("app"), folder.path().join("config"), folder.path().join("app.tar.gz"));
/// # std::fs::create_dir_all(&app)?;
/// # std::fs::create_dir_all(&config)?;
///
/// let layer = write_layer(&app, &LayerOptions::default(), std::fs::File::create(&file)?)?;
/// let packed = PackedLayer::new(&file, layer.described())?;
///
/// let layout = Layout::options().create(folder.path().join("out"))?;
/// let parts = [Part::Packed(Box::new(packed)), Part::Input(config)];
/// let image = assemble_image(&layout, Some(&Name::short("v1")?), &parts, &ImageOptions::default())?;
/// assert_eq!(image.layers[0].diff_id, layer.diff_id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn assemble_image(
    layout: &Layout,
    name: Option<&Name>,
    parts: &[Part],
    options: &ImageOptions,
) -> Result<Image, Error> {
    let draft = Draft::new(options, parts.is_empty())?;
    let session = layout.begin()?;
    let image = draft.write(&session, parts)?;
    session.commit(|index| match name {
        Some(name) => index.set(name, &image.descriptor).map(drop),
        None => index.pin(&image.descriptor).map(drop),
    })?;
    Ok(image)
}

/// An image whose layers are still to be made; whatever can be wrong with options is found before.
struct Draft<'a> {
    options: &'a ImageOptions,
    base: Option<(&'a Base, Loaded)>,
    config: ImageConfig,
    created: String,
    platform_assumed: bool,
    warnings: Vec<Warning>,
}

impl<'a> Draft<'a> {
    fn new(options: &'a ImageOptions, without_parts: bool) -> Result<Self, Error> {
        if without_parts && options.base.is_none() {
            return Err(Error::Nothing("an image takes at least one folder or tar, or a base"));
        }
        let created = created(options.created.as_deref(), options.source_date_epoch)?;
        let created = created.unwrap_or_else(|| UNKNOWN_TIME.to_owned());
        let warnings = check_annotations(&options.annotations)?;
        let wanted = options.platform.as_ref().map(Platform::normalized);
        let load = |base: &'a Base| Ok::<_, Error>((base, base.load(wanted.as_ref())?));
        let base = options.base.as_ref().map(load).transpose()?;
        let mut config = base.as_ref().map(|(_, loaded)| loaded.config.clone()).unwrap_or_default();
        if let Some(file) = &options.config_file {
            overlay(&mut config, file)?;
        }
        options.changes.apply(&mut config)?;
        if let Some(check) = &options.healthcheck {
            set_healthcheck(&mut config, check)?;
        }
        config.created = Some(created.clone());
        if options.author.is_some() {
            config.author.clone_from(&options.author);
        }
        let host = host_platform();
        let platform_assumed = wanted.is_none() && config.platform.architecture.is_empty();
        match wanted {
            Some(wanted) => config.platform = detailed(wanted, config.platform),
            None if platform_assumed => {
                let Platform { architecture, variant, .. } = host;
                config.platform = Platform { architecture, variant, ..config.platform };
            }
            None => {}
        }
        if config.platform.os.is_empty() {
            config.platform.os = "linux".to_owned();
        }
        if !options.os_features.is_empty() {
            config.platform.os_features.clone_from(&options.os_features);
        }
        Ok(Self { options, base, config, created, platform_assumed, warnings })
    }

    fn write(mut self, session: &Session, parts: &[Part]) -> Result<Image, Error> {
        let mut warnings = std::mem::take(&mut self.warnings);
        let mut manifest_layers = self.carry_base(session, &mut warnings)?;
        let mut layers = Vec::new();
        for part in parts {
            let layer = self.layer(session, part)?;
            self.config.diff_ids.push(layer.diff_id.clone());
            self.config.history.push(self.history(false));
            manifest_layers.push(layer.listed(self.options.annotate_recipe));
            warnings.extend_from_slice(&layer.warnings);
            layers.push(layer);
        }
        if parts.is_empty() {
            self.config.history.push(self.history(true));
        }
        let config = session.put_bytes(MediaType::OCI_CONFIG, &self.config.to_bytes())?;
        let descriptor = self.write_manifest(session, config.clone(), manifest_layers)?;
        Ok(Image {
            descriptor,
            config,
            layers,
            platform: self.config.platform,
            platform_assumed: self.platform_assumed,
            warnings,
        })
    }

    fn layer(&self, session: &Session, part: &Part) -> Result<Layer, Error> {
        let ImageOptions { layer, verify, .. } = self.options;
        match part {
            Part::Input(path) => match self.options.reuse.take(session, path, layer, *verify)? {
                Some(there) => Ok(there),
                None => pack_layer(session, path, layer),
            },
            Part::Packed(packed) => packed.put(session, layer, *verify),
        }
    }

    fn carry_base(&self, session: &Session, warnings: &mut Vec<Warning>) -> Result<Vec<Descriptor>, Error> {
        let Some((base, loaded)) = &self.base else { return Ok(Vec::new()) };
        let mut absent = 0;
        for layer in &loaded.layers {
            absent += u64::from(!base.carry(session, layer)?);
        }
        if absent > 0 {
            warnings.push(Warning::BaseLayersAbsent(absent));
        }
        Ok(loaded.layers.clone())
    }

    fn history(&self, empty_layer: bool) -> History {
        History {
            created: Some(self.created.clone()),
            created_by: Some(self.options.created_by.clone().unwrap_or_else(|| CREATED_BY.to_owned())),
            comment: self.options.comment.clone(),
            author: self.options.author.clone(),
            empty_layer,
            ..History::default()
        }
    }

    fn write_manifest(
        &self,
        session: &Session,
        config: Descriptor,
        layers: Vec<Descriptor>,
    ) -> Result<Descriptor, Error> {
        let mut manifest = Manifest::new(config, layers);
        if let Some((base, loaded)) = &self.base {
            loaded.annotate(base, &mut manifest.annotations);
        }
        manifest.annotations.extend(self.options.annotations.clone());
        let descriptor = session.put_document(&manifest.to_document()?)?;
        // IMG-39: who reads the index alone learns what the image runs on.
        Ok(Descriptor { platform: Some(self.config.platform.clone()), ..descriptor })
    }
}

/// The platform wanted, with what only `have` tells of the operating system: Windows runs nothing without its version.
pub(crate) fn detailed(wanted: Platform, have: Platform) -> Platform {
    if wanted.os != have.normalized().os {
        return wanted;
    }
    let os_features = if wanted.os_features.is_empty() { have.os_features } else { wanted.os_features };
    Platform { os_version: wanted.os_version.or(have.os_version), os_features, ..wanted }
}

/// Warns of keys that the OCI keeps to itself (IMG-166), and refuses a time that is none (IMG-169).
pub(crate) fn check_annotations(given: &Annotations) -> Result<Vec<Warning>, Error> {
    if let Some(time) = given.get(annotations::CREATED) {
        created(Some(time), None)?;
    }
    let undefined = given.keys().filter(|key| annotations::is_undefined_reserved(key));
    Ok(undefined.cloned().map(Warning::ReservedAnnotation).collect())
}
