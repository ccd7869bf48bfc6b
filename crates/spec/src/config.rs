//! The config of a runnable image (IMG-90…101).
//!
//! Fields that this version of the specification does not know are kept as they were written, so that an image built upon
//! another loses nothing of it (`Healthcheck`, `Shell`, `OnBuild`, what `BuildKit` adds).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::fields::{Fields, Writer};
use crate::platform::Extra;
use crate::{Digest, Error, Platform};

/// The largest config that is read, in bytes.
const MAX_SIZE: usize = 8 << 20;

/// What an image config says.
#[derive(Debug, Clone, Default)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// What it runs on.
    pub platform: Platform,
    /// How it is to be run.
    pub config: Option<RuntimeConfig>,
    /// The digests of the layers as plain tars, base first (IMG-94, IMG-95).
    pub diff_ids: Vec<Digest>,
    /// Fields of `rootfs` that are not known here.
    pub rootfs_extra: Extra,
    /// How the layers came to be.
    pub history: Vec<History>,
    /// Fields that are not known here.
    pub extra: Extra,
}

/// How an image is to be run (IMG-100).
#[derive(Debug, Clone, Default)]
pub struct RuntimeConfig {
    /// The user, with or without a group, by name or number.
    pub user: Option<String>,
    /// Ports such as `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// Variables as `NAME=VALUE`.
    pub env: Vec<String>,
    /// The program, to which arguments are added.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments, or the program where there is no entry point.
    pub cmd: Option<Vec<String>>,
    /// Folders that hold data of their own.
    pub volumes: Vec<String>,
    /// The folder in which the program starts.
    pub working_dir: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to end.
    pub stop_signal: Option<String>,
    /// Fields that are not known here.
    pub extra: Extra,
}

/// How one layer came to be, or something that made no layer (IMG-98).
#[derive(Debug, Clone, Default)]
pub struct History {
    /// When, RFC 3339.
    pub created: Option<String>,
    /// By what.
    pub created_by: Option<String>,
    /// By whom.
    pub author: Option<String>,
    /// What else is to be said.
    pub comment: Option<String>,
    /// Whether it made no layer.
    pub empty_layer: bool,
    /// Fields that are not known here.
    pub extra: Extra,
}

type Set = BTreeMap<String, serde_json::Map<String, serde_json::Value>>;

impl ImageConfig {
    /// Reads a config.
    ///
    /// # Errors
    /// [`Error::Limit`] past 8 MiB, [`Error::Json`], [`Error::Document`] for what breaks a MUST of the specification.
    ///
    /// ```
    /// use transship_spec::ImageConfig;
    /// let text = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"mood":1}"#;
    /// let config = ImageConfig::parse(text.as_bytes())?;
    /// assert_eq!(config.platform.to_string(), "linux/amd64");
    /// assert_eq!(config.to_bytes(), text);
    /// # Ok::<(), transship_spec::Error>(())
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_SIZE {
            return Err(Error::Limit { what: "the size of a config in bytes", limit: MAX_SIZE as u64 });
        }
        let mut fields = Fields::read("image config", bytes)?;
        let platform = Platform {
            architecture: fields.require("architecture")?,
            os: fields.require("os")?,
            os_version: fields.take("os.version")?,
            os_features: fields.take("os.features")?.unwrap_or_default(),
            variant: fields.take("variant")?,
            features: Vec::new(),
        };
        let rootfs: Box<RawValue> = fields.require("rootfs")?;
        let mut rootfs = Fields::read("rootfs of an image config", rootfs.get().as_bytes())?;
        let kind: String = rootfs.require("type")?;
        if kind != "layers" {
            return Err(fields.refuse(&format!("rootfs.type is {}, not \"layers\"", crate::quote(&kind))));
        }
        let config: Option<Box<RawValue>> = fields.take("config")?;
        let history: Option<Vec<Box<RawValue>>> = fields.take("history")?;
        Ok(Self {
            created: fields.take("created")?,
            author: fields.take("author")?,
            platform,
            config: config.map(|raw| RuntimeConfig::parse(raw.get().as_bytes())).transpose()?,
            diff_ids: rootfs.take("diff_ids")?.unwrap_or_default(),
            rootfs_extra: rootfs.rest(),
            history: history
                .unwrap_or_default()
                .iter()
                .map(|raw| History::parse(raw.get().as_bytes()))
                .collect::<Result<_, _>>()?,
            extra: fields.rest(),
        })
    }

    /// The config as bytes, in the order in which the OCI's own types are written.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let rootfs = Writer::default()
            .field("type", "layers")
            .field("diff_ids", &self.diff_ids)
            .extra(&self.rootfs_extra)
            .raw();
        let history: Vec<_> = self.history.iter().map(History::to_raw).collect();
        let text = Writer::default()
            .optional("created", self.created.as_ref())
            .optional("author", self.author.as_ref())
            .field("architecture", &self.platform.architecture)
            .field("os", &self.platform.os)
            .optional("os.version", self.platform.os_version.as_ref())
            .filled("os.features", &self.platform.os_features)
            .optional("variant", self.platform.variant.as_ref())
            .optional("config", self.config.as_ref().map(RuntimeConfig::to_raw).as_ref())
            .field("rootfs", &rootfs)
            .filled("history", &history)
            .extra(&self.extra)
            .finish();
        text.into()
    }
}

