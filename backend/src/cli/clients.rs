//! What clients may ask for: what is kept about them, and an end to it.

use super::id;
use anyhow::{Context, ensure};
use clap::Subcommand;
use std::path::{Path, PathBuf};
use vereda_domain::ClientId;
use vereda_domain::api::{Doer, Erasure};
use vereda_server::clock::{now_ms, rfc3339};
use vereda_server::erasure::{client_data, sweep};
use vereda_server::store::{Erase, FileKey, Store};

#[derive(Subcommand)]
pub enum ClientCommand {
    /// Write all that is kept about a client to a new folder: `client.json`, and their pictures and signatures.
    Export {
        /// Their id, as the app and the history show it.
        client: String,
        /// The folder to make.
        #[arg(long)]
        to: PathBuf,
    },
    /// Erase what is kept about a client. Devices that have it hear of it when they sync next. It cannot be undone.
    Erase {
        /// Their id.
        client: String,
        /// Their id once more, to be sure.
        #[arg(long)]
        confirm: String,
    },
    /// List whose data was erased, latest first.
    Erased,
}

/// Runs one of them.
pub async fn client(store: &dyn Store, command: ClientCommand) -> anyhow::Result<()> {
    match command {
        ClientCommand::Export { client, to } => export(store, id(&client, "the history")?, &to).await,
        ClientCommand::Erase { client, confirm } => {
            ensure!(client == confirm, "the two ids are not the same; nothing was erased");
            let client = id(&client, "the history")?;
            let erase = Erase { client, branch: None, by: Doer::CommandLine, now: now_ms() };
            let erasure = store.erase(erase).await?.context("there is no such client")?;
            // A server that runs may be at it, too: each step is taken once.
            sweep(store).await?;
            println!("erased {client} at {}", rfc3339(erasure.erased_at));
            Ok(())
        }
        ClientCommand::Erased => {
            for Erasure { client, branch, erased_at, swept_at, events } in
                store.erasures(None, u32::MAX).await?
            {
                let state =
                    swept_at.map_or_else(|| "going on".to_owned(), |at| format!("done {}", rfc3339(at)));
                println!(
                    "{client}\tbranch {branch}\terased {}\t{state}\t{events} events",
                    rfc3339(erased_at)
                );
            }
            Ok(())
        }
    }
}

async fn export(store: &dyn Store, client: ClientId, to: &Path) -> anyhow::Result<()> {
    let data =
        client_data(store, client, None, Doer::CommandLine).await?.context("there is no such client")?;
    std::fs::create_dir(to).with_context(|| format!("make the folder {}", to.display()))?;
    let text = serde_json::to_string_pretty(&data)?;
    std::fs::write(to.join("client.json"), text).context("write client.json")?;
    let (mut files, mut missing) = (0, 0);
    let attached = data.client.attachments.values();
    for info in attached.filter_map(|attached| attached.attachment.file()) {
        let file = FileKey { client, sha256: info.sha256 };
        if !store.file(file).await?.whole {
            missing += 1;
            continue;
        }
        let name = format!("{}.{}", info.sha256, info.media.as_str().rsplit('/').next().unwrap_or("bin"));
        std::fs::write(to.join(&name), store.file_bytes(file).await?)
            .with_context(|| format!("write {name}"))?;
        files += 1;
    }
    let (scores, path) = (data.history.len(), to.display());
    println!("{scores} scores and {files} files are in {path}; {missing} files have not come yet");
    Ok(())
}
