//! The commands, one file each.

mod archive;
pub(crate) mod blob;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod copy;
mod deliver;
pub(crate) mod diff;
pub(crate) mod edit;
pub(crate) mod gc;
pub(crate) mod index;
pub(crate) mod init;
pub(crate) mod inspect;
mod layers;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod ls;
pub(crate) mod manifest;
pub(crate) mod pack;
pub(crate) mod refused;
pub(crate) mod resolve;
pub(crate) mod rm;
pub(crate) mod serve;
pub(crate) mod tag;
mod transfer;
pub(crate) mod unpack;
pub(crate) mod untag;
