//! Makes the commit known to the program, where there is a git checkout.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../../.git/HEAD");
    println!("cargo::rerun-if-changed=../../.git/refs/heads");
    let output = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    if let Ok(output) = output
        && output.status.success()
    {
        println!("cargo::rustc-env=MM_COMMIT={}", String::from_utf8_lossy(&output.stdout).trim());
    }
}
