//! The way from a screen to what serves it.

use vereda_domain::gateway::{Command, ErrorCode, GatewayError};
use wasm_bindgen::prelude::*;

/// Whoever carries out commands: the native side of the app, or (in a browser) the server.
pub trait Gateway: Copy + 'static {
    /// Carries out one command.
    ///
    /// # Errors
    /// The refusal, as the catalogues know it.
    fn call<C: Command>(
        self,
        request: C::Request,
    ) -> impl Future<Output = Result<C::Response, GatewayError>> + 'static;
}

/// The native side of the app, over Tauri's inter-process calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TauriGateway;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["window", "__TAURI__", "core"], js_name = invoke)]
    async fn invoke(command: &str, arguments: JsValue) -> Result<JsValue, JsValue>;
}

impl Gateway for TauriGateway {
    fn call<C: Command>(
        self,
        request: C::Request,
    ) -> impl Future<Output = Result<C::Response, GatewayError>> + 'static {
        // Written to JSON at once, so that the future holds no borrow and no request type.
        let arguments = serde_json::to_string(&serde_json::json!({ "request": request }));
        async move {
            let arguments = arguments.map_err(|e| broken(format!("{}: request: {e}", C::NAME)))?;
            let arguments = js_sys::JSON::parse(&arguments)
                .map_err(|_| broken(format!("{}: the request is no JSON", C::NAME)))?;
            match invoke(C::NAME, arguments).await {
                Ok(value) => serde_json::from_str(&json(&value))
                    .map_err(|e| broken(format!("{}: answer: {e}", C::NAME))),
                Err(value) => Err(refusal(C::NAME, &json(&value))),
            }
        }
    }
}

/// A JavaScript value as JSON; nothing (`undefined`) is `null`.
fn json(value: &JsValue) -> String {
    match js_sys::JSON::stringify(value) {
        Ok(text) => text.as_string().unwrap_or_else(|| "null".to_owned()),
        Err(_) => "null".to_owned(),
    }
}

/// A refusal as it came; anything else that was thrown is a bug, kept for support.
fn refusal(command: &str, thrown: &str) -> GatewayError {
    serde_json::from_str(thrown).unwrap_or_else(|_| {
        let shown: String = thrown.chars().take(300).collect();
        broken(format!("{command}: thrown: {shown}"))
    })
}

fn broken(message: String) -> GatewayError {
    GatewayError {
        code: ErrorCode::Internal,
        message,
        fields: Vec::new(),
        client_fields: Vec::new(),
        retry_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_and_anything_else_becomes_an_internal_error() {
        let read = refusal("unlock", r#"{"code":"wrong-pin","message":"m","retry_at":5}"#);
        assert_eq!((read.code, read.retry_at), (ErrorCode::WrongPin, Some(5)));
        let other = refusal("unlock", r#""command unlock not found""#);
        assert_eq!(other.code, ErrorCode::Internal);
        assert!(other.message.contains("not found"));
    }
}
