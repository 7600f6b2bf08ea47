//! Configuration: flags, environment and a YAML file become one [`Config`] that cannot be wrong.
//!
//! [`setting`] is the table of everything that can be set, the one source of flags, variables,
//! file keys and documentation. [`Sources`] holds what was given and where, [`Config::check`]
//! turns it into values and reports every fault at once.

mod check;
mod checked;
mod cli;
mod credentials;
mod env;
mod fault;
mod file;
mod parse;
mod print;
mod secret;
pub mod setting;
mod sources;

pub use checked::{
    Config, Level, LogFormat, LogOptions, ModelConfig, OnnxRuntimeOptions, RegistryOptions,
    StartOptions,
};
pub use cli::{Command, Invocation, Promotion, Question, parse_command};
pub use credentials::CredentialsError;
pub use env::Environment;
pub use fault::{Fault, Faults};
pub use file::read_file;
pub use print::to_yaml;
pub use secret::{SecretError, read_webhook_secret};
pub use sources::{Origin, Sources, misspelt_variables};

#[cfg(test)]
mod tests;
