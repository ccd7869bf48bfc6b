//! What an image's config says beside its layers: what it starts from, and what is changed in it (IMG-90…101).

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use transship_spec::{Error as SpecError, ImageConfig};

use crate::Error;

/// Changes to how an image is run. What is not given stays as the base has it.
///
/// ```
/// use transship_pack::ConfigChanges;
///
/// let changes = ConfigChanges {
///     cmd: Some(vec!["/bin/app".to_owned()]),
///     env: vec!["LANG=C.UTF-8".to_owned()],
///     exposed_ports: vec!["80/tcp".to_owned()],
///     ..ConfigChanges::default()
/// };
/// assert!(changes.validate().is_ok());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigChanges {
    /// The program. Given without `cmd`, it also takes away the arguments that the base has, for they were another
    /// program's.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments, or the program where there is no entry point.
    pub cmd: Option<Vec<String>>,
    /// Variables as `NAME=VALUE`; each replaces the base's of that name, in its place.
    pub env: Vec<String>,
    /// The folder in which the program starts.
    pub working_dir: Option<String>,
    /// The user: name or number, with or without `:GROUP`.
    pub user: Option<String>,
    /// Ports to add: `80`, `80/tcp`, `53/udp`.
    pub exposed_ports: Vec<String>,
    /// Folders with data of their own to add.
    pub volumes: Vec<String>,
    /// Labels as `KEY=VALUE`; each replaces the base's of that key. A key alone has an empty value.
    pub labels: Vec<String>,
    /// The signal that asks the program to end: `SIGTERM`, `TERM`, `SIGRTMIN+3` or a number.
    pub stop_signal: Option<String>,
}

impl ConfigChanges {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a config may say all of this.
    ///
    /// # Errors
    /// [`Error::Option`] names the first value that it may not.
    pub fn validate(&self) -> Result<(), Error> {
        self.apply(&mut ImageConfig::default())
    }

    /// Makes the changes.
    pub(crate) fn apply(&self, config: &mut ImageConfig) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let run = config.config.get_or_insert_default();
        if self.entrypoint.is_some() {
            run.entrypoint.clone_from(&self.entrypoint);
            run.cmd = None;
        }
        if self.cmd.is_some() {
            run.cmd.clone_from(&self.cmd);
        }
        for variable in &self.env {
            match variable.split_once('=') {
                Some((name, value)) if !name.is_empty() => run.set_env(name, value),
                _ => return Err(Error::option("a variable", variable, "it takes NAME=VALUE")),
            }
        }
        for port in &self.exposed_ports {
            add(&mut run.exposed_ports, checked_port(port)?);
        }
        for volume in &self.volumes {
            if volume.is_empty() {
                return Err(Error::option("a volume", volume, "it takes the path of a folder"));
            }
            add(&mut run.volumes, volume.clone());
        }
        for label in &self.labels {
            let (key, value) = label.split_once('=').unwrap_or((label, ""));
            if key.is_empty() {
                return Err(Error::option("a label", label, "it takes KEY=VALUE"));
            }
            run.labels.insert(key.to_owned(), value.to_owned());
        }
        if let Some(signal) = &self.stop_signal {
            run.stop_signal = Some(checked_signal(signal)?);
        }
        for (place, value) in [(&mut run.working_dir, &self.working_dir), (&mut run.user, &self.user)] {
            if value.is_some() {
                place.clone_from(value);
            }
        }
        Ok(())
    }
}

fn add(list: &mut Vec<String>, value: String) {
    if !list.contains(&value) {
        list.push(value);
    }
}

/// `NUMBER`, `NUMBER/tcp`, `NUMBER/udp` or `NUMBER/sctp`; without a protocol TCP is meant, and written.
fn checked_port(text: &str) -> Result<String, Error> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_number =
        number.bytes().all(|byte| byte.is_ascii_digit()) && number.parse::<u16>().is_ok_and(|n| n > 0);
    if is_number && ["tcp", "udp", "sctp"].contains(&protocol) {
        return Ok(format!("{number}/{protocol}"));
    }
    Err(Error::option(
        "a port",
        text,
        "it takes a number from 1 to 65535, with /tcp, /udp or /sctp behind it",
    ))
}

/// The signals that Linux has a name for, without their `SIG`.
const SIGNALS: [&str; 36] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "IOT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "POLL", "PWR", "SYS", "RTMIN", "RTMAX",
];

/// The name of a signal, written with its `SIG`, or its number (IMG-100).
fn checked_signal(text: &str) -> Result<String, Error> {
    let is_number = |text: &str, most: u8| {
        !text.starts_with('+') && text.parse::<u8>().is_ok_and(|number| (1..=most).contains(&number))
    };
    if is_number(text, 64) {
        return Ok(text.to_owned());
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let is_known = match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
        (Some(step), _) | (_, Some(step)) => is_number(step, 30),
        (None, None) => SIGNALS.contains(&name),
    };
    if is_known {
        return Ok(format!("SIG{name}"));
    }
    Err(Error::option(
        "a stop signal",
        text,
        "it takes a name such as SIGTERM or SIGRTMIN+3, or a number from 1 to 64",
    ))
}

