//! libFuzzer's way into the target `pem`. Without `cargo fuzz` it runs the target over files.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| chiton_fuzz::run("pem", data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    chiton_fuzz::replay("pem")
}
