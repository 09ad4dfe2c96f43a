//! The commands that the page may call: each hands its request to the method of its name.

use tauri::State;
use vereda_device::App;
use vereda_domain::gateway::{self, Command, GatewayError};

macro_rules! commands {
    (asked: { $($name:ident: $command:ident,)* } plain: { $($bare:ident: $bare_command:ident,)* }) => {
        $(
            #[tauri::command]
            async fn $name(
                app: State<'_, App>,
                request: <gateway::$command as Command>::Request,
            ) -> Result<<gateway::$command as Command>::Response, GatewayError> {
                app.$name(request).await
            }
        )*
        $(
            #[tauri::command]
            async fn $bare(
                app: State<'_, App>,
            ) -> Result<<gateway::$bare_command as Command>::Response, GatewayError> {
                app.$bare().await
            }
        )*

        /// What answers the page.
        pub fn handler<R: tauri::Runtime>() -> impl Fn(tauri::ipc::Invoke<R>) -> bool + Send + Sync + 'static {
            tauri::generate_handler![$($name,)* $($bare,)*]
        }

        #[cfg(test)]
        const HANDLED: &[(&str, &str)] = &[
            $((stringify!($name), <gateway::$command as Command>::NAME),)*
            $((stringify!($bare), <gateway::$bare_command as Command>::NAME),)*
        ];
    };
}

commands! {
    asked: {
        watch: Watch,
        enrol: Enrol,
        unlock: Unlock,
        unlock_guarded: UnlockGuarded,
        sign_in_again: SignInAgain,
        portfolio: GetPortfolio,
        client: GetClient,
        duplicates: FindDuplicates,
        create_client: CreateClient,
        edit_client: EditClient,
        attach: Attach,
        file: GetFile,
        start_interview: StartInterview,
        draft: GetDraft,
        save_field: SaveField,
        save_focus: SaveFocus,
        discard_draft: DiscardDraft,
        score: Score,
        what_if: WhatIf,
        assessment: GetAssessment,
        decide: Decide,
        review: GetReview,
        export_unsent: ExportUnsent,
        set_settings: SetSettings,
        set_guarded: SetGuarded,
    }
    plain: {
        status: GetStatus,
        lock: Lock,
        drafts: GetDrafts,
        sync: GetSync,
        sync_now: SyncNow,
        sync_log: GetSyncLog,
        branch: GetBranch,
        model: GetModel,
    }
}

#[cfg(test)]
mod tests {
    use super::HANDLED;
    use std::collections::BTreeSet;
    use vereda_domain::gateway::COMMANDS;

    #[test]
    fn every_command_is_handled_under_its_name_and_named_in_the_capabilities() {
        for (handled, name) in HANDLED {
            assert_eq!(handled, name, "the handler is not named as its command");
        }
        let handled: BTreeSet<&str> = HANDLED.iter().map(|(_, name)| *name).collect();
        let commands: BTreeSet<&str> = COMMANDS.iter().copied().collect();
        assert_eq!(handled, commands);

        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/capabilities/main.json");
        let capabilities: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let permitted: BTreeSet<String> = capabilities["permissions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|permission| permission.as_str().unwrap().to_owned())
            .collect();
        let wanted: BTreeSet<String> =
            commands.iter().map(|name| format!("allow-{}", name.replace('_', "-"))).collect();
        assert_eq!(permitted, wanted);
    }
}
