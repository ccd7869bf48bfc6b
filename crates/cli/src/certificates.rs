//! `certs.d`: a folder of certificates for each registry, as containers-certs.d(5) and Docker have it.
//!
//! The first folder that is there for the host counts, and no other. In it `*.crt` are authorities to trust, and
//! `*.cert` with the `*.key` of the same name is what to show; of several pairs the first by name is shown.

use std::path::{Path, PathBuf};

use transship_registry::HostSettings;

use crate::exit::Failure;

/// Adds what the folders say of a host (`host[:port]`) to its settings. What the user says by flags comes first.
pub(crate) fn add(folders: &[PathBuf], host: &str, settings: &mut HostSettings) -> Result<(), Failure> {
    let there = folders.iter().map(|folder| folder.join(host)).find(|folder| folder.is_dir());
    let Some(folder) = there else { return Ok(()) };
    let unreadable = |error| Failure::usage(format!("{}: {error}", folder.display()));
    let entries = folder.read_dir().and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    let of = |extension: &'static str| {
        files.iter().filter(move |file| file.extension().is_some_and(|have| have == extension))
    };
    settings.ca_files.extend(of("crt").cloned());
    let mut identity = None;
    for cert in of("cert") {
        let key = cert.with_extension("key");
        if !key.exists() {
            return Err(lone(cert, "key"));
        }
        identity = identity.or_else(|| Some((cert.clone(), key)));
    }
    if let Some(key) = of("key").find(|key| !key.with_extension("cert").exists()) {
        return Err(lone(key, "cert"));
    }
    settings.identity = settings.identity.take().or(identity);
    Ok(())
}

fn lone(file: &Path, other: &str) -> Failure {
    Failure::usage(format!("{}: there is no .{other} of the same name beside it", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_127_the_first_folder_of_the_host_counts_and_flags_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let (user, system) = (folder.path().join("user"), folder.path().join("etc"));
        let folders = [user.clone(), system.clone()];
        let host = system.join("r.example:5000");
        std::fs::create_dir_all(&host).unwrap();
        for name in
            ["ca.crt", "b.crt", "client.cert", "client.key", "another.cert", "another.key", "notes.txt"]
        {
            std::fs::write(host.join(name), "").unwrap();
        }
        let mut settings = HostSettings::default();
        add(&folders, "r.example:5000", &mut settings).unwrap();
        assert_eq!(settings.ca_files, [host.join("b.crt"), host.join("ca.crt")]);
        assert_eq!(settings.identity, Some((host.join("another.cert"), host.join("another.key"))));

        let own = Some((PathBuf::from("own.cert"), PathBuf::from("own.key")));
        let mut given = HostSettings { identity: own.clone(), ..HostSettings::default() };
        add(&folders, "r.example:5000", &mut given).unwrap();
        assert_eq!(given.identity, own);

        let mut other = HostSettings::default();
        add(&folders, "r.example", &mut other).unwrap();
        assert_eq!(other, HostSettings::default());

        std::fs::create_dir_all(user.join("r.example:5000")).unwrap();
        let mut nothing = HostSettings::default();
        add(&folders, "r.example:5000", &mut nothing).unwrap();
        assert_eq!(nothing, HostSettings::default());
    }

    #[test]
    fn dist_127_a_certificate_without_its_key_is_refused_and_named() {
        for (name, words) in [("client.cert", "no .key"), ("client.key", "no .cert")] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("h")).unwrap();
            std::fs::write(folder.path().join("h").join(name), "").unwrap();
            let folders = [folder.path().to_owned()];
            let failure = add(&folders, "h", &mut HostSettings::default()).unwrap_err();
            assert!(failure.code() == 2 && failure.to_string().contains(words), "{failure}");
            assert!(failure.to_string().contains(name), "{failure}");
        }
    }
}
