//! `transship login`: credentials are tried, then kept.

use std::io::{BufRead as _, Read as _, Write as _};
use std::path::Path;

use serde::Deserialize;
use transship_registry::{Credential, CredentialStore};
use transship_spec::{is_registry, quote};

use crate::args;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::network::Network;

/// Bytes of a password.
const MOST: u64 = 64 << 10;

pub(crate) fn run(args: &args::Login, context: &Context) -> Result<(), Failure> {
    login(args, context).cannot(format!("log in to {}", crate::show::plain(&args.registry)))
}

fn login(args: &args::Login, context: &Context) -> Result<(), Failure> {
    let registry = name_of(&args.registry)?;
    context.allow_network(args.network.offline, registry)?;
    let file = context.environment.login_file(args.network.authfile.as_deref());
    let (path, file) = file.ok_or_else(|| {
        Failure::usage("there is no place to keep credentials").hint("name one with --authfile, or set HOME")
    })?;
    let username = match &args.username {
        Some(name) => name.clone(),
        None if args.password_stdin => return Err(Failure::usage("--password-stdin needs --username")),
        None => ask("Username: ", context, true)?,
    };
    let password = if args.password_stdin { piped()? } else { ask("Password: ", context, false)? };
    if username.is_empty() || password.is_empty() {
        return Err(Failure::usage("the user and the password must not be empty"));
    }
    let credential = Credential::password(username, password);
    let mut flags = args.network.clone();
    // It need not be there yet: it is where the credential is to go.
    flags.authfile = None;
    let network = Network::try_credential(context, &flags, registry, credential.clone())?;
    network.block_on(network.client.ping(registry))?;
    // One request is answered without a question for credentials.
    let asked = context.progress.requests().values().sum::<u64>() > 1;
    let store = CredentialStore::new(file, context.environment.path.clone());
    network.block_on(store.save(registry, &credential))?;
    let shown = crate::show::plain(&path.display().to_string());
    if !asked {
        context
            .progress
            .warning(&format!("{registry} lets in anybody; whether it would take the password is not known"));
    }
    match helper(&path, registry) {
        Some(helper) => context
            .progress
            .note(&format!("logged in to {registry}; docker-credential-{helper} keeps the password")),
        None => {
            context.progress.note(&format!("logged in to {registry}"));
            context.progress.warning(&format!("the password is kept unencrypted in {shown}"));
        }
    }
    Ok(())
}

/// The name of a registry without what people put before and after it.
pub(crate) fn name_of(text: &str) -> Result<&str, Failure> {
    let name = ["https://", "http://", "docker://"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text);
    let name = name.trim_end_matches('/');
    if name.contains('/') {
        let host = name.split('/').next().unwrap_or_default();
        return Err(Failure::usage(format!("{} is not the name of a registry", quote(text)))
            .hint(format!("credentials are kept for a whole registry: {host}")));
    }
    match is_registry(name) {
        true => Ok(name),
        false => Err(Failure::usage(format!("{} is not the name of a registry", quote(text)))),
    }
}

/// The password that is piped in: the first line, or all of it.
fn piped() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MOST).read_to_string(&mut text);
    read.map_err(|error| Failure::io("reading the password", &error))?;
    let end = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(end);
    Ok(text)
}

/// Asks on the terminal, whatever standard input is.
#[cfg(unix)]
fn ask(question: &str, context: &Context, echo: bool) -> Result<String, Failure> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    let terminal = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty");
    let no_terminal = || {
        Failure::usage("there is no terminal to ask on")
            .hint("give --username, and pipe the password to --password-stdin")
    };
    let mut terminal = terminal.map_err(|_| no_terminal())?;
    let before = tcgetattr(&terminal).map_err(|_| no_terminal())?;
    let mut again = terminal.try_clone().map_err(|_| no_terminal())?;
    let old = before.clone();
    let restore = move || {
        let _ = tcsetattr(&again, OptionalActions::Now, &old);
        let _ = again.write_all(b"\n");
    };
    let _at_exit = context.interrupts.at_exit(restore);
    if !echo {
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|_| no_terminal())?;
    }
    let mut answer = String::new();
    let read = terminal
        .write_all(question.as_bytes())
        .and_then(|()| std::io::BufReader::new(&terminal).take(MOST).read_line(&mut answer));
    let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    read.map_err(|error| Failure::io("reading from the terminal", &error))?;
    let end = answer.trim_end_matches(['\n', '\r']).len();
    answer.truncate(end);
    Ok(answer)
}

#[cfg(not(unix))]
fn ask(_question: &str, _context: &Context, _echo: bool) -> Result<String, Failure> {
    Err(Failure::new(transship_spec::Kind::Unsupported, "asking on the terminal is not possible here")
        .hint("give --username, and pipe the password to --password-stdin"))
}

/// What of a file of credentials says who keeps the secrets.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Helpers {
    creds_store: Option<String>,
    cred_helpers: std::collections::BTreeMap<String, String>,
}

/// The helper that keeps the secrets of a registry.
fn helper(path: &Path, registry: &str) -> Option<String> {
    let text = crate::files::read(path, 4 << 20).ok()?;
    let mut helpers: Helpers = serde_json::from_slice(&text).ok()?;
    helpers.cred_helpers.remove(registry).or(helpers.creds_store).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_and_nothing_more() {
        for text in ["r.example:5000", "https://r.example:5000/", "docker://r.example:5000"] {
            assert_eq!(name_of(text).unwrap(), "r.example:5000");
        }
        for text in ["", "r.example/team", "user@r.example", "https://"] {
            assert_eq!(name_of(text).unwrap_err().code(), 2, "{text}");
        }
    }

    #[test]
    fn the_helper_of_a_registry_goes_before_that_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, r#"{"credsStore":"all","credHelpers":{"r.example":"one"},"auths":{}}"#)
            .unwrap();
        assert_eq!(helper(&path, "r.example").as_deref(), Some("one"));
        assert_eq!(helper(&path, "other.example").as_deref(), Some("all"));
        assert_eq!(helper(&folder.path().join("none"), "x"), None);
    }
}
