//! What flags and files say of how an image is run.

use transship_pack::ConfigChanges;
use transship_spec::quote;

use crate::args::Runtime;
use crate::exit::Failure;
use crate::files;

/// Bytes of a file of config.
pub(in crate::commands) const MAX_CONFIG: u64 = 8 << 20;

pub(in crate::commands) fn changes(runtime: &Runtime) -> Result<ConfigChanges, Failure> {
    Ok(ConfigChanges {
        entrypoint: words("--entrypoint", &runtime.entrypoint)?,
        cmd: words("--cmd", &runtime.cmd)?,
        env: with_files(&runtime.env_file, &runtime.env)?,
        working_dir: runtime.workdir.clone(),
        user: runtime.user.clone(),
        exposed_ports: runtime.expose.clone(),
        volumes: runtime.volume.clone(),
        labels: with_files(&runtime.label_file, &runtime.label)?,
        stop_signal: runtime.stop_signal.clone(),
    })
}

/// Words one by one, or all of them as a JSON array.
fn words(flag: &str, values: &[String]) -> Result<Option<Vec<String>>, Failure> {
    match values {
        [] => Ok(None),
        [array] if array.starts_with('[') => serde_json::from_str(array).map(Some).map_err(|error| {
            Failure::usage(format!("{flag} {}: it is not a JSON array of words: {error}", quote(array)))
        }),
        words => Ok(Some(words.to_vec())),
    }
}

/// The lines of files, then the values of flags, which win.
fn with_files(paths: &[std::path::PathBuf], values: &[String]) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(files::lines(path)?);
    }
    all.extend_from_slice(values);
    Ok(all)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_program_is_words_or_a_json_array() {
        let words = |values: &[&str]| {
            super::words("--cmd", &values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(words(&[]).unwrap(), None);
        assert_eq!(words(&["/bin/app"]).unwrap().unwrap(), ["/bin/app"]);
        assert_eq!(words(&["a b", "-c"]).unwrap().unwrap(), ["a b", "-c"]);
        assert_eq!(words(&[r#"["a","b"]"#]).unwrap().unwrap(), ["a", "b"]);
        assert_eq!(words(&["[1]"]).unwrap_err().code(), 2);
    }
}
