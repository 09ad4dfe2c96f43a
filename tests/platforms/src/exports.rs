//! What Node calls, in wasm: a byte at a time, so that no memory is shared and no pointer changes hands.
#![cfg(target_arch = "wasm32")]
// `no_mangle` counts as unsafe because two symbols of one name would clash; these have names of
// their own.
#![allow(unsafe_code)]

use std::sync::{Mutex, PoisonError};

static FILE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static ANSWERS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Takes the next byte of the file.
#[unsafe(no_mangle)]
pub extern "C" fn vereda_push(byte: u32) {
    FILE.lock().unwrap_or_else(PoisonError::into_inner).push(byte as u8);
}

/// Scores the file; gives the number of bytes of the answers.
#[unsafe(no_mangle)]
pub extern "C" fn vereda_run() -> u32 {
    let file = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&file);
    let said = super::answers(&text).unwrap_or_else(|error| format!("error: {error}\n"));
    let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    *answers = said.into_bytes();
    answers.len() as u32
}

/// One byte of the answers.
#[unsafe(no_mangle)]
pub extern "C" fn vereda_at(index: u32) -> u32 {
    let answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    answers.get(index as usize).map_or(0, |byte| u32::from(*byte))
}
