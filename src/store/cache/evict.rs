//! Room for what is fetched next: what was taken longest ago and nobody holds goes.

use std::fs;
use std::io;
use std::time::SystemTime;

use super::directory::{Cache, keyed_entries};
use super::error::{CacheError, FetchError};
use super::held::{Damage, used};
use super::key::CacheKey;
use super::lock::ExclusiveLock;
use super::manifest::Manifest;
use super::partial::remove;

/// A version on disk.
struct Stocked {
    used: SystemTime,
    key: CacheKey,
    bytes: u64,
}

/// What a fetch needs room for, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// The whole version.
    pub(super) version: u64,
    /// What of it is still to be written.
    pub(super) writes: u64,
}

impl Cache {
    /// Evicts until the version fits under the limit and on the disk. Nothing goes for a version
    /// that would not fit anyway. The caller holds the lock for this.
    pub(super) fn make_room(&self, key: &CacheKey, need: Need) -> Result<(), FetchError> {
        let bytes_max = self.options.bytes_max;
        let stock = self.stock()?;
        let stocked = stock.iter().fold(0_u64, |sum, version| sum.saturating_add(version.bytes));
        let taken = stocked.saturating_add(self.reserved_for_others(key)?);
        let free = self.free_bytes()?;
        let over_limit = taken.saturating_add(need.version).saturating_sub(bytes_max);
        let wanted_free = need.writes.saturating_add(self.options.free_bytes_min);
        let over_disk = if need.writes == 0 { 0 } else { wanted_free.saturating_sub(free) };

        let (mut victims, mut freed) = (Vec::new(), 0_u64);
        for version in stock {
            if freed >= over_limit.max(over_disk) {
                break;
            }
            let path = self.serve_lock(&version.key);
            let lock = ExclusiveLock::try_take(&path).map_err(CacheError::on("lock", &path))?;
            if let Some(lock) = lock {
                freed = freed.saturating_add(version.bytes);
                victims.push((version.key, version.bytes, lock));
            }
        }
        if freed < over_limit {
            let held = taken.saturating_sub(freed);
            return Err(FetchError::NoRoom { bytes: need.version, bytes_max, held });
        }
        if freed < over_disk {
            let dir = self.options.dir.clone();
            let free_min = self.options.free_bytes_min;
            return Err(FetchError::DiskFull { bytes: need.writes, free, free_min, dir });
        }
        for (key, bytes, lock) in victims {
            let version = self.version(&key);
            self.remove_locked(&key, &lock).map_err(CacheError::on("evict", &version))?;
            tracing::info!(%key, bytes, "evicted a version from the cache");
        }
        Ok(())
    }

    /// Removes a version, unless somebody holds it. Says whether it is gone.
    pub(super) fn remove(&self, key: &CacheKey) -> io::Result<bool> {
        match ExclusiveLock::try_take(&self.serve_lock(key))? {
            Some(lock) => self.remove_locked(key, &lock).map(|()| true),
            None => Ok(false),
        }
    }

    /// In one step, so that a crash leaves a whole version or none.
    fn remove_locked(&self, key: &CacheKey, _lock: &ExclusiveLock) -> io::Result<()> {
        let gone = self.partials().join(format!("{key}.gone"));
        remove(&gone)?;
        fs::rename(self.version(key), &gone)?;
        // What stays of it, the next start removes.
        let _ = remove(&gone);
        Ok(())
    }

    /// All versions, the one taken longest ago first. Those without a manifest are removed.
    fn stock(&self) -> Result<Vec<Stocked>, CacheError> {
        let mut stock = Vec::new();
        for (key, version) in keyed_entries(&self.versions())? {
            match Manifest::read(&version, &key) {
                Ok(manifest) => {
                    stock.push(Stocked { used: used(&version), bytes: manifest.bytes(), key });
                }
                // Removed by another process meanwhile.
                Err(_) if !version.exists() => {}
                Err(damage @ (Damage::Manifest(_) | Damage::File { .. })) => {
                    self.discard(&key, &damage);
                }
            }
        }
        stock.sort_unstable_by(|a, b| (a.used, &a.key).cmp(&(b.used, &b.key)));
        Ok(stock)
    }

    fn free_bytes(&self) -> Result<u64, CacheError> {
        let dir = &self.options.dir;
        let disk = rustix::fs::statvfs(dir)
            .map_err(|error| CacheError::on("see how full the disk is of", dir)(error.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}
