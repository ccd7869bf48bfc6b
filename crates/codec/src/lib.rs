//! Bounded gzip and zstd decoding, and encoding whose bytes do not depend on threads.
