//! Opening a store with a finger or a face: only the secret that the platform releases opens it.

use super::*;
use crate::guarded::{GuardedError, GuardedStore};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use zeroize::Zeroizing;

/// A platform's guarded storage, in memory. It knows everybody, until it is told otherwise.
#[derive(Debug, Default)]
pub struct Sensor(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    kept: BTreeMap<String, Vec<u8>>,
    /// What comes next time instead of the secret.
    instead: Option<Result<Vec<u8>, GuardedError>>,
    /// Waits for a person: says that it does, and goes on when it is told to.
    person: Option<(Sender<()>, Receiver<()>)>,
    /// The dialogs that were shown.
    shown: Vec<Prompt>,
    missing: bool,
}

impl Sensor {
    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    fn answers(&self, instead: Result<Vec<u8>, GuardedError>) {
        self.inside().instead = Some(instead);
    }

    fn shown(&self) -> usize {
        self.inside().shown.len()
    }

    fn kept(&self) -> Vec<(String, Vec<u8>)> {
        self.inside().kept.clone().into_iter().collect()
    }

    /// The next dialog waits: the first end says that it is shown, the second lets it go on.
    fn waits(&self) -> (Receiver<()>, Sender<()>) {
        let ((shown, is_shown), (go, goes)) = (channel(), channel());
        self.inside().person = Some((shown, goes));
        (is_shown, go)
    }
}

impl GuardedStore for Sensor {
    fn available(&self) -> bool {
        !self.inside().missing
    }

    fn put(&self, vault: &str, secret: &[u8]) -> Result<(), GuardedError> {
        self.inside().kept.insert(vault.to_owned(), secret.to_vec());
        Ok(())
    }

    fn get(&self, vault: &str, prompt: &Prompt) -> Result<Zeroizing<Vec<u8>>, GuardedError> {
        self.inside().shown.push(prompt.clone());
        let person = self.inside().person.take();
        if let Some((shown, goes)) = person {
            shown.send(()).unwrap();
            goes.recv().unwrap();
        }
        let mut inside = self.inside();
        match inside.instead.take() {
            Some(instead) => instead.map(Zeroizing::new),
            None => inside.kept.get(vault).cloned().map(Zeroizing::new).ok_or(GuardedError::Invalidated),
        }
    }

    fn forget(&self, vault: &str) -> Result<(), GuardedError> {
        self.inside().kept.remove(vault);
        Ok(())
    }
}

fn prompt() -> Prompt {
    Prompt { title: "Vereda".into(), reason: "Abrir".into(), cancel: "Usar el PIN".into() }
}

fn on(pin: &str) -> SetGuardedRequest {
    SetGuardedRequest::On { pin: pin.into(), prompt: prompt() }
}

fn officer() -> UserInfo {
    user(1, Role::Officer)
}

impl Device {
    fn sensor(&self) -> &Sensor {
        self.sensor.as_ref().unwrap()
    }

    /// An officer's store, open, on a device with a sensor.
    async fn sensing() -> Device {
        let device = Device::with(Some(Arc::default()));
        device.add(&officer());
        device.unlock(&officer()).await;
        device
    }

    /// The same, which a finger opens, locked.
    async fn guarded() -> Device {
        let device = Device::sensing().await;
        device.app.set_guarded(on(PIN)).await.unwrap();
        device.app.lock().await.unwrap();
        device
    }

    async fn finger(&self, user: &UserInfo) -> Result<Status, GatewayError> {
        self.app.unlock_guarded(UnlockGuardedRequest { user: user.id, prompt: prompt() }).await
    }

    async fn pin(&self, pin: &str) -> Result<Status, GatewayError> {
        self.app.unlock(UnlockRequest { user: officer().id, pin: pin.into() }).await
    }

    async fn is_open(&self) -> bool {
        self.app.status().await.unwrap().phase == Phase::Open
    }

    async fn on_for(&self) -> Vec<UserId> {
        self.app.status().await.unwrap().guarded.on
    }

    fn vault_file(&self, user: &UserInfo) -> PathBuf {
        self.store_file(user).with_file_name("vault.json")
    }

