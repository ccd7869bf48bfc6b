//! Many copies from one file of settings.
//!
//! A [`Config`] is such a file, read and checked: whatever is wrong with it is told with line and column ([`At`]). [`Work`]
//! gathers what its copies come to, destination by destination, and [`Plans`] are what is missing, to be looked at and
//! carried out. All that goes to one place goes there in one session, and what goes to several is asked of its source
//! once ([`endpoint::shared`](crate::endpoint::shared)).
//!
//! [`import`] says the files of regsync and skopeo in these words.
//!
//! What it does not do: it opens no places, reads no secrets, and knows no times: a schedule is for cron.

mod config;
mod fields;
mod how;
mod import;
mod work;
mod yaml;

pub use self::config::{Config, Copy, Registry, SecretPlace, Secrets};
pub use self::how::How;
pub use self::import::{Format, Imported, import};
pub use self::work::{Plans, Work};
pub use self::yaml::At;
