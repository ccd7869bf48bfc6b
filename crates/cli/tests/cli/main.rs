//! The program as it is run: its output, its exit codes, and what it leaves on disk.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod archives;
mod attach;
mod authors;
mod bad_input;
mod check;
mod converting;
mod copy;
mod diff;
mod edit;
mod examples;
mod gc;
mod help;
mod index;
mod killed;
mod kinds;
mod layers;
mod layouts;
mod linked;
mod login;
mod marks;
mod mirrors;
mod offline;
mod pack;
mod peers;
mod real;
mod registries;
mod reproducible;
mod runs;
mod saved;
mod scale_out;
mod scripted;
mod secrets;
mod serve;
mod signals;
mod storage;
mod strained;
mod streams;
mod subsets;
mod support;
mod sync;
mod tree;
mod unpack;
mod uploads;
