//! What can be typed, as types; what it means is decided elsewhere.

#![expect(clippy::doc_markdown, reason = "these comments are the help, and printed as they are")]

mod attach;
mod check;
mod content;
mod copy;
mod credentials;
mod diff;
mod edit;
mod expand;
mod index;
mod kinds;
mod pack;
mod parts;
mod serve;
mod shared;
mod sync;
mod tree;
mod unpack;
mod upkeep;
mod values;

use clap::{Parser, Subcommand};

pub(crate) use attach::Attach;
pub(crate) use check::Check;
pub(crate) use content::{
    BlobCommand, BlobGet, BlobPut, Init, Inspect, Ls, ManifestCommand, ManifestGet, ManifestPut, Resolve, Tag,
};
pub(crate) use copy::{Copy, Link, NewestBy, Refused, Way};
pub(crate) use credentials::{Completions, Login, Logout};
pub(crate) use diff::Diff;
pub(crate) use edit::{Clear, Edit, LayerFlags};
pub(crate) use expand::expand;
pub(crate) use index::{HeadFlags, IndexAdd, IndexCommand, IndexCreate, IndexRemove, MemberFlags};
pub(crate) use kinds::{Extract, KindsArgs, KindsCommand, LintKinds, PackKind, folders};
pub(crate) use pack::{
    AnnotationFlags, Compression, Encoding, Mode, Mtime, PackCommand, PackFiles, PackImage, PackLayer,
    PackOutput, Runtime, Tree,
};
pub(crate) use parts::{LayerFile, Part};
pub(crate) use serve::Serve;
pub(crate) use shared::{
    Durability, Format, LayerLimits, Links, Manners, NetworkFlags, ProgressMode, Reading, Verbosity, Writing,
};
pub(crate) use sync::{Foreign, Sync};
pub(crate) use tree::ShowTree;
pub(crate) use unpack::Unpack;
pub(crate) use upkeep::{Gc, Rm, Untag};
pub(crate) use values::{ForHost, pair};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "transship",
    version,
    max_term_width = 100,
    about = "OCI content in plain directories: pack, copy and serve it, with no daemon",
    long_about = "transship keeps OCI content in plain directories. It packs files into image layouts with no daemon and \
                  no network, copies between layouts, archives and registries, and serves a layout as a registry.\n\n\
                  A LOCATION is one of\n\
                  \x20 oci:DIR[:REF][@DIGEST]             an image layout in a folder; oci:DIR:@N is its N-th entry\n\
                  \x20 docker://HOST/REPO[:TAG][@DIGEST]  a registry; the prefix may be left out\n\
                  \x20 oci-archive:FILE[:REF][@DIGEST]    an image layout in a tar, which may be compressed; - is a pipe\n\
                  \x20 docker-archive:FILE[:REF]          what docker save writes and docker load reads\n\
                  \x20 ./PATH, /PATH                      a folder that is an image layout, or a file that is an archive\n\n\
                  Results go to standard output, everything else to standard error. An argument @FILE stands for the \
                  lines of FILE.",
    after_help = "Examples:\n  \
                  transship pack image ./rootfs --entrypoint /bin/app --to oci:out:v1\n  \
                  transship copy oci:out:v1 docker://localhost:5000/team/app:v1\n\n\
                  Exit codes: 0 done, 1 unexpected, 2 usage, 3 not found, 4 content invalid or unsafe, 5 denied, \
                  6 network, 7 storage, 8 policy, 9 limit, 10 partial, 11 busy, 12 unsupported, 130 and 143 \
                  interrupted."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Make an empty image layout
    Init(Init),
    /// Pack files into an image or an artifact
    #[command(subcommand)]
    Pack(PackCommand),
    /// Attach files to something: an artifact that refers to it
    Attach(Box<Attach>),
    /// Change an image: how it is run, what it says of itself, its layers
    #[command(visible_alias = "mutate")]
    Edit(Box<Edit>),
    /// Make and change indexes: images for several platforms under one name
    #[command(subcommand)]
    Index(IndexCommand),
    /// Unpack the layers of an image as a tree of files
    Unpack(Box<Unpack>),
    /// Extract the files of an artifact, by the rules of its kind
    Extract(Box<Extract>),
    /// Copy between layouts, archives and registries, with everything that belongs to what is copied
    #[command(visible_alias = "cp")]
    Copy(Box<Copy>),
    /// Copy many things to many places, as a file of settings says
    Sync(Box<Sync>),
    /// List the references of a layout or an archive, or the tags of a repository
    Ls(Ls),
    /// Draw what belongs together: indexes, manifests, blobs, and what refers to them
    #[command(visible_alias = "discover")]
    Tree(ShowTree),
    /// Tell what something is: kind, platforms, sizes, config, annotations
    Inspect(Inspect),
    /// Tell what changed from one image to another: fields, layers and files
    Diff(Box<Diff>),
    /// List the kinds of artifacts that are known, and lint your own
    Kinds(Box<KindsArgs>),
    /// Print the digest of something, alone on a line
    #[command(visible_alias = "digest")]
    Resolve(Resolve),
    /// Give more names to something in a layout or a registry
    Tag(Tag),
    /// Take names away in a layout or a registry
    Untag(Untag),
    /// Tell what is wrong with a layout, an archive or a repository, and repair a layout
    #[command(visible_alias = "validate")]
    Check(Box<Check>),
    /// Take a manifest away, with all its names
    Rm(Rm),
    /// Get or put the raw bytes of a manifest
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Get or put the raw bytes of a blob
    #[command(subcommand)]
    Blob(BlobCommand),
    /// Remove blobs of a layout that nothing reaches
    Gc(Gc),
    /// Serve layouts as a registry
    Serve(Serve),
    /// Keep the credentials for a registry
    Login(Login),
    /// Forget the credentials for a registry
    Logout(Logout),
    /// Print a script that completes command lines in a shell
    Completions(Completions),
    /// Not a command: answered with the copy line to type
    #[command(hide = true)]
    Push(Refused),
    /// Not a command: answered with the copy line to type
    #[command(hide = true)]
    Pull(Refused),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definitions_agree_with_each_other() {
        Cli::command().debug_assert();
    }

    /// Every command that can be run, by its words.
    fn commands(command: &clap::Command, words: &str, found: &mut Vec<(String, String)>) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let words = format!("{words} {}", sub.get_name());
            if sub.has_subcommands() {
                commands(sub, &words, found);
            } else {
                let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                found.push((words, help));
            }
        }
    }

    #[test]
    fn every_command_shows_two_examples_of_itself() {
        let mut found = Vec::new();
        commands(&Cli::command(), "transship", &mut found);
        assert!(found.len() >= 15, "{found:?}");
        for (words, help) in found {
            let examples = help.lines().filter(|line| line.trim_start().starts_with(&words)).count();
            assert!(examples >= 2, "{words}: {help}");
        }
    }
}