impl History {
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::read("history of an image config", bytes)?;
        Ok(Self {
            created: fields.take("created")?,
            created_by: fields.take("created_by")?,
            author: fields.take("author")?,
            comment: fields.take("comment")?,
            empty_layer: fields.take("empty_layer")?.unwrap_or_default(),
            extra: fields.rest(),
        })
    }

    fn to_raw(&self) -> Box<RawValue> {
        Writer::default()
            .optional("created", self.created.as_ref())
            .optional("created_by", self.created_by.as_ref())
            .optional("author", self.author.as_ref())
            .optional("comment", self.comment.as_ref())
            .optional("empty_layer", self.empty_layer.then_some(&true))
            .extra(&self.extra)
            .raw()
    }
}

impl RuntimeConfig {
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::read("config of an image config", bytes)?;
        let names = |set: Option<Set>| set.unwrap_or_default().into_keys().collect();
        let config = Self {
            user: fields.take("User")?,
            exposed_ports: names(fields.take("ExposedPorts")?),
            env: fields.take("Env")?.unwrap_or_default(),
            entrypoint: fields.take("Entrypoint")?,
            cmd: fields.take("Cmd")?,
            volumes: names(fields.take("Volumes")?),
            working_dir: fields.take("WorkingDir")?,
            labels: fields.take("Labels")?.unwrap_or_default(),
            stop_signal: fields.take("StopSignal")?,
            extra: Extra::new(),
        };
        if let Some(bad) = config
            .env
            .iter()
            .find(|variable| variable.split_once('=').is_none_or(|(name, _)| name.is_empty()))
        {
            return Err(fields.refuse(&format!("Env holds {}, which is not NAME=VALUE", crate::quote(bad))));
        }
        Ok(Self { extra: fields.rest(), ..config })
    }

    fn to_raw(&self) -> Box<RawValue> {
        let set = |names: &[String]| {
            names.iter().map(|name| (name.clone(), serde_json::Map::new())).collect::<Set>()
        };
        Writer::default()
            .optional("User", self.user.as_ref())
            .filled("ExposedPorts", &set(&self.exposed_ports))
            .filled("Env", &self.env)
            .optional("Entrypoint", self.entrypoint.as_ref())
            .optional("Cmd", self.cmd.as_ref())
            .filled("Volumes", &set(&self.volumes))
            .optional("WorkingDir", self.working_dir.as_ref())
            .filled("Labels", &self.labels)
            .optional("StopSignal", self.stop_signal.as_ref())
            .extra(&self.extra)
            .raw()
    }

    /// Sets a variable, in its place where it is there already, else at the end.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let variable = format!("{name}={value}");
        let same = |have: &&mut String| have.split_once('=').is_some_and(|(have, _)| have == name);
        match self.env.iter_mut().find(same) {
            Some(have) => *have = variable,
            None => self.env.push(variable),
        }
    }
}

