//! The desktop program. Everything it does is in [`vereda_app::run`], which phones call too.

// No console window behind the real one on Windows.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use std::process::ExitCode;

fn main() -> ExitCode {
    match vereda_app::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vereda: {error}");
            ExitCode::FAILURE
        }
    }
}
