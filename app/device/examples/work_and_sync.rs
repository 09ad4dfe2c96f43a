//! Captures clients and syncs, and says what was acknowledged, until it is killed. The test of kills
//! (`tests/kill_points.rs`) drives it.
//!
//! Arguments: the data folder, the key store's file, the user, the first number.

use std::error::Error;
use std::io::Write;
use vereda_device::{App, AppConfig, KeyStore, WallClock};
use vereda_domain::client::{CONSENT_TEXT_VERSION, ClientField, Consent};
use vereda_domain::gateway::{
    AttachRequest, CreateClientRequest, GatewayError, NewAttachment, UnlockRequest,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("four arguments are needed");
    let (data_dir, keys, user) = (next()?, next()?, next()?.parse()?);
    let first: u32 = next()?.parse()?;
    let app = App::open_simulated(AppConfig {
        data_dir: data_dir.into(),
        keystore: KeyStore::given(keyring_core::sample::Store::new_with_backing(&keys)?),
        device_name: "killed".into(),
        platform: "linux".into(),
        version: "0.0.0".into(),
        clock: WallClock::system(),
    });
    work(&app, UnlockRequest { user, pin: "274913".into() }, first)
        .await
        .map_err(|error| error.message.into())
}

/// Says what is durable; `false` when nobody listens any more: the test has gone, and so may this.
fn say(what: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}").and_then(|()| out.flush()).is_ok()
}

async fn work(app: &App, unlock: UnlockRequest, first: u32) -> Result<(), GatewayError> {
    app.unlock(unlock).await?;
    for n in first.. {
        let fields =
            [(ClientField::Name, format!("Persona {n}")), (ClientField::Document, format!("5{n:07}"))];
        let consent = Consent { at: 0, text_version: CONSENT_TEXT_VERSION.into() };
        let client = app.create_client(CreateClientRequest { fields: fields.into(), consent }).await?.row.id;
        if !say(&n.to_string()) {
            return Ok(());
        }
        if n % 3 == 1 {
            let what = NewAttachment::Signature { strokes: vec![vec![(0.1, 0.1), (0.9, 0.3)]] };
            app.attach(AttachRequest { client, what }).await?;
            if !say(&format!("file {n}")) {
                return Ok(());
            }
        }
        if n % 3 == 0 {
            app.sync_now().await?;
        }
    }
    Ok(())
}