/// The chain ID of a stack of layers: what identifies them together (IMG-96). `None` for no layers.
///
/// ```
/// use transship_spec::{Digest, chain_id};
/// let digest = |c: &str| Digest::parse(&format!("sha256:{}", c.repeat(64)));
/// let chain = chain_id(&[digest("a")?, digest("b")?]).map(|id| id.to_string());
/// assert_eq!(chain.as_deref(), Some("sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"));
/// # Ok::<(), transship_spec::Error>(())
/// ```
#[must_use]
pub fn chain_id(diff_ids: &[Digest]) -> Option<Digest> {
    let (first, rest) = diff_ids.split_first()?;
    Some(rest.iter().fold(first.clone(), |chain, next| Digest::sha256(format!("{chain} {next}").as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;

    fn with(more: &str) -> Result<ImageConfig, Error> {
        ImageConfig::parse(MINIMAL.replacen('{', &format!("{{{more},"), 1).as_bytes())
    }

    #[test]
    fn img_90_each_required_field_is_missed() {
        assert!(ImageConfig::parse(MINIMAL.as_bytes()).is_ok());
        for missing in ["architecture", "os", "rootfs"] {
            let text = MINIMAL.replace(&format!("\"{missing}\""), "\"x\"");
            let error = ImageConfig::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(missing), "{error}");
        }
        assert!(ImageConfig::parse(MINIMAL.replace("\"linux\"", "1").as_bytes()).is_err());
    }

    #[test]
    fn img_91_null_is_as_good_as_absent() {
        let config = with(r#""config":null,"history":null,"created":null"#).unwrap();
        assert!(config.config.is_none() && config.history.is_empty());
        assert!(
            with(r#""config":{"Entrypoint":null,"Cmd":null,"Volumes":null,"Labels":null,"Env":null}"#)
                .is_ok()
        );
    }

    #[test]
    fn img_93_an_unknown_kind_of_root_filesystem_is_refused() {
        assert!(ImageConfig::parse(MINIMAL.replace("\"layers\"", "\"zfs\"").as_bytes()).is_err());
    }

    #[test]
    fn img_96_chain_ids_are_those_of_the_specification() {
        let digest = |c: &str| Digest::parse(&format!("sha256:{}", c.repeat(64))).unwrap();
        let chain = chain_id(&[digest("a"), digest("b"), digest("c")]).unwrap();
        assert_eq!(
            chain.to_string(),
            "sha256:c1377126441fb2f5ec2c21ae2a60255331d639e830f0ee1b40a36e52d4c40588"
        );
        assert_eq!(chain_id(&[digest("a")]), Some(digest("a")));
        assert_eq!(chain_id(&[]), None);
    }

    #[test]
    fn img_99_unknown_fields_survive() {
        let text = r#"{"created":"1970-01-01T00:00:00Z","architecture":"arm","os":"linux","variant":"v7","config":{"User":"1:2","ExposedPorts":{"80/tcp":{}},"Env":["A=b"],"Entrypoint":["/x"],"Cmd":[],"Volumes":{"/d":{}},"WorkingDir":"/","Labels":{"a":"b"},"StopSignal":"SIGTERM","Healthcheck":{"Test":["CMD"],"Interval":1e9},"Shell":["sh"]},"rootfs":{"type":"layers","diff_ids":[],"mood":1.0},"history":[{"created":"x","created_by":"y","comment":"z","empty_layer":true,"mood":[1e2]}],"docker_version":"1","moby.buildkit.x":[1.0]}"#;
        assert_eq!(ImageConfig::parse(text.as_bytes()).unwrap().to_bytes(), text);
    }

    #[test]
    fn img_100_ill_formed_fields_are_refused() {
        for bad in [
            r#"{"Env":["foo"]}"#,
            r#"{"Env":["=x"]}"#,
            r#"{"Volumes":[]}"#,
            r#"{"User":1234}"#,
            r#"{"Cmd":"x"}"#,
            "[]",
        ] {
            assert!(with(&format!(r#""config":{bad}"#)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_variable_is_set_in_its_place() {
        let mut config = RuntimeConfig { env: vec!["A=1".into(), "B=2".into()], ..RuntimeConfig::default() };
        config.set_env("A", "3");
        config.set_env("C", "=");
        assert_eq!(config.env, ["A=3", "B=2", "C=="]);
    }
}
