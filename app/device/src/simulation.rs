//! What simulations do to a device. Optimised builds have it only with the feature `simulation`, which no
//! app has.

use crate::app::App;
use crate::error::DeviceError;
use crate::session::blocking;

impl App {
    /// The disk fills up: the open store may grow by so many pages and no more, and what needs another
    /// is refused by SQLite as on a full disk. With `None` there is room again, as after opening.
    ///
    /// # Errors
    /// When no store is open, or it cannot be asked.
    #[doc(hidden)]
    pub async fn simulate_room(&self, pages: Option<u32>) -> Result<(), DeviceError> {
        let session = self.untouched()?;
        blocking(move || session.store.limit_growth(pages)).await
    }
}