/// How a health check begins, in the words of Docker, whose field it is.
const CHECKS: [&str; 3] = ["NONE", "CMD", "CMD-SHELL"];

/// Sets the check of health, which Docker and podman run and the OCI reserves a field for.
pub(crate) fn set_healthcheck(config: &mut ImageConfig, text: &str) -> Result<(), Error> {
    let wrong = |reason: String| Error::option("a health check", text, reason);
    let none = |error: String| wrong(format!("it takes a JSON object; {error}"));
    transship_spec::json::validate(text.as_bytes()).map_err(|error| none(error.to_string()))?;
    let fields: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(text).map_err(|error| none(error.to_string()))?;
    if let Some(test) = fields.get("Test") {
        let words: Vec<String> = serde_json::from_str(test.get()).unwrap_or_default();
        if !words.first().is_some_and(|first| CHECKS.contains(&first.as_str())) {
            return Err(wrong(
                "its Test is a list of words, of which NONE, CMD or CMD-SHELL is the first".to_owned(),
            ));
        }
    }
    let raw = RawValue::from_string(text.to_owned()).map_err(|error| none(error.to_string()))?;
    config.config.get_or_insert_default().extra.insert("Healthcheck".to_owned(), raw);
    Ok(())
}

/// What a file of config says, on top of what there is: the platform, the author, how it is run, and fields that
/// transship does not know. Layers, their history, and when the image was made are not a matter of files.
///
/// The file is an image config, whole or in part; what it leaves out stays.
///
/// # Errors
/// [`Error::Spec`] when it is not an object, or breaks the rules of configs.
pub(crate) fn overlay(config: &mut ImageConfig, file: &[u8]) -> Result<(), Error> {
    transship_spec::json::validate(file)?;
    let wrong =
        |error: serde_json::Error| SpecError::Document { what: "image config", reason: error.to_string() };
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(file).map_err(wrong)?;
    fields.retain(|_, value| value.get() != "null");
    let (architecture, os) = (fields.contains_key("architecture"), fields.contains_key("os"));
    fields.remove("history");
    for (required, value) in [("architecture", "\"\""), ("os", "\"\"")] {
        if !fields.contains_key(required) {
            fields.insert(required.to_owned(), RawValue::from_string(value.to_owned()).map_err(wrong)?);
        }
    }
    let layers = r#"{"type":"layers","diff_ids":[]}"#.to_owned();
    fields.insert("rootfs".to_owned(), RawValue::from_string(layers).map_err(wrong)?);
    let read = ImageConfig::parse(&serde_json::to_vec(&fields).map_err(wrong)?)?;
    if architecture {
        config.platform.architecture = read.platform.architecture;
        config.platform.variant = read.platform.variant;
    }
    if os {
        config.platform.os = read.platform.os;
        config.platform.os_version = read.platform.os_version;
        config.platform.os_features = read.platform.os_features;
    }
    config.author = read.author.or(config.author.take());
    config.config = read.config.or(config.config.take());
    config.extra.extend(read.extra);
    Ok(())
}

