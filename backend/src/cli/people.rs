//! People, branches and devices.

use super::first_line;
use clap::{Subcommand, ValueEnum};
use vereda_domain::BranchId;
use vereda_domain::api::{AddUser, Role, UserChange};
use vereda_server::identity::people::People;

#[derive(Subcommand)]
pub enum UserCommand {
    /// Add somebody. The password comes from VEREDA_PASSWORD or the first line of standard input.
    Add {
        /// What they sign in with.
        username: String,
        /// What people call them.
        #[arg(long)]
        name: String,
        /// What they may do.
        #[arg(long)]
        role: RoleName,
        /// The name of their branch; officers and managers need one.
        #[arg(long)]
        branch: Option<String>,
        /// The password; better given by environment or standard input than here.
        #[arg(long, env = "VEREDA_PASSWORD", hide_env_values = true)]
        password: Option<String>,
    },
    /// Let somebody, or a service, in no more. What they captured is still taken in.
    Disable {
        /// What they sign in with.
        username: String,
    },
    /// Let somebody sign in again.
    Enable {
        /// What they sign in with.
        username: String,
    },
    /// Change what people call somebody.
    Rename {
        /// What they sign in with.
        username: String,
        /// What people call them.
        #[arg(long)]
        name: String,
    },
    /// Give somebody another password and end their sessions. It comes from VEREDA_PASSWORD or the first line
    /// of standard input.
    Password {
        /// What they sign in with.
        username: String,
        /// The password; better given by environment or standard input than here.
        #[arg(long, env = "VEREDA_PASSWORD", hide_env_values = true)]
        password: Option<String>,
    },
    /// List everybody.
    List,
}

#[derive(Subcommand)]
pub enum DeviceCommand {
    /// List every device: id, owner, name, last seen, clock drift, state.
    List,
    /// End a device's access. What was captured on it is still taken in.
    Revoke {
        /// Its id, as `device list` prints it.
        id: String,
    },
}

#[derive(Subcommand)]
pub enum BranchCommand {
    /// Add a branch.
    Add {
        /// Its name.
        name: String,
    },
    /// Give a branch another name.
    Rename {
        /// Its name.
        name: String,
        /// The other one.
        to: String,
    },
    /// List branches.
    List,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum RoleName {
    Officer,
    Manager,
    Analyst,
    Admin,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Role {
        match role {
            RoleName::Officer => Role::Officer,
            RoleName::Manager => Role::Manager,
            RoleName::Analyst => Role::Analyst,
            RoleName::Admin => Role::Admin,
        }
    }
}

/// Runs one of them.
pub async fn user(people: &People, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add { username, name, role, branch, password } => {
            let branch = match branch {
                None => None,
                Some(name) => Some(branch_named(people, &name).await?),
            };
            let password = match password {
                Some(password) => password,
                None => first_line()?,
            };
            let new = AddUser { username, name, password, role: role.into(), branch };
            let user = people.add_user(new).await?;
            println!("added {} {} ({})", user.id, user.username, user.role.as_str());
        }
        UserCommand::Disable { username } => {
            people.disable_user(&username).await?;
            println!("disabled {username}");
        }
        UserCommand::Enable { username } => {
            let user = people.named(&username).await?;
            people.change_user(user.id, UserChange::Enable).await?;
            println!("enabled {username}");
        }
        UserCommand::Rename { username, name } => {
            let user = people.named(&username).await?;
            let user = people.change_user(user.id, UserChange::Rename { name }).await?;
            println!("renamed {username}: {}", user.name);
        }
        UserCommand::Password { username, password } => {
            let user = people.named(&username).await?;
            let password = match password {
                Some(password) => password,
                None => first_line()?,
            };
            people.change_user(user.id, UserChange::SetPassword { password }).await?;
            println!("{username} has another password, and no session");
        }
        UserCommand::List => {
            for user in people.users().await? {
                let branch = user.branch.map_or("-".to_owned(), |b| b.name);
                let state = if user.disabled { "disabled" } else { "active" };
                println!(
                    "{}\t{}\t{}\t{branch}\t{state}\t{}",
                    user.id,
                    user.username,
                    user.role.as_str(),
                    user.name
                );
            }
        }
    }
    Ok(())
}

/// Runs one of them.
pub async fn device(people: &People, command: DeviceCommand) -> anyhow::Result<()> {
    match command {
        DeviceCommand::List => {
            for device in people.devices().await? {
                let drift = device.drift_ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
                let state = if device.revoked_at.is_some() { "revoked" } else { "active" };
                println!(
                    "{}\t{}\t{:?}\t{}\t{drift}\t{state}",
                    device.id, device.user, device.name, device.seen_at
                );
            }
        }
        DeviceCommand::Revoke { id } => {
            people.revoke_device(super::id(&id, "device list")?).await?;
            println!("revoked {id}");
        }
    }
    Ok(())
}

/// Runs one of them.
pub async fn branch(people: &People, command: BranchCommand) -> anyhow::Result<()> {
    match command {
        BranchCommand::Add { name } => {
            let branch = people.add_branch(&name).await?;
            println!("added {} {}", branch.id, branch.name);
        }
        BranchCommand::Rename { name, to } => {
            let branch = people.rename_branch(branch_named(people, &name).await?, &to).await?;
            println!("renamed {} {}", branch.id, branch.name);
        }
        BranchCommand::List => {
            for branch in people.branches().await? {
                println!("{}\t{}", branch.id, branch.name);
            }
        }
    }
    Ok(())
}

/// The branch of this name.
pub async fn branch_named(people: &People, name: &str) -> anyhow::Result<BranchId> {
    let found = people.branches().await?.into_iter().find(|branch| branch.name == name);
    let missing = || anyhow::anyhow!("there is no branch {name:?}; add it with `branch add`");
    Ok(found.ok_or_else(missing)?.id)
}
