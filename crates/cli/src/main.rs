//! The `transship` program: all of it is in the library beside.

fn main() -> std::process::ExitCode {
    transship_cli::main()
}
