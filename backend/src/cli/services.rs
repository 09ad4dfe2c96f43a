//! Other systems, the token of the first start, and the record of who did what.

use super::people::branch_named;
use anyhow::Context;
use clap::Subcommand;
use vereda_domain::api::{AddService, AuditEntry, Role, Scope};
use vereda_domain::event::ChainHead;
use vereda_server::audit;
use vereda_server::clock::rfc3339;
use vereda_server::identity::people::People;
use vereda_server::store::Store;

/// What a system may do, by its name.
fn scope(text: &str) -> Result<Scope, String> {
    let named = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    named.ok_or_else(|| format!("it must be one of: {}", Scope::write_list(&Scope::ALL)))
}

#[derive(Subcommand)]
pub enum ServiceCommand {
    /// Add a system and print its first secret, which is shown this once.
    Add {
        /// What it calls itself: its `client_id`.
        username: String,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// What it may do: `predict`, `history:read`, `outcomes:write`; several with commas between.
        #[arg(long, required = true, value_delimiter = ',', value_parser = scope)]
        scopes: Vec<Scope>,
        /// The name of the branch that it is held to, if any.
        #[arg(long)]
        branch: Option<String>,
    },
    /// Say what a system may do from now on.
    Grant {
        /// Its `client_id`.
        username: String,
        /// As for `add`.
        #[arg(long, required = true, value_delimiter = ',', value_parser = scope)]
        scopes: Vec<Scope>,
    },
    /// Make another secret and print it; two hold at a time.
    Secret {
        /// Its `client_id`.
        username: String,
    },
    /// End a secret.
    Revoke {
        /// The system's `client_id`.
        username: String,
        /// The secret's id, as `list` prints it.
        secret: String,
    },
    /// List systems: id, name, state, scopes, and the ids of their secrets with when each was last used.
    List,
}

/// Runs one of them.
pub async fn service(people: &People, command: ServiceCommand) -> anyhow::Result<()> {
    match command {
        ServiceCommand::Add { username, name, scopes, branch } => {
            let branch = match branch {
                None => None,
                Some(name) => Some(branch_named(people, &name).await?),
            };
            let account = people.add_service(AddService { username, name, scopes, branch }).await?;
            println!("added {} {}", account.id, account.username);
            secret(people, &account.username).await?;
        }
        ServiceCommand::Grant { username, scopes } => {
            let account = people.grant(people.named(&username).await?.id, scopes).await?;
            println!("{} may {}", account.username, Scope::write_list(&account.scopes));
        }
        ServiceCommand::Secret { username } => secret(people, &username).await?,
        ServiceCommand::Revoke { username, secret } => {
            let service = people.named(&username).await?;
            people.revoke_secret(service.id, super::id(&secret, "service list")?).await?;
            println!("revoked {secret}");
        }
        ServiceCommand::List => {
            for account in people.services().await? {
                let state = if account.disabled { "disabled" } else { "active" };
                let scopes = Scope::write_list(&account.scopes);
                println!("{}\t{}\t{state}\t{scopes}\t{}", account.id, account.username, account.name);
                for secret in account.secrets {
                    let used = secret
                        .used_at
                        .map_or_else(|| "never used".to_owned(), |at| format!("used {}", rfc3339(at)));
                    println!("  secret {}\tmade {}\t{used}", secret.id, rfc3339(secret.made_at));
                }
            }
        }
    }
    Ok(())
}

async fn secret(people: &People, username: &str) -> anyhow::Result<()> {
    let issued = people.issue_secret(people.named(username).await?.id).await?;
    println!("secret {}\n{}", issued.id, issued.client_secret);
    Ok(())
}

/// Prints a token with which the first administrator is made.
pub async fn setup_token(people: &People) -> anyhow::Result<()> {
    let (token, expires) = people.issue_setup_token().await?;
    println!("{token}");
    eprintln!("it works once, at POST /api/setup, until {}", rfc3339(expires));
    Ok(())
}

/// Says so when nobody can see to people yet.
pub async fn look_for_admin(people: &People) -> anyhow::Result<()> {
    let mut users = people.users().await?.into_iter();
    if !users.any(|user| user.role == Role::Admin && !user.disabled) {
        tracing::warn!(
            "there is no administrator: `vereda-server setup-token` prints a token to make one with"
        );
    }
    Ok(())
}

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Check that no entry was changed, removed or put in, and print where the log ends.
    Verify {
        /// What an earlier `verify` printed: entry and hash, with a colon between. Keep it elsewhere: it tells
        /// whether the end was taken away, or all of it written anew.
        #[arg(long)]
        known: Option<String>,
    },
    /// Print the entries: their place, time, who and what.
    List {
        /// After this place.
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
}

/// Runs one of them.
pub async fn audit(store: &dyn Store, command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Verify { known } => {
            let known = known.map(|text| head(&text)).transpose()?;
            let ChainHead { seq, hash } = audit::verify(store, known).await?;
            println!("{seq}:{hash}");
        }
        AuditCommand::List { mut after } => loop {
            let rows = store.audit(after, 1000).await?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            for row in rows {
                let entry: AuditEntry = serde_json::from_str(&row.text).context("an entry cannot be read")?;
                let (by, deed) = (serde_json::to_string(&entry.by)?, serde_json::to_string(&entry.deed)?);
                println!("{}\t{}\t{by}\t{deed}", entry.seq, rfc3339(entry.at));
            }
        },
    }
    Ok(())
}

fn head(text: &str) -> anyhow::Result<ChainHead> {
    let read = || {
        let (seq, hash) = text.trim().split_once(':')?;
        Some(ChainHead { seq: seq.parse().ok()?, hash: hash.parse().ok()? })
    };
    read().with_context(|| {
        format!("{text:?} is not what `audit verify` prints: an entry's number, a colon and its hash")
    })
}