#[cfg(test)]
mod tests {
    use transship_spec::Kind;

    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().copied().map(str::to_owned).collect()
    }

    fn base() -> ImageConfig {
        let text = r#"{"architecture":"arm64","os":"linux","variant":"v8","author":"b","config":{"Env":["A=1","B=2"],
            "Entrypoint":["/e"],"Cmd":["c"],"Labels":{"l":"1"},"Healthcheck":{"Test":["x"]}},
            "rootfs":{"type":"layers","diff_ids":[]},"mood":[1e2]}"#;
        ImageConfig::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn img_100_changes_are_made_upon_what_the_base_has() {
        let mut config = base();
        let changes = ConfigChanges {
            env: texts(&["B=3=x", "C="]),
            exposed_ports: texts(&["80", "80/tcp", "53/udp"]),
            labels: texts(&["l=2", "m"]),
            volumes: texts(&["/data", "/data"]),
            working_dir: Some("/w".to_owned()),
            user: Some("1000:1000".to_owned()),
            stop_signal: Some("SIGTERM".to_owned()),
            ..ConfigChanges::default()
        };
        changes.apply(&mut config).unwrap();
        let text = String::from_utf8(config.to_bytes().to_vec()).unwrap();
        assert_eq!(
            text,
            r#"{"author":"b","architecture":"arm64","os":"linux","variant":"v8","config":{"User":"1000:1000","#.to_owned()
                + r#""ExposedPorts":{"53/udp":{},"80/tcp":{}},"Env":["A=1","B=3=x","C="],"Entrypoint":["/e"],"Cmd":["c"],"#
                + r#""Volumes":{"/data":{}},"WorkingDir":"/w","Labels":{"l":"2","m":""},"StopSignal":"SIGTERM","#
                + r#""Healthcheck":{"Test":["x"]}},"rootfs":{"type":"layers","diff_ids":[]},"mood":[1e2]}"#
        );
    }

    #[test]
    fn a_new_entry_point_takes_the_arguments_of_the_old_one_away() {
        let (mut config, mut both) = (base(), base());
        let changes = ConfigChanges { entrypoint: Some(texts(&["/n"])), ..ConfigChanges::default() };
        changes.apply(&mut config).unwrap();
        assert_eq!(config.config.unwrap().cmd, None);
        ConfigChanges { cmd: Some(texts(&["d"])), ..changes }.apply(&mut both).unwrap();
        assert_eq!(both.config.unwrap().cmd, Some(texts(&["d"])));
    }

    #[test]
    fn img_100_what_a_config_may_not_say_is_refused_by_name() {
        let changes = ConfigChanges::default;
        for bad in [
            ConfigChanges { env: texts(&["foo"]), ..changes() },
            ConfigChanges { env: texts(&["=x"]), ..changes() },
            ConfigChanges { exposed_ports: texts(&["http"]), ..changes() },
            ConfigChanges { exposed_ports: texts(&["0"]), ..changes() },
            ConfigChanges { exposed_ports: texts(&["65536/tcp"]), ..changes() },
            ConfigChanges { exposed_ports: texts(&["80/icmp"]), ..changes() },
            ConfigChanges { exposed_ports: texts(&["+80"]), ..changes() },
            ConfigChanges { labels: texts(&["=x"]), ..changes() },
            ConfigChanges { volumes: texts(&[""]), ..changes() },
            ConfigChanges { stop_signal: Some("SIGFOO".to_owned()), ..changes() },
        ] {
            let error = bad.validate().unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{error}");
        }
        assert!(changes().validate().is_ok());
    }

    #[test]
    fn img_100_signals_have_names_and_numbers() {
        for (text, written) in [
            ("SIGTERM", "SIGTERM"),
            ("term", "SIGTERM"),
            ("SIGRTMIN+3", "SIGRTMIN+3"),
            ("rtmax-1", "SIGRTMAX-1"),
            ("RTMIN", "SIGRTMIN"),
            ("9", "9"),
            ("64", "64"),
        ] {
            assert_eq!(checked_signal(text).unwrap(), written, "{text}");
        }
        for bad in [
            "",
            "SIG",
            "0",
            "65",
            "-1",
            "+9",
            "SIGFOO",
            "SIGRTMIN+",
            "SIGRTMIN++3",
            "SIGRTMIN-1",
            "SIGRTMIN+31",
        ] {
            let error = checked_signal(bad).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("a stop signal cannot be {bad:?}: it takes")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_health_check_is_an_object_that_begins_with_a_word_of_docker() {
        let mut config = base();
        for good in [
            r#"{"Test":["CMD","/check"],"Interval":30000000000}"#,
            r#"{"Test":["NONE"]}"#,
            r#"{"Retries":3}"#,
        ] {
            set_healthcheck(&mut config, good).unwrap();
            assert_eq!(config.config.as_ref().unwrap().extra["Healthcheck"].get(), good);
        }
        for bad in [
            "",
            "[]",
            "NONE",
            r#"{"Test":[]}"#,
            r#"{"Test":"CMD x"}"#,
            r#"{"Test":["/check"]}"#,
            r#"{"a":1,"a":2}"#,
        ] {
            assert_eq!(set_healthcheck(&mut config, bad).unwrap_err().kind(), Kind::Usage, "{bad}");
        }
    }

    #[test]
    fn a_file_of_config_says_only_what_it_says() {
        let mut config = base();
        overlay(&mut config, br#"{"config":{"Cmd":["f"]},"new":true,"rootfs":3,"history":"x"}"#).unwrap();
        assert_eq!(config.platform.to_string(), "linux/arm64/v8");
        let run = config.config.clone().unwrap();
        assert_eq!((run.cmd, run.env), (Some(texts(&["f"])), vec![]));
        assert_eq!(config.author.as_deref(), Some("b"));
        assert!(config.extra.contains_key("mood") && config.extra.contains_key("new"));
        overlay(&mut config, br#"{"architecture":"amd64","os":"linux","author":"f"}"#).unwrap();
        assert_eq!(
            (config.platform.to_string().as_str(), config.author.as_deref()),
            ("linux/amd64", Some("f"))
        );
        for bad in
            [&b"[]"[..], b"{", br#"{"config":{"Env":["x"]}}"#, br#"{"os":1}"#, br#"{"os":"a","os":"b"}"#]
        {
            assert_eq!(overlay(&mut base(), bad).unwrap_err().kind(), Kind::Invalid);
        }
    }
}
