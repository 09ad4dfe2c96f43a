//! Sending a bundle to the server.

use crate::bundle::{self, Checked};
use crate::{Error, output};
use reqwest::{Client, Response, Url, header};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vereda_domain::api::{ModelManifest, Problem, ProblemCode, Refresh, Session, SignIn};

/// How long to wait for a connection, and for any one answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(120);
/// The largest answer that is read.
const MAX_ANSWER: usize = 1024 * 1024;

/// What `publish` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The bundle.
    bundle: PathBuf,
    /// The server's address, such as https://vereda.example.
    #[arg(long)]
    server: String,
    /// The risk analyst who publishes. The password comes from the environment variable
    /// VEREDA_PASSWORD, from --password-file, or is asked for.
    #[arg(long)]
    user: String,
    /// A file whose first line is the password.
    #[arg(long)]
    password_file: Option<PathBuf>,
}

/// Checks a bundle and sends it.
///
/// # Errors
/// When the bundle is refused, there is no password, or the server cannot be reached or refuses.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let server = address(&arguments.server)?;
    let checked = bundle::read(&arguments.bundle)?;
    let model = &checked.model;
    eprintln!("{} {} is sound: {}", model.id(), model.version(), model.sha256());
    let password = password(&arguments.user, arguments.password_file.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Network { action: "starting", cause: error.to_string() })?;
    let progress = |line: &str| eprintln!("{line}");
    let sent = publish(&server, arguments.user.clone(), password, &checked, progress);
    let manifest = runtime.block_on(sent)?;
    let line = format!("published  {} {}  {}\n", manifest.id, manifest.version, manifest.sha256);
    output::write(None, line.as_bytes())?;
    eprintln!("devices take it up at their next sync");
    Ok(())
}

/// From the environment, a file, or the keyboard; never from the arguments, which every user of the
/// machine can read.
fn password(user: &str, file: Option<&Path>) -> Result<String, Error> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        return text
            .lines()
            .next()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| Error::Password(format!("the first line of {} is empty", path.display())));
    }
    if let Ok(password) = std::env::var("VEREDA_PASSWORD") {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Error::Password("there is no terminal to ask on".into()));
    }
    rpassword::prompt_password(format!("Password of {user}: "))
        .map_err(|error| Error::Password(error.to_string()))
}

/// Reads a server's address. Passwords go in the clear only to this very machine.
///
/// # Errors
/// [`Error::Address`].
pub fn address(text: &str) -> Result<Url, Error> {
    let wrong = || Error::Address(text.chars().filter(|c| !c.is_control()).take(200).collect());
    let url = Url::parse(text.trim_end_matches('/')).map_err(|_| wrong())?;
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let safe = url.scheme() == "https" || (url.scheme() == "http" && local);
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if safe && plain && url.host_str().is_some() { Ok(url) } else { Err(wrong()) }
}

/// Signs in, sends exactly the bytes that were checked, and signs out again. Sending the same bundle
/// a second time changes nothing.
///
/// # Errors
/// [`Error::Network`], [`Error::Refused`], [`Error::Different`].
pub async fn publish(
    server: &Url,
    username: String,
    password: String,
    checked: &Checked,
    progress: impl Fn(&str),
) -> Result<ModelManifest, Error> {
    let client = Client::builder()
        .user_agent(concat!("vereda-model/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        // A redirect would carry the password to somebody else.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| network("preparing the connection", &error))?;
    let at = |path: &str| format!("{}{path}", server.as_str().trim_end_matches('/'));

    progress(&format!("signing in at {server} as {}", shown(&username)));
    let action = "signing in";
    let request = client.post(at("/api/auth/sign-in")).json(&SignIn { username, password, device: None });
    let response = request.send().await.map_err(|error| network(action, &error))?;
    let session: Session = answer(action, response).await?;

    progress(&format!("sending {} bytes", checked.bytes.len()));
    let action = "publishing";
    let sent = client
        .post(at("/api/models"))
        .bearer_auth(&session.access_token)
        .header(header::CONTENT_TYPE, "application/json")
        .body(checked.bytes.clone())
        .send()
        .await
        .map_err(|error| network(action, &error));
    let outcome = match sent {
        Ok(response) => answer::<ModelManifest>(action, response).await,
        Err(error) => Err(error),
    };

    // The session has served its purpose whatever the outcome; should this fail, it expires.
    let refresh = Refresh { refresh_token: session.refresh_token };
    let signed_out =
        client.post(at("/api/auth/sign-out")).bearer_auth(&session.access_token).json(&refresh).send().await;
    if !signed_out.is_ok_and(|response| response.status().is_success()) {
        progress("could not sign out: the session ends by itself");
    }

    let manifest = outcome?;
    if manifest.sha256 != checked.model.sha256() {
        return Err(Error::Different {
            found: shown(&manifest.sha256),
            sent: checked.model.sha256().to_owned(),
        });
    }
    Ok(manifest)
}

/// The body of a success, or the refusal in the server's words.
async fn answer<T: serde::de::DeserializeOwned>(
    action: &'static str,
    response: Response,
) -> Result<T, Error> {
    let status = response.status();
    let body = body(action, response).await?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| Error::Network {
            action,
            cause: format!("the answer ({status}) is not one of a Vereda server"),
        });
    }
    let problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
        kind: "about:blank".into(),
        title: status.canonical_reason().unwrap_or("refused").into(),
        status: status.as_u16(),
        detail: "the answer is not one of a Vereda server: check the address".into(),
        code: ProblemCode::Unknown,
        request_id: String::new(),
        fields: Vec::new(),
        resume: None,
        retry_after_s: None,
        error: None,
    });
    Err(Error::Refused { action, problem: Box::new(problem) })
}

/// The body, as far as it is of a size that any answer of the server has.
async fn body(action: &'static str, mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| network(action, &error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Error::Network { action, cause: "the answer is too large".into() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error with its causes: reqwest's own message says little without them.
fn network(action: &'static str, error: &(dyn std::error::Error + 'static)) -> Error {
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        cause.push_str(": ");
        cause.push_str(&inner.to_string());
        source = inner.source();
    }
    Error::Network { action, cause }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_in_the_clear_to_this_machine_only() {
        for good in [
            "https://vereda.example",
            "https://vereda.example:8443/",
            "http://localhost:8080",
            "http://127.0.0.1:1",
            "http://[::1]:8080",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "http://vereda.example",
            "ftp://localhost",
            "vereda.example",
            "",
            "https://u:p@vereda.example",
            "http://localhost.evil.example",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
