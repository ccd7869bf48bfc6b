//! Configs of images: by themselves, against the layers of their manifest, and against their platform (IMG-90…101).

use transship_spec::{Descriptor, ImageConfig, Manifest, Platform, json, quote};

use super::time::is_rfc3339;
use super::{Code, Place, Sink, descriptor};

/// The largest config that is read, in bytes.
pub(super) const MAX_SIZE: u64 = 8 << 20;

/// Reads a config; `None` after a finding.
pub(super) fn parse(bytes: &[u8], place: &Place, sink: &mut Sink<'_>) -> Option<ImageConfig> {
    let error = match ImageConfig::parse(bytes) {
        Ok(config) => return Some(config),
        Err(error) => error,
    };
    let code = match &error {
        transship_spec::Error::Limit { .. } => Code::LimitExceeded,
        _ if json::validate(bytes).is_err() => Code::JsonMalformed,
        _ => Code::ConfigInvalid,
    };
    sink.find(code, place.clone(), error.to_string());
    None
}

/// Looks at what a config says, and whether it fits the manifest that names it.
pub(super) fn check(config: &ImageConfig, manifest: &Manifest, place: &Place, sink: &mut Sink<'_>) {
    let mut time = |text: &Option<String>, part: &dyn Fn() -> String| {
        if let Some(text) = text.as_ref().filter(|text| !is_rfc3339(text)) {
            sink.find(Code::ConfigTime, place.part(part()), quote(text));
        }
    };
    time(&config.created, &|| "created".to_owned());
    for (number, step) in config.history.iter().enumerate() {
        time(&step.created, &|| format!("history[{number}].created"));
    }
    descriptor::platform(&config.platform, place, sink);
    let ports = config.config.iter().flat_map(|runtime| &runtime.exposed_ports);
    for port in ports.filter(|port| !is_port(port)) {
        sink.find(Code::ConfigPort, place.part("config.ExposedPorts"), quote(port));
    }
    let layers = manifest.layers.len();
    if config.diff_ids.len() != layers {
        let message = format!("it has {}, and the manifest has {layers} layers", config.diff_ids.len());
        sink.find(Code::DiffIdCount, place.part("rootfs.diff_ids"), message);
    }
    let told = config.history.iter().filter(|step| !step.empty_layer).count();
    if !config.history.is_empty() && told != layers {
        let message = format!("it tells of {told} layers, and the manifest has {layers}");
        sink.find(Code::HistoryCount, place.part("history"), message);
    }
}

/// Compares the config of an image with the platform that its index names (IMG-78).
pub(super) fn check_platform(config: &ImageConfig, member: &Descriptor, place: &Place, sink: &mut Sink<'_>) {
    let Some(named) = &member.platform else {
        // Attestations and other artifacts have a config for form's sake.
        if !config.platform.is_unknown() && member.artifact_type.is_none() {
            sink.find(Code::PlatformMissing, place.clone(), format!("it is for {}", config.platform));
        }
        return;
    };
    if !transship_spec::platform::is_attestation(member) && !is_same(named, &config.platform) {
        let message = format!("it is to be for {named}, and its config is for {}", config.platform);
        sink.find(Code::PlatformMismatch, place.part("platform"), message);
    }
}

/// Whether two platforms are the same, as far as both tell: configs seldom name a variant.
fn is_same(named: &Platform, config: &Platform) -> bool {
    let (a, b) = (named.normalized(), config.normalized());
    let agree = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    let variant = named.variant.is_none() || config.variant.is_none() || a.variant == b.variant;
    a.os == b.os && a.architecture == b.architecture && variant && agree(&a.os_version, &b.os_version)
}

/// `80`, `80/tcp`, `80/udp`, or a range of them as Docker writes it (IMG-100).
fn is_port(text: &str) -> bool {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number = |text: &str| !text.starts_with('+') && text.parse::<u16>().is_ok();
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    number(first) && number(last) && matches!(protocol, "tcp" | "udp" | "sctp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_100_ports_have_a_number_and_a_protocol() {
        for good in ["80", "80/tcp", "53/udp", "8000-8010/tcp"] {
            assert!(is_port(good), "{good}");
        }
        for bad in ["", "http", "80/", "80/icmp", "70000", "-1", "+1", "80-/tcp"] {
            assert!(!is_port(bad), "{bad}");
        }
    }

    #[test]
    fn a_variant_that_only_one_side_tells_makes_no_difference() {
        let same = |a: &str, b: &str| is_same(&Platform::parse(a).unwrap(), &Platform::parse(b).unwrap());
        assert!(same("linux/arm64/v8", "linux/arm64"));
        assert!(same("linux/arm/v6", "linux/arm"));
        assert!(!same("linux/arm/v6", "linux/arm/v7"));
        assert!(!same("linux/amd64", "linux/arm64"));
        assert!(!same("windows/amd64", "linux/amd64"));
    }
}