    fn vault_json(&self, user: &UserInfo) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.vault_file(user)).unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finger_opens_the_store_and_what_it_opened_locks_itself_as_ever() {
    let mut device = Device::guarded().await;
    assert_eq!(
        device.app.status().await.unwrap().guarded,
        GuardedView { available: true, on: vec![officer().id] }
    );
    let before = device.sensor().shown();
    assert_eq!(device.finger(&officer()).await.unwrap().phase, Phase::Open);
    assert_eq!(device.sensor().inside().shown[before..], [prompt()]);
    device.app.create_client(new_client("María Peña", "1.020.345")).await.unwrap();

    device.pass(5 * 60_000);
    assert_eq!(code(device.app.portfolio(PortfolioRequest::default()).await), ErrorCode::Locked);
    device.restarted();
    device.finger(&officer()).await.unwrap();
    assert_eq!(
        device.app.portfolio(PortfolioRequest { limit: 9, ..Default::default() }).await.unwrap().total,
        1
    );
    device.app.lock().await.unwrap();
    device.pin(PIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_without_the_secret_opens_nothing() {
    let device = Device::guarded().await;
    let secret = device.sensor().kept()[0].1.clone();
    let mut one_bit_off = secret.clone();
    one_bit_off[31] ^= 1;
    let name = device.sensor().kept()[0].0.clone();
    for forged in [
        Vec::new(),
        b"true".to_vec(),
        vec![0; 32],
        vec![0xff; 32],
        one_bit_off,
        secret[..31].to_vec(),
        [secret.as_slice(), &[0]].concat(),
        hex::encode(&secret).into_bytes(),
        name.into_bytes(),
        PIN.into(),
    ] {
        let before = std::fs::read(device.vault_file(&officer())).unwrap();
        device.sensor().answers(Ok(forged.clone()));
        assert_eq!(code(device.finger(&officer()).await), ErrorCode::GuardedWrong, "{forged:?}");
        assert!(!device.is_open().await);
        assert_eq!(code(device.app.drafts().await), ErrorCode::Locked);
        assert_eq!(std::fs::read(device.vault_file(&officer())).unwrap(), before);
    }
    // Nothing but what came from the sensor was in the way.
    device.sensor().answers(Ok(secret));
    assert_eq!(device.finger(&officer()).await.unwrap().phase, Phase::Open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finger_that_is_refused_is_no_attempt_at_the_pin() {
    let device = Device::guarded().await;
    assert_eq!(code(device.pin("000000").await), ErrorCode::WrongPin);
    let before = device.vault_json(&officer());
    assert_eq!(before["failed"], 1);
    for (refusal, wanted) in [
        (GuardedError::Cancelled, ErrorCode::GuardedCancelled),
        (GuardedError::LockedOut, ErrorCode::GuardedLockedOut),
        (GuardedError::Unavailable("no sensor".into()), ErrorCode::GuardedUnavailable),
    ] {
        for _ in 0..5 {
            device.sensor().answers(Err(refusal.clone()));
            assert_eq!(code(device.finger(&officer()).await), wanted);
        }
    }
    assert_eq!(device.vault_json(&officer()), before);
    assert!(!device.is_open().await);
    device.finger(&officer()).await.unwrap();
    // Nor is one that is recognised a right PIN.
    assert_eq!(device.vault_json(&officer())["failed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_after_wrong_pins_holds_for_fingers_too_and_none_shortens_it() {
    let device = Device::guarded().await;
    for _ in 0..2 {
        assert_eq!(code(device.pin("000000").await), ErrorCode::WrongPin);
    }
    let shown = device.sensor().shown();
    let refused = device.finger(&officer()).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_at), (ErrorCode::TooManyAttempts, Some(START + 2_000)));
    assert_eq!(device.sensor().shown(), shown, "nobody is asked for a finger that will not be taken");
    device.pass(1_999);
    assert_eq!(code(device.finger(&officer()).await), ErrorCode::TooManyAttempts);
    device.pass(1);
    device.finger(&officer()).await.unwrap();
    device.app.lock().await.unwrap();
    // The third wrong one costs what a third one costs.
    let third = device.pin("000000").await.unwrap_err();
    assert_eq!((third.code, third.retry_at), (ErrorCode::WrongPin, Some(START + 2_000 + 5_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_other_people_are_recognised_it_is_off_and_the_pin_goes_on() {
    let device = Device::guarded().await;
    device.sensor().answers(Err(GuardedError::Invalidated));
    assert_eq!(code(device.finger(&officer()).await), ErrorCode::GuardedInvalidated);
    assert!(!device.is_open().await && device.on_for().await.is_empty());
    assert!(device.vault_json(&officer()).get("guarded").is_none());
    assert_eq!(device.sensor().kept(), []);
    assert_eq!(code(device.finger(&officer()).await), ErrorCode::GuardedUnavailable);
    device.pin(PIN).await.unwrap();
    device.app.set_guarded(on(PIN)).await.unwrap();
    device.app.lock().await.unwrap();
    device.finger(&officer()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_an_open_store_the_pin_and_a_finger_to_turn_it_on() {
    let device = Device::sensing().await;
    let off = async |why: &str| {
        assert!(device.on_for().await.is_empty(), "{why}");
        assert!(device.vault_json(&officer()).get("guarded").is_none(), "{why}");
        assert_eq!(device.sensor().kept(), [], "{why}");
    };
    device.app.lock().await.unwrap();
    assert_eq!(code(device.app.set_guarded(on(PIN)).await), ErrorCode::Locked);
    assert_eq!(code(device.app.set_guarded(SetGuardedRequest::Off).await), ErrorCode::Locked);
    off("locked").await;
    device.pin(PIN).await.unwrap();

    for (n, wait) in [(1, None), (2, Some(START + 2_000))] {
        let wrong = device.app.set_guarded(on("000000")).await.unwrap_err();
        assert_eq!((wrong.code, wrong.retry_at), (ErrorCode::WrongPin, wait));
        assert_eq!(device.vault_json(&officer())["failed"], n);
    }
    assert_eq!(code(device.app.set_guarded(on(PIN)).await), ErrorCode::TooManyAttempts);
    device.pass(2_000);
    assert_eq!(device.sensor().shown(), 0);
    off("wrong PIN").await;

    device.sensor().answers(Err(GuardedError::Cancelled));
    assert_eq!(code(device.app.set_guarded(on(PIN)).await), ErrorCode::GuardedCancelled);
    off("cancelled").await;
    for forged in [Vec::new(), vec![7; 32]] {
        device.sensor().answers(Ok(forged));
        assert_eq!(code(device.app.set_guarded(on(PIN)).await), ErrorCode::GuardedUnavailable);
        off("not what was kept").await;
    }
    device.app.set_guarded(on(PIN)).await.unwrap();
    assert_eq!(device.on_for().await, [officer().id]);
    assert_eq!(device.sensor().kept()[0].1.len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn off_takes_both_the_wrap_and_the_secret_away() {
    let device = Device::guarded().await;
    let (name, secret) = device.sensor().kept().remove(0);
    let with_wrap = std::fs::read(device.vault_file(&officer())).unwrap();
    device.pin(PIN).await.unwrap();
    device.app.set_guarded(SetGuardedRequest::Off).await.unwrap();
    assert!(device.on_for().await.is_empty());
    assert_eq!(device.sensor().kept(), []);
    assert!(device.vault_json(&officer()).get("guarded").is_none());
    device.app.lock().await.unwrap();

    // Neither what is left of one, nor of the other, is of use by itself.
    device.sensor().put(&name, &secret).unwrap();
    assert_eq!(code(device.finger(&officer()).await), ErrorCode::GuardedUnavailable);
    device.sensor().forget(&name).unwrap();
    std::fs::write(device.vault_file(&officer()), with_wrap).unwrap();
    assert_eq!(device.on_for().await, [officer().id]);
    assert_eq!(code(device.finger(&officer()).await), ErrorCode::GuardedInvalidated);
    assert!(!device.is_open().await);

    // On again is a new secret and a new wrap.
    device.pin(PIN).await.unwrap();
    device.app.set_guarded(on(PIN)).await.unwrap();
    assert_ne!(device.sensor().kept()[0].1, secret);
    device.app.lock().await.unwrap();
    device.sensor().answers(Ok(secret));
    assert_eq!(code(device.finger(&officer()).await), ErrorCode::GuardedWrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_on_a_device_has_their_own() {
    let device = Device::guarded().await;
    let other = user(2, Role::Manager);
    device.add(&other);
    assert_eq!(code(device.finger(&other).await), ErrorCode::GuardedUnavailable);
    let of_officer = device.sensor().kept()[0].clone();
    device.unlock(&other).await;
    device.app.set_guarded(on(PIN)).await.unwrap();
    assert_eq!(device.on_for().await, [officer().id, other.id]);
    let of_other = device.sensor().kept().into_iter().find(|(name, _)| *name != of_officer.0).unwrap();
    device.app.lock().await.unwrap();

    device.sensor().answers(Ok(of_other.1.clone()));
    assert_eq!(code(device.finger(&officer()).await), ErrorCode::GuardedWrong);
    device.sensor().answers(Ok(of_officer.1.clone()));
    assert_eq!(code(device.finger(&other).await), ErrorCode::GuardedWrong);
    for who in [&officer(), &other] {
        let status = device.finger(who).await.unwrap();
        assert_eq!((status.phase, status.user.unwrap().id), (Phase::Open, who.id));
    }
    // The manager's is open.
    device.app.set_guarded(SetGuardedRequest::Off).await.unwrap();
    assert_eq!(device.on_for().await, [officer().id]);
    assert_eq!(device.sensor().kept(), [of_officer]);
    device.finger(&officer()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_holds_the_secret_or_the_key_in_the_clear() {
    let device = Device::with(Some(Arc::default()));
    let (_, key) = device.add(&officer());
    let of_platform = device.keys.get(device.vault_json(&officer())["id"].as_str().unwrap()).unwrap();
    device.unlock(&officer()).await;
    device.app.set_guarded(on(PIN)).await.unwrap();
    let secret = device.sensor().kept()[0].1.clone();
    let wrapped = device.vault_json(&officer())["guarded"]["wrapped"].as_str().unwrap().to_owned();
    let found = |needle: &[u8]| {
        let mut folders = vec![device.folder.path().to_owned()];
        let mut hits = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    hits +=
                        std::fs::read(path).unwrap().windows(needle.len()).filter(|w| *w == needle).count();
                }
            }
        }
        hits
    };
    assert_eq!(found(wrapped.as_bytes()), 1, "the search sees the vault");
    for open in [true, false] {
        for bytes in [secret.as_slice(), key.as_slice(), &of_platform] {
            use base64::Engine as _;
            let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
            let (lower, upper) = (hex::encode(bytes), hex::encode_upper(bytes));
            for shape in [bytes, lower.as_bytes(), upper.as_bytes(), base64.as_bytes()] {
                assert_eq!(found(shape), 0, "open: {open}");
            }
        }
        device.closed(&officer()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_guarded_nothing_is_offered() {
    let device = Device::new();
    device.add(&officer());
    device.unlock(&officer()).await;
    assert_eq!(device.app.status().await.unwrap().guarded, GuardedView::default());
    assert_eq!(code(device.app.set_guarded(on("000000")).await), ErrorCode::GuardedUnavailable);
    assert_eq!(device.vault_json(&officer())["failed"], 0, "no attempt for nothing");
    assert_eq!(code(device.finger(&officer()).await), ErrorCode::GuardedUnavailable);
    device.app.set_guarded(SetGuardedRequest::Off).await.unwrap();

    let device = Device::guarded().await;
    device.sensor().inside().missing = true;
    assert_eq!(
        device.app.status().await.unwrap().guarded,
        GuardedView { available: false, on: vec![officer().id] }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialog_that_is_never_answered_keeps_nobody_from_the_pin() {
    let device = Device::guarded().await;
    let (shown, go) = device.sensor().waits();
    let app = device.app.clone();
    let asked = tokio::spawn(async move {
        app.unlock_guarded(UnlockGuardedRequest { user: officer().id, prompt: prompt() }).await
    });
    shown.recv().unwrap();
    assert_eq!(code(device.finger(&officer()).await), ErrorCode::GuardedUnavailable, "one at a time");
    device.pin(PIN).await.unwrap();
    device.app.lock().await.unwrap();
    // What was wrong in the meantime counts when the finger comes.
    for _ in 0..2 {
        assert_eq!(code(device.pin("000000").await), ErrorCode::WrongPin);
    }
    go.send(()).unwrap();
    assert_eq!(code(asked.await.unwrap()), ErrorCode::TooManyAttempts);
    assert!(!device.is_open().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_locked_before_the_finger_came_stays_as_it_was() {
    let device = Device::sensing().await;
    let (shown, go) = device.sensor().waits();
    let app = device.app.clone();
    let turning = tokio::spawn(async move { app.set_guarded(on(PIN)).await });
    shown.recv().unwrap();
    device.app.lock().await.unwrap();
    go.send(()).unwrap();
    assert_eq!(code(turning.await.unwrap()), ErrorCode::Locked);
    assert!(device.on_for().await.is_empty());
    assert_eq!(device.sensor().kept(), []);
}
