//! The `transship` command.

fn main() {}
