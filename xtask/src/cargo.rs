//! Cargo, called by a program that cargo runs.

use std::process::Command;

/// Cargo as it was called for this program, without what it has said to it of its package: build scripts of others look at these
/// variables, and cargo would run them again and compile anew all that is built on them.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    /// The tests are run by cargo, too.
    #[test]
    fn what_cargo_says_of_this_package_is_taken_back() {
        let command = super::cargo();
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name.to_owned()).collect();
        for name in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION_MAJOR", "CARGO_MANIFEST_DIR"] {
            assert!(std::env::var_os(name).is_none() || removed.iter().any(|removed| removed == name), "{name} stays");
        }
    }
}
