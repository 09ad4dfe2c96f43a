//! What a manager sees of the branch's devices, asked of the server when they look.

use super::run::with_token;
use crate::error::{DeviceError, Result};
use crate::session::Session;
use crate::store::chain;
use crate::store::meta::People;
use std::sync::Arc;
use vereda_domain::gateway::{AsideView, BranchDevice, BranchView};

pub(crate) async fn view(session: &Arc<Session>) -> Result<BranchView> {
    if !session.identity().is_manager() {
        return Err(DeviceError::Forbidden("the branch's devices are for its manager"));
    }
    let server = session.server()?;
    let server = &server;
    let devices = with_token(session, server, |token| async move { server.devices(&token).await }).await?;
    let (aside, _) =
        with_token(session, server, |token| async move { server.quarantined(&token).await }).await?;
    let people = session.read(People::load).await?;
    let mut devices: Vec<BranchDevice> = devices
        .into_iter()
        .map(|device| BranchDevice {
            device: device.id,
            user: people.of(device.user),
            name: device.name,
            seen_at: device.seen_at,
            drift_ms: device.drift_ms,
            revoked: device.revoked_at.is_some(),
        })
        .collect();
    devices.sort_by_key(|device| std::cmp::Reverse(device.drift_ms.unwrap_or(0).saturating_abs()));
    let aside = aside
        .into_iter()
        .map(|one| {
            Ok(AsideView {
                device: one.device,
                seq: one.seq,
                user: people.of(one.user),
                at: one.at,
                why: chain::why(one.reason, &one.detail)?,
            })
        })
        .collect::<Result<_>>()?;
    Ok(BranchView { devices, aside })
}
