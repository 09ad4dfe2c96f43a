//! One module per screen.

mod attachments;
mod branch;
pub mod client;
pub mod client_form;
pub mod decision;
pub mod desk;
pub mod enrol;
pub mod interview;
pub mod letter;
pub mod model;
pub mod override_form;
pub mod portfolio;
pub mod question;
pub mod result;
pub mod review;
pub mod review_decide;
pub mod review_detail;
pub mod review_list;
pub mod settings;
pub mod sheet;
pub mod sync;
pub mod timeline;
pub mod unlock;
pub mod what_if;
