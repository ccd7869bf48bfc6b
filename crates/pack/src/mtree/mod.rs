//! Specifications of trees in the language of mtree(5), as `bsdtar`, Bazel's rules and `mtree` itself read and write them.
//!
//! ```text
//! #mtree
//! /set type=file uid=0 gid=0 mode=0644 time=0.0
//! ./etc type=dir mode=0755
//! ./etc/motd content=files/motd
//! ./etc/gr\303\274n type=link link=motd
//! ./dev/null type=char mode=0666 device=native,1,3
//! ```
//!
//! **Read** ([`parse`]): a name with a slash is a path from the top; one without lies in the folder that was named last,
//! until `..`; `/set` and `/unset` change what is said of the paths first named beneath them; a path that is named again
//! is changed by what its own line says; a `\` before the end of a line goes on with the next. Names are bytes, escaped
//! in the manner of vis(3). [`Entry`] lists the keywords. Those that say how to compare and not what to make (`cksum`,
//! `flags`, `md5digest`, `nochange`, `rmd160digest`, `sha1digest`, `sha384digest`, `tags`) are passed over, any other is
//! refused: it may be a slip. Globs are names like any other. `uname` and `gname` count where there is no number, and
//! then only `root`, since no other name has the same number everywhere.
//!
//! **Written** ([`Entry::print`]): one line an entry with its whole path and all that is known, keywords in a fixed order.
//! What was printed is parsed to the same entries.
//!
//! Nothing is looked up on disk here. Memory grows with the specification, of which [`MAX_ENTRIES`] and [`MAX_LINE`] are
//! the limits.

mod entry;
mod escape;
mod keyword;
mod parse;

pub use entry::{Entry, Flaw, Time, Type};
pub use parse::parse;

/// The line that a specification begins with, by which it is told from a tar.
pub const HEADER: &[u8] = b"#mtree\n";
/// How many paths a specification may name.
pub const MAX_ENTRIES: usize = 1 << 20;
/// How many bytes a line may have, with those that it goes on with.
pub const MAX_LINE: usize = 2 << 20;

/// Whether these first bytes of a file say that it is a specification.
pub(crate) fn is_specification(start: &[u8]) -> bool {
    start.starts_with(b"#mtree")
}
