//! The targets: the name of each, and its body.

/// A fuzz target: the name of `fuzz/fuzz_targets/NAME.rs` and `fuzz/corpus/NAME`, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them, by name.
pub const TARGETS: &[Target] = &[
    ("archive", crate::archive::run),
    ("check", crate::check::run),
    ("decode", crate::decode::run),
    ("docker_config", crate::docker_config::run),
    ("document", crate::document::run),
    ("encode", crate::encode::run),
    ("index", crate::index::run),
    ("json", crate::json::run),
    ("layer", crate::layer::run),
    ("layer_input", crate::layer_input::run),
    ("layout_dir", crate::layout_dir::run),
    ("media_type", crate::media_type::run),
    ("mtree", crate::mtree::run),
    ("names", crate::names::run),
    ("platform", crate::platform::run),
    ("registry_bodies", crate::registry_bodies::run),
    ("registry_headers", crate::registry_headers::run),
    ("scratch", crate::scratch::run),
    ("serve_request", crate::serve_request::run),
];
