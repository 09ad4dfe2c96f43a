//! What screens are made of: behaviour and roles here, looks in `assets/*.css` by class.

mod basics;
mod dialog;
mod field;
mod icon;
mod list;
mod number;
mod options;
mod pinpad;
mod risk;
mod signature;

pub use basics::*;
pub use dialog::*;
pub use field::*;
pub use icon::*;
pub use list::*;
pub use number::*;
pub use options::*;
pub use pinpad::*;
pub use risk::*;
pub use signature::*;
