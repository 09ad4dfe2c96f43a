//! Works as fast as it can and says, line by line, what was acknowledged, until somebody kills it.
//! The test of kills (`tests/kill.rs`) drives it.
//!
//! Arguments: the data folder, the key store's file, the user, a client of theirs, the first number.

use std::error::Error;
use std::io::Write;
use vereda_device::{App, AppConfig, KeyStore, WallClock};
use vereda_domain::client::{CONSENT_TEXT_VERSION, ClientField, Consent};
use vereda_domain::gateway::{
    ClientRequest, CreateClientRequest, GatewayError, SaveFieldRequest, UnlockRequest,
};
use vereda_scoring::Value;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("five arguments are needed");
    let (data_dir, keys, user, client) = (next()?, next()?, next()?.parse()?, next()?.parse()?);
    let first: u32 = next()?.parse()?;
    let app = App::open(AppConfig {
        data_dir: data_dir.into(),
        keystore: KeyStore::given(keyring_core::sample::Store::new_with_backing(&keys)?),
        device_name: "killed".into(),
        platform: "linux".into(),
        version: "0.0.0".into(),
        clock: WallClock::system(),
    });
    work(&app, UnlockRequest { user, pin: "274913".into() }, ClientRequest { client }, first)
        .await
        .map_err(|error| error.message.into())
}

async fn work(
    app: &App,
    unlock: UnlockRequest,
    client: ClientRequest,
    first: u32,
) -> Result<(), GatewayError> {
    app.unlock(unlock).await?;
    let draft = app.start_interview(client).await?.id;
    for n in first.. {
        let value = Some(Value::Number(f64::from(n)));
        app.save_field(SaveFieldRequest { draft, field: "amount".into(), value }).await?;
        acknowledge("field", n);
        if n % 4 == 0 {
            let fields =
                [(ClientField::Name, format!("Persona {n}")), (ClientField::Document, n.to_string())];
            let consent = Consent { at: 0, text_version: CONSENT_TEXT_VERSION.into() };
            app.create_client(CreateClientRequest { fields: fields.into(), consent }).await?;
            acknowledge("client", n);
        }
    }
    Ok(())
}

fn acknowledge(what: &str, n: u32) {
    let mut out = std::io::stdout().lock();
    // A closed pipe means that the test has gone, and so may this.
    if writeln!(out, "{what} {n}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}
