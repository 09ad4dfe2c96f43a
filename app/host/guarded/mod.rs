//! A phone's storage that gives a secret back only for a finger or a face: what
//! [`vereda_device::GuardedStore`] is on Android and iOS. The page cannot reach it; it calls the app's own
//! commands, and those hand it no secret.
//!
//! Desktops have none. What the plugin keeps with Windows Hello or in a Mac's keychain is given for the code
//! of the machine as well, and still given once somebody else's finger was added; Linux has nothing that
//! would hold a secret back.

#[cfg(target_os = "android")]
mod android;
#[cfg(target_os = "ios")]
mod ios;

#[cfg(target_os = "android")]
pub use android::{plugin, store};
#[cfg(target_os = "ios")]
pub use ios::{plugin, store};

#[cfg(any(mobile, test))]
use vereda_device::GuardedError;

/// What a vault's secret is called in the platform's storage.
#[cfg(mobile)]
fn name(vault: &str) -> String {
    format!("vereda-guarded-{vault}")
}

/// What the Android plugin's refusals mean: it has codes for what the dialog says, and passes on in words
/// what the Keystore says. What is not recognised is at worst told less well.
#[cfg(any(target_os = "android", test))]
fn refusal(code: Option<&str>, message: &str) -> GuardedError {
    match code {
        Some("userCancel" | "systemCancel" | "appCancel") => GuardedError::Cancelled,
        Some("biometryLockout") => GuardedError::LockedOut,
        None if VOID.iter().any(|words| message.contains(words)) => GuardedError::Invalidated,
        _ => GuardedError::Unavailable(format!("{}: {message}", code.unwrap_or("no code"))),
    }
}

/// The Keystore's key was voided by a new finger, or is gone with the lock of the screen; or what it had
/// encrypted is gone, or cannot be decrypted by it, which nothing mends either.
#[cfg(any(target_os = "android", test))]
const VOID: [&str; 7] = [
    "permanently invalidated",
    "changed or deleted their auth credentials",
    "No key pair found",
    "No data found",
    "No IV found",
    "No AES key found",
    "Decryption failed",
];

/// What the keychain's refusals mean. An item that is bound to who is enrolled now is gone, as far as it
/// says, once that changes.
#[cfg(any(target_os = "ios", test))]
fn refusal_of_keychain(status: i32) -> GuardedError {
    match status {
        // errSecUserCanceled
        -128 => GuardedError::Cancelled,
        // errSecAuthFailed
        -25293 => GuardedError::LockedOut,
        // errSecItemNotFound
        -25300 => GuardedError::Invalidated,
        other => GuardedError::Unavailable(format!("the keychain says {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let void = |message: &str| refusal(None, message) == GuardedError::Invalidated;
        assert!(void("Failed to get data: Key permanently invalidated"));
        assert!(void("Failed to get data: User changed or deleted their auth credentials"));
        assert!(void("No key pair found") && void("Failed to decrypt data: No data found"));
        assert!(!void("Failed to get data: null") && !void(""));
        assert_eq!(refusal(Some("userCancel"), "Usar el PIN"), GuardedError::Cancelled);
        assert_eq!(refusal(Some("systemCancel"), ""), GuardedError::Cancelled);
        assert_eq!(refusal(Some("biometryLockout"), "Too many attempts."), GuardedError::LockedOut);
        assert!(matches!(
            refusal(Some("biometryNotEnrolled"), "No data found"),
            GuardedError::Unavailable(_)
        ));

        assert_eq!(refusal_of_keychain(-128), GuardedError::Cancelled);
        assert_eq!(refusal_of_keychain(-25293), GuardedError::LockedOut);
        assert_eq!(refusal_of_keychain(-25300), GuardedError::Invalidated);
        assert!(matches!(refusal_of_keychain(-25308), GuardedError::Unavailable(_)));
    }
}
