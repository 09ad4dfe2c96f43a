//! What people do in the app, step by step, as the tests, the pictures and the benchmarks share it.

use crate::{Server, SignIn, Window, until};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

const ENTER: char = '\u{e007}';

/// The PIN that everybody uses here.
pub const PIN: &str = "739154";

/// One applicant whom either reference model scores: answers by feature, in the order of the form.
/// A category's answer is the code of its option.
pub const ANSWERS: &[(&str, Answer)] = &[
    ("amount", Answer::Number("1000")),
    ("term_months", Answer::Number("36")),
    ("price", Answer::Number("1400")),
    ("job", Answer::Option("fixed")),
    ("seniority_years", Answer::Number("6")),
    ("income", Answer::Number("150")),
    ("home", Answer::Option("owner")),
    ("expenses", Answer::Number("60")),
    ("assets", Answer::Number("4000")),
    ("debt", Answer::Number("0")),
    ("records", Answer::Option("false")),
];

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// By typing a number.
    Number(&'static str),
    /// By choosing an option.
    Option(&'static str),
}

impl Answer {
    /// As the app's commands take it.
    pub fn value(self) -> Value {
        match self {
            Answer::Number(text) => text.parse::<f64>().map_or(Value::Null, Value::from),
            Answer::Option("true") => Value::Bool(true),
            Answer::Option("false") => Value::Bool(false),
            Answer::Option(code) => Value::from(code),
        }
    }
}

impl Window<'_> {
    /// First start: address, name, password, and a PIN twice; waits for the portfolio.
    ///
    /// # Errors
    /// When a step cannot be taken.
    pub async fn enrol(&self, server: &Server, who: &SignIn) -> Result<()> {
        self.enrol_at(&server.url(), who).await
    }

    /// The same at any address.
    ///
    /// # Errors
    /// When a step cannot be taken.
    pub async fn enrol_at(&self, url: &str, who: &SignIn) -> Result<()> {
        self.enter("input-server", url).await?;
        self.click("enrol-next").await?;
        self.enter("input-username", &who.username).await?;
        self.enter("input-password", &who.password).await?;
        self.click("enrol-next").await?;
        self.pin(PIN).await?;
        self.pin(PIN).await?;
        self.home().await
    }

    /// Unlocks with the PIN; the app shows where the officer was.
    ///
    /// # Errors
    /// When a step cannot be taken.
    pub async fn unlock(&self) -> Result<()> {
        self.pin(PIN).await?;
        self.gone("pin-pad").await
    }

    /// Waits for the first screen after unlocking.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn home(&self) -> Result<()> {
        self.find("[data-testid=\"portfolio-search\"], [data-testid=\"review\"]").await?;
        Ok(())
    }

    /// Enters a PIN on the pad.
    ///
    /// # Errors
    /// When the pad is not there.
    pub async fn pin(&self, pin: &str) -> Result<()> {
        self.get("pin-pad").await?;
        for digit in pin.chars() {
            self.click(&format!("pin-{digit}")).await?;
        }
        self.click("pin-enter").await
    }

    /// Enters a PIN by the keyboard.
    ///
    /// # Errors
    /// When the pad is not there.
    pub async fn type_pin(&self, pin: &str) -> Result<()> {
        // The pad is the same element before and after a wrong PIN.
        until("the pad to take keys", || async {
            let open = "const key = document.querySelector('[data-testid=\"pin-1\"]'); \
                const enter = document.querySelector('[data-testid=\"pin-enter\"]'); \
                return !!key && !key.disabled && enter.getAttribute('aria-busy') !== 'true'";
            Ok(self.script(open, vec![]).await?.as_bool().filter(|open| *open))
        })
        .await?;
        self.press_in("pin-pad", &format!("{pin}{ENTER}")).await
    }

    /// Chooses language, theme and size of the text, and waits until the page wears them. The page is
    /// loaded again: screens learn of settings when they unlock or set them themselves.
    ///
    /// # Errors
    /// When it does not come to wear them.
    pub async fn dress(&self, language: &str, theme: &str, text_percent: u16) -> Result<()> {
        let settings = json!({"language": language, "theme": theme, "text_percent": text_percent,
            "auto_lock_minutes": 30});
        self.call("set_settings", settings).await?;
        self.script("location.reload(); return null", vec![]).await?;
        until("the page's dress", || async {
            let script = "const page = document.documentElement; \
                return [page.lang, page.dataset.theme, !!document.querySelector('[data-testid]')]";
            let worn = self.script(script, vec![]).await?;
            Ok((worn == json!([language, theme, true])).then_some(()))
        })
        .await
    }

    /// Answers one question of the form and waits until the app says that it is saved.
    ///
    /// # Errors
    /// When the question does not appear or the answer is not saved.
    pub async fn answer(&self, feature: &str, answer: Answer) -> Result<()> {
        self.to_question(feature).await?;
        match answer {
            Answer::Number(text) => self.enter(&format!("input-{feature}"), text).await?,
            Answer::Option(code) => self.choose(feature, code).await?,
        }
        self.get(&format!("saved-{feature}")).await?;
        Ok(())
    }

    /// Chooses an option, shown at once or behind a list.
    ///
    /// # Errors
    /// When it is not offered.
    pub async fn choose(&self, field: &str, code: &str) -> Result<()> {
        let option = format!("option-{field}-{code}");
        if !self.has(&option).await? {
            self.click(&format!("input-{field}")).await?;
        }
        self.click(&option).await
    }

    /// Goes on through the form's sections until this question is shown.
    ///
    /// # Errors
    /// When the form ends without it.
    pub async fn to_question(&self, feature: &str) -> Result<()> {
        self.get("interview").await?;
        while !self.has(&format!("field-{feature}")).await? {
            ensure!(self.has("section-next").await?, "the form ends without {feature}");
            let before = self.text("section-title").await?;
            self.click("section-next").await?;
            self.wait_text("section-title", |title| title != before).await?;
        }
        Ok(())
    }

    /// Answers every question of [`ANSWERS`].
    ///
    /// # Errors
    /// When one cannot be answered.
    pub async fn answer_all(&self) -> Result<()> {
        for (feature, answer) in ANSWERS {
            self.answer(feature, *answer).await.with_context(|| format!("answering {feature}"))?;
        }
        Ok(())
    }

    /// Goes to one of the app's addresses, such as `/sync`.
    ///
    /// # Errors
    /// When the page does not answer.
    pub async fn go(&self, path: &str) -> Result<()> {
        self.script("location.hash = arguments[0]; return null", vec![Value::from(format!("#{path}"))])
            .await?;
        Ok(())
    }

    /// Calls one of the app's commands from the page, as its screens do.
    ///
    /// # Errors
    /// When it is refused: the refusal as JSON.
    pub async fn call(&self, command: &str, request: Value) -> Result<Value> {
        let script = "const [command, request, done] = arguments; \
            window.__TAURI__.core.invoke(command, {request}).then( \
              answer => done({answer}), refusal => done({refusal}))";
        let answer = self.script_async(script, vec![Value::from(command), request]).await?;
        anyhow::ensure!(answer.get("refusal").is_none(), "{command} was refused: {}", answer["refusal"]);
        Ok(answer["answer"].clone())
    }
}
