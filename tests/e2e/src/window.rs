//! The `vereda` program in its window, driven through WebDriver.

use crate::process::{Program, signal};
use crate::texts::{Texts, plain};
use crate::{Desktop, until};
use anyhow::Context as _;
use fantoccini::actions::{InputSource as _, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::elements::Element;
use fantoccini::wd::TimeoutConfiguration;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// How large the window is, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// 360 x 800.
    Phone,
    /// 1366 x 768.
    Desktop,
}

impl Shape {
    /// Width and height.
    pub fn size(self) -> (u32, u32) {
        match self {
            Shape::Phone => (360, 800),
            Shape::Desktop => (1366, 768),
        }
    }
}

/// See the module.
pub struct Window<'d> {
    desktop: &'d Desktop,
    driver_url: String,
    client: Option<Client>,
    _driver: Program,
}

impl<'d> Window<'d> {
    /// Opens the app on its data folder.
    ///
    /// # Errors
    /// When the driver or the app does not start.
    pub async fn open(desktop: &'d Desktop, data: &Path, shape: Shape) -> anyhow::Result<Window<'d>> {
        Window::open_at(desktop, data, shape, None).await
    }

    /// As [`Window::open`], with a clock that is off by so much, as `faketime` writes it: `+365d`.
    ///
    /// # Errors
    /// When the driver or the app does not start.
    pub async fn open_at(
        desktop: &'d Desktop,
        data: &Path,
        shape: Shape,
        clock: Option<&str>,
    ) -> anyhow::Result<Window<'d>> {
        std::fs::create_dir_all(data)?;
        let (port, native) = (crate::process::free_port()?, crate::process::free_port()?);
        let driver = crate::root().join("target/tools/bin/tauri-driver");
        let driver = if driver.exists() { driver } else { PathBuf::from("tauri-driver") };
        let mut command = match clock {
            None => Command::new(driver),
            Some(offset) => {
                let mut command = Command::new("faketime");
                command.args(["--exclude-monotonic", "-f", offset]).arg(driver);
                command
            }
        };
        command.args(["--port", &port.to_string(), "--native-port", &native.to_string()]);
        desktop.adopt(&mut command);
        let (width, height) = shape.size();
        command.env("VEREDA_DATA_DIR", data).env("VEREDA_WINDOW", format!("{width}x{height}"));
        let mut driver = Program::start(command)?;
        driver.drain();
        let mut window =
            Window { desktop, driver_url: format!("http://127.0.0.1:{port}"), client: None, _driver: driver };
        window.start().await?;
        Ok(window)
    }

