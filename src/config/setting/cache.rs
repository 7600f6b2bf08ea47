//! Settings of what is kept from one start to the next.

use super::Setting;

pub const CACHE_DIR: Setting = Setting {
    key: "cache.dir",
    flag: "cache-dir",
    short: None,
    env: "FLOWGATE_CACHE_DIR",
    env_known: None,
    default: None,
    expected: "`off` or the path of a directory",
    meaning: "Where measurements of models are kept from one start to the next; if not set it is \
              `flowgate` in the user's cache directory (`XDG_CACHE_HOME`, else `~/.cache`).",
};
