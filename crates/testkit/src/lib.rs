//! Fixtures and registries for the tests of transship: real ones, and one that counts and fails on purpose.
