//! `transship logout`: credentials are forgotten.

use transship_registry::CredentialStore;

use crate::args;
use crate::commands::login::name_of;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::network::Async;

pub(crate) fn run(args: &args::Logout, context: &Context) -> Result<(), Failure> {
    logout(args, context).cannot(format!("log out of {}", crate::show::plain(&args.registry)))
}

fn logout(args: &args::Logout, context: &Context) -> Result<(), Failure> {
    let registry = name_of(&args.registry)?;
    let file = context.environment.login_file(args.authfile.as_deref());
    let (path, file) = file
        .ok_or_else(|| Failure::usage("no file of credentials is known").hint("name it with --authfile"))?;
    let shown = crate::show::plain(&path.display().to_string());
    let store = CredentialStore::new(file, context.environment.path.clone());
    // A helper is a program that is waited for; that needs the runtime, and no network.
    let had = Async::new(context, true)?.block_on(store.erase(registry))?;
    if !had {
        context.progress.warning(&format!("{shown} holds no credentials for {registry}"));
        return Ok(());
    }
    context.progress.note(&format!("forgot the credentials for {registry} in {shown}"));
    Ok(())
}
