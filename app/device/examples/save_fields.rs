//! Works as fast as it can and says, line by line, what was acknowledged, until somebody ends it.
//! The tests of kills and of power cuts (`tests/kill.rs`, `tests/power.rs`) drive it.
//!
//! Arguments: the data folder and the key store's file; then the user, a client of theirs and the first number, or, for
//! a device that nobody has used, the server's address, a name and a password.

use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use vereda_device::{App, AppConfig, KeyStore, WallClock};
use vereda_domain::ClientId;
use vereda_domain::client::{CONSENT_TEXT_VERSION, ClientField, Consent};
use vereda_domain::gateway::{
    ClientRequest, CreateClientRequest, EnrolRequest, GatewayError, SaveFieldRequest, UnlockRequest,
};
use vereda_scoring::Value;

const PIN: &str = "274913";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("five arguments are needed");
    let (data_dir, keys, who) = (next()?, next()?, next()?);
    let store = keyring_core::sample::Store::new_with_backing(&keys)?;
    let app = App::open(AppConfig {
        data_dir: data_dir.into(),
        keystore: KeyStore::given(store.clone()),
        device_name: "ended".into(),
        platform: "linux".into(),
        version: "0.0.0".into(),
        clock: WallClock::system(),
    });
    if who.starts_with("http") {
        let (username, password) = (next()?, next()?);
        let request = EnrolRequest { server: who, username, password, pin: PIN.into() };
        let user = app.enrol(request).await.map_err(|error| error.message)?.user.ok_or("no user")?.id;
        // Which keeps what it is given, as that of a phone does.
        store.save()?;
        app.sync_now().await.map_err(|error| error.message)?;
        let client = create(&app, 77_777_777).await.map_err(|error| error.message)?;
        acknowledge("user", user);
        acknowledge("first", client);
        work(&app, ClientRequest { client }, 1).await.map_err(|error| error.message.into())
    } else {
        let (client, first) = (next()?.parse()?, next()?.parse()?);
        let unlock = UnlockRequest { user: who.parse()?, pin: PIN.into() };
        app.unlock(unlock).await.map_err(|error| error.message)?;
        work(&app, ClientRequest { client }, first).await.map_err(|error| error.message.into())
    }
}

async fn work(app: &App, client: ClientRequest, first: u32) -> Result<(), GatewayError> {
    let draft = app.start_interview(client).await?.id;
    for n in first.. {
        let value = Some(Value::Number(f64::from(n)));
        app.save_field(SaveFieldRequest { draft, field: "amount".into(), value }).await?;
        acknowledge("field", n);
        if n % 4 == 0 {
            create(app, n).await?;
            acknowledge("client", n);
        }
    }
    Ok(())
}

async fn create(app: &App, n: u32) -> Result<ClientId, GatewayError> {
    let fields = [(ClientField::Name, format!("Persona {n}")), (ClientField::Document, n.to_string())];
    let consent = Consent { at: 0, text_version: CONSENT_TEXT_VERSION.into() };
    Ok(app.create_client(CreateClientRequest { fields: fields.into(), consent }).await?.row.id)
}

fn acknowledge(what: &str, which: impl Display) {
    let mut out = std::io::stdout().lock();
    // A closed pipe means that the test has gone, and so may this.
    if writeln!(out, "{what} {which}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}
