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
    meaning: "Where measurements of models and fetched versions are kept from one start to the \
              next; if not set it is `flowgate` in the user's cache directory (`XDG_CACHE_HOME`, \
              else `~/.cache`).",
};

pub const CACHE_BYTES_MAX: Setting = Setting {
    key: "cache.bytes_max",
    flag: "cache-bytes-max",
    short: None,
    env: "FLOWGATE_CACHE_BYTES_MAX",
    env_known: None,
    default: Some("20GiB"),
    expected: "a size from 1MiB to 64TiB",
    meaning: "Most bytes of fetched versions in the cache; those that nobody serves go, the least \
              recently used first.",
};
