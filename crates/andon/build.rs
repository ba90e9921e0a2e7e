//! Rebuilds the binary when the embedded demo plant changes.

fn main() {
    #[allow(
        clippy::print_stdout,
        reason = "this is how a build script speaks to cargo"
    )]
    {
        println!("cargo:rerun-if-changed=../../plants/demo");
        println!("cargo:rerun-if-changed=assets");
    }
}