    /// Starts the app (again) and waits for its page.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let app = crate::built("vereda")?;
        let capabilities = json!({"browserName": "wry", "tauri:options": {"application": app}});
        let Value::Object(capabilities) = capabilities else { anyhow::bail!("capabilities are an object") };
        let client = until("the driver", || async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            Ok(Some(builder.connect(&self.driver_url).await?))
        })
        .await?;
        // Scripts that wait for the app, as a first sync of a large portfolio does, take their time.
        let patience = TimeoutConfiguration::new(Some(crate::LIMIT), None, None);
        client.update_timeouts(patience).await?;
        self.client = Some(client);
        self.find("[data-testid]").await.context("the page did not come up")?;
        Ok(())
    }

    /// SIGKILL to the app, as when a battery dies; the window is gone afterwards.
    ///
    /// # Errors
    /// When the app does not run.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let pid = self.pid()?;
        signal(pid, "KILL").await?;
        if let Some(client) = self.client.take() {
            // The session ends with an error or without; the next one needs the driver free of it.
            let _ = client.close().await;
        }
        until("the app to be gone", || async {
            Ok((!Path::new(&format!("/proc/{pid}/exe")).exists()).then_some(()))
        })
        .await
    }

    /// Closes the app as its user would.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn close(mut self) -> anyhow::Result<()> {
        if let Some(client) = self.client.take() {
            client.close().await?;
        }
        Ok(())
    }

    /// The app's process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> anyhow::Result<u32> {
        let app = crate::built("vereda")?.canonicalize()?;
        let home = self.desktop.home().as_os_str().as_encoded_bytes().to_owned();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let Ok(exe) = std::fs::read_link(entry.path().join("exe")) else { continue };
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            // Other tests may run the same program on a desktop of their own.
            let ours = environment.split(|byte| *byte == 0).any(|v| v.strip_prefix(b"HOME=") == Some(&home));
            if exe == app && ours {
                return Ok(pid);
            }
        }
        anyhow::bail!("the app does not run")
    }

    /// The processes that draw the app's pages.
    ///
    /// # Errors
    /// When the app does not run.
    pub fn page_processes(&self) -> anyhow::Result<Vec<u32>> {
        let app = self.pid()?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            let Some((name, rest)) = stat.rsplit_once(')') else { continue };
            let parent = rest.split_whitespace().nth(1).and_then(|parent| parent.parse::<u32>().ok());
            if name.contains("(WebKitWebProces") && parent == Some(app) && !rest.starts_with(" Z") {
                found.push(pid);
            }
        }
        Ok(found)
    }

    fn client(&self) -> anyhow::Result<&Client> {
        self.client.as_ref().context("the app is not open")
    }

    /// The first element that fits a CSS selector, as soon as it is there.
    ///
    /// # Errors
    /// When it does not appear.
    pub async fn find(&self, css: &str) -> anyhow::Result<Element> {
        let found = until(&format!("{css} to appear"), || async {
            let all = self.client()?.find_all(Locator::Css(css)).await?;
            for element in all {
                if element.is_displayed().await? {
                    return Ok(Some(element));
                }
            }
            Ok(None)
        })
        .await;
        match found {
            Ok(element) => Ok(element),
            Err(error) => Err(error.context(self.witness().await)),
        }
    }

    /// The element with this test id.
    ///
    /// # Errors
    /// When it does not appear.
    pub async fn get(&self, id: &str) -> anyhow::Result<Element> {
        self.find(&format!("[data-testid=\"{id}\"]")).await
    }

    /// Whether an element with this test id is shown right now.
    ///
    /// # Errors
    /// When the page does not answer.
    pub async fn has(&self, id: &str) -> anyhow::Result<bool> {
        let css = format!("[data-testid=\"{id}\"]");
        for element in self.client()?.find_all(Locator::Css(&css)).await? {
            if element.is_displayed().await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Clicks the element with this test id as soon as that can be done.
    ///
    /// # Errors
    /// When it does not appear, is disabled or stays covered.
    pub async fn click(&self, id: &str) -> anyhow::Result<()> {
        let css = format!("[data-testid=\"{id}\"]");
        let clicked = until(&format!("{id} to be clicked"), || async {
            let element = self.client()?.find(Locator::Css(&css)).await?;
            if !element.is_enabled().await? {
                return Ok(None);
            }
            // WebDriver scrolls only until the element touches the view, where a bar may cover it.
            let centre = "arguments[0].scrollIntoView({block: 'center'})";
            self.client()?.execute(centre, vec![serde_json::to_value(&element)?]).await?;
            element.click().await?;
            Ok(Some(()))
        })
        .await;
        match clicked {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.witness().await)),
        }
    }

    /// Types into the field with this test id after emptying it.
    ///
    /// # Errors
    /// When it does not appear or does not take keys.
    pub async fn enter(&self, id: &str, text: &str) -> anyhow::Result<()> {
        self.click(id).await?;
        let element = self.get(id).await?;
        // Select all and type over it, as a person does.
        element.send_keys("\u{e009}a\u{e000}").await?;
        element.send_keys(text).await?;
        Ok(())
    }

    /// Presses keys wherever the focus is.
    ///
    /// # Errors
    /// When the page does not answer.
    pub async fn press(&self, keys: &str) -> anyhow::Result<()> {
        self.client()?.active_element().await?.send_keys(keys).await?;
        Ok(())
    }

    /// Presses keys in the element with this test id.
    ///
    /// # Errors
    /// When it does not appear or does not take keys.
    pub async fn press_in(&self, id: &str, keys: &str) -> anyhow::Result<()> {
        Ok(self.get(id).await?.send_keys(keys).await?)
    }

    /// Draws a line over the element with this test id, in shares of its width and height, with the button
    /// held down.
    ///
    /// # Errors
    /// When it does not appear or is not in view.
    pub async fn draw(&self, id: &str, points: &[(f64, f64)]) -> anyhow::Result<()> {
        let element = self.get(id).await?;
        let centre = "arguments[0].scrollIntoView({block: 'center'})";
        self.client()?.execute(centre, vec![serde_json::to_value(&element)?]).await?;
        // In the view: WebDriver's own rectangle is in the page.
        let frame =
            "const f = arguments[0].getBoundingClientRect(); return [f.left, f.top, f.width, f.height]";
        let frame = self.script(frame, vec![serde_json::to_value(&element)?]).await?;
        let side = |n: usize| frame[n].as_f64().unwrap_or_default();
        let mut mouse = MouseActions::new("pen".to_owned());
        for (n, (x, y)) in points.iter().enumerate() {
            let (x, y) = ((side(0) + x * side(2)).round(), (side(1) + y * side(3)).round());
            let duration = Some(std::time::Duration::from_millis(40));
            mouse = mouse.then(PointerAction::MoveTo { duration, x, y });
            if n == 0 {
                mouse = mouse.then(PointerAction::Down { button: MOUSE_BUTTON_LEFT });
            }
        }
        mouse = mouse.then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.client()?.perform_actions(mouse).await?;
        Ok(())
    }

    /// The text shown in the element with this test id.
    ///
    /// # Errors
    /// When it does not appear.
    pub async fn text(&self, id: &str) -> anyhow::Result<String> {
        self.get(id).await?;
        Ok(self.shown(id).await?.unwrap_or_default())
    }

    /// The text of the element with this test id as the page draws it, clipped or not; WebDriver's own
    /// answer is empty for a text that is cut after some lines.
    async fn shown(&self, id: &str) -> anyhow::Result<Option<String>> {
        let script = "const all = [...document.querySelectorAll(`[data-testid=\"${arguments[0]}\"]`)]; \
            const seen = all.find(element => element.getClientRects().length > 0); \
            return seen ? seen.innerText : null";
        let text = self.client()?.execute(script, vec![json!(id)]).await?;
        Ok(text.as_str().map(str::to_owned))
    }

    /// What stands in the field with this test id.
    ///
    /// # Errors
    /// When it does not appear.
    pub async fn value(&self, id: &str) -> anyhow::Result<String> {
        Ok(self.get(id).await?.prop("value").await?.unwrap_or_default())
    }

    /// An attribute of the element with this test id.
    ///
    /// # Errors
    /// When it does not appear.
    pub async fn attr(&self, id: &str, name: &str) -> anyhow::Result<Option<String>> {
        Ok(self.get(id).await?.attr(name).await?)
    }

    /// Waits until the text of the element with this test id fits.
    ///
    /// # Errors
    /// When it does not come to fit; says what it was last.
    pub async fn wait_text(&self, id: &str, fits: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        let waited = until(&format!("the text of {id}"), || async {
            let text = self.shown(id).await?.unwrap_or_default();
            if fits(&text) { Ok(Some(text)) } else { anyhow::bail!("it is {text:?}") }
        })
        .await;
        match waited {
            Ok(text) => Ok(text),
            Err(error) => Err(error.context(self.witness().await)),
        }
    }

    /// Waits until the element with this test id shows all of these texts in a language of the app.
    ///
    /// # Errors
    /// When it does not, or the catalogue lacks one; says what it was last.
    pub async fn says(&self, id: &str, language: &str, keys: &[&str]) -> anyhow::Result<()> {
        let texts = Texts::of(language)?;
        let mut wanted = Vec::new();
        for key in keys {
            wanted.extend(texts.parts(key)?);
        }
        let all = |text: &str| wanted.iter().all(|part| plain(text).contains(part));
        self.wait_text(id, all).await.with_context(|| format!("{id} says in {language}: {wanted:?}"))?;
        Ok(())
    }

    /// Waits until the element with this test id is not shown any more.
    ///
    /// # Errors
    /// When it stays.
    pub async fn gone(&self, id: &str) -> anyhow::Result<()> {
        until(&format!("{id} to go"), || async { Ok((!self.has(id).await?).then_some(())) }).await
    }

    /// The test id of the element that has the focus.
    ///
    /// # Errors
    /// When the page does not answer.
    pub async fn focused(&self) -> anyhow::Result<Option<String>> {
        Ok(self.client()?.active_element().await?.attr("data-testid").await?)
    }

    /// Runs a script in the page.
    ///
    /// # Errors
    /// When it throws.
    pub async fn script(&self, script: &str, arguments: Vec<Value>) -> anyhow::Result<Value> {
        Ok(self.client()?.execute(script, arguments).await?)
    }

    /// Runs a script in the page that calls its last argument when it is done.
    ///
    /// # Errors
    /// When it throws, or does not call back in time.
    pub async fn script_async(&self, script: &str, arguments: Vec<Value>) -> anyhow::Result<Value> {
        Ok(self.client()?.execute_async(script, arguments).await?)
    }

    /// What axe-core finds wrong with the page as it stands, as a readable list; empty when nothing.
    ///
    /// # Errors
    /// When axe-core cannot be run.
    pub async fn axe(&self) -> anyhow::Result<Vec<String>> {
        let source = include_str!("../vendor/axe.min.js");
        let client = self.client()?;
        client.execute(&format!("if (!window.axe) {{ {source} }}; return typeof axe"), vec![]).await?;
        let run = "const done = arguments[arguments.length - 1]; \
                   axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations), \
                   e => done(String(e)))";
        let found = client.execute_async(run, vec![]).await?;
        let violations = found.as_array().with_context(|| format!("axe-core answered {found}"))?;
        let mut list = Vec::new();
        for violation in violations {
            for node in violation["nodes"].as_array().into_iter().flatten() {
                list.push(format!("{}: {} {}", violation["id"], violation["help"], node["html"]));
            }
        }
        Ok(list)
    }

    /// Takes a picture of the screen.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub async fn picture(&self, file: &Path) -> anyhow::Result<()> {
        self.desktop.picture(file).await
    }

    /// Leaves a picture and the page's text behind, and says where.
    async fn witness(&self) -> String {
        let folder = crate::root().join("target/e2e");
        let picture = folder.join(format!("failed-{}.png", std::process::id()));
        let _ = self.desktop.picture(&picture).await;
        let text = match self.client() {
            Ok(client) => client.execute("return document.body.innerText", vec![]).await.ok(),
            Err(_) => None,
        };
        let text = text.as_ref().and_then(Value::as_str).unwrap_or("(no answer)");
        format!("the page then showed:\n{text}\n(picture: {})", picture.display())
    }
}
